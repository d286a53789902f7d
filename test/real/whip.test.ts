import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import type { ApiError } from '../../gateway/protocol.ts';
import type { Gateway } from '../../gateway/serve.ts';
import { ask, eventually, openGateway, refused } from '../fakes/gateway.ts';
import { type Posted, WhipBrowser, noChromium } from '../fakes/whip-pages.ts';

const TOKEN = 'a-secret-of-the-test';
const ICE = {
  urls: ['stun:stun.example.org:3478', 'turn:turn.example.org'],
  username: 'viewer "one"',
  credential: 'pass',
};
const SDP = { 'content-type': 'application/sdp' };
const FRAGMENT = { 'content-type': 'application/trickle-ice-sdpfrag' };
const BEARER = { authorization: `Bearer ${TOKEN}` };

describe.skipIf(noChromium)(`a publisher by WHIP${noChromium ? ` (skipped: ${noChromium})` : ''}`, () => {
  let gateway: Gateway;
  let browser: WhipBrowser;
  beforeAll(async () => {
    gateway = await openGateway({ auth: { token: TOKEN }, rtc: { workers: 1, iceServers: [ICE] } });
    browser = await WhipBrowser.open(gateway.url);
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
  });
  const created = async (spec: object = {}): Promise<HostedSession> => {
    const { body } = await ask(gateway, 'POST', '/v1/sessions', { to: ['es', 'de'], ...spec }, BEARER);
    return gateway.sessions.get(body.id);
  };
  /** What a page offers that sends sound, and pictures if told. */
  const offer = async (kinds: readonly string[] = ['audio', 'video']) =>
    (await browser.page()).run<string>(
      `(pc = new RTCPeerConnection(), ${kinds.map((kind) => `pc.addTransceiver('${kind}', {direction: 'sendonly'})`).join()}, offered(pc))`,
    );
  const whip = ({ id }: HostedSession) => `/v1/sessions/${id}/whip`;

  test.for(['video/H264', 'video/VP8', 'video/VP9', 'video/AV1'])(
    'sends %s, restarts ICE while it is seen, and is gone when it says so',
    async (codec, { skip }) => {
      const session = await created();
      const publisher = await browser.page();
      const published = await publisher.publish(whip(session), codec, undefined, TOKEN);
      if (!published) return skip(`this Chromium does not send ${codec}`);
      expect(published.link?.split(', ')).toEqual([
        '<stun:stun.example.org:3478>; rel="ice-server"; username="viewer \\"one\\""; credential="pass"; credential-type="password"',
        '<turn:turn.example.org>; rel="ice-server"; username="viewer \\"one\\""; credential="pass"; credential-type="password"',
      ]);
      await eventually(() => session.state === 'live' && session.tracks.some(({ id }) => id === 'video'), 'live');
      const { inputs } = await session.room;
      expect(inputs.map(({ mimeType }) => mimeType)).toEqual(['audio/opus', codec]);

      const viewer = await browser.page();
      const watched = await viewer.watch(`/v1/sessions/${session.id}/whep?language=de`);
      await viewer.pictures(5);
      for (const [page, resource, token] of [
        [publisher, published, TOKEN],
        [viewer, watched, undefined],
      ] as const) {
        const { etag, body, ufrag } = await page.restartIce(resource.location, token);
        expect(etag).toMatch(/^"\w+"$/);
        expect(etag).not.toBe(resource.etag);
        expect(body).toMatch(/^a=ice-lite\r\nm=audio 9 UDP\/TLS\/RTP\/SAVPF [\d ]+\r\na=mid:0\r\na=ice-ufrag:/);
        await eventually(async () => {
          const [transport] = await page.run<{ selectedCandidatePairId: string }[]>(`statistics('transport')`);
          const [local] = await page.run<{ iceState?: string; selectedCandidatePairId?: string }[]>(
            `statistics('transport')`,
          );
          return transport && local && (await page.run<string>('pc.iceConnectionState')) !== 'failed';
        }, 'connected again');
        expect(await page.run<string>('pc.remoteDescription.sdp')).toContain(ufrag);
        await viewer.pictures(10);
        await viewer.sound(0.5);
      }

      expect((await ask(gateway, 'DELETE', watched.location)).status).toBe(200);
      expect((await ask(gateway, 'DELETE', watched.location)).status).toBe(404);
      expect(session.viewers).toBe(0);
      expect((await ask(gateway, 'DELETE', published.location, undefined, BEARER)).status).toBe(200);
      await eventually(async () => (await session.room).inputs.length === 0, 'the publisher is gone');
      await Promise.all([publisher.page.close(), viewer.page.close()]);
      await session.close();
    },
  );
});
