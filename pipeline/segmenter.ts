import {
  type Interval,
  type MediaTime,
  type Span,
  between,
  earlier,
  later,
  ms,
  seconds,
  latest,
  earliest,
} from '../media/time.ts';
import type { Activity } from './domain.ts';

/** A stretch of the programme that certainly belongs to a speech segment. The stretches of a segment are gapless. */
export interface Stretch extends Interval {
  /** Counts speech segments from 0. */
  readonly segment: number;
  /** The segment ends here. The stretch may then be empty. */
  readonly last: boolean;
}

export interface Segmenting {
  /** Speech begins at this probability … */
  readonly on: number;
  /** … and ends below this one. */
  readonly off: number;
  /** What is shorter is a click, not speech. */
  readonly shortest: Span;
  /** This much silence closes a segment. */
  readonly hold: Span;
  /** Added before and after speech: soft beginnings and endings are less likely speech than they are speech. */
  readonly before: Span;
  readonly after: Span;
  /** A segment that gets this long is cut … */
  readonly longest: Span;
  /** … at the least likely speech within this span before the limit. */
  readonly search: Span;
}
export const SEGMENTING: Segmenting = {
  on: 0.5,
  off: 0.35,
  shortest: ms(96),
  hold: ms(300),
  before: ms(200),
  after: ms(200),
  longest: seconds(6),
  search: seconds(1),
};

/** Positions that come from different counts of samples differ by less than this. */
const ROUNDING = ms(1);

interface Open {
  readonly segment: number;
  readonly start: MediaTime;
  /** Given out up to here. */
  until: MediaTime;
  /** Since when nobody has spoken. */
  silence: MediaTime | undefined;
  /** The least likely speech among what may become the cut. */
  dip: { readonly at: MediaTime; readonly probability: number } | undefined;
}

/**
 * Turns how likely speech is into speech segments, as early as it can be certain.
 *
 * A stretch is given out as soon as nothing to come can change it; what is still open (whether a silence is an end,
 * where a long segment is cut) is held back and `settled` says so.
 */
export class Segmenter {
  readonly #rules: Segmenting;
  #at: MediaTime | undefined;
  /** No segment begins before this. */
  #floor = Number.NEGATIVE_INFINITY as MediaTime;
  /** Since when somebody may be speaking, while no segment is open. */
  #onset: MediaTime | undefined;
  #open: Open | undefined;
  #count = 0;

  constructor(rules: Partial<Segmenting> = {}) {
    this.#rules = { ...SEGMENTING, ...rules };
    const { on, off, before, after, hold, longest, search } = this.#rules;
    if (!(off <= on)) throw new RangeError(`Cannot segment: off ${off} lies above on ${on}`);
    if (after > hold) throw new RangeError(`Cannot segment: ${after} µs after speech exceeds the hold of ${hold} µs`);
    if (longest < search * 2 || longest <= before + search) {
      throw new RangeError(`Cannot segment: ${longest} µs at most leaves no room to search ${search} µs for a cut`);
    }
  }

  /** Up to where activity has been taken in. */
  get at(): MediaTime | undefined {
    return this.#at;
  }
  /** Everything before this is decided: it lies in a stretch already given out, or nobody speaks there. */
  get settled(): MediaTime {
    if (this.#open) return this.#open.until;
    const from = this.#onset ?? this.#at;
    return from === undefined ? this.#floor : latest(this.#floor, earlier(from, this.#rules.before));
  }

  push(activity: Activity): Stretch[] {
    const { on, off, shortest, before } = this.#rules;
    if (this.#at !== undefined && activity.start < earlier(this.#at, ROUNDING)) return [];
    const out = this.follows(activity) ? [] : this.skip(activity.start);
    const { start, end, probability } = activity;
    this.#at = end;
    if (this.#open) return [...out, ...this.#speaking(this.#open, activity)];

    if (this.#onset === undefined && probability >= on) this.#onset = start;
    else if (probability < off) this.#onset = undefined;
    if (this.#onset === undefined || between(this.#onset, end) < shortest) return out;
    const from = latest(this.#floor, earlier(this.#onset, before));
    this.#onset = undefined;
    return [...out, ...this.#begin(from, end)];
  }

  /** Whether `activity` goes on where the last one ended, or something is missing between them. */
  follows(activity: Activity): boolean {
    return this.#at === undefined || activity.start <= later(this.#at, ROUNDING);
  }

  /** Nobody knows what is spoken before `to`: closes what is open where knowledge ends and goes on from there. */
  skip(to: MediaTime): Stretch[] {
    const out = this.end();
    this.#at = to;
    this.#floor = to;
    return out;
  }

  /** Closes what is open. */
  end(): Stretch[] {
    const open = this.#open;
    this.#onset = undefined;
    if (!open || this.#at === undefined) return [];
    const heard = open.silence === undefined ? this.#at : earliest(this.#at, later(open.silence, this.#rules.after));
    return [this.#close(open, latest(open.until, heard))];
  }

  #begin(from: MediaTime, now: MediaTime): Stretch[] {
    const open: Open = { segment: this.#count++, start: from, until: from, silence: undefined, dip: undefined };
    this.#open = open;
    return this.#give(open, now);
  }

  #speaking(open: Open, { start, end, probability }: Activity): Stretch[] {
    const { on, off, hold, after, longest, search } = this.#rules;
    if (probability >= on) open.silence = undefined;
    else if (probability < off) open.silence ??= start;
    if (open.silence !== undefined && between(open.silence, end) >= hold) {
      return [this.#close(open, latest(open.until, later(open.silence, after)))];
    }
    const searchFrom = later(open.start, (longest - search) as Span);
    if (start >= searchFrom) {
      // A real pause near the limit is as good a place as any: no need to wait for a better one.
      if (open.silence !== undefined)
        return [this.#close(open, latest(open.until, earliest(end, later(open.silence, after))))];
      const middle = later(start, Math.round((end - start) / 2) as Span);
      if (!open.dip || probability < open.dip.probability) open.dip = { at: middle, probability };
    }
    if (between(open.start, end) < longest || !open.dip) return this.#give(open, end);
    const cut = open.dip.at;
    return [this.#close(open, cut), ...this.#begin(cut, end)];
  }

  /** Gives out what has become certain by `now`. */
  #give(open: Open, now: MediaTime): Stretch[] {
    const { after, longest, search } = this.#rules;
    const cuttable = later(open.start, (longest - search) as Span);
    const certain = open.silence === undefined ? now : earliest(now, later(open.silence, after));
    const until = earliest(certain, cuttable);
    if (until <= open.until) return [];
    const stretch = { segment: open.segment, start: open.until, end: until, last: false };
    open.until = until;
    return [stretch];
  }

  #close(open: Open, end: MediaTime): Stretch {
    this.#open = undefined;
    this.#floor = end;
    return { segment: open.segment, start: open.until, end, last: true };
  }
}
