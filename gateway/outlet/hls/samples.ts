import { AAC_FRAME } from '../../../media/aac.ts';
import type { Repeater } from '../../../media/avc-repeat.ts';
import { PICTURE_SCALE, SOUND_SCALE, type Sample } from '../../../media/fmp4.ts';
import { sampleIndex } from '../../../media/time.ts';
import type { Cut } from './cut.ts';

/** What a part holds: samples without a hole between them, from `at` in the track's scale. */
export interface Samples {
  readonly at: number;
  readonly list: readonly Sample[];
}

/** Pictures nearer to each other than this came too late for their places, ticks (5 ms). */
const CROWDED = PICTURE_SCALE / 200;

/**
 * The pictures of a part, which cover all of it. Until its first begins, the picture before is shown once more; where that
 * cannot be, the first begins with the part.
 *
 * @param repeater has seen the pictures of the parts before, and sees these
 */
export function pictureSamples({ items, start, end }: Cut, repeater: Repeater): Samples {
  const ticks = (time: number) => Math.round((time * PICTURE_SCALE) / 1e6);
  const [from, to] = [ticks(start), ticks(end)];
  const times = spread(items.map((item) => Math.max(from, ticks(item.start))), to); // prettier-ignore
  const list: Sample[] = [];
  const first = times[0] ?? to;
  if (first > from) {
    const still = first - from >= CROWDED || times.length === 0 ? repeater.repeat() : undefined;
    if (still) list.push({ duration: first - from, sync: false, data: still });
    else if (times.length > 0) times[0] = from;
  }
  items.forEach(({ keyFrame, data }, n) => {
    repeater.push(data);
    list.push({ duration: (times[n + 1] ?? to) - (times[n] ?? from), sync: keyFrame, data });
  });
  return { at: from, list };
}

/** Crowds are spread evenly up to whatever comes behind them, each picture for a tick at least. */
export function spread(times: readonly number[], end: number): number[] {
  const all = [...times];
  for (let n = 0; n < all.length; n += 1) {
    const first = all[n] ?? 0;
    let last = n;
    while (last + 1 < all.length && (all[last + 1] ?? 0) - (all[last] ?? 0) < CROWDED) last += 1;
    const step = ((all[last + 1] ?? end) - first) / (last - n + 1);
    for (let k = n + 1; k <= last; k += 1) all[k] = Math.floor(first + (k - n) * step);
    n = last;
  }
  return all;
}

export function soundSamples({ items, start }: Cut): Samples {
  const list = items.map(({ data }) => ({ duration: AAC_FRAME, sync: true, data }));
  return { at: sampleIndex((items[0]?.start ?? start) as never, SOUND_SCALE), list };
}
