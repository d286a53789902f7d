import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SessionSpec } from '../../gateway/config.ts';
import { audioTrack, languageTracks, videoTrack } from '../../gateway/output-tracks.ts';
import { root } from '../../gateway/root.ts';
import type { FromSession, ToSession } from '../../gateway/session/ipc.ts';
import { Session, type SessionPrograms } from '../../gateway/session/session.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { luma, psnr } from '../../media/ssim.ts';
import { type ClockTime, at } from '../../media/time.ts';
import { VideoDecoder } from '../../media/video-decoder.ts';
import type { VideoFrame } from '../../media/video-frame.ts';
import { eventually } from '../fakes/gateway.ts';
import { type LipStore, lipStore, lipStoreLacks } from '../fakes/lip-store.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { type SentPicture, judgedByFfmpeg, picturesOf, receiver } from '../fakes/sent.ts';

const TALKING = 'talking/open-dubbing/englishvideo.mp4';
const lacking =
  ['ffmpeg', 'flite', 'espeak-ng', 'apertium'].find((program) => spawnSync(program, ['--version']).error) ??
  (existsSync(join(root, 'dist/gateway/session/lips-main.js')) ? undefined : 'npm run build') ??
  lipStoreLacks() ??
  missing(TALKING);

const fake = (name: string) => fileURLToPath(new URL(`../fakes/${name}`, import.meta.url));
type Start = Extract<ToSession, { type: 'start' }>;
/** Says what was measured. */
const log = (name: string, figures: object) => void process.stdout.write(`${name}: ${JSON.stringify(figures)}\n`);

/** Processes that this one has started and that run `program`. */
function children(program: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]);
        const called = readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(program);
        return parent === process.pid && called ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
}

