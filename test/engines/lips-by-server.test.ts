import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { lipStages } from '../../gateway/lip-engines.ts';
import { models } from '../../gateway/models-command.ts';
import { type Clock, ManualClock, MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, later, ms, seconds } from '../../media/time.ts';
import { type Patch, type VideoFrame, cutOut, patched } from '../../media/video-frame.ts';
import { EngineRegistry, defineEngine } from '../../models/engine.ts';
import { musetalk } from '../../models/lips/musetalk.ts';
import { wav2lip } from '../../models/lips/wav2lip.ts';
import { codeformer } from '../../models/restore/codeformer.ts';
import { gfpgan } from '../../models/restore/gfpgan.ts';
import { gpen } from '../../models/restore/gpen.ts';
import { listenGrpc } from '../../models/serve/grpc.ts';
import { listenHttp } from '../../models/serve/http-server.ts';
import { type InferenceOptions, type Offer, openInferenceServer } from '../../models/serve/inference-server.ts';
import { FacesAtWork } from '../../models/serve/network-at.ts';
import { offersOf } from '../../models/serve/offers.ts';
import type { SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { Driven, Face, FaceId, Rough, Shot, Take } from '../../pipeline/face.ts';
import type { Fault } from '../../pipeline/fault.ts';
import { type DrivenPicture, LipPath, type TakeReport } from '../../pipeline/lip-path.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { drawnFace, drawnFrame, shotsOf } from '../fakes/drawn.ts';
import { decode, feed, missing, recording } from '../fakes/recordings.ts';
import { es } from '../fakes/talk.ts';
import { formula } from '../fakes/whisper.ts';

const fixtures = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const clock = new MonotonicClock();
const scope = new Scope('test');
afterAll(() => scope.close());
/** A folder with `live.json` alone: networks are on the server. */
const empty = mkdtempSync(join(tmpdir(), 'livedub-by-server-'));
afterAll(() => rmSync(empty, { recursive: true }));
cpSync(join(fixtures('musetalk'), 'live.json'), join(empty, 'live.json'));

async function serve(offers: readonly Offer[], within: Scope, options: Partial<InferenceOptions> = {}) {
  // The tests' machine carries no face at 25 pictures a second; it is promised as if it were a thousand.
  const server = await openInferenceServer(offers, { version: 'test', max: 8, share: 1_000, ...options }, within);
  const http = await listenHttp(server, { host: '127.0.0.1', port: 0 }, within);
  const grpc = await listenGrpc(server, { host: '127.0.0.1', port: 0 }, within);
  return { server, http: `http://127.0.0.1:${http.port}`, grpc: `grpc://127.0.0.1:${grpc.port}` };
}
const WAV2LIP: Offer = { name: 'wav2lip', file: join(fixtures('wav2lip'), 'wav2lip.onnx') };
/** What `livedub models serve --models DIRECTORY` serves, but for the VAE that is not asked for. */
const museTalkOffers = () => offersOf([], fixtures('musetalk'), []).filter(({ name }) => !/^(sd_vae|true)/.test(name));

const museTalkWith = (settings: object, within: Scope) =>
  musetalk.load(musetalk.config.parse({ vae: 'taesd', batch: 2, ...settings }), within);
const wav2lipWith = (settings: object, within: Scope) => wav2lip.load(wav2lip.config.parse(settings), within);

const pictures = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => drawnFrame(320, 240, at((from + n) * 40_000)));
async function drive(stage: Stage<'lipDriver'>, shots: readonly Shot[]): Promise<Driven[]> {
  const driven: Driven[] = [];
  const { signal } = new AbortController();
  for await (const each of stage.run(feed(shots), { signal, clock })) driven.push(each);
  return driven;
}
/** By how much samples of any plane differ at most, and how many of the driven one's luma from the picture. */
function compared(frame: VideoFrame, one: readonly Patch[], other: readonly Patch[]) {
  const [a, b] = [patched(frame, one), patched(frame, other)];
  const most = (['y', 'u', 'v'] as const).map((plane) =>
    a[plane].reduce((far, value, n) => Math.max(far, Math.abs(value - b[plane][n]!)), 0),
  );
  return { apart: Math.max(...most), changed: a.y.reduce((sum, value, n) => sum + Number(value !== frame.y[n]), 0) };
}

