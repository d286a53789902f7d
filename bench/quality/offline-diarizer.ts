import { type Embedding, cosine } from '../../models/speakers/embedding.ts';
import { LOCALS } from '../../models/speakers/pyannote-powerset.ts';
import { FIRST, FRAME, FRAMES, WINDOW } from '../../models/speakers/pyannote-segmentation.ts';
import type { Spoke } from '../metrics/der.ts';

const RATE = 16_000;
/** Windows follow each other about every second. */
const HOP = 59 * FRAME;

/** One of the people told apart in a window. */
interface Seen {
  readonly window: number;
  readonly bit: number;
  readonly voice: Float32Array | undefined;
}

/**
 * Diarization by somebody who has heard everything: every window is segmented, every voice in it embedded, and all of
 * them clustered at once (average linkage down to the threshold; two of one window are never one), as pyannote's
 * pipeline does. What live diarization is measured against.
 */
export async function diarizeOffline(
  pcm: Float32Array,
  segmenting: (window: Float32Array) => Promise<Uint8Array>,
  embedding: Embedding,
): Promise<Spoke[]> {
  const windows: { readonly first: number; readonly speaking: Uint8Array }[] = [];
  const seen: Seen[] = [];
  for (let from = 0; from === 0 || from + WINDOW < pcm.length + HOP; from += HOP) {
    const window = new Float32Array(WINDOW);
    window.set(pcm.subarray(from, from + WINDOW));
    const speaking = await segmenting(window);
    for (let n = 0; n < LOCALS; n += 1) {
      const bit = 1 << n;
      if (!speaking.some((bits) => bits & bit)) continue;
      const mask = speaking.map((bits) => (bits === bit ? 1 : 0));
      const voice = await embedding.embed(window.subarray(0, FRAMES * FRAME), mask);
      seen.push({ window: windows.length, bit, voice });
    }
    windows.push({ first: from / FRAME, speaking });
  }
  const clusters = cluster(seen, embedding.threshold);
  return voted(windows, clusters, Math.ceil(pcm.length / FRAME));
}

function cluster(seen: readonly Seen[], threshold: number): Seen[][] {
  const clusters = seen.filter(({ voice }) => voice).map((each) => [each]);
  const like = clusters.map(([a]) => clusters.map(([b]) => cosine(a!.voice!, b!.voice!)));
  const apart = clusters.map(([a], i) => clusters.map(([b], k) => i !== k && a!.window === b!.window));
  for (;;) {
    let best = { score: threshold, i: -1, k: -1 };
    for (let i = 0; i < clusters.length; i += 1) {
      for (let k = 0; k < i; k += 1)
        if (like[i]![k]! > best.score && !apart[i]![k]) best = { score: like[i]![k]!, i, k };
    }
    const { i, k } = best;
    if (i < 0) return clusters;
    const [a, b] = [clusters[i]!.length, clusters[k]!.length];
    for (let n = 0; n < clusters.length; n += 1) {
      like[k]![n] = like[n]![k] = (a * like[i]![n]! + b * like[k]![n]!) / (a + b);
      apart[k]![n] = apart[n]![k] = apart[i]![n]! || apart[k]![n]!;
    }
    clusters[k]!.push(...clusters[i]!);
    for (const table of [clusters, like, apart]) table.splice(i, 1);
    for (const table of [like, apart]) for (const row of table) row.splice(i, 1);
  }
}

/** Every frame is spoken by as many people as the windows over it hear on average, and by those whom most of them hear. */
function voted(
  windows: readonly { readonly first: number; readonly speaking: Uint8Array }[],
  clusters: readonly (readonly Seen[])[],
  frames: number,
): Spoke[] {
  const votes = clusters.map(() => new Float64Array(frames));
  const [covered, active] = [new Float64Array(frames), new Float64Array(frames)];
  for (const { first, speaking } of windows) {
    for (const [n, bits] of speaking.entries()) {
      if (first + n >= frames) continue;
      covered[first + n]! += 1;
      for (let bit = 1; bit < 1 << LOCALS; bit *= 2) if (bits & bit) active[first + n]! += 1;
    }
  }
  for (const [who, some] of clusters.entries()) {
    for (const { window, bit } of some) {
      const { first, speaking } = windows[window]!;
      for (const [n, bits] of speaking.entries()) if (bits & bit && first + n < frames) votes[who]![first + n]! += 1;
    }
  }
  const spokes: Spoke[] = [];
  const open = new Map<number, number>();
  const at = (n: number) => (n * FRAME + FIRST) / RATE;
  for (let n = 0; n <= frames; n += 1) {
    const count = n < frames && covered[n]! > 0 ? Math.round(active[n]! / covered[n]!) : 0;
    const order = [...clusters.keys()]
      .filter((who) => votes[who]![n]! > 0)
      .toSorted((a, b) => votes[b]![n]! - votes[a]![n]!);
    const here = new Set(order.slice(0, count));
    for (const who of here) if (!open.has(who)) open.set(who, n);
    for (const [who, start] of open) {
      if (here.has(who)) continue;
      spokes.push({ speaker: `c${who}`, start: at(start), end: at(n) });
      open.delete(who);
    }
  }
  return spokes;
}
