/**
 * Time on three axes that must never be mixed up.
 *
 * All three are integer microseconds. `MediaTime` is a position in the programme, `ClockTime` is a reading of
 * this machine's monotonic clock, and `Span` is a distance on either.
 */
declare const axis: unique symbol;
type On<A extends string> = number & { readonly [axis]: A };

export type MediaTime = On<'media'>;
export type ClockTime = On<'clock'>;
export type Span = On<'span'>;
export type SampleRate = 8_000 | 16_000 | 22_050 | 24_000 | 32_000 | 44_100 | 48_000;

export const at = (micros: number) => Math.round(micros) as MediaTime;
export const ms = (n: number) => Math.round(n * 1_000) as Span;
export const seconds = (n: number) => Math.round(n * 1_000_000) as Span;
export const toMs = (span: Span) => span / 1_000;

/** How long `count` samples last. Count samples and convert once; never add up converted spans. */
export const samples = (count: number, rate: SampleRate) => Math.round((count * 1_000_000) / rate) as Span;
/** The sample index nearest to `span` at `rate`. Exact inverse of {@link samples} below one sample of error. */
export const sampleIndex = (span: Span, rate: SampleRate) => Math.round((span * rate) / 1_000_000);

export const later = <T extends MediaTime | ClockTime>(t: T, by: Span) => (t + by) as T;
export const earlier = <T extends MediaTime | ClockTime>(t: T, by: Span) => (t - by) as T;
export const between = <T extends MediaTime | ClockTime>(from: T, to: NoInfer<T>) => (to - from) as Span;

export const latest = <T extends MediaTime | ClockTime>(a: T, b: T): T => (a > b ? a : b);
export const earliest = <T extends MediaTime | ClockTime>(a: T, b: T): T => (a < b ? a : b);

/** A half-open stretch of the programme: `start` is inside, `end` is not. */
export interface Interval {
  readonly start: MediaTime;
  readonly end: MediaTime;
}
export const overlaps = (a: Interval, b: Interval) => a.start < b.end && b.start < a.end;