describe.for(['http', 'grpc'] as const)('networks on a server, over %s', (transport) => {
  let within: Scope;
  let served: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    within = new Scope('served');
    const restorers = ['gpen', 'codeformer', 'gfpgan'].map((name) => ({
      name,
      file: join(fixtures('restore'), `${name}.onnx`),
    }));
    served = await serve([...museTalkOffers(), WAV2LIP, ...restorers], within);
    return () => within.close();
  });

  const speech = 'speech/librispeech_1089/1089-134686-0000.flac';
  const absent = missing(speech);
  const sound = () => (absent ? formula(3_840) : decode(recording(speech), 16_000).slice(16_000, 16_000 + 3_840));

  test(`drive as those here do, by ${absent ? 'a formula' : 'real speech'}`, async () => {
    const server = served[transport];
    const frames = pictures(6);
    const shots = shotsOf(frames, drawnFace(), sound());
    const leases = new Map<string, [faces: number, fps: number]>();
    for (const [here, there] of [
      [
        await museTalkWith({ model: fixtures('musetalk') }, within),
        await museTalkWith({ model: empty, server, session: 'anna' }, within),
      ],
      [
        await wav2lipWith({ model: fixtures('wav2lip') }, within),
        await wav2lipWith({ model: '/nowhere', server, session: 'anna' }, within),
      ],
    ] as const) {
      const [local, remote] = [await drive(here, shots), await drive(there, shots)];
      for (const { session, model, faces, fps } of served.server.capacity().sessions) {
        if (session === 'anna') leases.set(model, [faces, fps]);
      }
      expect(remote.map(({ start }) => start)).toEqual(frames.map(({ start }) => start));
      for (const [n, frame] of frames.entries()) {
        const { apart, changed } = compared(frame, local[n]!.patches, remote[n]!.patches);
        expect(apart).toBeLessThanOrEqual(1);
        expect(changed).toBeGreaterThan(1_000);
      }
    }
    // What the server was told, so that it can say no: a face's pictures for each network.
    expect(Object.fromEntries(leases)).toEqual({
      whisper: [1, 0.5],
      taesd_encoder: [1, 50],
      taesd_decoder: [1, 25],
      unet: [1, 25],
      parsing: [1, 25],
      wav2lip: [1, 25],
    });
  });

  test('restore as those here do', async () => {
    const frame = drawnFrame(320, 240);
    const patch = cutOut(frame, { left: 130, top: 100, width: 60, height: 50 });
    // Points that are apart, as the face is set upright by them.
    const landmarks = drawnFace().landmarks.map((value, n) => (n >= 72 ? value + 6 * Math.sin(n) : value));
    for (const n of [36, 39, 42, 45]) landmarks[2 * n] = 120 + 6 * (n - 36);
    for (const [n, x] of [
      [48, 140],
      [54, 180],
    ] as const)
      [landmarks[2 * n], landmarks[2 * n + 1]] = [x, 130];
    const face: Face = { ...drawnFace(), landmarks };
    const driven = { start: at(0), face: face.id, patches: [patch] };
    const rough: Rough = { start: at(0), end: at(40_000), frame, face, driven };
    for (const engine of [gpen, codeformer, gfpgan]) {
      const made = async (place: object) => {
        const stage = await engine.load(engine.config.parse({ most: 0, ...place }), within);
        for await (const each of stage.run(feed([rough]), { signal: new AbortController().signal, clock })) return each;
        return expect.unreachable();
      };
      const local = await made({ model: fixtures('restore') });
      const remote = await made({ model: '/nowhere', server: served[transport] });
      const { apart, changed } = compared(frame, local.patches, remote.patches);
      expect(apart).toBeLessThanOrEqual(1);
      expect(changed).toBeGreaterThan(100);
    }
  });
});

