import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { AAC_FRAME, AacEncoder, type AacFrame, adts } from '../../media/aac.ts';
import { at } from '../../media/time.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';

const CLIP = 'talking/video-retalking/face1.mp4';

function decoded(frames: readonly AacFrame[], channels: 1 | 2): Float32Array {
  const { stdout, stderr, status } = spawnSync(
    'ffmpeg',
    ['-loglevel', 'error', '-f', 'aac', '-i', 'pipe:0', '-f', 'f32le', 'pipe:1'],
    { input: Buffer.concat(frames.map(({ data }) => adts(data, channels))), maxBuffer: 1 << 28 },
  );
  if (status !== 0) throw new Error(String(stderr));
  return new Float32Array(Uint8Array.from(stdout).buffer);
}

function likeness(a: Float32Array, b: Float32Array, shift: number): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 20_000; i < 120_000; i += 1) {
    const [x, y] = [a[i] ?? 0, b[i + shift] ?? 0];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

test.skipIf(missing(CLIP)).for([1, 2] as const)(
  'speech comes out of AAC with %i channels where it was, whatever pieces it goes in as',
  (channels) => {
    const speech = decode(recording(CLIP), 48_000).subarray(0, 150_000);
    using encoder = new AacEncoder({ channels });
    const frames: AacFrame[] = [];
    const start = at(7_000_000);
    for (let from = 0, i = 0; from < speech.length; i += 1) {
      const piece = speech.subarray(from, from + [960, 1, 2_500, 313][i % 4]!);
      frames.push(
        ...encoder.encode(
          at(start + Math.round((from * 1e6) / 48_000)),
          ...Array.from({ length: channels }, () => piece),
        ),
      );
      from += piece.length;
    }
    expect(frames.map((frame) => frame.start)).toEqual(
      frames.map((_, i) => Math.round(start + (i * AAC_FRAME * 1e6) / 48_000)),
    );
    const pcm = decoded(frames, channels);
    const mono = channels === 1 ? pcm : pcm.filter((_, i) => i % 2 === 0);
    // A decoder that joins here gives the first frame faded in, in its own place.
    expect(likeness(speech, mono, 0)).toBeGreaterThan(0.98);
    expect(likeness(speech, mono, AAC_FRAME)).toBeLessThan(0.6);
  },
);

test('what does not fit the encoder is refused', () => {
  using encoder = new AacEncoder();
  expect(() => encoder.encode(at(0), new Float32Array(1), new Float32Array(1))).toThrow(
    'expected 1 channels, received 2',
  );
});
