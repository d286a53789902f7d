import { type MediaTime, type Span, at, earliest, later, latest, ms, seconds } from '../../../media/time.ts';

/** A picture, or a frame of sound. */
export interface Item {
  readonly start: MediaTime;
  readonly keyFrame: boolean;
  readonly data: Uint8Array;
}
/** Where segments of every track begin. */
export interface Boundary {
  readonly start: MediaTime;
  /** Counts from 0. */
  readonly index: number;
  readonly discontinuity: boolean;
}
/** One part of one track. */
export interface Cut {
  readonly track: string;
  readonly boundary: Boundary;
  readonly start: MediaTime;
  readonly end: MediaTime;
  readonly items: readonly Item[];
  /** Where the track goes on, as far as that is known. */
  readonly next: MediaTime | undefined;
  /** The segment ends with it. */
  readonly last: boolean;
}
export interface Lengths {
  /** A part is never longer. */
  readonly part: Span;
  /** A segment ends at the first key frame after so long… */
  readonly aim: Span;
  /** …and after so long without one. */
  readonly most: Span;
}

interface Lane {
  readonly kind: 'audio' | 'video';
  readonly queue: Item[];
  newest: MediaTime | undefined;
  /** The segment that is being written, and where its next part begins; none before the lane has joined. */
  place: { boundary: Boundary; start: MediaTime } | undefined;
}

/** A part is at least this share of the longest (RFC 8216bis §4.4.4.9). */
const LEAST = 0.85;
const SLACK = ms(100);
/** Sound that begins later than its segment by more than this has a hole there. */
const NEAR = ms(50);
/** What is on its way through a coder: sound is asked for in frames of its own, and comes so much after what it was made of. */
const CODING = ms(200);
/** Pictures that come later than sound are waited for so long: less than a player at the hold-back has to spare. */
const PATIENCE = ms(600);
/** Items that wait in one lane. */
const MOST_WAITING = 2_048;

/**
 * Cuts tracks into segments at the same places and into parts. The leader, a track of pictures, says where: at its key
 * frames; without one it is time that says. A part ends where an item begins, or at its full length where none does.
 *
 * A track that comes later joins at the next boundary.
 */
export class Segmenter {
  readonly #lengths: Lengths;
  readonly #lanes = new Map<string, Lane>();
  #boundaries: Boundary[] = [];
  #count = 0;
  #leader: string | undefined;
  #position = at(-1);
  #dropped = 0;

