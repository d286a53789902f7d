import type { Blend } from './blend.ts';

/** A stretch of the programme, media µs. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}
/** A level at a position of the programme. Between two of them it changes evenly. */
export interface GainPoint {
  readonly at: number;
  readonly gain: number;
}

/** How long the original takes to go where it belongs before a clip, and back after it, µs. */
export const ATTACK = 100_000;
export const RELEASE = 400_000;
/** Between clips closer than this it stays where it is, µs: coming up for a moment only would sound like pumping. */
export const HOLD = 1_000_000;
/** How long it takes when a clip was not known in time, µs: fast, and no click. */
export const CATCH_UP = 60_000;
/** Less is not heard as a step, 0.02 = −34 dB. */
const NEAR = 0.02;

/** How far around a stretch clips count for it, µs. */
export const REACH = HOLD + RELEASE;

/**
 * The level of the original from `from` to `until`: a point at either end and one wherever the slope changes.
 *
 * @param clips when the dub speaks, in any order; at least those within {@link REACH} of the stretch
 * @param now its level at `from`, when that is known: the plan starts there and catches up
 */
export function gainPlan(
  clips: readonly Stretch[],
  from: number,
  until: number,
  levels: NonNullable<Blend['original']>,
  now?: number,
): GainPoint[] {
  const spans = joined(clips);
  const gainAt = (at: number) => {
    const span = spans.find(({ start, end }) => start - ATTACK <= at && at <= end + RELEASE);
    if (!span) return levels.elsewhere;
    const down = Math.min(1, (at - span.start + ATTACK) / ATTACK, (span.end + RELEASE - at) / RELEASE);
    return levels.elsewhere + (levels.speaking - levels.elsewhere) * down;
  };
  // A clip that has no length has one corner, not two.
  const corners = [...new Set(spans.flatMap(({ start, end }) => [start - ATTACK, start, end, end + RELEASE]))];
  const points = (after: number) =>
    [...corners.filter((at) => at > after && at < until), until].map((at) => ({ at, gain: gainAt(at) }));
  const planned = gainAt(from);
  if (now === undefined) return [{ at: from, gain: planned }, ...points(from)];
  const caughtUp = from + CATCH_UP;
  if (Math.abs(now - planned) <= NEAR || caughtUp >= until) return [{ at: from, gain: now }, ...points(from)];
  return [{ at: from, gain: now }, { at: caughtUp, gain: gainAt(caughtUp) }, ...points(caughtUp)];
}

/** Clips in order, those that are less than {@link HOLD} apart as one. */
function joined(clips: readonly Stretch[]): Stretch[] {
  const spans: Stretch[] = [];
  for (const { start, end } of [...clips].sort((a, b) => a.start - b.start)) {
    const last = spans.at(-1);
    if (last && start - last.end < HOLD) spans[spans.length - 1] = { ...last, end: Math.max(last.end, end) };
    else spans.push({ start, end });
  }
  return spans;
}
