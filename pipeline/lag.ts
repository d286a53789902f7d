import { type ClockTime, type Span, between, ms, seconds } from '../media/time.ts';

/** Within what a programme's delay may be chosen. */
export interface LagBounds {
  readonly start: Span;
  readonly least: Span;
  readonly most: Span;
}

/** What became of a line, as far as its time is concerned. */
export interface Timed {
  readonly outcome: 'dubbed' | 'trimmed' | 'late' | 'expired' | 'refused';
  /** Time left before its deadline when it was placed; negative when it came too late, `null` when it never came. */
  readonly slack: number | null;
}

/** Lines that are looked back on, and for how long. */
const LINES = 60;
const HORIZON = seconds(600);
/** A 95th percentile of fewer is chance. */
const ENOUGH = 12;
/** So many of the last lines too late, and the delay is raised. One line alone is bad luck. */
const LATE = 2;
const OF_LAST = 10;
/** What a raise adds at least, and what the need is given to spare. */
const STEP_UP = ms(500);
const MARGIN = ms(700);
/** What the programme still needs when computing costs nothing. */
const BEYOND_LOOKAHEAD = ms(500);
/** It is lowered by so much, so often, after so long without a late line, and only where that leaves this to spare. */
const STEP_DOWN = ms(100);
const EVERY = seconds(10);
const CALM = seconds(120);
const HYSTERESIS = ms(300);

/** Lines that were under way when a stage came back are lost until a delay and so much later. */
const AFTERMATH = seconds(5);

interface Entry {
  readonly at: ClockTime;
  readonly late: boolean;
  /** The delay that the line would have needed, as far as is known. */
  readonly need: Span | undefined;
}

/**
 * Chooses a programme's delay: what the stages look ahead plus what 95 of 100 lines have needed of late.
 *
 * It is raised when lines come too late again and again, and lowered slowly when for a while none has: a viewer
 * notices a delay that changes, and nobody notices half a second more of one that does not. While lines are merely late
 * they are left to their captions; nothing waits for them. Between two raises the first has to take effect.
 */
export class Lag {
  readonly #bounds: LagBounds;
  #wanted: Span;
  #entries: Entry[] = [];
  #lateAt: ClockTime | undefined;
  #changedAt: ClockTime | undefined;
  #unableAt: ClockTime | undefined;
  #began: ClockTime | undefined;
  /** Once begun it goes on to the end. */
  #lowering = false;

  constructor(bounds: LagBounds) {
    const { start, least, most } = bounds;
    if (!(least <= start && start <= most)) {
      throw new RangeError(`Cannot control lag: ${start} µs is not within ${least} and ${most} µs`);
    }
    this.#bounds = bounds;
    this.#wanted = start;
  }

  /** The delay to go for. */
  get wanted(): Span {
    return this.#wanted;
  }

  /** A stage is down at present: what is lost because of it, and for a while after it, was not late. */
  unable(now: ClockTime): void {
    this.#unableAt = now;
  }

  /** A line is over. @param delay the programme's delay at that time */
  line({ outcome, slack }: Timed, delay: Span, now: ClockTime): void {
    // What an engine refused says nothing about time.
    if (outcome === 'refused') return;
    const late = outcome === 'late' || outcome === 'expired';
    const excused = this.#unableAt !== undefined && between(this.#unableAt, now) < delay + AFTERMATH;
    if (late && excused) return;
    const need = slack === null ? undefined : ((delay - slack) as Span);
    this.#entries.push({ at: now, late, need });
    if (this.#entries.length > LINES) this.#entries.shift();
    if (late) this.#lateAt = now;
  }

  /** Thinks again. Called now and then. @param lookahead of all stages @returns `wanted` */
  update(delay: Span, lookahead: Span, now: ClockTime): Span {
    this.#began ??= now;
    this.#entries = this.#entries.filter(({ at }) => between(at, now) <= HORIZON);
    const { least, most } = this.#bounds;
    const floor = Math.max(least, lookahead + BEYOND_LOOKAHEAD);
    if (this.#wanted < floor) return this.#change(floor, now);
    // What has not taken effect yet cannot be judged.
    if (Math.abs(delay - this.#wanted) > ms(50)) return this.#wanted;
    const since = this.#changedAt ?? (Number.NEGATIVE_INFINITY as ClockTime);
    const recent = this.#entries.slice(-OF_LAST).filter(({ at, late }) => late && at > since);
    const need = this.#need();
    if (recent.length >= LATE) {
      return this.#change(Math.min(most, Math.max(this.#wanted + STEP_UP, (need ?? 0) + MARGIN)), now);
    }
    const calmSince = Math.max(this.#lateAt ?? this.#began, this.#began);
    const calm = now - calmSince >= CALM;
    if (calm && between(since, now) < EVERY) return this.#wanted;
    const enough = need !== undefined && this.#entries.length >= ENOUGH;
    const goal = Math.max(floor, (need ?? 0) + MARGIN);
    if (!calm || !enough || goal >= this.#wanted) this.#lowering = false;
    else this.#lowering ||= goal + HYSTERESIS < this.#wanted;
    if (this.#lowering) return this.#change(Math.max(goal, this.#wanted - STEP_DOWN), now);
    return this.#wanted;
  }

  #change(wanted: number, now: ClockTime): Span {
    const bounded = Math.round(Math.min(this.#bounds.most, Math.max(this.#bounds.least, wanted))) as Span;
    if (bounded !== this.#wanted) [this.#wanted, this.#changedAt] = [bounded, now];
    return this.#wanted;
  }

  /** What 95 of 100 lines needed; lines that never came needed more than anybody knows. */
  #need(): Span | undefined {
    const needs = this.#entries.flatMap(({ need }) => need ?? []).sort((a, b) => a - b);
    return needs[Math.max(0, Math.ceil(needs.length * 0.95) - 1)];
  }
}
