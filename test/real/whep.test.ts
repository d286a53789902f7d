import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Config } from '../../gateway/config.ts';
import { silent } from '../../gateway/log.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import type { ApiError } from '../../gateway/protocol.ts';
import { type Gateway, serve } from '../../gateway/serve.ts';
import { ask, eventually, openGateway, refused } from '../fakes/gateway.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { PEERS, WebrtcPeer } from '../fakes/webrtc-peer.ts';
import { type Posted, type Received, WhipBrowser, type WhipPage, noChromium } from '../fakes/whip-pages.ts';
import { lacking } from './broadcast.ts';

const CLIP = 'talking/open-dubbing/englishvideo.mp4';
/** Within how long something of a real session comes, ms. */
const SOON = 40_000;
/** From a slate's picture to the next, ticks of 90 kHz. */
const SLATE = 18_000;

describe.skipIf(noChromium)(`a viewer by WHEP${noChromium ? ` (skipped: ${noChromium})` : ''}`, () => {
  let gateway: Gateway;
  let browser: WhipBrowser;
  beforeAll(async () => {
    gateway = await openGateway();
    browser = await WhipBrowser.open(gateway.url);
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
  });

  test('hears another language without a gap, a repetition or a new offer, and goes on when one is refused', async () => {
    const { id } = (await ask(gateway, 'POST', '/v1/sessions', { name: 'told apart', to: ['es', 'de'] })).body;
    const session = gateway.sessions.get(id);
    const publisher = await browser.page();
    await publisher.publish(`/v1/sessions/${id}/whip`, 'video/VP8');
    await eventually(() => session.tracks.some((track) => track.id === 'video'), 'a picture');
    const viewer = await browser.page();
    const { location, link } = await viewer.watch(`/v1/sessions/${id}/whep`);
    expect(link).toBe(`<${location}/language>; rel="urn:livedub:params:whep:ext:language"`);
    const heard = async (text: string) => {
      await eventually(async () => (await viewer.sounds()).filter((sound) => sound[2] === text).length > 25, text);
    };
    const choose = (body: unknown, headers?: Record<string, string>) =>
      ask<object>(gateway, 'POST', `${location}/language`, body, headers);
    await heard('dub:es');
    expect(await choose({ language: 'de' })).toMatchObject({ status: 200, body: { language: 'de', track: 'dub:de' } });
    await heard('dub:de');
    const wrong: [unknown, Record<string, string>, number, Partial<ApiError>][] = [
      [{ language: 'fr' }, {}, 404, { code: 'not_found', field: 'language', fix: 'Choose one of original, es, de.' }],
      [{ tongue: 'es' }, {}, 400, { code: 'invalid', field: 'language' }],
      ['es', {}, 400, { code: 'bad_json' }],
      ['es', { 'content-type': 'text/plain' }, 415, { code: 'unsupported', field: 'content-type' }],
    ];
    for (const [body, headers, status, error] of wrong)
      expect(await choose(body, headers)).toMatchObject({ status, body: error });
    expect(await choose({ language: 'original' })).toMatchObject({ body: { track: 'original' } });
    await heard('original');
    // All at once: the last one holds.
    await Promise.all(['es', 'de', 'original', 'es'].map((language) => choose({ language })));
    await eventually(async () => (await viewer.sounds()).slice(-25).every((each) => each[2] === 'dub:es'), 'es');

    const sounds = await viewer.sounds();
    expect(new Set(sounds.map(([ssrc]) => ssrc)).size).toBe(1);
    expect(new Set(stepsOf(sounds))).toEqual(new Set([960]));
    const changes = sounds.filter(([, , text], i) => text !== sounds[i - 1]?.[2]).map(([, , text]) => text);
    expect(changes.slice(0, 3)).toEqual(['dub:es', 'dub:de', 'original']);
    expect(changes.at(-1)).toBe('dub:es');
    expect(await viewer.inbound('audio')).toMatchObject({ packetsLost: 0 });
    await viewer.see(5);
    await session.close();
  });

  test('is refused what the session does not have, and told why', async () => {
    const { id } = (await ask(gateway, 'POST', '/v1/sessions', { to: ['es'] })).body;
    const session = gateway.sessions.get(id);
    const viewer = await browser.page();
    const offer = await viewer.run<string>(
      `(pc = new RTCPeerConnection(), pc.addTransceiver('audio', {direction: 'recvonly'}), offered(pc))`,
    );
    const post = (query: string) =>
      refused(gateway, 'POST', `/v1/sessions/${id}/whep${query}`, offer, { 'content-type': 'application/sdp' });
    const early = await post('');
    expect(early).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(early.headers.get('retry-after')).toBe('2');
    const publisher = await browser.page();
    await publisher.publish(`/v1/sessions/${id}/whip`, 'video/VP8');
    await eventually(() => session.state === 'live', 'live');
    const wrong: [string, number, Partial<ApiError>][] = [
      ['?language=fr', 404, { field: 'language', fix: 'Choose one of original, es.' }],
      ['?language=es&language=de', 400, { field: 'language' }],
      ['?voice=loud', 400, { field: 'voice' }],
      ['?delay=1', 422, { field: 'delay', fix: 'Leave it out, or give 5.' }],
      ['?captions=es', 400, { field: 'captions', fix: 'Use language, voice and delay.' }],
    ];
    for (const [query, status, body] of wrong) expect(await post(query)).toMatchObject({ status, body });
    expect(session.viewers).toBe(0);
    for (const query of ['?language=es&voice=alone&delay=5', '?language=original&delay=auto', '?language=en'])
      expect((await post(query)).status).toBe(201);
    await session.close();
  });
});

