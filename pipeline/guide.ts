import { type Interval, type MediaTime, type Span, between, ms, seconds } from '../media/time.ts';
import type { Guide, Language, SpeakerId } from './domain.ts';
import type { Face } from './face.ts';
import { IBUG, centreOf } from './ibug.ts';

export interface Guiding {
  /** How far open a mouth counts as open and as closed again, in parts of what lies between the speaker's closed and wide. */
  readonly opens: number;
  readonly closes: number;
  /** Shorter closings are part of the opening, and shorter openings are none. */
  readonly bridge: Span;
  readonly shortest: Span;
}
/**
 * Closed and wide are the 10th and the 90th percentile of what was seen. A lip closure of p, b or m is taken to
 * last 50 to 100 ms, which two pictures at 25 a second just show.
 */
export const GUIDING: Guiding = { opens: 0.4, closes: 0.25, bridge: ms(60), shortest: ms(80) };

/** What one picture shows of a face, in parts of the distance between the eyes, upright. */
export interface Look {
  readonly start: MediaTime;
  readonly opening: number;
  /** How far the brows are above the eyes, and the chin below them. */
  readonly brows: number;
  readonly jaw: number;
  /** Where the head looks, degrees. */
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
}

/** Looks are remembered for so long: a speaker's usual manner, and every utterance that is still on its way. */
const REMEMBERED = seconds(90);
/** Speakers whose looks are remembered, and looks of one: 90 s at 60 a second. */
const SPEAKERS = 32;
const MOST = 5_400;
/** Looks further apart are not compared: a cut, or a face that was away. */
const APART = ms(200);
/** Motion is measured over this long: from picture to picture, most of it is the landmarks' trembling. */
const STEP = ms(100);
/** As much as the lips must part in the speaker's widest look, in parts of the distance between the eyes. */
const LEAST_OPENING = 0.03;
/** A second of looks that can be compared, before motion says anything. */
const ENOUGH = 20;
/** So much of a brow's or a jaw's motion counts like one degree of the head's. */
const PER_DEGREE = 0.01;

/** The jaw's points around the chin. */
const CHIN = [7, 10] as const;

/** What a face shows, without where it is, how large it is and how it is tilted. */
export function lookOf(start: MediaTime, { landmarks, opening, pose }: Face): Look {
  const [left, right] = [centreOf(landmarks, IBUG.leftEye), centreOf(landmarks, IBUG.rightEye)];
  const [middleX, middleY] = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2];
  const [dx, dy] = [right[0] - left[0], right[1] - left[1]];
  const eyes = Math.max(1e-6, Math.hypot(dx, dy));
  const below = ([x, y]: readonly [number, number]) => ((y - middleY) * dx - (x - middleX) * dy) / (eyes * eyes);
  const { yaw, pitch, roll } = pose;
  return {
    start,
    opening,
    brows: -below(centreOf(landmarks, IBUG.brows)),
    jaw: below(centreOf(landmarks, CHIN)),
    yaw,
    pitch,
    roll,
  };
}

/**
 * When a mouth is open: from where it opens wider than `opens` to where it is narrower than `closes`.
 *
 * @param looks in order, of the stretch that is asked about
 * @param usual openings of the speaker, from which closed and wide are taken
 */
export function mouthOpen(looks: readonly Look[], usual: readonly number[], rules: Guiding = GUIDING): Interval[] {
  const sorted = [...usual].sort((a, b) => a - b);
  const [closed, wide] = [share(sorted, 0.1), share(sorted, 0.9)];
  if (!(wide - closed >= LEAST_OPENING)) return [];
  const [open, shut] = [rules.opens, rules.closes].map((part) => closed + part * (wide - closed)) as [number, number];
  const found: { start: MediaTime; end: MediaTime }[] = [];
  let since: MediaTime | undefined;
  let before: Look | undefined;
  const close = (end: MediaTime) => {
    if (since === undefined) return;
    const last = found.at(-1);
    if (last && between(last.end, since) <= rules.bridge) last.end = end;
    else found.push({ start: since, end });
    since = undefined;
  };
  for (const look of looks) {
    if (before && between(before.start, look.start) > APART) close(before.start);
    if (since === undefined && look.opening > open) since = look.start;
    else if (since !== undefined && look.opening < shut) close(look.start);
    before = look;
  }
  if (before) close(before.start);
  return found.filter(({ start, end }) => between(start, end) >= rules.shortest);
}

