import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import type { ApiError } from '../../gateway/protocol.ts';
import type { Gateway } from '../../gateway/serve.ts';
import { type Answer, ask, eventually, openGateway } from '../fakes/gateway.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { PEERS, WebrtcPeer } from '../fakes/webrtc-peer.ts';
import { WhipBrowser, type WhipPage, noChromium } from '../fakes/whip-pages.ts';

const CLIP = 'talking/open-dubbing/englishvideo.mp4';
const TOKEN = 'a-secret-of-the-test';
const ICE = { urls: ['stun:stun.example.org', 'turn:turn.example.org'], username: 'the "one"', credential: 'pass' };
const SDP = { 'content-type': 'application/sdp' };
const FRAGMENT = { 'content-type': 'application/trickle-ice-sdpfrag' };
const BEARER = { authorization: `Bearer ${TOKEN}` };

describe.skipIf(noChromium)(`WHIP${noChromium ? ` (skipped: ${noChromium})` : ''}`, () => {
  let gateway: Gateway;
  let browser: WhipBrowser;
  let bench: WhipPage;
  /** Has a session that nothing else is done to. */
  let apart: Gateway;
  let abandoned: HostedSession;
  const peers: WebrtcPeer[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'livedub-whip-'));
  beforeAll(async () => {
    const config = { auth: { token: TOKEN }, rtc: { workers: 1, iceServers: [ICE] } };
    [gateway, apart] = await Promise.all([openGateway(config), openGateway(config)]);
    browser = await WhipBrowser.open(gateway.url);
    bench = await browser.page();
    // What becomes of it is seen at the end.
    abandoned = await created({}, apart);
    const doomed = await WhipBrowser.open(apart.url);
    await (await doomed.page()).publish(whip(abandoned), 'video/VP8', { token: TOKEN });
    await pictured(abandoned);
    await (await doomed.page()).watch(whep(abandoned));
    await doomed.kill();
  });
  afterAll(async () => {
    for (const peer of peers) peer.kill();
    rmSync(folder, { recursive: true });
    await browser?.close();
    await Promise.all([gateway?.close(), apart?.close()]);
  });
  const created = async (spec: object = {}, by = gateway): Promise<HostedSession> => {
    const { body } = await ask(by, 'POST', '/v1/sessions', { to: ['es', 'de'], ...spec }, BEARER);
    return by.sessions.get(body.id);
  };
  /** What Chromium offers that nobody connects with afterwards. */
  const offer = (direction: 'sendonly' | 'recvonly', ...kinds: readonly string[]) =>
    bench.run<string>(`(async () => {
      const pc = new RTCPeerConnection();
      for (const kind of ${JSON.stringify(kinds)}) pc.addTransceiver(kind, { direction: '${direction}' });
      const sdp = await offered(pc);
      pc.close();
      return sdp;
    })()`);
  const send = (method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
    ask<ApiError>(gateway, method, path, body, { ...BEARER, ...headers });
  const whip = ({ id }: HostedSession) => `/v1/sessions/${id}/whip`;
  const whep = ({ id }: HostedSession, query = '') => `/v1/sessions/${id}/whep${query}`;
  const location = ({ headers }: Answer<unknown>) => headers.get('location') ?? 'none';
  const pictured = (session: HostedSession) =>
    eventually(() => session.state === 'live' && session.tracks.some(({ id }) => id === 'video'), 'live');

  test('a page publishes, is seen by WHEP, and is gone when it says so', async () => {
    const session = await created();
    const publisher = await browser.page();
    const published = await publisher.publish(whip(session), 'video/VP8', { token: TOKEN });
    await pictured(session);
    const { inputs } = await session.room;
    expect(inputs.map(({ mimeType }) => mimeType)).toEqual(['audio/opus', 'video/VP8']);
    const viewer = await browser.page();
    const watched = await viewer.watch(whep(session, '?language=de'));
    await viewer.see(5);
    await viewer.hear(0.5);

    expect((await send('DELETE', watched.location)).status).toBe(200);
    expect((await send('DELETE', watched.location)).status).toBe(404);
    expect(session.viewers).toBe(0);
    expect((await send('DELETE', published!.location)).status).toBe(200);
    await eventually(async () => (await session.room).inputs.length === 0, 'the publisher is gone');
    await Promise.all([publisher.page.close(), viewer.page.close()]);
    await session.close();
  });

  test('both ends restart ICE while the programme is seen, from a page of another origin', async () => {
    const session = await created();
    const publisher = await browser.page(gateway.url.replace('127.0.0.1', 'localhost'));
    const published = await publisher.publish(gateway.url + whip(session), 'video/VP8', { token: TOKEN });
    const login = 'rel="ice-server"; username="the \\"one\\""; credential="pass"; credential-type="password"';
    expect(published!.link).toBe(`<stun:stun.example.org>; ${login}, <turn:turn.example.org>; ${login}`);
    await pictured(session);
    const viewer = await browser.page();
    const watched = await viewer.watch(whep(session));
    await viewer.see(5);
    for (const [page, before, token] of [
      [publisher, published!, TOKEN],
      [viewer, watched, undefined],
    ] as const) {
      const { etag, body } = await page.restartIce(gateway.url + before.location, token);
      expect(etag).toMatch(/^"\w+"$/);
      expect(etag).not.toBe(before.etag);
      expect(body).toMatch(/^a=ice-lite\r\nm=audio 9 UDP\/TLS\/RTP\/SAVPF [\d ]+\r\na=mid:0\r\na=ice-ufrag:/);
      await viewer.see(10);
      await viewer.hear(0.5);
    }
    await Promise.all([publisher.page.close(), viewer.page.close()]);
    await session.close();
  });

  test('a client trickles and restarts by PATCH under the newest ETag only', async () => {
    const session = await created();
    const posted = await send('POST', whip(session), await offer('sendonly', 'audio'), SDP);
    expect(posted.status).toBe(201);
    expect(posted.headers.get('content-type')).toBe('application/sdp');
    expect(posted.headers.get('accept-patch')).toBe('application/trickle-ice-sdpfrag');
    const etag = posted.headers.get('etag')!;
    const credentials = 'a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n';
    const trickled = `${credentials}m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.9 9 typ host\r\na=end-of-candidates\r\n`;
    const patch = (body: string, headers: Record<string, string>) =>
      send('PATCH', location(posted), body, { ...FRAGMENT, ...headers });
    expect((await patch(trickled, { 'if-match': etag })).status).toBe(204);
    const restarted = await patch(credentials, { 'if-match': '*' });
    expect(restarted.status).toBe(200);
    expect(restarted.headers.get('content-type')).toBe('application/trickle-ice-sdpfrag');
    const newest = restarted.headers.get('etag')!;
    expect(newest).not.toBe(etag);
    const wrong: [string, Record<string, string>, number][] = [
      [trickled, {}, 428],
      [trickled, { 'if-match': etag }, 412],
      [trickled, { 'if-match': newest, 'content-type': 'application/sdp' }, 415],
      ['what?', { 'if-match': newest }, 400],
      ['a=candidate:1 1 udp 1 192.0.2.9 typ host\r\n', { 'if-match': newest }, 400],
      ['a=ice-ufrag:ab\r\na=ice-pwd:short\r\n', { 'if-match': '*' }, 400],
      ['a=end-of-candidates\r\n', { 'if-match': '*' }, 400],
    ];
    for (const [body, headers, status] of wrong) expect((await patch(body, headers)).status, body).toBe(status);
    expect((await patch(trickled, { 'if-match': newest })).status).toBe(204);
    await session.close();
    expect((await patch(trickled, { 'if-match': newest })).status).toBe(404);
  });

  test('every other request is refused with what to do, where a page of another origin can read it', async () => {
    const [session, other] = [await created(), await created({ source: { kind: 'srt' } })];
    const sdp = await offer('sendonly', 'audio', 'video');
    const posted = await send('POST', whip(session), sdp, SDP);
    const resource = location(posted);
    const wrong: [string, string, string | undefined, Record<string, string>, number, Record<string, string>][] = [
      ['POST', whip(session), sdp, { ...SDP, authorization: '' }, 401, { 'www-authenticate': 'Bearer' }],
      [
        ...(['POST', whip(session), sdp, { ...SDP, authorization: 'Bearer wrong' }, 401] as const),
        { 'www-authenticate': 'Bearer error="invalid_token"' },
      ],
      ['PATCH', resource, 'a=end-of-candidates', { ...FRAGMENT, authorization: '' }, 401, {}],
      ['DELETE', resource, undefined, { authorization: '' }, 401, {}],
      ['POST', whip(session), sdp, { 'content-type': 'application/json' }, 415, { 'accept-post': 'application/sdp' }],
      ['POST', whip(session), sdp, { ...SDP, accept: 'text/html' }, 406, {}],
      ['POST', whip(session), '', SDP, 400, {}],
      ['POST', whip(session), 'not a session description', SDP, 400, {}],
      ['POST', whip(session), sdp.replace(/a=rtcp-mux\r\n/g, ''), SDP, 422, {}],
      ['POST', whip(session), 'v=0\r\n'.padEnd(70_000, 'a=x\r\n'), SDP, 413, {}],
      ['POST', whip(session), sdp, SDP, 409, {}],
      ['POST', whip(other), sdp, SDP, 409, {}],
      ['POST', '/v1/sessions/nobody/whip', sdp, SDP, 404, {}],
      ['DELETE', `${whip(session)}/nobody`, undefined, {}, 404, {}],
      ['DELETE', resource.replace(session.id, other.id), undefined, {}, 404, {}],
      ['DELETE', resource.replace('whip', 'whep'), undefined, {}, 404, {}],
      ['GET', whip(session), undefined, {}, 405, { allow: 'OPTIONS, POST' }],
      ['PUT', resource, '', {}, 405, { allow: 'OPTIONS, PATCH, DELETE' }],
      ['GET', `${whep(session)}/nobody/language`, undefined, {}, 405, { allow: 'OPTIONS, POST' }],
    ];
    for (const [method, path, body, headers, status, answered] of wrong) {
      const answer = await send(method, path, body, headers);
      expect(answer.status, `${method} ${path} ${JSON.stringify(headers)}`).toBe(status);
      expect(answer.body.message).toMatch(/\.$/);
      expect(answer.body.fix ?? 'Do so.').toMatch(/[.?=>"]$/);
      expect(JSON.stringify(answer.body)).not.toContain(TOKEN);
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
      expect(answer.headers.get('access-control-expose-headers')).toMatch(/Location, ETag, Link/);
      for (const [name, value] of Object.entries(answered)) expect(answer.headers.get(name)).toBe(value);
    }
    for (const [path, allowed, accepted] of [
      [whip(session), 'OPTIONS, POST', 'application/sdp'],
      [whep(session), 'OPTIONS, POST', 'application/sdp'],
      [resource, 'OPTIONS, PATCH, DELETE', null],
      [`${whep(session)}/x/language`, 'OPTIONS, POST', 'application/json'],
    ] as const) {
      const { status, headers } = await send('OPTIONS', path, undefined, { authorization: '' });
      expect(status).toBe(204);
      expect(headers.get('allow')).toBe(allowed);
      expect(headers.get('access-control-allow-methods')).toBe(allowed);
      expect(headers.get('access-control-allow-headers')).toBe('Authorization, Content-Type, If-Match');
      expect(headers.get('accept-post')).toBe(accepted);
      expect(headers.get('accept-patch')).toBe(accepted === null ? 'application/trickle-ice-sdpfrag' : null);
    }
    // Somebody else may publish as soon as the first has left.
    await send('DELETE', resource);
    expect((await send('POST', whip(session), sdp, SDP)).status).toBe(201);
    await Promise.all([session.close(), other.close()]);
  });

  test('a publisher that sends nothing for some seconds gives way to the next, and not before', async () => {
    const session = await created();
    const sdp = await offer('sendonly', 'audio');
    const first = await send('POST', whip(session), sdp, SDP);
    expect((await send('POST', whip(session), sdp, SDP)).status).toBe(409);
    const second = await eventually(async () => {
      const answer = await send('POST', whip(session), sdp, SDP);
      return answer.status === 201 && answer;
    }, 'its place');
    expect((await send('DELETE', location(first))).status).toBe(404);
    expect((await send('DELETE', location(second))).status).toBe(200);
    await session.close();
  });

  const without = missing(CLIP) ?? PEERS.map(({ lacking }) => lacking).find(Boolean);
  test.skipIf(without)(
    `aiortc and GStreamer publish real recordings${without ? ` (skipped: ${without})` : ''}`,
    async () => {
      const clip = join(folder, 'clip.mp4');
      execFileSync('ffmpeg', ['-v', 'error', '-i', recording(CLIP), '-vf', 'scale=320:180', '-r', '15', clip]);
      // The two of them side by side.
      const publishes = async ({ script }: (typeof PEERS)[number]) => {
        for (const codec of ['video/H264', 'video/VP8']) {
          const session = await created();
          const args = ['whip', gateway.url + whip(session), '--token', TOKEN, '--clip', clip, '--codec', codec];
          const peer = new WebrtcPeer(script, args);
          peers.push(peer);
          expect(await peer.until(({ answered }) => answered !== undefined, 'an answer')).toMatchObject({
            answered: 201,
          });
          await pictured(session);
          expect((await session.room).inputs.map(({ mimeType }) => mimeType.toLowerCase())).toEqual([
            'audio/opus',
            codec.toLowerCase(),
          ]);
          const viewer = await browser.page();
          await viewer.watch(whep(session));
          await viewer.see(5);
          expect(await viewer.inbound('video')).toMatchObject({ frameWidth: 320, frameHeight: 180 });
          await viewer.page.close();
          expect(await peer.end()).toEqual({ deleted: 200 });
          await session.close();
        }
      };
      await Promise.all(PEERS.map(publishes));
    },
  );

  test('what a client has made ends with the language it hears, with the SFU’s worker and with the session', async () => {
    const session = await created();
    const publisher = await browser.page();
    const published = await publisher.publish(whip(session), 'video/VP8', { token: TOKEN });
    await pictured(session);
    const [german, spanish] = [await browser.page(), await browser.page()];
    const [first, second] = [
      await german.watch(whep(session, '?language=de')),
      await spanish.watch(whep(session, '?language=es')),
    ];
    await spanish.see(1);
    expect(session.viewers).toBe(2);
    await ask(gateway, 'PATCH', `/v1/sessions/${session.id}`, { remove: ['de'] }, BEARER);
    await eventually(() => session.viewers === 1, 'one viewer');
    expect((await send('DELETE', first.location)).status).toBe(404);
    await spanish.see(5);

    process.kill(gateway.sfu.pids[0]!, 'SIGKILL');
    await eventually(() => session.viewers === 0, 'no viewer');
    for (const { location: path } of [second, published!]) expect((await send('DELETE', path)).status).toBe(404);
    await eventually(() => gateway.sfu.pids.length === 1, 'another worker');
    await publisher.publish(whip(session), 'video/VP8', { token: TOKEN });
    const again = await spanish.watch(whep(session));
    await spanish.see(5);

    await ask(gateway, 'DELETE', `/v1/sessions/${session.id}`, undefined, BEARER);
    expect((await send('DELETE', again.location)).status).toBe(404);
    expect((await send('POST', whep(session), await offer('recvonly', 'audio'), SDP)).status).toBe(404);
    await eventually(() => spanish.run(`pc.connectionState !== 'connected'`), 'the page knows');
    expect(gateway.sfu.loads).toEqual([0]);
  });

  test('clients that have vanished are let go of', async () => {
    const left = async () => [(await abandoned.room).inputs.length, abandoned.viewers];
    await eventually(async () => (await left()).every((count) => count === 0), 'nobody', 60_000);
    expect(await left()).toEqual([0, 0]);
    await abandoned.close();
  });
});
