import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, test } from 'vitest';
import { avcodecVersion } from '../../media/avcodec.ts';
import { ManualClock } from '../../media/clock.ts';
import { DrivenLine } from '../../media/driven-line.ts';
import { entry } from '../../media/entry.ts';
import { Depacketizer, payloadsOf, pictureIdOf } from '../../media/packetize.ts';
import type { PictureId } from '../../media/payload.ts';
import { type Answer, type Recoder, ThreadRecoder, backOff } from '../../media/recoder.ts';
import { luma, ssim } from '../../media/ssim.ts';
import { type Span, at, later, ms, seconds } from '../../media/time.ts';
import type { Encodable } from '../../media/video-encoder.ts';
import { type Box, type Patch, type VideoFrame, blank, cutOut } from '../../media/video-frame.ts';
import type { AccessUnit } from '../../media/video.ts';
import { type Clip, bareFile, clip, codecsLack, moving } from '../fakes/clips.ts';
import { framesOf } from '../fakes/video-frames.ts';
import { DirectRecoder } from '../fakes/recoder.ts';
import { missing, recording } from '../fakes/recordings.ts';

const noCodecs = codecsLack();

const FACE = 'talking/musetalk/sun.mp4';
const REALTIME = ['-deadline', 'realtime', '-cpu-used', '8', '-auto-alt-ref', '0', '-lag-in-frames', '0'];
const CODECS: Record<string, readonly string[]> = {
  VP8: ['-c:v', 'libvpx', ...REALTIME, '-b:v', '1M'],
  VP9: ['-c:v', 'libvpx-vp9', ...REALTIME, '-b:v', '1M'],
  'H.264 without B-frames': ['-c:v', 'libx264', '-tune', 'zerolatency', '-b:v', '1M'],
  'H.264 with B-frames': ['-c:v', 'libx264', '-bf', '2', '-b:v', '1M'],
};
const [WIDTH, HEIGHT, COUNT] = [432, 576, 150];
const BOX: Box = { left: 152, top: 300, width: 120, height: 80 };

const sources = new Map<string, Clip>();
/** A real face where there is one, else moving pictures: 6 s at 25 a second, key frames every 2 s. */
function source(codec: string): Clip {
  const made = sources.get(codec);
  if (made) return made;
  const input = missing(FACE) ? moving(`${WIDTH}x${HEIGHT}`, COUNT) : ['-i', recording(FACE)];
  const shape = ['-frames:v', `${COUNT}`, '-vf', `scale=${WIDTH}:${HEIGHT}`, '-pix_fmt', 'yuv420p'];
  const keys = ['-g', '50', '-keyint_min', '50', '-sc_threshold', '0'];
  const one = clip([...input, ...shape, ...CODECS[codec]!, ...keys]);
  sources.set(codec, one);
  return one;
}

/** As a sender numbers them: with ids that wrap around in the middle. */
function unitsOf({ codec, pictures }: Clip, bits: PictureId['bits'] = 15): AccessUnit[] {
  return pictures.map(({ start, keyFrame, data }, i) => {
    const id = { value: (2 ** bits - 60 + i) % 2 ** bits, bits };
    return { start, keyFrame, payloads: payloadsOf(codec as Encodable, data, id) };
  });
}

/** A patch whose left half is white and whose right half black: nothing that a face has. */
function loud(): Patch {
  const { y, ...rest } = blank(BOX.width, BOX.height);
  return { ...rest, ...BOX, y: y.map((_, i) => (i % BOX.width < BOX.width / 2 ? 235 : 16)) };
}

interface Drive {
  readonly from: number;
  readonly to: number;
  readonly patches: readonly Patch[];
}
/** Everything that comes out of a line, which is 3 s behind. */
function driven(codec: Encodable, units: readonly AccessUnit[], recoder: Recoder, drives: readonly Drive[]) {
  const line = new DrivenLine({ codec, recoder });
  const zero = units[0]!.start;
  for (const { from, to, patches } of drives) {
    line.drive({ start: later(zero, seconds(from)), end: later(zero, seconds(to)) });
    for (const { start } of units) {
      if (start >= later(zero, seconds(from)) && start < later(zero, seconds(to))) line.patches({ start, patches });
    }
  }
  const out: AccessUnit[] = [];
  let pushed = 0;
  for (let clock = at(zero - 3_000_000); clock <= zero + 10_000_000; clock = later(clock, ms(10))) {
    for (; pushed < units.length && units[pushed]!.start <= later(clock, seconds(3)); pushed += 1)
      line.push(units[pushed]!);
    if (pushed === units.length) line.end();
    out.push(...line.take(clock));
  }
  return { line, out };
}

