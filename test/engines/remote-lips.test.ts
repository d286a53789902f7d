import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { type Clock, ManualClock, MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, ms } from '../../media/time.ts';
import { UNSPECIFIED, type VideoFrame, blank, patched } from '../../media/video-frame.ts';
import { EngineRegistry } from '../../models/engine.ts';
import { engines } from '../../models/index.ts';
import type { Language, SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { Driven, Face, FaceId, Shot, Take } from '../../pipeline/face.ts';
import type { Fault } from '../../pipeline/fault.ts';
import { conforms } from '../conformance/stage.ts';
import { DriverServer, MISDEEDS, type Misdeed } from '../fakes/driver-server.ts';

const FRAME = 40_000;
const [WIDTH, HEIGHT] = [320, 240];

/** 68 points of a plain face in a box: only where the jaw, the nose and the mouth are matters here. */
function landmarksIn(left: number, top: number, size: number): Float32Array {
  const points = Array.from({ length: 68 }, () => [0.5, 0.4]);
  for (let n = 0; n <= 16; n += 1) {
    const turn = Math.PI * (1 - n / 16);
    points[n] = [0.5 + 0.45 * Math.cos(turn), 0.45 + 0.5 * Math.sin(turn)];
  }
  points[33] = [0.5, 0.55];
  points[48] = [0.35, 0.72];
  points[54] = [0.65, 0.72];
  return Float32Array.from(points.flatMap(([x, y]) => [left + x! * size, top + y! * size]));
}
const face = (id = 'f1', left = 110, top = 60, more: Partial<Face> = {}): Face => ({
  id: id as FaceId,
  box: { left, top, width: 90, height: 100 },
  landmarks: landmarksIn(left, top, 100),
  pose: { yaw: 0, pitch: 0, roll: 0 },
  opening: 0.1,
  score: 1,
  ...more,
});
/** A picture in which every row has its own luma, and chroma is not grey. */
function frame(n: number): VideoFrame {
  const planes = blank(WIDTH, HEIGHT);
  return {
    ...planes,
    y: planes.y.map((_, i) => 40 + (Math.floor(i / WIDTH) % 100)),
    u: planes.u.map(() => 110),
    v: planes.v.map(() => 140),
    start: at(n * FRAME),
    colour: UNSPECIFIED,
  };
}
const take = (utterance = 'u1', first = 0, last = 10): Take => ({
  utterance: utterance as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: 'es' as Language,
  start: at(first * FRAME),
  end: at(last * FRAME),
  clip: { start: at(first * FRAME + 10_000), end: at(last * FRAME - 10_000) },
  pcm: Float32Array.from({ length: 6_400 }, (_, n) => (n % 100) / 200),
  phonemes: [{ text: 'a', start: at(first * FRAME + 20_000), end: at(first * FRAME + 90_000) }],
});
const shot = (n: number, more: Partial<Shot> = {}): Shot => ({
  start: at(n * FRAME),
  end: at((n + 1) * FRAME),
  frame: frame(n),
  face: face(),
  take: take(),
  weight: 1,
  ...more,
});
const shots = (count = 10, more: Partial<Shot> = {}) => Array.from({ length: count }, (_, n) => shot(n, more));

const registry = new EngineRegistry(engines, 'unused');
const scopes: Scope[] = [];
const opened = () => {
  const scope = new Scope('remote lips');
  scopes.push(scope);
  return scope;
};
afterEach(async () => {
  for (const scope of scopes.splice(0)) await scope.close();
});
const load = (url: string, config: object = {}, scope = opened()) =>
  registry.load('lipDriver', 'latentsync', { baseUrl: url, retries: 0, ...config }, scope);

async function drive(url: string, input: readonly Shot[], config: object = {}, clock: Clock = new MonotonicClock()) {
  const stage = await load(url, config);
  const feed = async function* () {
    yield* input;
  };
  const out: Driven[] = [];
  let fault: Fault | undefined;
  try {
    for await (const each of stage.run(feed(), { signal: new AbortController().signal, clock })) out.push(each);
  } catch (thrown) {
    fault = thrown as Fault;
  }
  return { out, fault };
}
/** Lets a manual clock run, in step with the network, until something is settled. */
async function patiently<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let settled = false;
  const done = work.finally(() => (settled = true));
  done.catch(() => {});
  while (!settled) {
    await sleep(2);
    await clock.advance(ms(50));
  }
  return done;
}
const lumaAt = ({ y }: { y: Uint8Array }, row: number, column: number) => y[row * WIDTH + column];

