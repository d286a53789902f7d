import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Refusal } from '../../gateway/refusal.ts';
import { DOOR_LIMITS, type DoorOptions, openRtmp } from '../../gateway/rtmp/door.ts';
import { TAG } from '../../gateway/rtmp/flv.ts';
import { PUBLISHER_TIMES } from '../../gateway/rtmp/publisher.ts';
import { ManualClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { seconds } from '../../media/time.ts';
import { eventually } from '../fakes/gateway.ts';
import { RtmpPublisher } from '../fakes/rtmp-publisher.ts';

const KEY = 'key-of-the-session';
const HERE = { host: '127.0.0.1', port: 0 };
const SOUND = { type: TAG.audio, timestamp: 0, body: Buffer.of(0xaf, 1, 0) };

let scope: Scope;
let clock: ManualClock;
beforeEach(() => {
  scope = new Scope('test');
  clock = new ManualClock();
});
afterEach(() => scope.close());

const open = async (options: DoorOptions = {}, session = scope) => {
  const door = openRtmp(HERE, { clock, ...options }, scope);
  const { ingest, port } = await door.admit(KEY, { session: 's' }, session);
  const publish = (name = KEY) => RtmpPublisher.open({ port, app: 'live', name }, scope);
  return { door, ingest, port, publish };
};
const told = (publisher: RtmpPublisher, code: string) =>
  eventually(() => publisher.codes.includes(code), `it is told ${code}`);
const left = (publisher: RtmpPublisher) => eventually(() => publisher.over, 'it is left');

test('a publisher that is silent gives way to one who comes with its key', async () => {
  const { ingest, publish } = await open();
  const first = await publish();
  await told(first, 'NetStream.Publish.Start');
  const early = await publish();
  await told(early, 'NetStream.Publish.BadName');
  await clock.advance(seconds(2));
  first.send(SOUND);
  await eventually(() => ingest.counts['rtmp tags'] === 1, 'it was heard');
  await clock.advance(seconds(2));
  await told(await publish(), 'NetStream.Publish.BadName');
  await clock.advance(seconds(2));
  const second = await publish();
  await told(second, 'NetStream.Publish.Start');
  await left(first);
  expect(ingest.counts).toMatchObject({ publishers: 2, 'publishers refused': 2 });
  expect(ingest.publishing).toBe(true);
});

test('nobody guesses a key: who tries too often is not even looked up', async () => {
  const { publish, ingest } = await open();
  for (let n = 0; n < 20; n += 1) await told(await publish(`guess-${n}`), 'NetStream.Publish.BadName');
  await told(await publish(), 'NetStream.Publish.BadName');
  expect(ingest.publishing).toBe(false);
  await clock.advance(seconds(1));
  await told(await publish(), 'NetStream.Publish.Start');
});

test('connections that say nothing are counted, limited and left', async () => {
  const limits = { ...DOOR_LIMITS, unsettled: 2 };
  const { door, port, publish } = await open({ limits, times: { ...PUBLISHER_TIMES, settle: 100 } });
  const call = async () => {
    const socket = connect(port, '127.0.0.1');
    scope.defer(() => void socket.destroy());
    socket.on('error', () => {}).resume();
    await once(socket, 'connect');
    return socket;
  };
  const silent = [await call(), await call(), await call()];
  await Promise.all(silent.map(async (socket) => socket.closed || (await once(socket, 'close'))));
  await eventually(() => door.counts['connections broken off'] === 2, 'two were waited for');
  expect(door.counts['connections too many']).toBe(1);
  await told(await publish(), 'NetStream.Publish.Start');
});

test('who publishes is not waited for again, and leaves room for others', async () => {
  const limits = { ...DOOR_LIMITS, unsettled: 1, perAddress: 2 };
  const { door, publish, port, ingest } = await open({ limits, times: { ...PUBLISHER_TIMES, settle: 100 } });
  const first = await publish();
  await told(first, 'NetStream.Publish.Start');
  const silent = connect(port, '127.0.0.1').on('error', () => {});
  await once(silent, 'connect');
  await left(await publish());
  expect(door.counts['connections too many']).toBe(1);
  await once(silent.resume(), 'close');
  first.send(SOUND);
  await eventually(() => ingest.counts['rtmp tags'] === 1, 'it still publishes');
});

test('what is no RTMP costs its sender the connection and nobody else anything', async () => {
  const { door, port, publish } = await open();
  const publisher = await publish();
  await told(publisher, 'NetStream.Publish.Start');
  const stranger = connect(port, '127.0.0.1');
  stranger.on('error', () => {}).resume();
  stranger.write('GET / HTTP/1.1\r\n\r\n');
  await once(stranger, 'close');
  await eventually(() => door.counts['connections broken off'] === 1, 'it is counted');
  expect(publisher.over).toBe(false);
});

test('a session that ends leaves its publisher and gives its key back', async () => {
  const session = new Scope('session');
  const { door, publish } = await open({}, session);
  await expect(door.admit(KEY, { session: 'other' }, scope)).rejects.toThrow(Refusal);
  const publisher = await publish();
  await told(publisher, 'NetStream.Publish.Start');
  await session.close();
  await left(publisher);
  await told(await publish(), 'NetStream.Publish.BadName');
  await door.admit(KEY, { session: 'other' }, scope);
  await told(await publish(), 'NetStream.Publish.Start');
});

test('a port that another program has is said so, and tried again with the next session', async () => {
  const { port } = await open();
  const second = openRtmp({ ...HERE, port }, {}, scope);
  await expect(second.admit(KEY, { session: 's' }, scope)).rejects.toMatchObject({
    error: { code: 'unavailable', field: 'source.kind' },
  });
});