const why = noChromium ?? missing(CLIP) ?? lacking;
describe.skipIf(why)(`a dubbed recording (${why ?? 'real'})`, () => {
  let gateway: Gateway;
  let browser: WhipBrowser;
  let session: HostedSession;
  let publisher: WhipPage;
  let published: Posted | null;
  const peers: WebrtcPeer[] = [];
  beforeAll(async () => {
    gateway = await serve(Config.parse({ rtc: { workers: 1 }, http: { port: 0 } }), { log: silent });
    browser = await WhipBrowser.open(gateway.url);
    const { id } = (await ask(gateway, 'POST', '/v1/sessions', { to: ['es'], delay: 2, lips: 'off' })).body;
    session = gateway.sessions.get(id);
    publisher = await browser.page();
  });
  afterAll(async () => {
    for (const peer of peers) peer.kill();
    await browser?.close();
    await gateway?.close();
  });
  const publish = (page: WhipPage, codec: string) =>
    page.publish(`/v1/sessions/${session.id}/whip`, codec, { clip: recording(CLIP) });
  const whep = (query: string) => `/v1/sessions/${session.id}/whep${query}`;

  test('goes on for its viewers while its publisher is gone without a word, and with the next one', async () => {
    const doomed = await WhipBrowser.open(gateway.url);
    await publish(await doomed.page(), 'video/VP8');
    await eventually(() => session.state === 'live', 'live', SOON);
    const viewer = await browser.page();
    await viewer.watch(whep('?language=es'));
    await viewer.see(10);
    await eventually(() => viewer.run('loudest > 0.01'), 'something to hear', SOON);
    await doomed.kill();
    const last = async (count: number, fits: (step: number) => boolean) =>
      stepsOf(await viewer.pictures())
        .slice(-count)
        .filter(fits).length;
    await eventually(async () => (await last(5, (step) => step === SLATE)) === 5, 'five pictures of a slate', SOON);
    expect(session.state).toBe('live');
    await eventually(
      async () => {
        published = await publish(publisher, 'video/VP8').catch(() => null);
        return published;
      },
      'the place of the first',
      SOON,
    );
    await eventually(async () => (await last(10, (step) => step < SLATE)) === 10, 'moving pictures', SOON);
    await viewer.see(10);
    await viewer.hear(1);

    expect([session.viewers, session.restarts]).toEqual([1, 0]);
    expect(new Set(stepsOf(await viewer.sounds()))).toEqual(new Set([960]));
    const steps = stepsOf(await viewer.pictures());
    // A picture is missed for a second before there is a slate.
    expect(Math.max(...steps)).toBeLessThan(2 * 90_000);
    expect(Math.min(...steps)).toBeGreaterThan(0);
    await viewer.page.close();
  }, 120_000);

  test.for(PEERS)('is seen and heard with $name', async ({ script, lacking: without }, { skip }) => {
    if (without) return skip(without);
    const peer = new WebrtcPeer(script, ['whep', gateway.url + whep('?language=original')]);
    peers.push(peer);
    const { size } = await peer.until(
      ({ video = 0, audio = 0, loudest = 0 }) => video > 20 && audio > 50 && loudest > 300,
      'pictures and sound',
    );
    expect(size).toBe('320x180');
    expect(await peer.end()).toEqual({ deleted: 200 });
  });

  test.for(['video/H264', 'video/VP9', 'video/AV1'])(
    'is seen and heard when its publisher changes to %s',
    async (codec, { skip }) => {
      if (published) await ask(gateway, 'DELETE', published.location);
      published = await publish(publisher, codec);
      if (!published) return skip(`this Chromium does not send ${codec}`);
      const sent = async () => (await session.room).offered('video')?.rtpParameters.codecs[0]?.mimeType;
      await eventually(async () => session.state === 'live' && (await sent()) === codec, codec, SOON);
      const viewer = await browser.page();
      await viewer.watch(whep('?language=es'));
      await viewer.see(10);
      await viewer.hear(0.5);
      expect(await viewer.inbound('video')).toMatchObject({ frameWidth: 320, frameHeight: 180 });
      await viewer.page.close();
      expect(session.restarts).toBe(0);
    },
  );
});

/** From time stamp to time stamp, ticks. */
const stepsOf = (frames: readonly Received[]): number[] =>
  frames.slice(1).map(([, rtp], i) => (rtp - (frames[i]?.[1] ?? 0)) | 0);
