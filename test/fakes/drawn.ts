import { at, later, ms, samples } from '../../media/time.ts';
import { UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';
import type { SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import { es } from './talk.ts';
import type { Face, FaceId, Shot } from '../../pipeline/face.ts';

/** A triangle wave in whole numbers: 0 … period. */
const swing = (n: number, period: number) => {
  const at = n % (2 * period);
  return at < period ? at : 2 * period - at;
};

/** The picture of `models/export/lips.py`: slopes and grain. */
export function drawnFrame(width: number, height: number, start = at(0)): VideoFrame {
  let seed = 1;
  const y = Uint8Array.from({ length: width * height }, (_, n) => {
    seed = (seed * 16_807) % 2_147_483_647;
    const [column, row] = [n % width, Math.floor(n / width)];
    return 30 + swing(3 * column + 2 * row, 90) + swing(5 * row, 70) + (seed % 16);
  });
  const chroma = (value: (column: number, row: number) => number) =>
    Uint8Array.from({ length: (width * height) / 4 }, (_, n) => value(n % (width / 2), Math.floor((2 * n) / width)));
  const u = chroma((column, row) => 90 + swing(2 * column + row, 70));
  const v = chroma((column, row) => 95 + swing(column + 3 * row, 60));
  return { width, height, y, u, v, start, colour: UNSPECIFIED };
}

/** The face of `models/export/musetalk.py`, in the middle of 320 × 240; elsewhere and of another size if told. */
export function drawnFace(left = 0, top = 0, scale = 1): Face {
  const points = Array.from({ length: 68 }, (_, n): [number, number] => {
    const angle = Math.PI - (Math.PI * n) / 16;
    if (n < 17) return [160.5 + 50 * Math.cos(angle), 105.5 + 65 * Math.sin((Math.PI * n) / 16)];
    return n < 36 ? [160.5, 85.5 + 7 * Math.max(0, n - 27)] : [160.5, 105.5];
  });
  return {
    id: 'face' as FaceId,
    box: { left: 105 * scale + left, top: 30 * scale + top, width: 110 * scale, height: 140 * scale },
    landmarks: Float32Array.from(points.flatMap(([x, y]) => [x * scale + left, y * scale + top])),
    pose: { yaw: 0, pitch: 0, roll: 0 },
    opening: 0.1,
    score: 1,
  };
}

/** How far every n-th number is from what it should be, at most. Refuses to compare nothing. */
export function furthest(values: ArrayLike<number>, wanted: readonly number[], every: number): number {
  if (Math.ceil(values.length / every) !== wanted.length) {
    throw new RangeError(`Cannot compare ${wanted.length} numbers with every ${every}th of ${values.length}`);
  }
  return wanted.reduce((most, value, n) => Math.max(most, Math.abs(value - values[n * every]!)), 0);
}

/** Shots of pictures, 25 a second, in which a face says a sound that begins with the first. */
export function shotsOf(frames: readonly VideoFrame[], face: Face, pcm: Float32Array, weight = 1): Shot[] {
  const [start, end] = [frames[0]!.start, later(frames.at(-1)!.start, ms(40))];
  const clip = { start, end: later(start, samples(pcm.length, 16_000)) };
  const take = { utterance: 'u' as UtteranceId, speaker: 's' as SpeakerId, language: es, start, end, clip, pcm };
  return frames.map((frame) => ({ frame, face, take, weight, start: frame.start, end: later(frame.start, ms(40)) }));
}
