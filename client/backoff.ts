const FIRST = 300;
const MOST = 8_000;

/**
 * How long to wait before attempt `attempt` (0 is the first retry), ms: doubling from 0.3 s to 8 s, with the upper half
 * left to chance so that a house full of viewers does not come back in one instant. `chance` is in [0, 1).
 */
export function backoff(attempt: number, chance = Math.random()): number {
  const full = Math.min(MOST, FIRST * 2 ** Math.max(0, attempt));
  return Math.round(full / 2 + (full / 2) * chance);
}