function ffmpegDecodes(codec: Encodable, out: readonly AccessUnit[]): VideoFrame[] {
  const depacketizer = new Depacketizer(codec);
  const pictures = out.map(({ payloads }) => ({ data: depacketizer.frame(payloads)! }));
  const { file, format } = bareFile(codec, pictures, { width: WIDTH, height: HEIGHT });
  const raw = ['-fps_mode', 'passthrough', '-pix_fmt', 'yuv420p', '-f', 'rawvideo', '-'];
  const done = spawnSync('ffmpeg', ['-v', 'warning', ...format, '-i', '-', ...raw], {
    input: file,
    maxBuffer: 1 << 29,
  });
  const words = done.stderr
    .toString()
    .split('\n')
    // A bare H.264 stream has no times: FFmpeg says that it makes them up.
    .filter((line) => line !== '' && !/Timestamps are unset|timestamp|last message repeated/i.test(line));
  expect(words).toEqual([]);
  return framesOf(done.stdout, { width: WIDTH, height: HEIGHT });
}

describe.skipIf(noCodecs)(`a driven line (${noCodecs ?? avcodecVersion()})`, () => {
  test.for(Object.keys(CODECS))(
    '%s: FFmpeg decodes every picture of the spliced stream without a complaint',
    (name) => {
      const one = source(name);
      const codec = one.codec as Encodable;
      const units = unitsOf(one);
      const drives = [
        { from: 0.4, to: 1.2, patches: [loud()] },
        { from: 4.5, to: 5.5, patches: [loud()] },
      ];
      using recoder = new DirectRecoder();
      const { line, out } = driven(codec, units, recoder, drives);
      // B-frames that are being decoded when it begins move a join by a picture or two.
      expect(line.counts).toMatchObject({ joins: 2, late: 0, lost: 0, deaths: 0 });
      expect(line.counts.pictures).toBeGreaterThanOrEqual(40 + 37);
      expect(line.counts.pictures).toBeLessThanOrEqual(44 + 41);
      const order = (all: readonly AccessUnit[]) => all.map(({ start }) => start).sort((a, b) => a - b);
      expect(order(out)).toEqual(order(units));
      // Outside of the driven stretches everything is what it was.
      const originals = new Set(units);
      const kept = out.filter((unit) => originals.has(unit));
      expect(kept.length).toBe(COUNT - line.counts.pictures);
      const zero = units[0]!.start;
      const inside = (start: number) => {
        const t = (start - zero) / 1_000_000;
        return (t >= 0.4 && t < 1.2) || (t >= 4.5 && t < 5.5);
      };
      expect(kept.some(({ start }) => inside(start))).toBe(false);
      // The picture ids count on over both joins.
      if (codec !== 'H264') {
        const ids = out.map(({ payloads }) => pictureIdOf(codec, payloads[0]!)!.value);
        expect(ids.every((id, i) => i === 0 || id === (ids[i - 1]! + 1) % 0x8000)).toBe(true);
      }
      const frames = ffmpegDecodes(codec, out);
      const plain = ffmpegDecodes(codec, units);
      expect(frames).toHaveLength(COUNT);
      const wanted = { width: BOX.width, height: BOX.height, pixels: loud().y };
      frames.forEach((frame, i) => {
        const t = (order(units)[i]! - zero) / 1_000_000;
        const mouth = cutOut(frame, BOX);
        const similar = ssim({ width: BOX.width, height: BOX.height, pixels: mouth.y }, wanted);
        expect([i, similar > 0.8]).toEqual([i, inside(order(units)[i]!)]);
        const outside = ssim(luma(frame), luma(plain[i]!), { except: [BOX] });
        // Untouched stretches are equal to the bit; encoded ones are nearly what the original was.
        if (t < 0.3 || (t >= 2 && t < 4.3)) expect([i, outside]).toEqual([i, 1]);
        else expect([i, outside > 0.93]).toEqual([i, true]);
      });
    },
  );

  test.for(Object.keys(CODECS))('%s: outside the patch it is as good as encoded without one', (name) => {
    const one = source(name);
    const codec = one.codec as Encodable;
    const units = unitsOf(one);
    const zero = units[0]!.start;
    const original = ffmpegDecodes(codec, units);
    const run = (patchesOf: (frame: VideoFrame) => readonly Patch[]) => {
      using recoder = new DirectRecoder();
      const line = new DrivenLine({ codec, recoder });
      line.drive({ start: later(zero, seconds(0.8)), end: later(zero, seconds(3.5)) });
      const order = units.map(({ start }) => start).sort((a, b) => a - b);
      original.forEach((frame, i) => line.patches({ start: order[i]!, patches: patchesOf(frame) }));
      units.forEach((unit) => line.push(unit));
      const out: AccessUnit[] = [];
      for (let t = at(zero - 3_000_000); t <= zero + 8_000_000; t = later(t, ms(10))) out.push(...line.take(t));
      expect(line.counts.joins).toBe(1);
      return ffmpegDecodes(codec, out);
    };
    // A mouth that moves otherwise: what the speaker's own will look like half a second later.
    const driven = run((frame) => {
      const i = Math.round((frame.start / 40_000 + 12) % COUNT);
      return [cutOut(original[i]!, BOX)];
    });
    const plain = run(() => []);
    const similar = driven.slice(20, 100).map((frame, i) => ssim(luma(frame), luma(plain[i + 20]!), { except: [BOX] }));
    expect(similar.reduce((sum, one) => sum + one, 0) / similar.length).toBeGreaterThan(0.98);
    expect(Math.min(...similar)).toBeGreaterThan(0.96);
    const mouths = driven
      .slice(20, 80)
      .map((frame, i) => ssim(luma(cutOut(frame, BOX)), luma(cutOut(plain[i + 20]!, BOX))));
    expect(Math.min(...mouths)).toBeLessThan(0.9);
  });

  test('picture ids of 7 bits stay 7 bits, and none stay none', () => {
    const one = source('VP8');
    for (const bits of [7, undefined] as const) {
      const units = bits
        ? unitsOf(one, bits)
        : one.pictures.map((p) => ({ ...p, payloads: payloadsOf('VP8', p.data, undefined) }));
      using recoder = new DirectRecoder();
      const { line, out } = driven('VP8', units, recoder, [{ from: 0.4, to: 1.2, patches: [loud()] }]);
      expect(line.counts.joins).toBe(1);
      const ids = out.map(({ payloads }) => pictureIdOf('VP8', payloads[0]!));
      if (bits) expect(ids.every((id, i) => i === 0 || id!.value === (ids[i - 1]!.value + 1) % 128)).toBe(true);
      else expect(ids.every((id) => id === undefined)).toBe(true);
      expect(ffmpegDecodes('VP8', out)).toHaveLength(COUNT);
    }
  });

  test('a picture that cannot be decoded is shown as the one before it, and none is missing', () => {
    for (const name of Object.keys(CODECS)) {
      const one = source(name);
      const units = unitsOf(one).map((unit, i) =>
        // Payloads that cannot be put together, and one that is no picture.
        i === 20 || i === 25
          ? { ...unit, payloads: i === 20 ? [Uint8Array.of(0)] : [unit.payloads[0]!.slice(0, 20)] }
          : unit,
      );
      using recoder = new DirectRecoder();
      const { line, out } = driven(one.codec as Encodable, units, recoder, [{ from: 0.4, to: 1.2, patches: [loud()] }]);
      expect([name, line.counts.joins, line.counts.lost]).toEqual([name, 1, 0]);
      expect(out).toHaveLength(COUNT);
      expect(ffmpegDecodes(one.codec as Encodable, out)).toHaveLength(COUNT);
    }
  });

  test('a source that changes its size in the middle is followed', () => {
    const [small, large] = ['320x240', '480x270'].map((size) =>
      clip([...moving(size, 50), ...CODECS['VP8']!, '-g', '25']),
    );
    const shifted = large!.pictures.map((one) => ({ ...one, start: later(one.start, seconds(2)) }));
    const units = unitsOf({ ...small!, pictures: [...small!.pictures, ...shifted] });
    using recoder = new DirectRecoder();
    const { line, out } = driven('VP8', units, recoder, [{ from: 1.2, to: 2.8, patches: [] }]);
    expect(line.counts).toMatchObject({ joins: 1, lost: 0, deaths: 0, pictures: 45 });
    expect(out[50]!.keyFrame).toBe(true);
  });

  test('pictures that are not 8 bit 4:2:0 are not driven, and nothing else happens to them', () => {
    const one = clip([
      ...['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-frames:v', '100', '-pix_fmt', 'yuv444p'],
      ...['-c:v', 'libx264', '-tune', 'zerolatency', '-g', '25'],
    ]);
    const units = unitsOf(one);
    using recoder = new DirectRecoder();
    // In the calling thread the decoder's refusal is seen as it is.
    expect(() => driven('H264', units, recoder, [{ from: 0.4, to: 1.2, patches: [] }])).toThrow(/yuv444p/);
  });
});

