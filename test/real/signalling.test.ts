import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from '../../media/websocket.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import type { Gateway } from '../../gateway/serve.ts';
import { ask, eventually, openGateway } from '../fakes/gateway.ts';
import { Page } from '../fakes/page.ts';

const token = 'a-token-of-some-length';
let gateway: Gateway;
const pages: Page[] = [];

beforeAll(async () => (gateway = await openGateway({ auth: { token }, limits: { sessions: 16, viewers: 3 } })));
afterEach(() => pages.splice(0).forEach((page) => page.close()));
afterAll(() => gateway.close());

const create = async (body: object = {}): Promise<HostedSession> => {
  const answer = await ask(gateway, 'POST', '/v1/sessions', body, { authorization: `Bearer ${token}` });
  return gateway.sessions.get(answer.body.id);
};
const open = async (session: { readonly id: string }) => {
  const page = await Page.open(gateway, session.id);
  pages.push(page);
  return page;
};
const viewer = async (session: HostedSession) => {
  const page = await open(session);
  return { page, ...(await page.ask('join', { role: 'viewer' })) };
};
const publisher = async (session: HostedSession) => {
  const page = await open(session);
  return { page, ...(await page.ask('join', { role: 'publisher', token })) };
};
/** What a browser that speaks Opus and `mimeType` would produce. */
const video = (mimeType: string, parameters = {}) => ({
  codecs: [{ mimeType, clockRate: 90_000, payloadType: 96, parameters }],
  encodings: [{ ssrc: 77 }],
});
const opus = {
  codecs: [{ mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 111 }],
  encodings: [{ ssrc: 78 }],
};

describe('a viewer', () => {
  test('joins, gets a transport, consumes paused, and resumes', async () => {
    const session = await create({ to: ['es', 'de'] });
    const { page, session: view, routerRtpCapabilities, cues } = await viewer(session);
    expect(view).toMatchObject({ id: session.id, from: 'en', to: ['es', 'de'] });
    expect(cues).toBeInstanceOf(Array);
    const transport = await page.ask('createTransport', { direction: 'recv' });
    expect(transport.iceCandidates.map(({ ip }) => ip)).toEqual(['127.0.0.1', '127.0.0.1']);
    expect(transport.dtlsParameters['fingerprints']).toBeInstanceOf(Array);
    const consumer = await page.ask('consume', {
      transportId: transport.id,
      trackId: 'dub:de',
      rtpCapabilities: routerRtpCapabilities,
    });
    expect(consumer).toMatchObject({ trackId: 'dub:de', kind: 'audio' });
    const codecs = consumer.rtpParameters['codecs'] as { mimeType: string; parameters: object }[];
    expect(codecs[0]).toMatchObject({ mimeType: 'audio/opus', parameters: { useinbandfec: 1 } });
    expect(await page.ask('resume', { consumerId: consumer.consumerId })).toEqual({});
    expect(await page.ask('pause', { consumerId: consumer.consumerId })).toEqual({});
    expect((await page.ask('restartIce', { transportId: transport.id })).iceParameters['usernameFragment']).not.toBe(
      transport.iceParameters['usernameFragment'],
    );
  });

  test('is counted while its socket is open', async () => {
    const session = await create();
    const one = await viewer(session);
    await viewer(session);
    expect(session.viewers).toBe(2);
    one.page.close();
    await eventually(() => session.viewers === 1, 'one is gone');
  });

  test('is refused when the session has its full number', async () => {
    const session = await create();
    await Promise.all([viewer(session), viewer(session), viewer(session)]);
    expect(await (await open(session)).refusal('join', { role: 'viewer' })).toMatchObject({ code: 'limit' });
  });

  test('hears of state, mode, captions, clips and statistics, and can read back', async () => {
    const session = await create();
    const { page } = await viewer(session);
    expect(await page.event('cue', ({ language }) => language === 'es')).toMatchObject({
      speaker: 'speaker 1',
      draft: false,
    });
    expect(await page.event('clip')).toMatchObject({ language: 'es' });
    expect(await page.event('stats')).toMatchObject({ viewers: 1, delay: { configured: 5 } });
    const late = await viewer(session);
    expect(late.cues.some(({ text }) => text.startsWith('frase'))).toBe(true);
  });

  test('hears of a language that comes, and of its consumer when it goes', async () => {
    const session = await create({ to: ['es'] });
    const { page, routerRtpCapabilities: rtpCapabilities } = await viewer(session);
    await gateway.sessions.setLanguages(session.id, ['es', 'de']);
    await page.event('tracks', (tracks) => tracks.some(({ id }) => id === 'dub:de'));
    const { id: transportId } = await page.ask('createTransport', { direction: 'recv' });
    const { consumerId } = await page.ask('consume', { transportId, trackId: 'dub:de', rtpCapabilities });
    await gateway.sessions.setLanguages(session.id, ['es']);
    expect(await page.event('consumerClosed')).toEqual({ consumerId, trackId: 'dub:de' });
    expect(await page.refusal('consume', { transportId, trackId: 'dub:de', rtpCapabilities })).toMatchObject({
      code: 'not_found',
      field: 'trackId',
    });
    expect(await page.refusal('resume', { consumerId })).toMatchObject({ code: 'not_found', field: 'data.consumerId' });
  });

  test('cannot consume what its browser cannot play, nor publish', async () => {
    const { page } = await viewer(await create());
    const { id: transportId } = await page.ask('createTransport', { direction: 'recv' });
    const deaf = {
      codecs: [{ kind: 'audio', mimeType: 'audio/PCMU', clockRate: 8_000, preferredPayloadType: 0 }],
      headerExtensions: [],
    };
    expect(await page.refusal('consume', { transportId, trackId: 'original', rtpCapabilities: deaf })).toMatchObject({
      code: 'unsupported',
      field: 'rtpCapabilities',
    });
    expect(
      await page.refusal('consume', { transportId, trackId: 'original', rtpCapabilities: { codecs: 7 } }),
    ).toMatchObject({ code: 'unsupported', field: 'rtpCapabilities' });
    expect(await page.refusal('createTransport', { direction: 'send' })).toMatchObject({ code: 'conflict' });
    expect(await page.refusal('produce', { transportId, kind: 'audio', rtpParameters: opus })).toMatchObject({
      code: 'conflict',
    });
    expect(await page.refusal('connectTransport', { transportId, dtlsParameters: { role: 7 } })).toMatchObject({
      code: 'invalid',
      field: 'data.dtlsParameters',
    });
  });

  test('is told when the session ends', async () => {
    const session = await create({ name: 'ends' });
    const { page } = await viewer(session);
    expect(await page.event('state', ({ state }) => state === 'ended')).toMatchObject({
      reason: 'The programme is over.',
    });
    expect(await page.closed()).toEqual({ code: 4000, reason: 'The programme is over.' });
    expect(await (await open(session)).closed()).toEqual({ code: 4000, reason: 'The programme is over.' });
  });
});

