import { type MediaTime, type Span, at, earliest, later, latest, ms } from '../../../media/time.ts';
import type { Boundary, Cut, Item, Lengths } from './cut.ts';

interface Lane {
  readonly kind: 'audio' | 'video';
  readonly queue: Item[];
  /** When the newest item was to begin, as it came. */
  newest: MediaTime | undefined;
  /** Pictures for a new decoder that wait for a segment's edge. */
  held: Item[] | undefined;
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
/** Between pictures that came too late for their places: a tick at 90 kHz, µs. */
const TICK = 12 as Span;
/** A frame of sound, µs. */
const FRAME = 21_333 as Span;
/** A segment ends at least this much behind what is cut: a frame of sound (21.3 ms). */
const SHORTEST = ms(22);
/** Items that wait in one lane. */
const MOST_WAITING = 2_048;

/**
 * Cuts tracks into segments at the same places and into parts. The leader, a track of pictures, says where: at its key
 * frames; without one it is time that says. A part ends where an item begins, or at its full length where none does.
 *
 * A track that comes later joins at the next boundary. Pictures that come when their place is cut already go to the next
 * part; a track that does not lead and needs a new decoder goes on at an edge.
 */
export class Segmenter {
  readonly #lengths: Lengths;
  readonly #lanes = new Map<string, Lane>();
  #boundaries: Boundary[] = [];
  #count = 0;
  #leader: string | undefined;
  #position = at(-1);
  #dropped = 0;
  /** Index of the newest boundary behind which something is cut. */
  #begun = -1;

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
      if (!this.#lanes.has(id))
        this.#lanes.set(id, { kind, queue: [], newest: undefined, held: undefined, place: undefined });
    this.#leader = leader;
  }

  push(track: string, item: Item): Cut[] {
    const lane = this.#lanes.get(track);
    if (!lane || (lane.newest !== undefined && item.start <= lane.newest) || item.start < 0) {
      this.#dropped += 1;
      return [];
    }
    const leads = track === this.#leader;
    let start = item.start;
    if (leads) start = this.#consider(lane, timed(lane, item));
    lane.newest = item.start;
    if (!leads && lane.place && item.changed) lane.held ??= [];
    if (lane.held) this.#hold(lane, item);
    else lane.queue.push(timed(lane, item, start));
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
      const { boundary, start } = place;
      const step = Math.max(TICK, newest.start - (before?.start ?? start)) as Span;
      const end = latest(
        later(newest.start, TICK),
        earliest(later(newest.start, step), later(start, this.#lengths.part)),
      );
      cuts.push({ track, boundary, start, end, items: queue.splice(0), last: true });
    }
    return cuts;
  }

  /** When the leader's picture begins: where its segment does, if that is its own. */
  #consider(lane: Lane, { start, keyFrame, changed = false }: Item): MediaTime {
    const before = this.#boundaries.at(-1);
    if (!before) {
      if (keyFrame) this.#bound(start, false);
      return start;
    }
    this.#force(start);
    const since = start - (this.#boundaries.at(-1)?.start ?? start);
    const joins = !lane.place && lane.queue.length === 0;
    if (!keyFrame || since <= 0 || !(changed || joins || since >= this.#lengths.aim - SLACK)) return start;
    return this.#bound(this.#uncut(start), changed);
  }

  /** That place, or the first behind it where every track can end a segment. */
  #uncut(start: MediaTime): MediaTime {
    const places = [...this.#lanes.values()].flatMap(({ place }) => place?.start ?? []);
    const edge = places.reduce(latest, at(-1));
    return start > edge ? start : later(edge, SHORTEST);
  }

  #hold(lane: Lane, item: Item): void {
    const held = (lane.held ??= []);
    held.push(item);
    const since = item.start - (held[0]?.start ?? item.start);
    if (item.keyFrame && since > this.#lengths.most) this.#bound(this.#uncut(item.start), true);
    this.#resume(lane);
    if (held.length > MOST_WAITING) this.#dropped += held.splice(0, 1).length;
  }

  /** A lane goes on with what it holds where a segment begins with a key frame of it. */
  #resume(lane: Lane): void {
    const { held, place } = lane;
    if (!held || !place) return;
    for (const boundary of this.#boundaries) {
      const { start, index, discontinuity } = boundary;
      if (index <= place.boundary.index || (index <= this.#begun && !discontinuity)) continue;
      const first = held.findIndex((one) => one.keyFrame && Math.abs(one.start - start) <= NEAR);
      if (first < 0) continue;
      boundary.discontinuity = true;
      lane.held = undefined;
      this.#dropped += first;
      for (const one of held.slice(first)) lane.queue.push(timed(lane, one, latest(one.start, start)));
      return;
    }
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

  #bound(start: MediaTime, discontinuity: boolean): MediaTime {
    this.#boundaries.push({ start, index: this.#count, discontinuity });
    this.#count += 1;
    for (const lane of this.#lanes.values()) this.#resume(lane);
    return start;
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
    const hole = lane.kind === 'audio' ? soundUntil(lane.queue, start, end) : end;
    if (hole < end) [end, last] = [hole, false];
    const count = lane.queue.findIndex((item) => item.start >= end);
    const items = lane.queue.splice(0, count < 0 ? lane.queue.length : count);
    lane.place = { boundary: last && after ? after : boundary, start: end };
    this.#begun = Math.max(this.#begun, boundary.index);
    return { track, boundary, start, end, items, last };
  }
}

/** Where, between `start` and `end`, sound ends, or begins where there was none: parts hold sound all through, or none at all. */
function soundUntil(queue: readonly Item[], start: MediaTime, end: MediaTime): MediaTime {
  let heard = start;
  for (const item of queue) {
    if (item.start >= end) break;
    if (item.start > later(heard, NEAR)) return heard === start ? item.start : heard;
    heard = later(item.start, FRAME);
  }
  return heard === start || end <= later(heard, NEAR) ? end : heard;
}

/** A picture whose place is cut already begins where the next part does, behind those that came before it. */
function timed({ kind, queue, place }: Lane, item: Item, start = item.start): Item {
  if (kind === 'audio') return item;
  const last = queue.at(-1);
  const earliestStart = latest(place?.start ?? start, last ? later(last.start, TICK) : start);
  return { ...item, start: latest(start, earliestStart) };
}