describe('a driver on a server', () => {
  const lasting = new Scope('conformance');
  afterAll(() => lasting.close());
  conforms(
    'LatentSync by a server',
    async () => load((await DriverServer.open(lasting)).url, { lookahead: 0.1 }, lasting),
    () => [...shots(6), shot(6, { take: take('u2', 6, 9) }), shot(7, { face: face('f2', 20, 40) })],
  );
  conforms(
    'a driver that wants five pictures at once',
    async () => {
      const server = await DriverServer.open(lasting);
      server.hello = { ...server.hello, chunk: 5 };
      return load(server.url, {}, lasting);
    },
    () => shots(),
  );

  test('is used only by name, because faces leave the machine', () => {
    for (const id of ['latentsync', 'video-retalking', 'sadtalker']) {
      expect(registry.engine('lipDriver', id).byName).toBe(true);
    }
    expect(engines.filter(({ kind, id }) => kind === 'lipDriver' && id === 'latentsync')).toHaveLength(1);
  });

  test('gets the crop around the face and no more, the sound and the phonemes', async () => {
    const server = await DriverServer.open(opened());
    const { out, fault } = await drive(server.url, shots(), { margin: 0.2 });
    expect(fault).toBeUndefined();
    expect(out).toHaveLength(10);
    expect(server.complaints).toEqual([]);
    const [begun] = server.takes;
    expect(server.takes).toHaveLength(1);
    // 100 pixels of face and a fifth on each side, even.
    expect(begun).toMatchObject({
      width: 140,
      height: 140,
      format: 'i420',
      soundAt: 10_000,
      samples: 6_400,
      ended: true,
    });
    expect(begun!.phonemes).toEqual([{ text: 'a', start: 10_000, end: 80_000 }]);
    expect([...begun!.sound.subarray(0, 3)]).toEqual([0, 164, 328]);
    expect(begun!.sound.at(-1)).toBe(Math.round((99 / 200) * 32_768));
    const [first] = server.shown;
    expect(first!.start).toBe(0);
    // The crop begins at (84, 40): the middle of the face less half of the side, even.
    expect(first!.face).toEqual([26, 20, 90, 100]);
    expect([...first!.bytes.subarray(0, 2)]).toEqual([80, 80]);
    expect(first!.landmarks[66]).toBeCloseTo(110 + 50 - 84, 3);
    expect(first!.bytes).toHaveLength(140 * 140 * 1.5);
  });

  test('replaces the mouth and what is around it softly, and nothing else', async () => {
    const server = await DriverServer.open(opened());
    const { out } = await drive(server.url, shots(1));
    const before = frame(0);
    const after = patched(before, out[0]!.patches);
    // The mouth's middle is the server's, forehead and background are the original's.
    expect(lumaAt(after, 60 + 74, 160)).toBe(server.paint);
    for (const [row, column] of [
      [10, 10],
      [70, 160],
      [90, 160],
      [134, 300],
      [230, 160],
    ] as const) {
      expect(lumaAt(after, row, column)).toBe(lumaAt(before, row, column));
    }
    const column = Array.from({ length: 60 }, (_, n) => lumaAt(after, 110 + n, 160)! - lumaAt(before, 110 + n, 160)!);
    const steps = column.slice(1).map((value, n) => Math.abs(value - column[n]!));
    expect(Math.max(...steps)).toBeLessThan(40);
    const [patch] = out[0]!.patches;
    expect([patch!.left % 2, patch!.top % 2, patch!.width % 2, patch!.height % 2]).toEqual([0, 0, 0, 0]);
  });

  test('shows the driven mouth as far as the shot’s weight says', async () => {
    const server = await DriverServer.open(opened());
    const { out } = await drive(server.url, [shot(0, { weight: 0.5 })]);
    const before = lumaAt(frame(0), 134, 160)!;
    expect(lumaAt(patched(frame(0), out[0]!.patches), 134, 160)).toBeCloseTo((before + server.paint) / 2, -0.5);
  });

  test('is understood where it takes only red, green and blue', async () => {
    const server = await DriverServer.open(opened());
    server.hello = { ...server.hello, formats: ['rgb24'] };
    server.paint = 255;
    const { out, fault } = await drive(server.url, shots(2));
    expect(fault).toBeUndefined();
    expect(server.complaints).toEqual([]);
    const after = patched(frame(0), out[0]!.patches);
    expect(lumaAt(after, 134, 160)).toBe(235);
    expect(after.u[67 * 160 + 80]).toBe(128);
  });

  test('is sent nothing of faces without a take or unfit to be driven, and says why', async () => {
    const server = await DriverServer.open(opened());
    const { take: _, ...silent } = shot(1);
    const input = [shot(0, { face: face('f1', 110, 60, { unfit: 'profile' }) }), silent, shot(2, { weight: 0 })];
    const { out } = await drive(server.url, input);
    expect(out).toEqual([
      { start: 0, face: 'f1', patches: [], unfit: 'profile' },
      { start: FRAME, face: 'f1', patches: [] },
      { start: 2 * FRAME, face: 'f1', patches: [] },
    ]);
    expect(server.connections).toBe(0);
  });

  test('keeps two faces and two takes apart, each crop of one size', async () => {
    const server = await DriverServer.open(opened());
    server.hello = { ...server.hello, chunk: 3 };
    const input = shots(9).flatMap((one, n) => [
      { ...one, face: face('f1', 30 + n, 60), take: take('u1', 0, 9) },
      { ...one, face: face('f2', 200 - 3 * n, 50), take: take('u2', 0, 7) },
    ]);
    const { out, fault } = await drive(
      server.url,
      input.filter(({ start, take: { end } }) => start < end),
    );
    expect(fault).toBeUndefined();
    expect(server.complaints).toEqual([]);
    expect(out.map(({ face: id }) => id).join('')).toBe('f1f2'.repeat(7) + 'f1f1');
    expect(out.every(({ patches }) => patches.length === 1)).toBe(true);
    expect(server.takes.map(({ pictures, ended }) => [pictures, ended])).toEqual([
      [9, true],
      [7, true],
    ]);
  });

  test('is not sent more than it grants', async () => {
    const server = await DriverServer.open(opened());
    server.hello = { ...server.hello, credits: 2, chunk: 2 };
    const { out, fault } = await drive(server.url, shots());
    expect(fault).toBeUndefined();
    expect(server.complaints).toEqual([]);
    expect(out.filter(({ patches }) => patches.length > 0)).toHaveLength(10);
  });

  test('that sees no face leaves that picture as it was', async () => {
    const server = await DriverServer.open(opened());
    server.refused = [3, 4];
    const { out, fault } = await drive(server.url, shots());
    expect(fault).toBeUndefined();
    expect(out.map(({ patches }) => patches.length)).toEqual([1, 1, 1, 0, 0, 1, 1, 1, 1, 1]);
  });

  test('that is late with one picture leaves it as it was, in order, and may answer afterwards', async () => {
    const server = await DriverServer.open(opened());
    server.held = [4];
    const clock = new ManualClock();
    const stage = await load(server.url, { patience: 1, lookahead: 1 });
    let pass = () => {};
    const passed = new Promise<void>((resolve) => (pass = resolve));
    const feed = async function* () {
      yield* shots(9);
      await passed;
      yield shot(9);
    };
    const out: Driven[] = [];
    const run = async () => {
      const scope = { signal: new AbortController().signal, clock };
      for await (const each of stage.run(feed(), scope)) {
        out.push(each);
        if (out.length < 9) continue;
        server.release();
        pass();
      }
    };
    await patiently(clock, run());
    expect(out.map(({ start }) => start)).toEqual(shots().map(({ start }) => start));
    expect(out.map(({ patches }) => patches.length)).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
  });

  test('that holds one answer for ever costs that picture, while the others come', async () => {
    const server = await DriverServer.open(opened());
    server.held = [4];
    const clock = new ManualClock();
    const { out, fault } = await patiently(clock, drive(server.url, shots(), { patience: 1 }, clock));
    expect(fault).toBeUndefined();
    expect(out.map(({ patches }) => patches.length)).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
  });

  test.for(Object.entries(MISDEEDS) as [Misdeed, string][])(
    'that is of no use (%s) leaves every picture as it was, in order, and is a fault: %s',
    { timeout: 20_000 },
    async ([misdeed, kind]) => {
      const server = await DriverServer.open(opened());
      server.misdeed = misdeed;
      const clock = new ManualClock();
      const { out, fault } = await patiently(clock, drive(server.url, shots(), { patience: 30, lookahead: 2 }, clock));
      expect(fault).toMatchObject({ name: 'Fault', kind, stage: 'lipDriver' });
      expect(fault!.message).toMatch(/^latentsync: /);
      expect(out.map(({ start }) => start)).toEqual(shots(out.length).map(({ start }) => start));
      const driven = out.filter(({ patches }) => patches.length > 0);
      expect(driven.length).toBeLessThanOrEqual(3);
    },
  );

  test('that wants more pictures at once than may be there is told so', async () => {
    const server = await DriverServer.open(opened());
    server.hello = { ...server.hello, chunk: 6 };
    const clock = new ManualClock();
    const { out, fault } = await patiently(clock, drive(server.url, shots(), { lookahead: 0.1 }, clock));
    expect(fault).toMatchObject({ kind: 'broken' });
    expect(fault!.message).toContain("raise 'lookahead'");
    expect(out.every(({ patches }) => patches.length === 0)).toBe(true);
  });

  test('that is gone while it is reached for costs pictures, not the order', async () => {
    const clock = new ManualClock();
    const { out, fault } = await patiently(clock, drive('http://127.0.0.1:9', shots(3), { patience: 1 }, clock));
    expect(fault).toMatchObject({ kind: 'unavailable' });
    expect(out.every(({ patches }) => patches.length === 0)).toBe(true);
  });
});

