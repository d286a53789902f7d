import { expect, test } from 'vitest';
import { encodeSlate } from '../../media/slate-picture.ts';
import { at, ms } from '../../media/time.ts';
import { VideoDecoder } from '../../media/video-decoder.ts';
import { type Codec, programmeOf } from '../fakes/programmes.ts';
import { missing, recording } from '../fakes/recordings.ts';

const FILE = 'talking/video-retalking/face1.mp4';
const lacking = missing(FILE);

test.skipIf(lacking).each<Codec>(['H264', 'VP8', 'VP9'])(
  `a slate of %s can be shown again and again, and is the picture dimmed (${lacking ?? 'all is there'})`,
  (codec) => {
    const [first] = programmeOf(recording(FILE), codec, 1).filter((item) => item.kind === 'video');
    const slate = encodeSlate(codec, first!.data, { count: 5, every: ms(200) })!;
    expect(slate.map(({ keyFrame }) => keyFrame)).toEqual([true, false, false, false, false]);
    using decoder = new VideoDecoder({ codec });
    const decoded = [first!, ...slate, ...slate].flatMap(({ data }, n) => decoder.decode(data, at(n)));
    expect(decoder.damaged).toBe(0);
    expect(decoded).toHaveLength(11);
    const [before, after] = [decoded[0]!, decoded[10]!];
    expect([after.width, after.height]).toEqual([before.width, before.height]);
    // Everywhere but where the sign is, in the middle.
    const off = before.y
      .subarray(0, before.width * 80)
      .map((luma, i) => Math.abs(after.y[i]! - (16 + (luma - 16) * 0.35)));
    expect(off.reduce((sum, each) => sum + each, 0) / off.length).toBeLessThan(4);
    expect(encodeSlate(codec, Uint8Array.of(1, 2, 3), { count: 5, every: ms(200) })).toBeUndefined();
  },
);
