import { type ClockTime, type MediaTime, type Span } from './time.ts';

/** How much of a pause's time the lag may change by: 100 ms a second, which receivers' jitter buffers bridge. */
const SLEW = 0.1;
/** The same where there is sound: nobody hears half a percent. */
const UNNOTICED = 0.005;
/** How long at most one decision holds, µs of clock time: whoever decides is asked again every 20 ms or so. */
const STRETCH = 1_000_000;
/** Ways down that may be waiting; then the newest two become one. */
const CAPACITY = 64;

/** From media position `from` on the lag may sink to `lag`. */
interface Step {
  readonly from: number;
  readonly lag: number;
}

/**
 * Which position of the programme is played when: in step with the clock, except while its lag is being changed.
 *
 * The lag is clock time less media time, µs, against an origin of no meaning. It goes to where {@link aim} wants it, as
 * far and as fast as {@link turn} allows: at most {@link SLEW} of the time that passes. The position never runs
 * backwards and never steps.
 *
 * **What was promised is kept.** {@link earliest} says when a position is reached at the earliest, and a later, lower
 * aim does not make that untrue: the lag sinks only behind the furthest position that was asked about before the aim.
 */
export class Playhead {
  /** A point of the line that is being played, and how fast the lag changes from there on, for `span` of clock time. */
  #clock: number;
  #media: number;
  #slope = 0;
  #span = 0;
  /** Where the lag may go at once. */
  #goal: number;
  /** Where it may go later on, in order: ever further, ever lower. */
  #steps: Step[] = [];
  #promised = -Infinity;
  /** What was played at the last turn. */
  #turned: number;

  /** Plays `media` at `clock`. */
  constructor(media: MediaTime, clock: ClockTime) {
    this.#clock = clock;
    this.#media = media;
    this.#turned = media;
    this.#goal = clock - media;
  }

  /** What is played at `now`; the decision of the last {@link turn} holds. Rounded down to whole microseconds. */
  at(now: ClockTime): MediaTime {
    return Math.floor(this.#at(now)) as MediaTime;
  }
  /** The lag, as of the last {@link turn}. */
  get lag(): number {
    return this.#clock - this.#media;
  }
  /** Where the lag will be when all is done. */
  get aimed(): number {
    return this.#steps.at(-1)?.lag ?? this.#goal;
  }

  /**
   * When `media` is played at the earliest, whatever is decided until then and wherever the lag is aimed later on.
   *
   * The promise is kept for positions up to `reach` beyond what is played.
   */
  earliest(media: MediaTime, reach: Span): ClockTime {
    const kept = Math.min(media, this.#turned + reach);
    if (kept > this.#promised) this.#promised = kept;
    let [from, lag] = [this.#turned, this.lag];
    // What is decided already happens even if the aim is another by now.
    let goal = Math.min(this.#goal, lag + Math.min(0, this.#slope) * this.#span);
    for (const step of this.#steps) {
      if (step.from >= media) break;
      const until = Math.max(from, step.from);
      [from, lag, goal] = [until, sunk(lag, goal, until - from), Math.min(goal, step.lag)];
    }
    return Math.floor(media + sunk(lag, goal, media - from)) as ClockTime;
  }

  /** Where the lag is wanted from now on. */
  aim(lag: number): void {
    if (this.#goal > this.lag) this.#goal = Math.max(this.lag, lag);
    if (lag >= this.#goal) {
      this.#goal = lag;
      this.#steps = [];
      return;
    }
    const reached = this.#steps.findIndex((step) => step.lag <= lag);
    if (reached >= 0) {
      this.#steps.splice(reached, Infinity, { from: this.#steps[reached]?.from ?? this.#promised, lag });
      return;
    }
    if (this.#steps.length >= CAPACITY) this.#steps.pop();
    this.#steps.push({ from: this.#promised, lag });
  }

  /**
   * Decides how the lag changes from `now` on. `now` never runs backwards.
   *
   * @param until the end of the pause that is being played; `undefined` when none is
   * @param slowly whether to go on, unnoticed, where there is no pause
   * @returns by how much the lag has changed since the last turn
   */
  turn(now: ClockTime, until: MediaTime | undefined, slowly: boolean): number {
    const before = this.lag;
    if (this.#span > 0) {
      const media = this.#at(now);
      const left = this.#span - (now - this.#clock);
      [this.#clock, this.#media] = [now, media];
      if (left <= 0 || Math.abs(this.#goal - this.lag) < 1) this.#span = 0;
    }
    const changed = this.lag - before;
    const position = this.#at(now);
    this.#turned = Math.max(this.#turned, position);
    while (this.#steps[0] && this.#steps[0].from <= position) this.#goal = this.#steps.shift()?.lag ?? this.#goal;
    const error = this.#goal - this.lag;
    if (error === 0 && this.#span === 0) return changed;
    if (Math.abs(error) < 1) {
      // There: whole microseconds again. It is less than one away, and `at` gives whole ones, so nothing runs backwards.
      [this.#clock, this.#media, this.#span] = [now, now - this.#goal, 0];
      return changed;
    }
    const left = until === undefined ? 0 : until - position;
    const rate = left > 0 ? SLEW : slowly ? UNNOTICED : 0;
    [this.#clock, this.#media] = [now, position];
    this.#slope = Math.sign(error) * rate;
    const longest = rate === SLEW ? left / (1 - this.#slope) : STRETCH;
    this.#span = rate === 0 ? 0 : Math.min(STRETCH, longest, Math.abs(error) / rate);
    return changed;
  }

  #at(now: number): number {
    const passed = now - this.#clock;
    return this.#media + passed - this.#slope * Math.max(0, Math.min(passed, this.#span));
  }
}

/** The lowest that `lag` can be after `media` of programme, on its way down to `goal`. */
function sunk(lag: number, goal: number, media: number): number {
  if (goal >= lag || media <= 0) return lag;
  // At a slope of 1 + SLEW, media passes in media / (1 + SLEW) of clock time.
  return Math.max(goal, lag - (media * SLEW) / (1 + SLEW));
}
