import { expect, test } from 'vitest';
import { passageOf } from '../../media/passage.ts';
import type { VideoStream } from '../../media/probe.ts';
import { seconds } from '../../media/time.ts';

const plain: VideoStream = {
  index: 0,
  codec: 'h264',
  pixels: 'yuv420p',
  width: 1_920,
  height: 1_080,
  fps: 60,
  rotation: 0,
  interlaced: false,
  reordered: false,
  keyFrameEvery: seconds(2),
};

test.for([
  [{}, null],
  [{ codec: 'vp8' }, null],
  [{ codec: 'vp9' }, null],
  [{ keyFrameEvery: seconds(2.08) }, null],
  [{ codec: 'hevc' }, 'viewers do not take hevc'],
  [{ pixels: 'yuv420p10le' }, 'its pixels are yuv420p10le, not 8 bit 4:2:0'],
  [{ reordered: true }, 'it has B-frames, which a live stream cannot carry'],
  [{ keyFrameEvery: seconds(10) }, 'a late joiner would wait 10.0 s for a key frame'],
  [{ rotation: 90 }, 'it is to be turned by 90°'],
  [{ interlaced: true }, 'it is interlaced'],
] as const)('pictures like %j pass as they are unless: %s', ([change, why]) => {
  expect(passageOf({ ...plain, ...change }).why).toBe(why);
});

test('pictures that pass keep size and rate; those that do not are made small enough to transcode live', () => {
  expect(passageOf(plain)).toEqual({ codec: 'H264', why: null, width: 1_920, height: 1_080, fps: 60 });
  expect(passageOf({ ...plain, reordered: true })).toMatchObject({ codec: 'VP8', width: 1_280, height: 720, fps: 30 });
  expect(passageOf({ ...plain, rotation: 270 })).toMatchObject({ width: 720, height: 1_280 });
  expect(passageOf({ ...plain, width: 161, height: 91, reordered: true })).toMatchObject({ width: 162, height: 92 });
});

test('what viewers take can be said, and what others become', () => {
  expect(passageOf(plain, { accept: ['VP8'], transcodeTo: 'VP8' })).toMatchObject({
    codec: 'VP8',
    why: 'viewers do not take h264',
  });
  expect(passageOf({ ...plain, codec: 'vp9' }, { accept: ['H264'], transcodeTo: 'H264' }).codec).toBe('H264');
});
