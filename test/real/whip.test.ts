import { existsSync } from 'node:fs';
import { type Browser, type Page, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHROMIUM } from '../../bench/browser.ts';
import type { Gateway } from '../../gateway/serve.ts';
import { ask, eventually, openGateway } from '../fakes/gateway.ts';

const lacking = existsSync(CHROMIUM) ? undefined : `no ${CHROMIUM}`;

/** What the pages below do, without any library: as text, for its globals are not ours. */
const CLIENT = `
window.offered = async (pc) => {
  await pc.setLocalDescription(await pc.createOffer());
  return pc.localDescription.sdp;
};
window.posted = async (pc, url) => {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: await offered(pc) });
  const sdp = await answer.text();
  if (answer.status !== 201) throw new Error(answer.status + ' ' + sdp);
  await pc.setRemoteDescription({ type: 'answer', sdp });
  return { location: answer.headers.get('location'), etag: answer.headers.get('etag'), link: answer.headers.get('link') };
};
window.publish = async (url, codec) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
  const context = canvas.getContext('2d');
  setInterval(() => {
    context.fillStyle = 'hsl(' + ((performance.now() / 10) % 360) + ' 80% 50%)';
    context.fillRect(0, 0, 320, 180);
  }, 40);
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const out = audio.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  pc.addTransceiver(out.stream.getAudioTracks()[0], { direction: 'sendonly' });
  const video = pc.addTransceiver(canvas.captureStream(25).getVideoTracks()[0], { direction: 'sendonly' });
  const all = RTCRtpSender.getCapabilities('video').codecs;
  const own = all.filter(({ mimeType }) => mimeType === codec);
  if (own.length === 0) return null;
  video.setCodecPreferences(own);
  return posted(pc, url);
};
window.watch = async (url) => {
  window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  pc.addTransceiver('audio', { direction: 'recvonly' });
  pc.addTransceiver('video', { direction: 'recvonly' });
  return posted(pc, url);
};
window.inbound = async () =>
  [...(await pc.getStats()).values()].filter(({ type }) => type === 'inbound-rtp')
    .map(({ kind, ssrc, packetsReceived, packetsLost, framesDecoded }) => ({ kind, ssrc, packetsReceived, packetsLost, framesDecoded }));
`;
interface Posted {
  readonly location: string;
  readonly etag: string;
  readonly link: string | null;
}
interface Inbound {
  readonly kind: string;
  readonly ssrc: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly framesDecoded?: number;
}

describe.skipIf(lacking)(`a browser without a library of ours${lacking ? ` (skipped: ${lacking})` : ''}`, () => {
  let gateway: Gateway;
  let browser: Browser;
  beforeAll(async () => {
    gateway = await openGateway();
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--allow-loopback-in-peer-connection',
        '--autoplay-policy=no-user-gesture-required',
        '--mute-audio',
      ],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
  });
  const page = async (): Promise<Page> => {
    const one = await browser.newPage();
    await one.goto(`${gateway.url}/healthz`);
    await one.evaluate(CLIENT);
    return one;
  };
  const run = <T>(one: Page, code: string) => one.evaluate<T>(code);

  test.for(['video/H264', 'video/VP8', 'video/VP9', 'video/AV1'])(
    'publishes %s by WHIP, watches by WHEP and changes the language without a new offer',
    async (codec, { skip }) => {
      const { id } = (await ask(gateway, 'POST', '/v1/sessions', { to: ['es', 'de'] })).body;
      const session = gateway.sessions.get(id);
      const publisher = await page();
      const published = await run<Posted | null>(publisher, `publish('/v1/sessions/${id}/whip', '${codec}')`);
      if (!published) return skip(`this Chromium does not send ${codec}`);
      await eventually(() => session.state === 'live' && session.tracks.some((track) => track.id === 'video'), 'live');
      const { inputs } = await session.room;
      expect(inputs.map(({ mimeType }) => mimeType)).toEqual(['audio/opus', codec]);

      const viewer = await page();
      const watched = await run<Posted>(viewer, `watch('/v1/sessions/${id}/whep?language=es')`);
      const inbound = () => run<Inbound[]>(viewer, 'inbound()');
      const frames = () => inbound().then((all) => all.find(({ kind }) => kind === 'video')?.framesDecoded ?? 0);
      await eventually(async () => (await frames()) > 5, 'pictures');
      const [before] = (await inbound()).filter(({ kind }) => kind === 'audio');
      expect(watched.link).toContain('urn:livedub:params:whep:ext:language');
      const changed = await ask(gateway, 'POST', `${watched.location}/language`, { language: 'de' });
      expect(changed).toMatchObject({ status: 200, body: { track: 'dub:de' } });
      const now = await eventually(async () => {
        const audio = (await inbound()).filter(({ kind }) => kind === 'audio');
        expect(audio).toHaveLength(1);
        return audio[0]!.packetsReceived > before!.packetsReceived + 25 && audio[0];
      }, 'sound of the other language');
      expect(now).toMatchObject({ ssrc: before!.ssrc, packetsLost: 0 });

      expect((await ask(gateway, 'DELETE', watched.location)).status).toBe(200);
      expect((await ask(gateway, 'DELETE', watched.location)).status).toBe(404);
      expect(session.viewers).toBe(0);
      expect((await ask(gateway, 'DELETE', published.location)).status).toBe(200);
      await eventually(async () => (await session.room).inputs.length === 0, 'the publisher is gone');
      await Promise.all([publisher.close(), viewer.close()]);
      await session.close();
    },
  );
});
