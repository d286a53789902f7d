/** One picture at one place. */
export interface Seen {
  readonly number: number;
  /** ms since 1970, on this machine's clock. */
  readonly at: number;
}

/** How long pictures took between two places. */
export interface Journey {
  /** A picture each, in the order they left: when it left, and how long it took, ms. */
  readonly took: readonly { readonly at: number; readonly ms: number }[];
  /** Pictures that left between the first and the last that came, and never came. */
  readonly lost: number;
}

/** Figures of a journey, ms. */
export interface Figure {
  readonly median: number;
  readonly p95: number;
  readonly least: number;
  readonly most: number;
  readonly pictures: number;
  readonly lost: number;
}

/**
 * How long pictures took from one place to another. A picture that is seen twice (a screen shows it again, a player
 * goes back) counts when it was seen first. What `to` saw first counts from `since` on, so that what a client does to
 * catch up at its beginning can be left out.
 */
export function journey(from: readonly Seen[], to: readonly Seen[], since = -Infinity): Journey {
  const came = firstOf(to.filter(({ at }) => at >= since));
  const left = firstOf(from);
  const before = firstOf(to.filter(({ at }) => at < since));
  const took: { at: number; ms: number }[] = [];
  const missing: number[] = [];
  for (const [number, at] of left) {
    const there = came.get(number);
    if (there !== undefined && !before.has(number)) took.push({ at, ms: there - at });
    else if (!before.has(number)) missing.push(at);
  }
  took.sort((a, b) => a.at - b.at);
  const [first, last] = [took[0]?.at ?? Infinity, took.at(-1)?.at ?? -Infinity];
  return { took, lost: missing.filter((at) => at > first && at < last).length };
}

function firstOf(seen: readonly Seen[]): Map<number, number> {
  const first = new Map<number, number>();
  for (const { number, at } of seen) if (!first.has(number)) first.set(number, at);
  return first;
}

/** `undefined` where nothing made the journey. */
export function figureOf({ took, lost }: Journey, less = 0): Figure | undefined {
  const sorted = took.map(({ ms }) => ms - less).sort((a, b) => a - b);
  const rank = (share: number) => round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
  if (sorted.length === 0) return undefined;
  return { median: rank(0.5), p95: rank(0.95), least: rank(0), most: rank(1), pictures: sorted.length, lost };
}
const round = (ms: number) => Math.round(ms * 10) / 10;

/** How far another clock is ahead of ours, from questions it answered: the quickest answer is the least wrong. */
export function clockOffset(
  asked: readonly { readonly sent: number; readonly said: number; readonly back: number }[],
): {
  readonly ahead: number;
  /** It is right to within so many ms. */
  readonly within: number;
} {
  const best = asked.reduce((a, b) => (b.back - b.sent < a.back - a.sent ? b : a));
  return { ahead: best.said - (best.sent + best.back) / 2, within: (best.back - best.sent) / 2 };
}