/** How fast brows, jaw and head move, degrees a second; nothing where too little was seen. */
export function livelinessOf(looks: readonly Look[]): number | undefined {
  let [sum, count, first] = [0, 0, 0];
  for (const look of looks) {
    while (between(looks[first]!.start, look.start) > STEP) first += 1;
    const from = looks[first - 1];
    const span = from ? between(from.start, look.start) : 0;
    if (!from || span > APART) continue;
    const moved =
      (look.yaw - from.yaw) ** 2 +
      (look.pitch - from.pitch) ** 2 +
      (look.roll - from.roll) ** 2 +
      ((look.brows - from.brows) / PER_DEGREE) ** 2 +
      ((look.jaw - from.jaw) / PER_DEGREE) ** 2;
    sum += moved / (span / 1e6) ** 2;
    count += 1;
  }
  return count < ENOUGH ? undefined : Math.sqrt(sum / count);
}

/** Twice as lively as usual is 0.8, half as lively 0.2. */
const against = (usual: number, now: number) => (usual + now > 0 ? now ** 2 / (now ** 2 + usual ** 2) : 0.5);

/**
 * What speakers' faces show, for the voices that speak for them.
 *
 * Holds a minute and a half of {@link Look}s of each of the last 32 speakers.
 */
export class Guides {
  readonly #rules: Guiding;
  readonly #looks = new Map<SpeakerId, Look[]>();

  constructor(rules: Guiding = GUIDING) {
    this.#rules = rules;
  }

  /** The face of `speaker` in the picture at `start`. Pictures of one speaker come in order. */
  saw(speaker: SpeakerId, start: MediaTime, face: Face): void {
    // A face that cannot be judged moves by chance.
    if (face.unfit !== undefined && face.unfit !== 'profile') return;
    const looks = this.#looks.get(speaker) ?? [];
    this.#looks.delete(speaker);
    this.#looks.set(speaker, looks);
    const oldest = this.#looks.size > SPEAKERS ? this.#looks.keys().next() : undefined;
    if (oldest && !oldest.done) this.#looks.delete(oldest.value);
    const last = looks.at(-1);
    if (last && start <= last.start) return;
    looks.push(lookOf(start, face));
    const kept = looks.findIndex((look) => between(look.start, start) <= REMEMBERED);
    looks.splice(0, Math.max(kept, looks.length - MOST));
  }

  /** What is seen of an utterance; nothing where the speaker's face was not to be seen for most of it. */
  of({ speaker, start, end }: Interval & { readonly speaker: SpeakerId }): Guide | undefined {
    const all = this.#looks.get(speaker) ?? [];
    const looks = all.filter((look) => look.start >= start && look.start < end);
    let seen = 0;
    for (const [n, look] of looks.entries()) {
      const span = between(look.start, looks[n + 1]?.start ?? end);
      if (span <= APART) seen += span;
    }
    if (seen < (end - start) / 2) return undefined;
    const [usual, now] = [livelinessOf(all), livelinessOf(looks)];
    return {
      mouth: mouthOpen(
        looks,
        all.map(({ opening }) => opening),
        this.#rules,
      ),
      expression: usual === undefined || now === undefined ? 0.5 : against(usual, now),
    };
  }
}

/** A guide for a dub in `to` of a programme in `from`: with the mouth only within one language, whatever the region. */
export function guideFor(guide: Guide, from: Language, to: Language): Guide {
  const subtag = (language: Language) => language.split('-')[0]?.toLowerCase();
  return subtag(from) === subtag(to) ? guide : { expression: guide.expression };
}

/** The number below which lies such a part of sorted numbers. */
const share = (sorted: readonly number[], part: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN;
