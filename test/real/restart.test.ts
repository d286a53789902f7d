import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Gateway } from '../../gateway/serve.ts';
import { ask, eventually, openGateway, refused } from '../fakes/gateway.ts';
import { Page } from '../fakes/page.ts';
import { PlainPublisher, PlainViewer } from '../fakes/rtp-ends.ts';

let gateway: Gateway;
beforeAll(async () => (gateway = await openGateway()));
afterAll(() => gateway.close());

const create = async (body: object = {}) =>
  gateway.sessions.get((await ask(gateway, 'POST', '/v1/sessions', body)).body.id);

describe('a session process that is killed', () => {
  test('is replaced, its viewers stay and get picture and sound again within 3 s', async () => {
    const session = await create({ delay: 2 });
    const room = await session.room;
    const video = await PlainPublisher.open(room, 'video');
    const audio = await PlainPublisher.open(room, 'audio');
    await eventually(() => session.tracks.some(({ id }) => id === 'video'), 'there is video');
    const page = await Page.open(gateway, session.id);
    await page.ask('join', { role: 'viewer' });
    const viewers = [await PlainViewer.open(room, 'dub:es'), await PlainViewer.open(room, 'video')];
    for (const viewer of viewers) await eventually(() => viewer.packets.length > 10, 'packets before');
    const tracks = JSON.stringify(session.tracks);
    const killed = session.pid!;

    const at = performance.now();
    process.kill(killed, 'SIGKILL');
    await page.event('state', ({ state }) => state === 'restarting');
    await eventually(() => session.state === 'live', 'live again');
    const back = await Promise.all(
      viewers.map((viewer) => eventually(() => viewer.since(at + 100).at(3), 'packets after')),
    );

    expect(session.pid).not.toBe(killed);
    expect(session.restarts).toBe(1);
    for (const { at: seen } of back) expect(seen - at).toBeLessThan(3_000);
    expect(JSON.stringify(session.tracks)).toBe(tracks);
    expect(page.end).toBeUndefined();
    expect(page.events.some(({ event }) => event === 'rejoin' || event === 'consumerClosed')).toBe(false);
    // Media time went on: the dub's RTP time stamps advanced by about the time that passed.
    const [dub] = viewers;
    const [before, after] = [dub!.packets.findLast((packet) => packet.at <= at)!, dub!.packets.at(-1)!];
    const advanced = ((after.timestamp - before.timestamp) >>> 0) / 48;
    expect(Math.abs(advanced - (after.at - before.at))).toBeLessThan(500);
    for (const viewer of viewers) viewer.close();
    await Promise.all([video.close(), audio.close()]);
  });

  test('leaves its successor what the publisher sent during the delay', async () => {
    const session = await create({ delay: 2 });
    const room = await session.room;
    const audio = await PlainPublisher.open(room, 'audio');
    await eventually(() => session.relay!.kept.packets > 100, 'two seconds of packets');
    const kept = session.relay!.kept.packets;
    process.kill(session.pid!, 'SIGKILL');
    const stats = await eventually(
      () => session.stats?.process.restarts === 1 && session.stats.drops['generation'] === 1 && session.stats,
      'statistics of the successor',
    );
    const { audio: heard, unknown } = (
      await eventually(() => (session.stats!.drops['audio']! >= kept ? session.stats : undefined), 'the replay')
    ).drops;
    expect(stats.drops['unknown']).toBe(0);
    // Live alone, five packets would have come in that time.
    expect(stats.drops['replayedWithin100ms']).toBeGreaterThan(50);
    expect(unknown).toBe(0);
    expect(heard).toBeGreaterThanOrEqual(kept);
    expect(session.relay!.counts).toMatchObject({ dropped: 0, failed: 0 });
    await audio.close();
  });

  test('costs other sessions nothing', async () => {
    const [one, other] = [await create(), await create()];
    const pid = other.pid;
    process.kill(one.pid!, 'SIGKILL');
    await eventually(() => one.restarts === 1 && one.pid !== undefined, 'replaced');
    expect(other.pid).toBe(pid);
    expect(other.restarts).toBe(0);
  });
});

test('a session process that dies at every start fails its session, says why, and the gateway lives', async () => {
  const { status, body } = await refused(gateway, 'POST', '/v1/sessions', { name: 'crashes' });
  expect(status).toBe(500);
  expect(body.message).toContain('died 5 times');
  expect((await ask(gateway, 'GET', '/healthz')).status).toBe(200);
});

test('a session process that dies again and again later leaves a failed session that can be read', async () => {
  const session = await create();
  const page = await Page.open(gateway, session.id);
  await page.ask('join', { role: 'viewer' });
  let last = 0;
  while (!session.over) {
    const pid = await eventually(
      () => session.over || (session.pid !== last && session.pid),
      'the next process',
      15_000,
    );
    if (pid === true) break;
    last = pid;
    process.kill(pid, 'SIGKILL');
    await eventually(() => session.pid !== last || session.over, 'its death', 15_000);
  }
  expect(session.view).toMatchObject({ state: 'failed', reason: expect.stringContaining('died 5 times') as string });
  expect((await page.closed()).code).toBe(4000);
  expect((await ask(gateway, 'GET', `/v1/sessions/${session.id}`)).body.state).toBe('failed');
});

test('a session process that does not end when asked to is killed', async () => {
  const session = await create({ name: 'stays' });
  const pid = session.pid!;
  const at = performance.now();
  expect((await ask(gateway, 'DELETE', `/v1/sessions/${session.id}`)).status).toBe(204);
  expect(performance.now() - at).toBeLessThan(6_000);
  expect(() => process.kill(pid, 0)).toThrow();
});

describe('a mediasoup worker that is killed', () => {
  test('is replaced; pages are told to join again and get the same tracks from the same session process', async () => {
    const session = await create({ delay: 2 });
    const page = await Page.open(gateway, session.id);
    const publisher = await Page.open(gateway, session.id);
    await page.ask('join', { role: 'viewer' });
    await publisher.ask('join', { role: 'publisher' });
    const before = { pid: session.pid, tracks: JSON.stringify(session.tracks), port: (await session.room).outputPort };
    const [worker] = gateway.sfu.pids;

    const at = performance.now();
    process.kill(worker!, 'SIGKILL');
    await page.event('rejoin');
    await publisher.event('rejoin');
    const again = await page.ask('join', { role: 'viewer' });
    await publisher.ask('join', { role: 'publisher' });
    const room = await session.room;
    const viewer = await PlainViewer.open(room, 'dub:es');
    await eventually(() => viewer.packets.length > 5, 'sound from the new worker');

    expect(performance.now() - at).toBeLessThan(5_000);
    expect(again.routerRtpCapabilities['codecs']).toBeDefined();
    expect(gateway.sfu.pids).not.toContain(worker);
    expect(gateway.sfu.deaths).toBe(1);
    expect({ pid: session.pid, tracks: JSON.stringify(session.tracks), port: room.outputPort }).toEqual(before);
    expect((await ask(gateway, 'GET', '/readyz')).body).toMatchObject({ ready: true, workers: 1 });
    viewer.close();
  });
});
