import { type Init, type Stretch, fragmentsOf } from './fmp4-pieces.ts';
import { FRAME } from './playlist-rules.ts';
import { type Find, type Finding, finder } from './rules.ts';
import { transportOf } from './ts-pieces.ts';

/** A part, or a segment that has none, with what its playlist says of it. */
export interface Piece {
  readonly name: string;
  readonly number: number;
  /** `undefined`: a whole segment. */
  readonly part: number | undefined;
  /** Seconds. */
  readonly duration: number;
  readonly independent: boolean;
  readonly discontinuity: boolean;
  readonly era: number;
  /** When it is shown by EXT-X-PROGRAM-DATE-TIME, ms since 1970. */
  readonly date: number | undefined;
  readonly body: Uint8Array;
}
/** What its playlist says of all of its segments, and the init that goes with a piece. */
export interface Setting {
  readonly init: Init | undefined;
  /** EXT-X-INDEPENDENT-SEGMENTS, here or in the multivariant playlist. */
  readonly independent: boolean;
}

/** Ticks are rounded: two pieces meet within this, seconds. */
const MEETS = 0.001_5;
/** MPEG-TS holds no lengths; what ends a piece is guessed from its rate. */
const MEETS_TS = 0.12;
/** How far the programme's dates may be apart that stand for one media time, seconds. */
export const SAME_DATE = 0.04;

/** The media of a piece, of whichever container it is. */
export function stretchesOf(body: Uint8Array, init: Init | undefined): readonly Stretch[] {
  if (body[0] === 0x47) return transportOf(body).stretches;
  if (!init) throw new RangeError('neither MPEG-TS, nor fragmented MP4 with an init');
  return fragmentsOf(body, init);
}

/** The pieces of one rendition in order, and what is wrong with them. */
export class Trail {
  readonly #find: Find;
  #last:
    { readonly number: number; readonly part: number | undefined; readonly stretches: readonly Stretch[] } | undefined;
  /** By discontinuity sequence: date less media time, seconds. */
  readonly offsets = new Map<number, number>();
  samples = 0;
  seconds = 0;

  constructor(at: string) {
    this.#find = finder(at);
  }

  push(piece: Piece, setting: Setting): Finding[] {
    const { name, number, part } = piece;
    let stretches: readonly Stretch[];
    try {
      stretches = stretchesOf(piece.body, setting.init);
    } catch (failure) {
      this.#last = undefined;
      if (!(failure instanceof RangeError)) throw failure;
      return [this.#find('piece-broken', `${name}: ${failure.message}`)];
    }
    const before = this.#follows(piece) ? this.#last?.stretches : undefined;
    this.#last = { number, part, stretches };
    const [leading] = [...stretches].sort((a, b) => rank(a) - rank(b));
    if (!leading || stretches.every(({ samples }) => samples === 0)) return [this.#find('piece-empty', name)];
    this.samples += leading.samples;
    this.seconds += leading.end - leading.start;
    return [
      ...this.#gaps(piece, stretches, before ?? []),
      ...this.#length(piece, leading),
      ...this.#keys(piece, leading, setting),
      ...this.#dates(piece, leading),
    ];
  }

  /** Nothing lies between the piece before and this one. */
  #follows({ number, part, discontinuity }: Piece): boolean {
    if (!this.#last || (discontinuity && (part ?? 0) === 0)) return false;
    if (part !== undefined && part > 0) return this.#last.number === number && this.#last.part === part - 1;
    return this.#last.number === number - 1;
  }

  #gaps({ name, body }: Piece, now: readonly Stretch[], before: readonly Stretch[]): Finding[] {
    return now.flatMap((stretch) => {
      const last = before.find(({ kind }) => kind === stretch.kind);
      const meets = body[0] === 0x47 ? Math.max(MEETS_TS, 2 * frameOf(last)) : MEETS;
      if (!last || Math.abs(stretch.start - last.end) <= meets) return [];
      return [
        this.#find(
          'time-gap',
          `${name}: ${stretch.kind} begins at ${stretch.start.toFixed(3)} s, before it ended ${last.end.toFixed(3)} s`,
        ),
      ];
    });
  }

  #length({ name, duration, body }: Piece, { start, end, samples }: Stretch): Finding[] {
    const frame = Math.max(FRAME, samples > 0 ? (end - start) / samples : 0);
    const off = Math.abs(end - start - duration);
    return off > (body[0] === 0x47 ? 2 : 1) * frame + 0.001
      ? [this.#find('length-untrue', `${name} lasts ${(end - start).toFixed(3)} s, its playlist says ${duration} s`)]
      : [];
  }

  #keys({ name, part, independent }: Piece, { kind, sync, key }: Stretch, setting: Setting): Finding[] {
    if (kind !== 'video') return [];
    const all: Finding[] = [];
    const begins = key ?? sync;
    if (independent && (!begins || !sync))
      all.push(
        this.#find(
          'independent-untrue',
          `${name} begins with ${begins ? 'a sample that is not marked as sync' : 'no key frame'}`,
        ),
      );
    if (part !== undefined && !independent && begins && sync) all.push(this.#find('independent-missing', name));
    if ((part ?? 0) === 0 && setting.independent && !begins) all.push(this.#find('key-missing', name));
    return all;
  }

  #dates({ name, date, era, body }: Piece, { start }: Stretch): Finding[] {
    if (date === undefined) return [];
    const offset = date / 1_000 - start;
    const first = this.offsets.get(era);
    if (first === undefined) this.offsets.set(era, offset);
    return first !== undefined && Math.abs(offset - first) > (body[0] === 0x47 ? MEETS_TS : SAME_DATE)
      ? [
          this.#find(
            'dates-apart',
            `${name}: its date is ${(1_000 * (offset - first)).toFixed(0)} ms from where the first piece puts it`,
          ),
        ]
      : [];
  }
}
/** Seconds of one sample; of MPEG-TS one packet of them. */
const frameOf = (stretch: Stretch | undefined) =>
  stretch && stretch.samples > 0 ? (stretch.end - stretch.start) / stretch.samples : 0;
const rank = ({ kind }: Stretch) => ['video', 'audio', 'other'].indexOf(kind);

/** Whether a segment holds what its parts hold. */
export function wholeFindings(
  name: string,
  whole: Uint8Array,
  parts: readonly Uint8Array[],
  init: Init | undefined,
  at: string,
): Finding[] {
  const find = finder(at);
  const sum = (bodies: readonly Uint8Array[]) => {
    const all = new Map<string, { samples: number; start: number; end: number }>();
    for (const { kind, samples, start, end } of bodies.flatMap((body) => stretchesOf(body, init))) {
      const known = all.get(kind);
      all.set(kind, { samples: samples + (known?.samples ?? 0), start: known?.start ?? start, end });
    }
    return [...all]
      .map(([kind, { samples, start, end }]) => `${kind} ${samples} from ${start.toFixed(3)} to ${end.toFixed(3)} s`)
      .join(', ');
  };
  try {
    const [a, b] = [sum([whole]), sum(parts)];
    return a === b ? [] : [find('parts-unlike', `${name}: ${a}; its parts: ${b}`)];
  } catch (failure) {
    if (failure instanceof RangeError) return [find('piece-broken', `${name}: ${failure.message}`)];
    throw failure;
  }
}
