import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type PictureSize, pictureSize } from '../../media/picture-size.ts';
import { pictures } from '../fakes/pictures.ts';

const noFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0 ? undefined : 'no ffmpeg: apt-get install ffmpeg';

/** What ffprobe reads out of a bare H.264 stream. */
function probed(stream: Uint8Array): PictureSize {
  const { stdout } = spawnSync('ffprobe', ['-v', 'error', '-f', 'h264', '-show_streams', '-of', 'json', '-'], {
    input: stream,
    encoding: 'utf8',
  });
  const { streams } = JSON.parse(stdout) as { streams: { width: number; height: number }[] };
  return { width: streams[0]!.width, height: streams[0]!.height };
}

describe.skipIf(noFfmpeg)(`the size of a picture (${noFfmpeg ?? 'ffmpeg'})`, () => {
  test.for(['320x240', '176x144', '642x362', '1920x1080'])('VP8 says its own: %s', (size) => {
    const [first, second] = pictures('VP8', { count: 2, size });
    const [width, height] = size.split('x').map(Number);
    expect(pictureSize('VP8', first!.data)).toEqual({ width, height });
    expect(pictureSize('VP8', second!.data)).toBeUndefined();
  });

  test.for([
    ['constrained baseline', '320x240', ['-profile:v', 'baseline']],
    ['baseline, cropped', '1920x1080', ['-profile:v', 'baseline']],
    ['main, cropped both ways', '642x362', ['-profile:v', 'main']],
    ['high', '640x360', ['-preset', 'medium', '-profile:v', 'high']],
    [
      'high with scaling matrices, cropped',
      '1918x1078',
      ['-preset', 'fast', '-profile:v', 'high', '-x264-params', 'cqm=jvt'],
    ],
    ['high 4:4:4, odd', '321x241', ['-vf', 'scale=321:241', '-profile:v', 'high444', '-pix_fmt', 'yuv444p']],
    ['high 4:2:2, cropped', '642x366', ['-profile:v', 'high422', '-pix_fmt', 'yuv422p']],
    ['high 10', '640x358', ['-profile:v', 'high10', '-pix_fmt', 'yuv420p10le']],
    ['interlaced, cropped', '720x484', ['-preset', 'fast', '-flags', '+ilme+ildct', '-x264-params', 'tff=1']],
  ] as const)('H.264 %s says what ffprobe finds', ([, size, args]) => {
    const [first, second] = pictures('H264', { count: 2, size, args });
    const [width, height] = size.split('x').map(Number);
    expect(pictureSize('H264', first!.data)).toEqual({ width, height });
    expect(pictureSize('H264', first!.data)).toEqual(probed(first!.data));
    expect(pictureSize('H264', second!.data)).toBeUndefined();
  });

  test('H.264 says it also where zeros are escaped: 131072 × 131072 has 26 of them in a row', () => {
    const ue = (value: number) => (value + 1).toString(2).padStart(2 * (value + 1).toString(2).length - 1, '0');
    const side = ue(8_191);
    // Baseline, constraints, level; id, frame number, order 2, references, no gaps; width, height; frames only, 8×8, uncropped.
    const head = `${(66).toString(2).padStart(8, '0')}${'0'.repeat(8)}${(31).toString(2).padStart(8, '0')}`;
    const bits = `${head}${ue(0)}${ue(0)}${ue(2)}${ue(1)}0${side}${side}1101`;
    const bytes = [...bits.padEnd(Math.ceil(bits.length / 8) * 8, '0').matchAll(/.{8}/g)].map(([b]) => parseInt(b, 2));
    const nal = [0x67];
    for (const byte of bytes) {
      if (byte <= 3 && nal.at(-1) === 0 && nal.at(-2) === 0) nal.push(3);
      nal.push(byte);
    }
    expect(nal.length).toBe(bytes.length + 2);
    expect(pictureSize('H264', Uint8Array.of(0, 0, 0, 1, ...nal))).toEqual({ width: 131_072, height: 131_072 });
  });

  test('nothing is made up for a picture that is cut off, empty, or of a codec whose headers are not read', () => {
    const [vp8] = pictures('VP8', { count: 1 });
    const [h264] = pictures('H264', { count: 1 });
    for (const codec of ['VP8', 'H264', 'VP9', 'AV1'] as const)
      expect(pictureSize(codec, new Uint8Array())).toBeUndefined();
    expect(pictureSize('VP8', vp8!.data.subarray(0, 9))).toBeUndefined();
    expect(pictureSize('H264', h264!.data.subarray(0, 8))).toBeUndefined();
    expect(pictureSize('VP9', vp8!.data)).toBeUndefined();
    expect(pictureSize('AV1', vp8!.data)).toBeUndefined();
  });
});
