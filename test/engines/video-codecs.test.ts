import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { CodecError, UnsupportedPixels, avcodecVersion } from '../../media/avcodec.ts';
import { luma, psnr, ssim } from '../../media/ssim.ts';
import { at, seconds } from '../../media/time.ts';
import { VideoDecoder } from '../../media/video-decoder.ts';
import { VideoEncoder, type VideoEncoderOptions } from '../../media/video-encoder.ts';
import type { EncodedPicture } from '../../media/video.ts';
import { type Colour, UNSPECIFIED, type VideoFrame, blank } from '../../media/video-frame.ts';
import { type Clip, bareFile, clip, codecsLack, moving, rawBy, samePlanes } from '../fakes/clips.ts';
import { framesOf } from '../fakes/video-frames.ts';
import { missing, recording } from '../fakes/recordings.ts';

const noCodecs = codecsLack();

const REALTIME = ['-deadline', 'realtime', '-cpu-used', '8', '-auto-alt-ref', '0', '-lag-in-frames', '0'];
const MADE: Record<string, readonly string[]> = {
  VP8: ['-c:v', 'libvpx', ...REALTIME, '-b:v', '500k', '-g', '25'],
  VP9: ['-c:v', 'libvpx-vp9', ...REALTIME, '-b:v', '500k', '-g', '25'],
  'H.264 without B-frames': ['-c:v', 'libx264', '-profile:v', 'baseline', '-g', '25'],
  'H.264 with B-frames': ['-c:v', 'libx264', '-bf', '3', '-g', '25'],
  AV1: ['-c:v', 'libsvtav1', '-preset', '12', '-g', '25'],
};
const REAL = ['talking/musetalk/sun.mp4', 'talking/video-retalking/face1.mp4', 'talking/dh_live/000001.mp4'];

function decoded(one: Clip, threads = 1): VideoFrame[] {
  using decoder = new VideoDecoder({ codec: one.codec, threads });
  const frames = one.pictures.flatMap(({ start, data }) => decoder.decode(data, start));
  frames.push(...decoder.flush());
  expect(decoder.damaged).toBe(0);
  return frames;
}
const inOrder = (starts: readonly number[]) => [...starts].sort((a, b) => a - b);