test('pictures of two sessions are computed together', async () => {
  await using within = new Scope('two');
  const { server, http } = await serve(museTalkOffers(), within, { delay: seconds(3), preferred: [4] });
  const sessions = await Promise.all(
    ['anna', 'bert'].map((session) => museTalkWith({ model: empty, server: http, session, reuse: 0 }, within)),
  );
  const shots = shotsOf(pictures(2), drawnFace(), formula(1_280));
  const [one, other] = (await Promise.all(sessions.map((stage) => drive(stage, shots)))) as [Driven[], Driven[]];
  for (const [n, { frame }] of shots.entries()) {
    const { apart, changed } = compared(frame, one[n]!.patches, other[n]!.patches);
    expect(apart).toBeLessThanOrEqual(1);
    expect(changed).toBeGreaterThan(1_000);
  }
  // Each session has two pictures at once.
  const batches = Object.fromEntries(server.reports().map((report) => [report.name, report.batches]));
  for (const name of ['unet', 'parsing', 'taesd_decoder']) expect([name, batches[name]]).toEqual([name, { 4: 1 }]);
  expect(batches['whisper']).toEqual({ 2: 1 });
  expect(new Set(server.capacity().sessions.map(({ session }) => session))).toEqual(new Set(['anna', 'bert']));
});

/** A tracker that sees the drawn face in every picture. */
const drawnTracker: Stage<'faceTracker'> = {
  kind: 'faceTracker',
  engine: 'drawn',
  caps: { lookahead: ms(0), mostFaces: 1, embeddings: false },
  async *run(input) {
    for await (const { start } of input) yield { start, cut: false, faces: [drawnFace()] };
  },
};
/** A live programme, far ahead of what is played, whose face is always the speaker's. */
function programme(lipDriver: Stage<'lipDriver'>, within: Scope) {
  const driven: DrivenPicture[] = [];
  const faults: Fault[] = [];
  const reports: TakeReport[] = [];
  const path = new LipPath({
    stages: { faceTracker: drawnTracker, lipDriver },
    clock,
    pace: 'live',
    deadline: () => later(clock.now(), seconds(20)),
    binder: {
      see: () => {},
      score: () => {},
      hear: () => {},
      bind: ({ start, end }) => [{ start, end, face: 'face' as FaceId, why: 'told' }],
    },
    footage: async function* ({ start, end }) {
      for (const frame of pictures(40))
        if (frame.start >= start && frame.start < end) yield await Promise.resolve(frame);
    },
    onDriven: (_, each) => driven.push(each),
    onTake: (report) => reports.push(report),
    onFault: (fault) => faults.push(fault),
  });
  within.defer(() => path.close());
  let takes = 0;
  return {
    path,
    faults,
    async look() {
      for (const frame of pictures(40)) await path.see(frame);
      path.end();
    },
    /** Drives four pictures; tells how many of them came, and why others did not. */
    async take() {
      const before = driven.length;
      const [start, end] = [at(400_000), at(560_000)];
      const take: Take = {
        utterance: `u${(takes += 1)}` as UtteranceId,
        speaker: 's' as SpeakerId,
        language: es,
        start,
        end,
        clip: { start, end },
        pcm: formula(2_560),
      };
      path.drive(take);
      await path.settled();
      const patches = driven.slice(before).filter((each) => each.patches.length > 0).length;
      return { patches, left: reports.at(-1)!.left.map(({ why }) => why) };
    },
  };
}