describe.skipIf(noCodecs)(`the recoder's thread (${noCodecs ?? avcodecVersion()})`, () => {
  /** What comes of one run over the first 50 pictures of `units`, the last 40 of which are encoded. */
  function feed(recoder: Recoder, run: number, units: readonly AccessUnit[]) {
    expect(recoder.ready).toBe(true);
    recoder.begin(run, { codec: 'VP8', fps: 25, bitrate: 800_000 });
    units.slice(0, 10).forEach((unit) => recoder.decode(unit));
    recoder.prepare();
    units.slice(10, 50).forEach((unit) => recoder.encode(unit, [loud()]));
    recoder.finish();
  }
  /** Waits until there are `count` answers; each turn gives the thread's messages time to be heard. */
  async function answersOf(recoder: Recoder, count: number): Promise<Answer[]> {
    const answers: Answer[] = [];
    while (answers.length < count) {
      answers.push(...recoder.answers());
      await new Promise((turn) => setTimeout(turn, 5));
    }
    return answers;
  }

  test('it makes what the codecs make here, and keeps what it was given whole', async () => {
    const units = unitsOf(source('VP8'));
    const before = units.map(({ payloads }) => payloads.map((one) => Buffer.from(one).toString('hex')));
    using direct = new DirectRecoder();
    feed(direct, 7, units);
    using recoder = new ThreadRecoder(new ManualClock());
    feed(recoder, 7, units);
    const answers = await answersOf(recoder, 41);
    expect(answers).toEqual(direct.answers());
    expect(units.map(({ payloads }) => payloads.map((one) => Buffer.from(one).toString('hex')))).toEqual(before);
    // The next run is as good, and a run that was given up is not heard of.
    feed(recoder, 8, units);
    recoder.cancel();
    feed(recoder, 9, units);
    expect((await answersOf(recoder, 41)).map(({ run, kind }) => `${run} ${kind}`)).toEqual([
      '9 prepared',
      ...Array.from({ length: 40 }, () => '9 picture'),
    ]);
  });

  test('a refusal of the codec ends the run and not the thread', async () => {
    const one = clip([
      ...['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-frames:v', '5', '-pix_fmt', 'yuv444p'],
      ...['-c:v', 'libx264', '-tune', 'zerolatency'],
    ]);
    using recoder = new ThreadRecoder(new ManualClock());
    expect(recoder.ready).toBe(true);
    recoder.begin(1, { codec: 'H264', fps: 25, bitrate: 1 });
    for (const unit of unitsOf(one)) recoder.encode(unit, []);
    const [answer] = await answersOf(recoder, 1);
    expect(answer).toMatchObject({ kind: 'died', run: 1, why: expect.stringContaining('yuv444p') as string });
    feed(recoder, 2, unitsOf(source('VP8')));
    await answersOf(recoder, 41);
    expect(recoder.failures).toBe(0);
  });

  const folder = mkdtempSync(join(tmpdir(), 'livedub-recoder-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('a thread that dies is said so, and comes back after a while', async () => {
    const program = join(folder, 'dies.mjs');
    writeFileSync(
      program,
      `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => process.exit(3));`,
    );
    const clock = new ManualClock();
    using recoder = new ThreadRecoder(clock, program);
    for (let failures = 1; failures <= 3; failures += 1) {
      expect(recoder.ready).toBe(true);
      recoder.begin(failures, { codec: 'VP8', fps: 25, bitrate: 1 });
      expect(await answersOf(recoder, 1)).toEqual([
        { kind: 'died', run: failures, why: 'its thread ended with code 3' },
      ]);
      expect([recoder.failures, recoder.ready]).toEqual([failures, false]);
      await clock.advance((backOff(failures) - 1) as Span);
      expect(recoder.ready).toBe(false);
      await clock.advance(ms(1));
    }
    expect([1, 2, 3, 4, 5, 6, 99].map(backOff)).toEqual([1, 2, 4, 8, 16, 30, 30].map(seconds));
  });

  test('one that is stuck is ended, and another takes its place', async () => {
    const program = join(folder, 'stuck.mjs');
    writeFileSync(
      program,
      `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { for (;;); });`,
    );
    const clock = new ManualClock();
    using recoder = new ThreadRecoder(clock, program);
    expect(recoder.ready).toBe(true);
    recoder.begin(1, { codec: 'VP8', fps: 25, bitrate: 1 });
    recoder.cancel(true);
    expect([recoder.answers(), recoder.ready, recoder.failures]).toEqual([[], false, 1]);
    await clock.advance(seconds(1));
    expect(recoder.ready).toBe(true);
  });

  test('a closed recoder is not ready, and its thread ends', async () => {
    const recoder = new ThreadRecoder(new ManualClock());
    expect(recoder.ready).toBe(true);
    recoder[Symbol.dispose]();
    recoder[Symbol.dispose]();
    expect(recoder.ready).toBe(false);
    const worker = new Worker(entry('./recoder-thread.ts', new URL('../../media/recoder.ts', import.meta.url).href), {
      workerData: new Int32Array(new SharedArrayBuffer(4)),
    });
    worker.postMessage({ type: 'close' });
    expect(await once(worker, 'exit')).toEqual([0]);
  });
});