describe.skipIf(lacking)(`mouths of a live session (needs ${lacking ?? 'all it needs'})`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'livedub-session-lips-'));
  const drawn = join(folder, 'drawn.mkv');
  const talking = join(folder, 'talking.webm');
  const before = process.env['LIVEDUB_MODELS'];
  let store: LipStore;
  let scope: Scope;

  beforeAll(() => {
    store = lipStore();
    process.env['LIVEDUB_MODELS'] = store.root;
    // Small and slow, so that a machine that is busy with other things sees and drives it in time.
    const small = ['-t', '8', '-vf', 'scale=480:320,fps=10', '-c:a', 'libopus', '-ac', '1'];
    const vp8 = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '800k', '-g', '10'];
    execFileSync('ffmpeg', ['-v', 'error', '-i', recording(TALKING), ...small, ...vp8, talking]);
    const wav = join(folder, 'speech.wav');
    execFileSync('flite', ['-voice', 'slt', '-o', wav, '-t', 'Good morning everyone. The river is very high today.']);
    const picture = ['-f', 'lavfi', '-i', 'testsrc2=s=160x96:r=25:d=6', '-i', wav, '-af', 'apad', '-t', '6'];
    const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '25', '-pix_fmt', 'yuv420p'];
    execFileSync('ffmpeg', ['-v', 'error', ...picture, ...h264, '-c:a', 'pcm_s16le', drawn]);
  });
  afterAll(() => {
    if (before === undefined) delete process.env['LIVEDUB_MODELS'];
    else process.env['LIVEDUB_MODELS'] = before;
    store.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    scope = new Scope('test');
    return () => scope.close();
  });

  async function open(
    spec: object,
    codec: 'VP8' | 'H264',
    { programs = {}, ...more }: Partial<Start> & { programs?: SessionPrograms } = {},
  ) {
    const { packets, address } = await receiver(scope);
    const told: (FromSession & { readonly at: number })[] = [];
    const outputs = more.outputs ?? [
      audioTrack('original', 'en'),
      ...languageTracks('es', { overlap: 'both' }),
      videoTrack(),
      videoTrack('es'),
    ];
    const session = await Session.open(
      {
        ...{ type: 'start', session: 'test', ports: { input: 0, output: 0 }, sfu: address, outputs, resume: null },
        spec: SessionSpec.parse({ to: ['es'], lips: 'on', ...spec }),
        ...more,
      },
      new MonotonicClock(),
      (message) => told.push({ ...message, at: performance.now() }),
      scope.child('session'),
      programs,
    );
    const of = <T extends FromSession['type']>(type: T) =>
      told.filter((message): message is Extract<FromSession, { type: T }> & { at: number } => message.type === type);
    const track = (id: string) => outputs.find((each) => each.id === id)!;
    return {
      ...{ session, of, outputs, packets },
      lips: () => of('stats').at(-1)?.stats.lips ?? undefined,
      drops: () => of('stats').at(-1)?.stats.drops ?? {},
      pictures: (id: string) => picturesOf(packets, track(id), codec),
      sound: (id: string) => packets.filter(({ ssrc }) => ssrc === track(id).ssrc),
    };
  }
  type Opened = Awaited<ReturnType<typeof open>>;

  /** Stretches of `video:es` that are not as on `video`, by their first and last picture; all as far as both have come. */
  function compared({ pictures }: Opened) {
    const [plain, driven] = [pictures('video'), pictures('video:es')];
    const upTo = Math.min(plain.at(-1)?.stamp ?? 0, driven.at(-1)?.stamp ?? 0);
    const originals = new Map(plain.map((each) => [each.stamp, each]));
    const same = ({ stamp, data }: SentPicture) => Buffer.compare(originals.get(stamp)?.data ?? empty, data) === 0;
    const all = driven.filter(({ stamp }) => stamp <= upTo);
    const stretches: { first: number; last: number }[] = [];
    all.forEach((picture, i) => {
      if (same(picture)) return;
      const run = stretches.at(-1);
      if (run?.last === i - 1) run.last = i;
      else stretches.push({ first: i, last: i });
    });
    return { plain: plain.filter(({ stamp }) => stamp <= upTo), all, originals, stretches };
  }
  const empty = new Uint8Array(0);

  /** Every picture once, at its own time, and no later than two pictures (or `latest`, ms) after the same one of `video`. */
  function goesOn(opened: Opened, period: number, latest = 2 * period) {
    const { plain, all, originals } = compared(opened);
    expect(all.map(({ stamp }) => stamp)).toEqual(plain.map(({ stamp }) => stamp));
    const behind = all.map(({ stamp, came }) => came - originals.get(stamp)!.came);
    const steps = all.slice(1).map(({ stamp }, i) => (stamp - all[i]!.stamp) / 90);
    const gaps = all.slice(1).map(({ came }, i) => came - all[i]!.came);
    expect(Math.max(...steps)).toBeLessThanOrEqual(2 * period + 1);
    expect(Math.max(...behind)).toBeLessThanOrEqual(latest);
    const most = (values: number[]) => Math.round(Math.max(...values) * 10) / 10;
    return { pictures: all.length, longestStep: most(steps), longestGap: most(gaps), furthestBehind: most(behind) };
  }
  /** The dub's sound has no hole. */
  function sounds({ sound }: Opened, id = 'dub:es') {
    const stamps = sound(id).map(({ timestamp }) => timestamp);
    expect(new Set(stamps.slice(1).map((stamp, i) => (stamp - stamps[i]!) >>> 0))).toEqual(new Set([960]));
  }
  const soundly = (pictures: readonly SentPicture[], codec: 'VP8' | 'H264') =>
    expect(judgedByFfmpeg(pictures, codec)).toEqual({ decoded: pictures.length, complaints: '' });

  test('whoever is dubbed is seen speaking the dub, and the picture is the original’s everywhere else', async () => {
    const opened = await open({ source: { kind: 'file', path: talking, loop: true }, delay: 12 }, 'VP8');
    const { of, lips, pictures } = opened;
    await eventually(() => of('mode').at(-1)?.mode.video === 'driven', 'mouths can be driven', 30_000);
    // Once driven, and the original again after it.
    await eventually(() => (lips()?.shown['es'] ?? 0) >= 12, 'driven pictures', 90_000);
    await eventually(
      () => {
        const { stretches, all } = compared(opened);
        return stretches.some(({ last }) => last < all.length - 10);
      },
      'the original again',
      30_000,
    );
    // An encoder on a busy machine may be late; the line gives it up at 1 s.
    const figures = goesOn(opened, 100, 1_000);
    const { all, originals, stretches } = compared(opened);
    soundly(pictures('video:es'), 'VP8');
    // What is driven begins with a key frame, and so does the original after it.
    for (const { first, last } of stretches) {
      expect(all[first]!.keyFrame).toBe(true);
      if (all[last + 1]) expect(all[last + 1]!.keyFrame).toBe(true);
    }
    // Nothing is encoded again but from a line's beginning on, to the first key frame after its end.
    const lines = of('line').flatMap(({ line }) =>
      line.dub ? [{ start: Math.min(line.start, line.dub.start), end: Math.max(line.end, line.dub.end) }] : [],
    );
    const micros = ({ stamp }: SentPicture) => (stamp * 100) / 9;
    const within = all.filter(
      (each, i) => stretches.some(({ first, last }) => i >= first && i <= last) && micros(each),
    );
    expect(within.length).toBeLessThan(all.length);
    for (const { first } of stretches) {
      expect(lines.some(({ start, end }) => micros(all[first]!) > start - 150_000 && micros(all[first]!) < end)).toBe(
        true,
      );
    }
    // To the eye: the same picture but for a mouth.
    const changes = seen(all, originals);
    const undriven = changes.filter((_, i) => !stretches.some(({ first, last }) => i >= first && i <= last));
    expect(undriven.every(({ like }) => like === Infinity)).toBe(true);
    const strengths = changes.flatMap(({ most, like }) => (like === Infinity ? [] : [Math.round(most)]));
    log('how far the most changed 16 × 16 of each picture is from the original, mean of luma', { strengths });
    // Encoding again alone changes 1 or 2; a mouth that moves otherwise 4 to 15.
    expect(strengths.filter((strength) => strength >= 4).length).toBeGreaterThan(1);
    expect(Math.max(...strengths)).toBeGreaterThan(7);
    const likes = changes.flatMap(({ like }) => (like === Infinity ? [] : [like]));
    expect(Math.min(...likes)).toBeGreaterThan(25);
    const stats = of('stats').at(-1)!.stats;
    expect(stats.lips).toMatchObject({ takes: expect.any(Number) as number });
    expect(stats.lips!.driven).toBeGreaterThan(1);
    expect(stats.lips!.seen).toBeGreaterThan(20);
    expect(stats.stages.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['faceTracker', 'activeSpeaker', 'lipDriver:es', 'restorer:es']),
    );
    expect(stats.drops).toMatchObject({ 'driven pictures lost': 0, 'deaths of the encoder': 0 });
    log('driven live', { ...figures, stretches: stretches.length, encodedAgain: within.length, lips: stats.lips });
  }, 180_000);

  test('killed in the middle of a driven line, the picture process is missed by nobody, and drives again', async () => {
    const opened = await open({ source: { kind: 'file', path: talking, loop: true }, delay: 12 }, 'VP8');
    const { of, lips, pictures } = opened;
    const shown = () => lips()?.shown['es'] ?? 0;
    await eventually(() => compared(opened).stretches.length > 0, 'driven pictures', 75_000);
    const [pid] = children('lips-main.js');
    process.kill(pid!, 'SIGKILL');
    const killed = performance.now();
    const place = pictures('video:es').at(-1)!.stamp / 90;
    await eventually(() => of('mode').at(-1)?.mode.video === 'original', 'viewers are told', 5_000);
    await eventually(() => of('mode').at(-1)?.mode.video === 'driven', 'mouths can be driven again', 45_000);
    const able = performance.now();
    const [again] = children('lips-main.js');
    expect(again).not.toBe(pid);
    const had = shown();
    await eventually(() => shown() > had, 'driven pictures again', 75_000);
    const driven = performance.now();
    const figures = goesOn(opened, 100);
    sounds(opened);
    soundly(pictures('video:es'), 'VP8');
    const dubbed = () => of('line').some(({ line, at }) => line.dub !== null && at > killed);
    await eventually(dubbed, 'lines dubbed after that', 45_000);
    expect(of('fault').map(({ stage }) => stage)).toContain('lipDriver');
    expect(lips()!.process.restarts).toBe(1);
    const gaps = pictures('video:es').map(({ stamp, came }, i, all) => ({
      stamp,
      gap: came - (all[i - 1]?.came ?? came),
    }));
    const around = gaps.filter(({ stamp }) => Math.abs(stamp / 90 - place) < 2_000).map(({ gap }) => Math.round(gap));
    log('picture process killed', {
      ...{ ...figures, gapAroundKill: Math.max(...around) },
      ...{ ableAfter: Math.round(able - killed), drivenAfter: Math.round(driven - killed) },
    });
  }, 240_000);

  describe('with drivers and encoders that fail as they are told', () => {
    const scripted = (name: string, programs: SessionPrograms = {}, more: Partial<Start> = {}) =>
      open({ name, source: { kind: 'file', path: drawn, loop: true }, delay: 6 }, 'H264', {
        ...more,
        programs: { lips: fake('late-lips.mjs'), ...programs },
      });
    const original = (opened: Opened) => {
      const { stretches, all } = compared(opened);
      return stretches.length > 0 && stretches.every(({ last }) => last < all.length - 10);
    };
    const lines = ({ of }: Opened) => of('line').filter(({ line }) => line.dub !== null).length;

    test('a driver that becomes late leaves pictures as they are, and none is late for it', async () => {
      const opened = await scripted('becomes late');
      await eventually(() => original(opened), 'driven, and the original again', 60_000);
      await eventually(
        () => (opened.drops()['driven pictures late'] ?? 0) > 0,
        'pictures without a driven mouth',
        10_000,
      );
      const figures = goesOn(opened, 40);
      sounds(opened);
      soundly(opened.pictures('video:es'), 'H264');
      expect(lines(opened)).toBeGreaterThan(0);
      log('driver becomes late', { ...figures, late: opened.drops()['driven pictures late'] });
    }, 120_000);

    test('a driver that is always late never touches the picture', async () => {
      const opened = await scripted('is late');
      const dubbed = () => opened.of('line').flatMap(({ line }) => line.dub ?? []);
      await eventually(() => dubbed().length > 0, 'a dubbed line', 60_000);
      const over = () => (opened.pictures('video:es').at(-1)?.stamp ?? 0) / 90_000 > dubbed()[0]!.end / 1e6 + 1;
      await eventually(over, 'pictures of all of it', 60_000);
      expect(compared(opened).stretches).toEqual([]);
      log('driver always late', goesOn(opened, 40));
      sounds(opened);
      expect(opened.lips()!.takes).toBeGreaterThan(0);
    }, 120_000);

    test.for(['dies', 'hangs'] as const)(
      'an encoder that %s is followed by the original’s next key frame',
      { timeout: 180_000 },
      async (how) => {
        process.env['LIVEDUB_TEST_RECODER'] = how;
        scope.defer(() => void delete process.env['LIVEDUB_TEST_RECODER']);
        const opened = await scripted('does its work', { recoder: fake('failing-recoder.mjs') });
        const deaths = () => opened.drops()['deaths of the encoder'] ?? 0;
        await eventually(() => deaths() > 0, 'the encoder has failed', 60_000);
        delete process.env['LIVEDUB_TEST_RECODER'];
        const failed = opened.lips()!.shown['es'] ?? 0;
        await eventually(() => (opened.lips()?.shown['es'] ?? 0) > failed + 20, 'driven pictures again', 60_000);
        const { plain, all } = compared(opened);
        const there = new Set(all.map(({ stamp }) => stamp));
        const lost = plain.filter(({ stamp }) => !there.has(stamp));
        expect(lost.length).toBeGreaterThan(0);
        expect(opened.drops()['driven pictures lost']).toBe(lost.length);
        // One hole, no longer than the way to a key frame (1 s) and the patience with an encoder (1 s), and a key frame behind it.
        const hole = { from: lost[0]!.stamp, to: lost.at(-1)!.stamp };
        expect(lost.length).toBe((hole.to - hole.from) / 3_600 + 1);
        expect(lost.length).toBeLessThanOrEqual(50);
        expect(all.find(({ stamp }) => stamp > hole.to)!.keyFrame).toBe(true);
        soundly(opened.pictures('video:es'), 'H264');
        sounds(opened);
        expect(opened.of('pulse').length).toBeGreaterThan(10);
        const still = Math.max(...all.slice(1).map(({ came }, i) => came - all[i]!.came));
        log(`encoder ${how}`, { lostPictures: lost.length, still: Math.round(still) });
      },
    );

    test('a process that takes over goes on with the numbers of every picture, driven ones too', async () => {
      const now = new MonotonicClock().now();
      const anchor = { media: at(0), clock: (now - 9_000_000) as ClockTime };
      const videoSequences = { video: 700, 'video:es': 40_000 };
      const resume = { anchor, delay: 6_000_000, inputs: [], videoSequences, generation: 2 };
      const opened = await scripted('does its work', {}, { resume });
      const first = (id: string) => {
        const { ssrc } = opened.outputs.find((each) => each.id === id)!;
        return opened.packets.find((packet) => packet.ssrc === ssrc);
      };
      await eventually(() => opened.pictures('video:es').length > 20, 'pictures', 20_000);
      expect(first('video')!.sequence).toBe(700 + 128);
      expect(first('video:es')!.sequence).toBe(40_000 + 128);
      expect(opened.pictures('video:es')[0]!.keyFrame).toBe(true);
      const { of, outputs, packets } = opened;
      await eventually(() => (opened.lips()?.shown['es'] ?? 0) > 10, 'driven pictures', 60_000);
      const { ssrc } = outputs.find(({ id }) => id === 'video:es')!;
      const told = of('pulse').at(-1)!.resume.videoSequences['video:es']!;
      const sent = packets.findLast((packet) => packet.ssrc === ssrc)!.sequence;
      expect((sent - told) & 0xffff).toBeLessThan(128);
      const numbers = packets.filter((packet) => packet.ssrc === ssrc).map(({ sequence }) => sequence);
      expect(numbers).toEqual(numbers.map((_, i) => (40_128 + i) & 0xffff));
      soundly(opened.pictures('video:es'), 'H264');
    }, 120_000);
  });

  /** Both tracks decoded, picture by picture: PSNR, and the most that a pixel of 16 × 16 differs on average. */
  function seen(all: readonly SentPicture[], originals: ReadonlyMap<number, SentPicture>) {
    using one = new VideoDecoder({ codec: 'VP8' });
    using other = new VideoDecoder({ codec: 'VP8' });
    return all.map(({ stamp, data }) => {
      const [a] = one.decode(data, at(stamp));
      const [b] = other.decode(originals.get(stamp)!.data, at(stamp));
      if (!a || !b) throw new Error(`picture ${stamp} cannot be decoded`);
      return { like: psnr(luma(a), luma(b)), most: strongest(a, b) };
    });
  }
});

function strongest(a: VideoFrame, b: VideoFrame): number {
  let most = 0;
  for (let top = 0; top + 16 <= a.height; top += 16) {
    for (let left = 0; left + 16 <= a.width; left += 16) {
      let sum = 0;
      for (let y = top; y < top + 16; y += 2)
        for (let x = left; x < left + 16; x += 2) sum += Math.abs(a.y[y * a.width + x]! - b.y[y * b.width + x]!);
      most = Math.max(most, sum / 64);
    }
  }
  return most;
}