test('a session that the server has no room for shows its pictures as they are, and drives again when there is room', async () => {
  await using within = new Scope('refused');
  const { server, http } = await serve([WAV2LIP], within);
  const show = programme(await wav2lipWith({ server: http, session: 'anna' }, within), within);
  const { path, faults } = show;
  await show.look();
  expect(await show.take()).toEqual({ patches: 4, left: [] });
  expect(path.able).toBe(true);

  // Others come, and take all that is left when this one has been silent for a while.
  server.release('anna');
  const { freeFaces } = server.capacity().models[0]!;
  server.claim('others', 'wav2lip', freeFaces!);
  expect(await show.take()).toEqual({ patches: 0, left: ['failed'] });
  expect(faults.map(({ stage, kind }) => [stage, kind])).toEqual([['lipDriver', 'overloaded']]);
  expect(path.able).toBe(false);
  expect(path.reports.find(({ kind }) => kind === 'lipDriver')).toMatchObject({ state: 'down', faults: 1 });
  expect(server.refused).toBeGreaterThan(0);

  server.release('others');
  expect(await show.take()).toEqual({ patches: 4, left: [] });
  expect(path.able).toBe(true);
});

describe('a server that is killed', () => {
  const program = fileURLToPath(new URL('../../gateway/bin/livedub.mjs', import.meta.url));
  const children = new Set<ChildProcess>();
  afterAll(() => children.forEach((child) => child.kill('SIGKILL')));
  async function start(port: number) {
    const args = ['models', 'serve', WAV2LIP.file, '--port', String(port), '--grpc-port', '0'];
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.add(child);
    let said = '';
    for await (const part of child.stdout) if ((said += String(part)).includes('Ctrl-C')) break;
    return { child, http: /at (http:\S+)/.exec(said)![1]! };
  }

  test('costs the pictures that it was to drive, and drives again when it is back', async () => {
    await using within = new Scope('killed');
    const first = await start(0);
    const stage = await wav2lipWith({ server: first.http }, within);
    const show = programme(stage, within);
    const { path, faults } = show;
    await show.look();
    expect(await show.take()).toEqual({ patches: 4, left: [] });
    first.child.kill('SIGKILL');
    await new Promise((done) => first.child.once('exit', done));
    expect(await show.take()).toEqual({ patches: 0, left: ['failed'] });
    expect(faults.map(({ kind }) => kind)).toEqual(['unavailable']);
    expect(path.able).toBe(false);
    await start(Number(new URL(first.http).port));
    await vi.waitFor(async () => expect(await show.take()).toEqual({ patches: 4, left: [] }), { timeout: 30_000 });
    expect(path.able).toBe(true);
  });
});

test('a session’s engines tell the server that they are one, and what was set is kept', async () => {
  await using within = new Scope('named');
  const asked: unknown[] = [];
  const spied = <E extends typeof wav2lip | typeof gpen>(engine: E) =>
    ({
      ...engine,
      host: 'inline',
      load: async (config: unknown) => {
        asked.push((config as { session?: string }).session);
        return { kind: engine.kind, engine: engine.id, caps: {}, async *run() {} };
      },
    }) as never;
  const tracker = defineEngine({
    ...wav2lip,
    kind: 'faceTracker',
    id: 'drawn',
    load: async () => drawnTracker,
  } as never);
  const registry = new EngineRegistry(
    [{ ...(tracker as object), host: 'inline' } as never, spied(wav2lip), spied(gpen)],
    '',
  );
  const engines = (more: object = {}) => ({
    lips: 'on',
    profile: 'embedded',
    engines: {
      faceTracker: { engine: 'drawn' },
      lipDriver: { engine: 'wav2lip', server: 'http://x:1', ...more },
      restorer: { engine: 'gpen', server: 'http://x:1' },
    },
  });
  await lipStages(engines() as never, registry, within);
  await lipStages(engines({ session: 'mine' }) as never, registry, within);
  const [driver, restorer, mine] = asked;
  expect(driver).toMatch(/^[0-9a-f-]{36}$/);
  expect(restorer).toBe(driver);
  expect(mine).toBe('mine');
});

