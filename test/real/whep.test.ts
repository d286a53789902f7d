import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Config } from '../../gateway/config.ts';
import { silent } from '../../gateway/log.ts';
import type { ApiError } from '../../gateway/protocol.ts';
import { type Gateway, serve } from '../../gateway/serve.ts';
import { ask, eventually, openGateway, refused } from '../fakes/gateway.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { WhipBrowser, noChromium } from '../fakes/whip-pages.ts';
import { LANGUAGES, lacking } from './broadcast.ts';

const CLIP = 'talking/open-dubbing/englishvideo.mp4';
/** Within how long something of a real session comes, ms. */
const SOON = 40_000;

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
    const steps = sounds.slice(1).map(([, rtp], i) => (rtp - sounds[i]![1]) >>> 0);
    expect(new Set(steps)).toEqual(new Set([960]));
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
  beforeAll(async () => {
    gateway = await serve(Config.parse({ rtc: { workers: 1 }, http: { port: 0 } }), { log: silent });
    browser = await WhipBrowser.open(gateway.url);
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
  });

  test('is seen and heard by WHEP, whatever codec the publisher changes to', async () => {
    const { id } = (await ask(gateway, 'POST', '/v1/sessions', { to: LANGUAGES, delay: 2, lips: 'off' })).body;
    const session = gateway.sessions.get(id);
    const publisher = await browser.page();
    const seen: string[] = [];
    for (const codec of ['video/H264', 'video/VP8', 'video/VP9', 'video/AV1']) {
      const published = await publisher.publish(`/v1/sessions/${id}/whip`, codec, { clip: recording(CLIP) });
      if (!published) continue;
      const sent = async () => (await session.room).offered('video')?.rtpParameters.codecs[0]?.mimeType;
      await eventually(async () => session.state === 'live' && (await sent()) === codec, codec, SOON);
      const viewer = await browser.page();
      // Nothing of the original is in it: what is heard is the dub.
      const alone = seen.length === 0 ? '&voice=alone' : '';
      await viewer.watch(`/v1/sessions/${id}/whep?language=es${alone}`);
      await viewer.see(20);
      await viewer.hear(1);
      await eventually(() => viewer.run('loudest > 0.01'), 'something to hear', SOON);
      expect(await viewer.inbound('video')).toMatchObject({ frameWidth: 320, frameHeight: 180 });
      seen.push(codec);
      await ask(gateway, 'DELETE', published.location);
      await publisher.run('pc.close()');
      await viewer.page.close();
    }
    // A Chromium without H.264 has the others.
    expect(seen.length).toBeGreaterThanOrEqual(3);
    expect(session.archive.lines.some(({ language, dub }) => language === 'es' && dub !== null)).toBe(true);
    expect(session.restarts).toBe(0);
  }, 120_000);
});
