import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { silent } from '../../gateway/log.ts';
import type { Gateway } from '../../gateway/serve.ts';
import { Sfu } from '../../gateway/sfu.ts';
import { ask, eventually, openGateway } from '../fakes/gateway.ts';
import { PlainPublisher, PlainViewer } from '../fakes/rtp-ends.ts';

describe('the workers', () => {
  test('share the sessions: the next one goes where the least is going on', async () => {
    await using scope = new Scope('test');
    const sfu = await Sfu.open({ workers: 2, log: silent }, scope);
    expect(sfu.pids).toHaveLength(2);
    const [first] = [await sfu.router(), await sfu.router()];
    expect(sfu.loads).toEqual([1, 1]);
    const transport = await first.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' } });
    expect(sfu.loads).toEqual([2, 1]);
    await sfu.router();
    expect(sfu.loads).toEqual([2, 2]);
    transport.close();
    first.close();
    expect(sfu.loads).toEqual([0, 2]);
  });

  test('end with their scope', async () => {
    const scope = new Scope('test');
    const sfu = await Sfu.open({ workers: 1, log: silent }, scope);
    const [pid] = sfu.pids;
    await scope.close();
    const lives = () => {
      try {
        return process.kill(pid!, 0);
      } catch {
        return false;
      }
    };
    await eventually(() => !lives(), 'the worker is gone');
    expect(lives()).toBe(false);
  });

  test('that die are replaced, and whoever asks meanwhile waits for the new one', async () => {
    await using scope = new Scope('test');
    const sfu = await Sfu.open({ workers: 1, log: silent }, scope);
    const router = await sfu.router();
    const died = new Promise<void>((done) => router.once('workerclose', () => done()));
    process.kill(sfu.pids[0]!, 'SIGKILL');
    await died;
    const next = await sfu.router();
    expect(next.closed).toBe(false);
    expect(sfu.deaths).toBe(1);
    expect(sfu.loads).toEqual([1]);
  });

  test('are never built while serving: without the program there is a sentence that says what to run', async () => {
    const { MEDIASOUP_WORKER_BIN: before, LIVEDUB_CACHE: cache } = process.env;
    delete process.env['MEDIASOUP_WORKER_BIN'];
    process.env['LIVEDUB_CACHE'] = '/nowhere';
    try {
      await using scope = new Scope('test');
      await expect(Sfu.open({ workers: 1, log: silent }, scope)).rejects.toThrow('npm run setup');
    } finally {
      if (before !== undefined) process.env['MEDIASOUP_WORKER_BIN'] = before;
      if (cache === undefined) delete process.env['LIVEDUB_CACHE'];
      else process.env['LIVEDUB_CACHE'] = cache;
    }
  });
});

describe('media through a session', () => {
  let gateway: Gateway;
  beforeAll(async () => (gateway = await openGateway()));
  afterAll(() => gateway.close());
  const create = async (body: object = {}) =>
    gateway.sessions.get((await ask(gateway, 'POST', '/v1/sessions', body)).body.id);

  test('goes from the publisher to the session process and from there to the viewers', async () => {
    const session = await create();
    const room = await session.room;
    const video = await PlainPublisher.open(room, 'video');
    await eventually(() => session.tracks.some(({ id }) => id === 'video'), 'video is offered');
    const viewers = await Promise.all([
      PlainViewer.open(room, 'original'),
      PlainViewer.open(room, 'dub:es'),
      PlainViewer.open(room, 'video'),
    ]);
    for (const viewer of viewers) await eventually(() => viewer.packets.length > 30, 'packets');
    const [original, dub, picture] = viewers;
    for (const viewer of [original, dub]) {
      const steps = viewer.packets
        .slice(1)
        .map((packet, i) => [
          packet.sequence - viewer.packets[i]!.sequence,
          (packet.timestamp - viewer.packets[i]!.timestamp) >>> 0,
        ]);
      // 20 ms frames, none lost: 960 ticks each; mediasoup keeps the process's time stamps.
      expect(new Set(steps.map(([sequence]) => sequence! & 0xffff))).toEqual(new Set([1]));
      expect(new Set(steps.map(([, ticks]) => ticks))).toEqual(new Set([960]));
    }
    expect(picture.packets.some(({ size }) => size > 500)).toBe(true);
    expect(session.state).toBe('live');
    expect(session.relay!.counts).toMatchObject({ dropped: 0, strangers: 0, failed: 0 });
    for (const viewer of viewers) viewer.close();
    await video.close();
    await eventually(() => room.inputs.length === 0, 'the publisher is gone');
  });

  test('keeps the RTP time that the session process gave it, so that media time can be read from it', async () => {
    const session = await create();
    const viewer = await PlainViewer.open(await session.room, 'dub:es');
    const packet = await eventually(() => viewer.packets[5], 'packets');
    const { base, rate } = session.tracks.find(({ id }) => id === 'dub:es')!.rtp;
    expect(rate).toBe(48_000);
    const micros = (((packet.timestamp - base) >>> 0) * 1e6) / rate;
    expect(micros % 20_000).toBe(0);
    expect(micros / 1e6).toBeLessThan(60);
    viewer.close();
  });

  test('a language added while live can be consumed, one removed closes its consumers', async () => {
    const session = await create({ to: ['es'] });
    const room = await session.room;
    await gateway.sessions.setLanguages(session.id, ['es', 'de']);
    const viewer = await PlainViewer.open(room, 'dub:de');
    await eventually(() => viewer.packets.length > 5, 'sound of the new language');
    await gateway.sessions.setLanguages(session.id, ['es']);
    expect(await viewer.consumerClosed).toBeUndefined();
    viewer.close();
  });

  test('the publisher is asked for key frames again and again, so that a late joiner meets one soon', async () => {
    const session = await create();
    const room = await session.room;
    const video = await PlainPublisher.open(room, 'video');
    const asked: number[] = [];
    // The worker tells of every request it forwards to the publisher.
    await video.producer.enableTraceEvent(['pli', 'fir', 'keyframe']);
    video.producer.on('trace', ({ type }) => {
      if (type !== 'keyframe') asked.push(performance.now());
    });
    await eventually(() => asked.length >= 4, 'four requests', 12_000);
    const [first, last] = [asked[1], asked[3]];
    expect(Math.abs((last ?? 0) - (first ?? 0) - 3_000)).toBeLessThan(1_500);
    await video.close();
  });
});