describe('faces that are asked for', () => {
  test('are one for each language, and a refused one counts until it is back, or for a quarter of a minute', async () => {
    const faces = new FacesAtWork();
    const manual = new ManualClock();
    const { signal } = new AbortController();
    const stage = faces.of({
      async *run(input: AsyncIterable<string>, _: { readonly signal: AbortSignal; readonly clock: Clock }) {
        for await (const each of input) {
          if (each === 'fail') throw new Error('refused');
          yield each;
        }
      },
    });
    const run = (...items: string[]) => stage.run(feed(items), { signal, clock: manual })[Symbol.asyncIterator]();
    expect(faces.count()).toBe(1);
    const [one, two] = [run('go', 'on'), run('go', 'fail')];
    await Promise.all([one.next(), two.next()]);
    expect(faces.count()).toBe(2);
    await expect(two.next()).rejects.toThrow('refused');
    expect(faces.count()).toBe(2);
    const back = run('go', 'fail');
    await back.next();
    expect(faces.count()).toBe(2);
    await expect(back.next()).rejects.toThrow('refused');
    await manual.advance(seconds(16));
    expect(faces.count()).toBe(1);
    const third = run('go', 'on');
    await third.next();
    expect(faces.count()).toBe(2);
    await Promise.all([one.return?.(), third.return?.()]);
    expect(faces.count()).toBe(1);
  });
});

describe('a repository for Triton', () => {
  const NETWORKS = ['parsing', 'sd_vae_decoder', 'sd_vae_encoder', 'taesd_decoder', 'taesd_encoder', 'unet', 'whisper'];

  test.for([false, true])(
    'is written of all of MuseTalk by one command, batched (half precision: %s)',
    async (fp16) => {
      const folder = mkdtempSync(join(tmpdir(), 'livedub-triton-'));
      await using within = new Scope('triton');
      within.defer(() => rmSync(folder, { recursive: true }));
      // As models/export/musetalk.py writes them: each in full and in half precision, and live.json.
      const exported = join(folder, 'onnx');
      cpSync(join(fixtures('musetalk'), 'live.json'), join(exported, 'live.json'));
      for (const name of NETWORKS) {
        cpSync(join(fixtures('musetalk'), `${name}.onnx`), join(exported, `${name}.onnx`));
        const half = join(fixtures('musetalk'), `${name === 'unet' ? 'unet_fp16' : name}.onnx`);
        cpSync(half, join(exported, `${name}_fp16.onnx`));
      }
      let failed = '';
      const out = join(folder, 'repository');
      const request = {
        do: 'triton',
        out,
        names: [],
        models: exported,
        maxBatch: 16,
        delay: 2,
        fp16,
        device: 'cpu',
        instances: 1,
        tensorrt: false,
        copy: false,
      } as const;
      const err = { write: (text: string) => (failed += text) } as unknown as NodeJS.WriteStream;
      expect(await models(request, within, { out: () => {}, err, entries: [] })).toBe(0);
      expect(failed).toBe('');
      expect(readdirSync(out).toSorted()).toEqual(NETWORKS);
      for (const name of NETWORKS) {
        const config = readFileSync(join(out, name, 'config.pbtxt'), 'utf8');
        expect(config).toContain(`name: "${name}"\n`);
        expect(config).toContain('max_batch_size: 16\n');
        expect(config).toContain('dynamic_batching {');
        const written = readFileSync(join(out, name, '1/model.onnx'));
        expect(written.equals(readFileSync(join(exported, fp16 ? `${name}_fp16.onnx` : `${name}.onnx`)))).toBe(true);
      }
      if (fp16) return;
      // The repository is served as it is, and drives.
      const served = await serve(offersOf([], out, []), within);
      const shots = shotsOf(pictures(2), drawnFace(), formula(1_280));
      const local = await drive(await museTalkWith({ model: fixtures('musetalk'), vae: 'sd-vae' }, within), shots);
      const remote = await drive(
        await museTalkWith({ model: empty, vae: 'sd-vae', server: served.grpc }, within),
        shots,
      );
      for (const [n, { frame }] of shots.entries()) {
        const { apart, changed } = compared(frame, local[n]!.patches, remote[n]!.patches);
        expect(apart).toBeLessThanOrEqual(1);
        expect(changed).toBeGreaterThan(1_000);
      }
    },
  );
});