describe.skipIf(noCodecs)(`libavcodec (${noCodecs ?? avcodecVersion()})`, () => {
  test.for(Object.keys(MADE))(
    '%s is decoded bit for bit as FFmpeg decodes it, every picture at its own time',
    (name) => {
      const one = clip([...moving('322x242', 60), ...(MADE[name] ?? [])]);
      const theirs = framesOf(rawBy(one.matroska), { width: 322, height: 242 });
      const ours = decoded(one);
      expect(theirs).toHaveLength(60);
      expect(ours.map(({ start }) => start)).toEqual(inOrder(one.pictures.map(({ start }) => start)));
      expect(ours.every((frame, i) => samePlanes(frame, theirs[i]!))).toBe(true);
      if (name === 'H.264 with B-frames') {
        expect(one.pictures.some(({ start }, i, all) => i > 0 && start < all[i - 1]!.start)).toBe(true);
      }
    },
  );

  test.for(REAL)('a real recording is decoded as FFmpeg decodes it: %s', (name, { skip }) => {
    const lacking = missing(name);
    if (lacking) skip(lacking);
    const one = clip(['-i', recording(name), '-frames:v', '50', '-c:v', 'copy']);
    const ours = decoded(one, 2);
    const { width, height } = ours[0]!;
    const theirs = framesOf(rawBy(one.matroska), { width, height });
    expect(ours.length).toBe(theirs.length);
    expect(ours.length).toBeGreaterThanOrEqual(48);
    expect(ours.every((frame, i) => samePlanes(frame, theirs[i]!))).toBe(true);
    expect(ours.map(({ start }) => start)).toEqual(inOrder(ours.map(({ start }) => start)));
  });

  test('a decoder without reordering gives every picture at once', () => {
    for (const name of ['VP8', 'VP9', 'H.264 without B-frames', 'AV1']) {
      const low = name === 'AV1' ? ['-svtav1-params', 'pred-struct=1'] : [];
      const one = clip([...moving('320x240', 10), ...(MADE[name] ?? []), ...low]);
      using decoder = new VideoDecoder({ codec: one.codec });
      expect([name, one.pictures.map(({ data, start }) => decoder.decode(data, start).length)]).toEqual([
        name,
        one.pictures.map(() => 1),
      ]);
    }
  });

  test.for([
    ['10 bit', 'yuv420p10le', 'yuv420p10le'],
    ['4:4:4', 'yuv444p', 'yuv444p'],
  ] as const)('%s is refused, and said so', ([, pixels, said]) => {
    const args = ['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-frames:v', '3', '-pix_fmt', pixels];
    const one = clip([...args, '-c:v', 'libx264', '-bf', '0']);
    using decoder = new VideoDecoder({ codec: 'H264' });
    const decode = () => {
      for (const { data, start } of one.pictures) decoder.decode(data, start);
      decoder.flush();
    };
    expect(decode).toThrow(UnsupportedPixels);
    expect(decode).toThrow(said);
  });

  test('a decoder is used neither with a wrong number of threads nor after it is disposed', () => {
    expect(() => new VideoDecoder({ codec: 'VP8', threads: 0 })).toThrow(RangeError);
    const decoder = new VideoDecoder({ codec: 'VP8' });
    decoder[Symbol.dispose]();
    decoder[Symbol.dispose]();
    expect(() => decoder.decode(Uint8Array.of(1), at(0))).toThrow(TypeError);
  });

  test.for(Object.keys(MADE))(
    'damaged %s gives no picture and is counted, and the next key frame is right again',
    (name) => {
      const one = clip([...moving('320x240', 50), ...(MADE[name] ?? [])]);
      const whole = decoded(one);
      const keys = one.pictures.filter(({ keyFrame }) => keyFrame);
      const damage = fc.record({ seed: fc.nat(), kind: fc.constantFrom('flip', 'cut', 'noise', 'lose') });
      fc.assert(
        fc.property(fc.array(damage, { minLength: 24, maxLength: 24 }), (plan) => {
          using decoder = new VideoDecoder({ codec: one.codec });
          const first = one.pictures.slice(0, one.pictures.indexOf(keys[1]!));
          const frames = first.flatMap(({ data, start }, i) => {
            const how = plan[i % plan.length]!;
            try {
              return decoder.decode(damaged(data, how), start);
            } catch (thrown) {
              // A damaged header may claim pictures of another kind.
              if (!(thrown instanceof UnsupportedPixels)) throw thrown;
              return [];
            }
          });
          // More can be wrong than a decoder notices, but never more pictures than there were.
          expect(frames.length).toBeLessThanOrEqual(first.length);
          decoder.flush();
          const { data, start } = keys[1]!;
          const [again] = [...decoder.decode(data, start), ...decoder.flush()];
          const right = whole.find((frame) => frame.start === start)!;
          expect([again?.width, again?.height]).toEqual([right.width, right.height]);
          const same = psnr(luma(again!), luma(right));
          // Not always bit for bit: libavcodec goes by what a damaged header has said of the stream's encoder.
          if (one.codec !== 'H264') expect(same).toBeGreaterThan(35);
        }),
        { numRuns: 12, endOnFailure: true },
      );
      using decoder = new VideoDecoder({ codec: one.codec });
      expect([
        ...decoder.decode(new Uint8Array(0), at(0)),
        ...decoder.decode(new Uint8Array(500).fill(0xff), at(1)),
      ]).toEqual([]);
      expect(decoder.damaged).toBe(2);
    },
  );

  test('what follows no key frame gives no picture', () => {
    for (const name of Object.keys(MADE)) {
      const one = clip([...moving('320x240', 30), ...(MADE[name] ?? [])]);
      using decoder = new VideoDecoder({ codec: one.codec });
      const headless = one.pictures.slice(1, 12);
      expect([name, headless.flatMap(({ data, start }) => decoder.decode(data, start))]).toEqual([name, []]);
    }
  });

  const COLOURS: readonly (readonly [string, Colour])[] = [
    ['limited BT.709', { range: 'limited', primaries: 1, transfer: 1, matrix: 1 }],
    ['full BT.601', { range: 'full', primaries: 6, transfer: 6, matrix: 6 }],
    ['limited BT.2020', { range: 'limited', primaries: 9, transfer: 14, matrix: 9 }],
  ];
  const NAMES = new Map([
    [1, 'bt709'],
    [6, 'smpte170m'],
    [9, 'bt2020'],
    [14, 'bt2020-10'],
  ]);
  const nameOf = (code: number, matrix = false) => (matrix && code === 9 ? 'bt2020nc' : NAMES.get(code));

  test.for(COLOURS)('H.264 keeps range, primaries, transfer and matrix: %s', ([, colour]) => {
    const { encoded, decodedAgain } = through({ codec: 'H264', colour });
    expect(decodedAgain[0]!.colour).toEqual(colour);
    expect(probed('H264', encoded)).toMatchObject({
      color_range: colour.range === 'full' ? 'pc' : 'tv',
      color_primaries: nameOf(colour.primaries),
      color_transfer: nameOf(colour.transfer),
      color_space: nameOf(colour.matrix, true),
    });
  });
  test.for(COLOURS)('VP9 keeps range and matrix: %s', ([, colour]) => {
    const { encoded, decodedAgain } = through({ codec: 'VP9', colour });
    expect(decodedAgain[0]!.colour).toMatchObject({ range: colour.range, matrix: colour.matrix });
    expect(probed('VP9', encoded)).toMatchObject({
      color_range: colour.range === 'full' ? 'pc' : 'tv',
      color_space: nameOf(colour.matrix, true),
    });
  });
  test('VP8 has no place for any of it: numbers go through as they are', () => {
    const { frames, decodedAgain } = through({ codec: 'VP8', colour: COLOURS[1]![1] });
    expect(decodedAgain[0]!.colour.range).toBe('limited');
    const mean = (plane: Uint8Array) => plane.reduce((sum, one) => sum + one, 0) / plane.length;
    expect(mean(decodedAgain[10]!.y)).toBeCloseTo(mean(frames[10]!.y), 0);
  });

  const LIVE = [true, false] as const;
  test.for((['VP8', 'VP9', 'H264'] as const).flatMap((codec) => LIVE.map((live) => [codec, live] as const)))(
    '%s (live: %s) is decoded by FFmpeg, every picture, nearly as it was',
    ([codec, live]) => {
      const { frames, encoded } = through({ codec, live, count: 75 });
      expect(encoded.map(({ start }) => start)).toEqual(frames.map(({ start }) => start));
      expect(encoded[0]!.keyFrame).toBe(true);
      const { file, format } = bareFile(codec, encoded, frames[0]!);
      const theirs = framesOf(rawBy(file, format), { width: 640, height: 360 });
      expect(theirs).toHaveLength(75);
      const similar = theirs.map((frame, i) => ssim(luma(frame), luma(frames[i]!)));
      expect(similar.reduce((sum, one) => sum + one, 0) / similar.length).toBeGreaterThan(0.97);
      expect(Math.min(...similar)).toBeGreaterThan(0.9);
    },
  );

  test.for(['VP8', 'VP9', 'H264'] as const)(
    'live %s gives each picture at once and key frames when due and when asked',
    (codec) => {
      const frames = talking(60);
      using encoder = new VideoEncoder({ ...options({ codec }), keyEvery: seconds(1) });
      const keys = frames.flatMap((frame, i) => {
        const [one, ...more] = encoder.encode(frame, { keyFrame: i === 10 });
        expect(more).toEqual([]);
        expect(one!.start).toBe(frame.start);
        return one!.keyFrame ? [i] : [];
      });
      expect(keys).toEqual([0, 10, 35]);
      expect(encoder.flush()).toEqual([]);
    },
  );

  test('live H.264 is constrained baseline with its parameter sets before every key frame', () => {
    const { encoded } = through({ codec: 'H264' });
    const types = (data: Uint8Array) =>
      [
        ...Buffer.from(data)
          .toString('latin1')
          .matchAll(/\0\0\x01([\s\S])/g),
      ].map(([, c]) => c!.charCodeAt(0) & 31);
    for (const { keyFrame, data } of encoded) {
      expect(types(data).includes(7) && types(data).includes(8) && types(data).includes(5)).toBe(keyFrame);
    }
    const sps = Buffer.from(encoded[0]!.data).indexOf(Buffer.of(0, 0, 1, 0x67)) + 4;
    expect(encoded[0]!.data[sps]).toBe(66);
    expect(encoded[0]!.data[sps + 1]! & 0x40).toBe(0x40);
    expect(probed('H264', encoded)).toMatchObject({ profile: 'Constrained Baseline', has_b_frames: 0 });
  });

  test('a live encoder keeps to its bitrate', () => {
    for (const codec of ['VP8', 'VP9', 'H264'] as const) {
      const { encoded } = through({ codec, count: 100, bitrate: 400_000 });
      const bits = encoded.reduce((sum, { data }) => sum + data.byteLength * 8, 0);
      expect([codec, bits / 4]).toEqual([codec, expect.toSatisfy((rate: number) => rate > 150_000 && rate < 600_000)]);
    }
  });

  test('an encoder refuses other sizes, times that stand still, and settings that make no sense', () => {
    const make = (more: Partial<VideoEncoderOptions>) => new VideoEncoder({ ...options({ codec: 'VP8' }), ...more });
    using encoder = make({});
    const frame = (start: number, width = 640): VideoFrame => ({
      ...blank(width, 360),
      start: at(start),
      colour: UNSPECIFIED,
    });
    encoder.encode(frame(40));
    expect(() => encoder.encode(frame(40))).toThrow(RangeError);
    expect(() => encoder.encode(frame(80, 320))).toThrow(/640 × 360.*320 × 360/);
    expect(() => make({ bitrate: 0 })).toThrow(RangeError);
    expect(() => make({ fps: Number.NaN })).toThrow(RangeError);
    expect(() => make({ codec: 'H264', width: 641 })).toThrow(/even/);
    expect(() => make({ width: 70_000 })).toThrow(CodecError);
  });

  test('pictures at uneven times keep them', () => {
    using encoder = new VideoEncoder(options({ codec: 'H264' }));
    const starts = [0, 3, 41, 90, 400, 401, 2_000].map((millis) => at(millis * 1_000));
    const frames = talking(starts.length).map((frame, i) => ({ ...frame, start: starts[i]! }));
    expect(frames.flatMap((frame) => encoder.encode(frame)).map(({ start }) => start)).toEqual(starts);
  });

  test('SSIM and PSNR are what FFmpeg reckons', () => {
    const { frames, decodedAgain } = through({ codec: 'VP8', count: 5, bitrate: 150_000 });
    const folder = mkdtempSync(join(tmpdir(), 'livedub-ssim-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    const write = (name: string, all: readonly VideoFrame[]) => {
      const path = join(folder, name);
      writeFileSync(path, Buffer.concat(all.flatMap(({ y, u, v }) => [y, u, v])));
      return ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', '640x360', '-i', path];
    };
    const inputs = [...write('a.yuv', decodedAgain), ...write('b.yuv', frames)];
    const theirs = (filter: string) =>
      spawnSync('ffmpeg', ['-v', 'error', ...inputs, '-lavfi', `${filter}=stats_file=-`, '-f', 'null', '-'], {
        encoding: 'utf8',
      }).stdout;
    const similar = [...theirs('ssim').matchAll(/Y:([\d.]+)/g)].map(([, value]) => Number(value));
    const noise = [...theirs('psnr').matchAll(/psnr_y:([\d.]+)/g)].map(([, value]) => Number(value));
    expect(similar).toHaveLength(5);
    frames.forEach((frame, i) => {
      expect(ssim(luma(decodedAgain[i]!), luma(frame))).toBeCloseTo(similar[i]!, 5);
      expect(psnr(luma(decodedAgain[i]!), luma(frame))).toBeCloseTo(noise[i]!, 1);
    });
  });

  test('two thousand pictures in and out leave no memory behind', () => {
    const one = clip([...moving('320x240', 50), ...(MADE['VP8'] ?? [])]);
    using decoder = new VideoDecoder({ codec: 'VP8' });
    using encoder = new VideoEncoder({ ...options({ codec: 'H264' }), width: 320, height: 240 });
    let count = 0;
    const round = () => {
      for (const { data } of one.pictures) {
        for (const frame of decoder.decode(data, at((count += 1) * 40_000))) encoder.encode(frame);
      }
    };
    for (let i = 0; i < 12; i += 1) round();
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 40; i += 1) round();
    const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
    expect(count).toBe(2_600);
    // A single picture that is not given back each time would be 220 MB; what is left is the collector's own leeway.
    expect(grown).toBeLessThan(40);
  });
});

