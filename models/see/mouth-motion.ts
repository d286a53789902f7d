import { z } from 'zod';
import { ms } from '../../media/time.ts';
import { STRIP } from '../../pipeline/face-strip.ts';
import type { Scene } from '../../pipeline/face.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { levels, voiced } from '../../pipeline/voiced.ts';
import { defineEngine } from '../engine.ts';

const PICTURE = STRIP * STRIP;
/** Where mouth and chin lie in a strip, and the part of the face above, which tells how the head moves. */
const MOUTH = { left: 34, right: 78, top: 80, bottom: 112 } as const;
const FACE = { top: 22, bottom: 80 } as const;
/** Pictures on both sides that a picture is judged with: 1.2 s. */
const AROUND = 30;
/** Mean change of grey from one picture to the next but one that a mouth makes when it says something. */
const MOVES = 2.5;
/** How like motion and sound must be (correlation), and how much a likeness of 1 more is worth. */
const LIKE = 0.2;
const SLOPE = 8;
/** Scores of a mouth that does not move, and of silence. */
const STILL = -4;

/** How much the mouth moves in each picture beyond what the whole face does, mean grey levels. */
function motion(grey: Uint8Array): Float32Array {
  const count = grey.length / PICTURE;
  return Float32Array.from({ length: count }, (_, n) => {
    const [before, after] = [Math.max(0, n - 1) * PICTURE, Math.min(count - 1, n + 1) * PICTURE];
    let [mouth, rest] = [0, 0];
    for (let y = 0; y < STRIP; y += 1) {
      for (let x = 0; x < STRIP; x += 1) {
        const change = Math.abs(grey[after + y * STRIP + x]! - grey[before + y * STRIP + x]!);
        if (x >= MOUTH.left && x < MOUTH.right && y >= MOUTH.top && y < MOUTH.bottom) mouth += change;
        else if (y >= FACE.top && y < FACE.bottom) rest += change;
      }
    }
    const area = (MOUTH.right - MOUTH.left) * (MOUTH.bottom - MOUTH.top);
    return Math.max(0, mouth / area - rest / (STRIP * (FACE.bottom - FACE.top)));
  });
}

/** Mean over a picture and its two neighbours on each side. */
const smooth = (values: Float32Array) =>
  values.map((_, n) => {
    const around = values.subarray(Math.max(0, n - 2), n + 3);
    return around.reduce((sum, each) => sum + each, 0) / around.length;
  });

/** Pearson's correlation; 0 where one of the two does not change. */
function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (of: Float32Array) => of.reduce((sum, each) => sum + each, 0) / of.length;
  const [middleA, middleB] = [mean(a), mean(b)];
  let [both, alone, other] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    const [x, y] = [a[i]! - middleA, b[i]! - middleB];
    both += x * y;
    alone += x * x;
    other += y * y;
  }
  return alone > 0 && other > 0 ? both / Math.sqrt(alone * other) : 0;
}

/** One score per picture: how far the mouth's motion goes with the level of what is heard. */
export function mouthScores(grey: Uint8Array, pcm: Float32Array): Float32Array {
  const moves = smooth(motion(grey));
  const loud = smooth(levels(pcm, moves.length).map((level) => Math.max(-60, level)));
  const heard = voiced(pcm, moves.length);
  return moves.map((_, n) => {
    const [from, to] = [Math.max(0, n - AROUND), n + AROUND + 1];
    const near = moves.subarray(from, to);
    if (!heard[n]) return STILL;
    const most = near.reduce((peak, each) => Math.max(peak, each), 0);
    const still = Math.min(1, most / MOVES);
    const likeness = SLOPE * (correlation(near, loud.subarray(from, to)) - LIKE);
    return still * likeness + (1 - still) * STILL;
  });
}

/**
 * Whose mouth goes with the sound, without a network: the correlation of how much the mouth moves with how loud it is,
 * over 2.4 s. For machines without the weights of `lr-asd`, which sees much more.
 */
export const mouthMotion = defineEngine({
  kind: 'activeSpeaker',
  id: 'mouth-motion',
  host: 'inline',
  summary: 'Active speaker detection without a network: mouth motion against loudness.',
  licence: 'GPL-3.0-or-later',
  needs: [],
  config: z.strictObject({}),
  load: () =>
    Promise.resolve({
      kind: 'activeSpeaker' as const,
      engine: 'mouth-motion',
      caps: { lookahead: ms(0) },
      async *run(input: AsyncIterable<Scene>, { signal }: StageScope) {
        for await (const { start, end, faces, pcm } of until(input, signal)) {
          yield { start, end, faces: faces.map(({ id, grey }) => ({ id, scores: mouthScores(grey, pcm) })) };
        }
      },
    }),
});