const SERVER = fileURLToPath(new URL('../../models/export/servers/driver_server.py', import.meta.url));
const python = (() => {
  try {
    execFileSync('python3', ['-c', 'import sys; assert sys.version_info >= (3, 8)']);
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!python)('the reference server in Python (needs python3)', () => {
  async function echo(...args: string[]): Promise<{ url: string; child: ChildProcess }> {
    const child = spawn('python3', ['-B', SERVER, '--echo', '--port', '0', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, LIVEDUB_TEST_DRIVER_KEY: 'sesame' },
    });
    opened().defer(async () => {
      const gone = once(child, 'exit');
      child.kill();
      await gone;
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { url: /http:\S+/.exec(line.toString())![0], child };
  }

  test.for([[], ['--chunk', '4'], ['--format', 'rgb24', '--chunk', '3']])(
    'gives back what it gets (%s)',
    async (args) => {
      const { url } = await echo(...args);
      const { out, fault } = await drive(url, shots());
      expect(fault).toBeUndefined();
      expect(out.map(({ patches }) => patches.length)).toEqual(Array(10).fill(1));
      for (const [n, { patches }] of out.entries()) {
        const [before, after] = [frame(n), patched(frame(n), patches)];
        const most = Math.max(...after.y.map((value, i) => Math.abs(value - before.y[i]!)));
        // Colours that go there and back are rounded twice.
        expect(most).toBeLessThanOrEqual(args.includes('rgb24') ? 2 : 0);
      }
    },
  );

  test('lets nobody in without its key', async () => {
    const { url } = await echo('--key-from', 'LIVEDUB_TEST_DRIVER_KEY');
    expect((await drive(url, shots(2))).fault).toMatchObject({ kind: 'broken' });
    process.env['LIVEDUB_TEST_DRIVER_KEY'] = 'sesame';
    const { out, fault } = await drive(url, shots(2), { keyFrom: 'LIVEDUB_TEST_DRIVER_KEY' });
    delete process.env['LIVEDUB_TEST_DRIVER_KEY'];
    expect(fault).toBeUndefined();
    expect(out.every(({ patches }) => patches.length === 1)).toBe(true);
  });

  test.for(['latentsync', 'video_retalking', 'sadtalker'])('the script for %s is Python', (name) => {
    const file = SERVER.replace('driver_server', `${name}_server`);
    const check = ['-c', 'import ast, sys; ast.parse(open(sys.argv[1]).read())', file];
    expect(() => execFileSync('python3', check, { stdio: 'ignore' })).not.toThrow();
  });
});