let face: VideoFrame[] | undefined;
/** A real face where there is one, else moving pictures; 640 × 360, 25 a second. */
function talking(count: number): VideoFrame[] {
  const real = missing(REAL[0]!) === undefined;
  face ??= framesOf(
    spawnSync(
      'ffmpeg',
      [
        ...['-v', 'error', ...(real ? ['-i', recording(REAL[0]!)] : ['-f', 'lavfi', '-i', 'testsrc2=rate=25'])],
        ...['-frames:v', '100', '-vf', 'crop=iw:iw*9/16,scale=640:360', '-pix_fmt', 'yuv420p', '-f', 'rawvideo', '-'],
      ],
      { maxBuffer: 1 << 29 },
    ).stdout,
    { width: 640, height: 360 },
  );
  return face.slice(0, count);
}

function options({
  codec,
  live = true,
  colour = UNSPECIFIED,
  bitrate = 1_000_000,
}: Pick<VideoEncoderOptions, 'codec'> & Partial<VideoEncoderOptions>): VideoEncoderOptions {
  return { codec, width: 640, height: 360, fps: 25, bitrate, colour, keyEvery: seconds(2), live };
}

function through(chosen: Parameters<typeof options>[0] & { readonly count?: number }) {
  const frames = talking(chosen.count ?? 25);
  using encoder = new VideoEncoder(options(chosen));
  const encoded: EncodedPicture[] = frames.flatMap((frame) => encoder.encode(frame));
  encoded.push(...encoder.flush());
  using decoder = new VideoDecoder({ codec: chosen.codec });
  const decodedAgain = encoded.flatMap(({ data, start }) => decoder.decode(data, start));
  decodedAgain.push(...decoder.flush());
  return { frames, encoded, decodedAgain };
}

function probed(codec: VideoEncoderOptions['codec'], encoded: readonly EncodedPicture[]): Record<string, unknown> {
  const { file, format } = bareFile(codec, encoded, { width: 640, height: 360 });
  const { stdout } = spawnSync('ffprobe', ['-v', 'error', ...format, '-show_streams', '-of', 'json', '-'], {
    input: file,
    encoding: 'utf8',
  });
  return (JSON.parse(stdout) as { streams: Record<string, unknown>[] }).streams[0]!;
}

function damaged(data: Uint8Array, { seed, kind }: { readonly seed: number; readonly kind: string }): Uint8Array {
  const copy = data.slice();
  let state = seed | 1;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  if (kind === 'lose') return new Uint8Array(0);
  if (kind === 'cut') return copy.subarray(0, Math.floor(copy.length * random()));
  const count = kind === 'flip' ? 3 : copy.length / 4;
  for (let i = 0; i < count; i += 1) copy[Math.floor(random() * copy.length)] = Math.floor(random() * 256);
  return copy;
}
