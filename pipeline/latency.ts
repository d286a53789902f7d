import { type ClockTime, type Span, between, earlier, seconds, toMs } from '../media/time.ts';

/** Milliseconds; `null` while nothing was measured. */
export interface LatencySummary {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly count: number;
}

/** Measurements of the last minute, at most `capacity` of them, the newest. */
export class Latency {
  readonly #capacity: number;
  readonly #horizon: Span;
  #entries: { readonly at: ClockTime; readonly span: Span }[] = [];

  constructor(capacity = 512, horizon = seconds(60)) {
    this.#capacity = capacity;
    this.#horizon = horizon;
  }

  add(span: Span, now: ClockTime): void {
    this.#entries.push({ at: now, span });
    if (this.#entries.length > this.#capacity) this.#entries.shift();
  }

  /** The smallest measurement that `share` of them do not exceed. */
  quantile(share: number, now: ClockTime): Span | undefined {
    return rank(this.#recent(now), share);
  }
  summary(now: ClockTime): LatencySummary {
    const sorted = this.#recent(now);
    const inMs = (span: Span | undefined) => (span === undefined ? null : toMs(span));
    return { p50: inMs(rank(sorted, 0.5)), p95: inMs(rank(sorted, 0.95)), count: sorted.length };
  }

  #recent(now: ClockTime): Span[] {
    const oldest = earlier(now, this.#horizon);
    this.#entries = this.#entries.filter(({ at }) => at >= oldest);
    return this.#entries.map(({ span }) => span).sort((a, b) => a - b);
  }
}

const rank = (sorted: readonly Span[], share: number): Span | undefined =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];

/** Things under way at once; what never arrives is forgotten when this many have begun after it. */
const UNDER_WAY = 256;

/** Measures from one event to another, matched by a key. */
export class Stopwatch {
  readonly latency: Latency;
  #began = new Map<string | number, ClockTime>();

  constructor(latency = new Latency()) {
    this.latency = latency;
  }
  begin(key: string | number, now: ClockTime): void {
    this.#began.set(key, now);
    if (this.#began.size <= UNDER_WAY) return;
    const oldest = this.#began.keys().next();
    if (!oldest.done) this.#began.delete(oldest.value);
  }
  end(key: string | number, now: ClockTime): void {
    const began = this.#began.get(key);
    if (began === undefined) return;
    this.#began.delete(key);
    this.latency.add(between(began, now), now);
  }
}