  constructor(lengths: Lengths) {
    this.#lengths = lengths;
  }
  /** Items that never were in a part. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Which tracks there are. What was begun of one that is gone is given up. */
  tracks(
    tracks: readonly { readonly id: string; readonly kind: 'audio' | 'video' }[],
    leader: string | undefined,
  ): void {
    for (const id of this.#lanes.keys()) if (!tracks.some((track) => track.id === id)) this.#lanes.delete(id);
    for (const { id, kind } of tracks)
      if (!this.#lanes.has(id)) this.#lanes.set(id, { kind, queue: [], newest: undefined, place: undefined });
    this.#leader = leader;
  }

  /** @param changed the picture is of another kind than the one before, and a decoder must begin anew */
  push(track: string, item: Item, changed = false): Cut[] {
    const lane = this.#lanes.get(track);
    if (!lane || (lane.newest !== undefined && item.start <= lane.newest) || item.start < 0) {
      this.#dropped += 1;
      return [];
    }
    if (track === this.#leader) this.#consider(lane, item, changed);
    lane.queue.push(item);
    lane.newest = item.start;
    if (lane.queue.length > MOST_WAITING) {
      lane.queue.shift();
      this.#dropped += 1;
    }
    return this.#cut();
  }

  /** Everything before `position` has come, or is being coded. */
  tick(position: MediaTime): Cut[] {
    this.#position = latest(this.#position, at(Math.max(-1, position - CODING)));
    if (this.#boundaries.length === 0) this.#begin();
    else this.#force(this.#known());
    return this.#cut();
  }

  /** Nothing follows: what is left becomes last parts. */
  end(): Cut[] {
    const cuts = this.tick(later(latest(this.#position, this.#known()), CODING));
    for (const [track, { queue, place }] of this.#lanes) {
      const [newest, before] = [queue.at(-1), queue.at(-2)];
      if (!place || !newest) continue;
      const end = later(newest.start, Math.max(1, newest.start - (before?.start ?? place.start)) as Span);
      const { boundary, start } = place;
      cuts.push({ track, boundary, start, end, items: queue.splice(0), next: end, last: true });
    }
    return cuts;
  }

  #consider(lane: Lane, { start, keyFrame }: Item, changed: boolean): void {
    const before = this.#boundaries.at(-1);
    if (!before) {
      if (keyFrame) this.#bound(start, false);
      return;
    }
    this.#force(start);
    const since = start - (this.#boundaries.at(-1)?.start ?? start);
    const joins = !lane.place && lane.queue.length === 0;
    if (keyFrame && since > 0 && (changed || joins || since >= this.#lengths.aim - SLACK)) this.#bound(start, changed);
  }

  /** Nobody leads, or the leader does not show up: sound begins. */
  #begin(): void {
    const firsts = [...this.#lanes.values()].flatMap((lane) =>
      lane.kind === 'audio' ? (lane.queue[0]?.start ?? []) : [],
    );
    if (firsts.length === 0) return;
    const first = firsts.reduce(latest);
    if (this.#leader === undefined || this.#position > later(first, this.#lengths.most)) this.#bound(first, false);
  }

  #force(known: MediaTime): void {
    const length = this.#leader === undefined ? this.#lengths.aim : this.#lengths.most;
    for (let last = this.#boundaries.at(-1); last && known > later(last.start, length); last = this.#boundaries.at(-1))
      this.#bound(later(last.start, length), false);
  }

  #bound(start: MediaTime, discontinuity: boolean): void {
    this.#boundaries.push({ start, index: this.#count, discontinuity });
    this.#count += 1;
  }

  /** All boundaries before this are known. */
  #known(): MediaTime {
    const leader = this.#leader === undefined ? undefined : this.#lanes.get(this.#leader);
    return leader ? this.#reached(leader) : this.#position;
  }
  /** Everything of a lane before this has come, or is not waited for any longer. */
  #reached({ kind, newest }: Lane): MediaTime {
    if (newest === undefined) return this.#position;
    const waited = kind === 'video' && this.#position <= later(newest, PATIENCE);
    return waited ? later(newest, 1 as Span) : latest(this.#position, later(newest, 1 as Span));
  }

  #cut(): Cut[] {
    const cuts: Cut[] = [];
    for (const [track, lane] of this.#lanes) {
      this.#join(lane);
      for (let cut = this.#next(track, lane); cut; cut = this.#next(track, lane)) cuts.push(cut);
    }
    const least = Math.min(...[...this.#lanes.values()].map(({ place }) => place?.boundary.index ?? Infinity));
    const newest = this.#count - 1;
    this.#boundaries = this.#boundaries.filter(({ index }) => index >= Math.min(least, newest - 2));
    return cuts;
  }

  #join(lane: Lane): void {
    if (lane.place) return;
    for (const boundary of this.#boundaries) {
      const first = lane.queue[0]?.start;
      if (first === undefined) return;
      if (boundary.index > 0 && first > later(boundary.start, NEAR)) continue;
      const from = lane.queue.findIndex(({ start, keyFrame }) => start >= boundary.start && keyFrame);
      if (from < 0) return;
      const begins = lane.queue[from]?.start ?? first;
      if (lane.kind === 'video' && begins > later(boundary.start, NEAR)) continue;
      this.#dropped += from;
      lane.queue.splice(0, from);
      lane.place = { boundary, start: begins <= later(boundary.start, NEAR) ? begins : boundary.start };
      return;
    }
  }

  #next(track: string, lane: Lane): Cut | undefined {
    if (!lane.place) return undefined;
    const { boundary, start } = lane.place;
    const own = this.#reached(lane);
    const known = earliest(own, this.#known());
    const full = later(start, this.#lengths.part);
    const after = this.#boundaries.find(({ index }) => index === boundary.index + 1);
    let end: MediaTime;
    let last = false;
    const until = after && (lane.queue.find((item) => item.start >= after.start)?.start ?? after.start);
    // A hole at the boundary is a hole in the next segment.
    const close = until !== undefined && after && until > later(after.start, NEAR) ? after.start : until;
    if (after && close !== undefined && close <= full && own > after.start) {
      end = close;
      last = true;
    } else if (known > full) {
      const begins = lane.queue.findLast((item) => item.start > start && item.start <= full)?.start;
      end = begins !== undefined && begins - start >= LEAST * this.#lengths.part ? begins : full;
      last = after !== undefined && end >= after.start;
    } else return undefined;
    const count = lane.queue.findIndex((item) => item.start >= end);
    const items = lane.queue.splice(0, count < 0 ? lane.queue.length : count);
    lane.place = { boundary: last && after ? after : boundary, start: end };
    return { track, boundary, start, end, items, next: lane.queue[0]?.start, last };
  }
}

/** What a gateway's spec says, as lengths. The longest segment rounds to the target duration (RFC 8216bis §4.4.3.1). */
export function lengthsOf(spec: {
  readonly part: number;
  readonly segment: number;
}): Lengths & { readonly target: number } {
  const target = Math.ceil(spec.segment * 1.5);
  return {
    part: seconds(spec.part),
    aim: seconds(spec.segment),
    most: seconds(target + 0.4),
    target,
  };
}
