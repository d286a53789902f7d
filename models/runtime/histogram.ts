import { type Span, toMs } from '../../media/time.ts';
import type { LatencySummary } from '../../pipeline/latency.ts';

/** Bucket borders: 0.1 ms and up, eight to a doubling (9 % apart), twenty doublings (to 105 s). */
const FIRST = 100;
const PER_DOUBLING = 8;
const BUCKETS = 20 * PER_DOUBLING + 2;

const bucketOf = (span: number) =>
  span < FIRST ? 0 : Math.min(BUCKETS - 1, 1 + Math.floor(PER_DOUBLING * Math.log2(span / FIRST)));
/** The middle of a bucket, so that what is read is at most 4.5 % from what was measured. */
const middleOf = (bucket: number) => (bucket === 0 ? FIRST / 2 : FIRST * 2 ** ((bucket - 0.5) / PER_DOUBLING));

/** Bytes that a histogram needs. */
export const HISTOGRAM_BYTES = BUCKETS * Uint32Array.BYTES_PER_ELEMENT;

/** How long something took, how often: fixed logarithmic buckets in shared memory, so that another thread can read them. */
export class Histogram {
  readonly #counts: Uint32Array;

  /** @param memory `HISTOGRAM_BYTES` of it, from `offset` on */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(HISTOGRAM_BYTES), offset = 0) {
    this.#counts = new Uint32Array(memory, offset, BUCKETS);
  }

  add(span: Span): void {
    Atomics.add(this.#counts, bucketOf(span), 1);
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** What `share` of the measurements do not exceed, to 4.5 %; nothing while nothing was measured. */
  quantile(share: number): Span | undefined {
    const rank = Math.max(1, Math.ceil(this.count * share));
    let passed = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      passed += count;
      if (passed >= rank) return Math.round(middleOf(bucket)) as Span;
    }
    return undefined;
  }

  summary(): LatencySummary {
    const inMs = (span: Span | undefined) => (span === undefined ? null : toMs(span));
    return { p50: inMs(this.quantile(0.5)), p95: inMs(this.quantile(0.95)), count: this.count };
  }
}