describe('a publisher', () => {
  test('publishes sound and picture, which the session process is told of', async () => {
    const session = await create();
    const { page } = await publisher(session);
    const { id: transportId } = await page.ask('createTransport', { direction: 'send' });
    const { producerId } = await page.ask('produce', { transportId, kind: 'audio', rtpParameters: opus });
    await page.ask('produce', { transportId, kind: 'video', rtpParameters: video('video/VP8') });
    const room = await session.room;
    expect(room.inputs).toMatchObject([
      { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
      { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
    ]);
    await eventually(() => session.tracks.some(({ id }) => id === 'video'), 'the video track');
    expect(await page.refusal('produce', { transportId, kind: 'audio', rtpParameters: opus })).toMatchObject({
      code: 'conflict',
      field: 'kind',
    });
    await page.ask('closeProducer', { producerId });
    expect(room.inputs.map(({ kind }) => kind)).toEqual(['video']);
    page.close();
    await eventually(() => room.inputs.length === 0, 'nothing is published');
  });

  test.for([
    ['VP9', 'video/VP9', { 'profile-id': 0 }],
    ['H.264', 'video/H264', { 'packetization-mode': 1, 'profile-level-id': '42e01f' }],
    ['AV1', 'video/AV1', {}],
  ] as const)('may send %s', async ([, mimeType, parameters]) => {
    const session = await create();
    const { page } = await publisher(session);
    const { id: transportId } = await page.ask('createTransport', { direction: 'send' });
    await page.ask('produce', { transportId, kind: 'video', rtpParameters: video(mimeType, parameters) });
    expect((await session.room).inputs).toMatchObject([{ mimeType }]);
    await gateway.sessions.remove(session.id);
  });

  test('with a wrong codec is refused with what to send', async () => {
    const session = await create();
    const { page } = await publisher(session);
    const { id: transportId } = await page.ask('createTransport', { direction: 'send' });
    const refusal = await page.refusal('produce', { transportId, kind: 'video', rtpParameters: video('video/H265') });
    expect(refusal).toEqual({
      code: 'unsupported',
      message: 'This gateway does not take video/H265 as video.',
      field: 'rtpParameters.codecs',
      fix: 'Publish VP8, VP9 (profile 0), H.264 (constrained baseline) or AV1.',
    });
    expect(await page.refusal('produce', { transportId, kind: 'audio', rtpParameters: { codecs: 'x' } })).toMatchObject(
      { code: 'invalid', field: 'rtpParameters' },
    );
    expect(page.end).toBeUndefined();
    await gateway.sessions.remove(session.id);
  });

  test('needs the token, and is the only one', async () => {
    const session = await create();
    const page = await open(session);
    expect(await page.refusal('join', { role: 'publisher' })).toMatchObject({
      code: 'unauthorized',
      field: 'data.token',
    });
    expect(await page.refusal('join', { role: 'publisher', token: 'wrong' })).toMatchObject({ code: 'unauthorized' });
    const first = await publisher(session);
    expect(await page.refusal('join', { role: 'publisher', token })).toMatchObject({ code: 'conflict', field: 'role' });
    first.page.close();
    await eventually(async () => (await page.send('join', { role: 'publisher', token })).ok, 'the place is free');
    await gateway.sessions.remove(session.id);
  });
});

describe('a socket', () => {
  test('to no session is closed with 4004', async () => {
    expect(await (await open({ id: 'nobody' })).closed()).toEqual({ code: 4004, reason: 'There is no such session.' });
  });
  test('to another path is no socket', async () => {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/elsewhere`);
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('404');
  });

  test.for<[what: string, sent: string | Buffer, code: number, reason: string]>([
    ['that is not JSON', '{"id":', 1007, 'message is not JSON'],
    ['without an id', '{"method":"join"}', 1007, 'message has no numeric id'],
    ['that is a list', '[]', 1007, 'message has no numeric id'],
    ['that is null', 'null', 1007, 'message has no numeric id'],
    ['in bytes', Buffer.from([1, 2, 3]), 1007, 'message is not text'],
    ['that is too large', JSON.stringify({ id: 1, method: 'join', data: 'x'.repeat(70_000) }), 1009, ''],
  ])('with a message %s is closed with why', async ([, sent, code, reason]) => {
    const page = await open(await shared);
    page.socket.send(sent);
    expect(await page.closed()).toEqual({ code, reason });
  });

  test('gets a refusal for what can be answered, and stays open', async () => {
    const page = await open(await shared);
    expect(await page.refusal('dance', {})).toMatchObject({ code: 'invalid', field: 'method' });
    expect(await page.refusal('__proto__', {})).toMatchObject({ code: 'invalid', field: 'method' });
    expect(await page.refusal('join', { role: 'king' })).toMatchObject({ code: 'invalid', field: 'data.role' });
    expect(await page.refusal('join', { role: 'viewer', colour: 'red' })).toMatchObject({
      code: 'invalid',
      field: 'data.colour',
    });
    expect(await page.refusal('join', undefined)).toMatchObject({ code: 'invalid', field: 'data' });
    expect(await page.refusal('createTransport', { direction: 'recv' })).toMatchObject({
      code: 'conflict',
      fix: 'Send "join" first.',
    });
    await page.ask('join', { role: 'viewer' });
    expect(await page.refusal('join', { role: 'viewer' })).toMatchObject({ code: 'conflict' });
    expect(
      await page.refusal('consume', { transportId: 'x', trackId: 'video; drop', rtpCapabilities: {} }),
    ).toMatchObject({ field: 'data.trackId' });
    expect(await page.refusal('resume', { consumerId: 'x' })).toMatchObject({
      code: 'not_found',
      field: 'data.consumerId',
    });
    expect(page.end).toBeUndefined();
  });

  test('that asks without end is closed', async () => {
    const page = await open(await shared);
    for (let i = 0; i < 400; i += 1) page.socket.send(JSON.stringify({ id: i, method: 'dance', data: {} }));
    expect(await page.closed()).toEqual({ code: 1008, reason: 'too many messages' });
  });

  test('that does not read what it is sent is closed with 4008 and costs nobody else', async () => {
    const session = await create();
    const { page } = await viewer(session);
    const other = await viewer(session);
    page.socket.pause();
    const cue = {
      id: 'big',
      language: 'en',
      speaker: 'speaker 1',
      start: 0,
      end: 1,
      text: 'x'.repeat(60_000),
      draft: false,
    };
    await eventually(
      () => {
        // What its session process would say, a thousand times faster than anybody speaks.
        for (let i = 0; i < 20; i += 1) session.tell({ event: 'cue', data: cue });
        return session.viewers === 1;
      },
      'the slow one is let go',
      20_000,
    );
    page.socket.resume();
    await page.closed();
    const { body: numbers } = await ask<string>(gateway, 'GET', '/metrics');
    expect(numbers).toContain('signalling_closed_total{code="4008"} 1');
    expect(other.page.end).toBeUndefined();
  });

  let shared: Promise<HostedSession>;
  beforeAll(() => {
    shared = create();
  });
});
