import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Browser, type Page, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { CHROMIUM } from '../../bench/browser.ts';
import { silent } from '../../gateway/log.ts';
import { Sfu } from '../../gateway/sfu.ts';
import { type AnsweredTrack, writeAnswer } from '../../gateway/whip/answer.ts';
import { chosen } from '../../gateway/whip/codec.ts';
import { readOffer } from '../../gateway/whip/offer.ts';
import { CAPABILITIES, OFFERS, TRANSPORT, published } from '../fakes/offers.ts';

/** The gateway's answer to a viewer, as far as a reader of it can tell. */
function watched(text: string): string {
  const offer = readOffer(text);
  const known = CAPABILITIES.codecs ?? [];
  const answers = offer.tracks.map((track, i): AnsweredTrack | undefined => {
    const codec = track && track.direction !== 'sendonly' ? chosen(track.codecs, known) : undefined;
    const source = { ssrc: 1_000 + i, cname: 'livedub', stream: 'livedub' };
    return codec && { direction: 'sendonly', codecs: [{ ...codec, answered: codec.feedback }], extensions: [], source };
  });
  return writeAnswer(offer, answers, TRANSPORT, '1');
}

describe('mediasoup', () => {
  test('takes what every client offers, and what it said of itself is on record', async () => {
    await using scope = new Scope('test');
    const sfu = await Sfu.open({ workers: 1, log: silent }, scope);
    const router = await sfu.router();
    expect(router.rtpCapabilities).toEqual(CAPABILITIES);
    let count = 0;
    for (const [name, offer] of Object.entries(OFFERS)) {
      const { taken } = await published(offer).catch(() => ({ taken: [] }));
      if (taken.length === 0) continue;
      const transport = await router.createWebRtcTransport({ listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }] });
      await transport.connect({ dtlsParameters: readOffer(offer).dtls });
      for (const { kind, rtpParameters } of taken) {
        const producer = await transport.produce({ kind, rtpParameters });
        expect(producer.type, name).toBe('simple');
        count += 1;
      }
      transport.close();
    }
    expect(count).toBeGreaterThan(40);
  });
});

const lacking = existsSync(CHROMIUM) ? undefined : `no ${CHROMIUM}`;
describe.skipIf(lacking)(`Chromium${lacking ? ` (skipped: ${lacking})` : ''}`, () => {
  /** As text, for its globals are not ours. What a transceiver came to is what the answer meant to the browser. */
  const PAGE = `
  const picture = () => Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
  const canvas = () => { const one = picture(); one.getContext('2d').fillRect(0, 0, 9, 9); return one.captureStream(25).getVideoTracks()[0]; };
  const tone = () => new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0];
  const send = { direction: 'sendonly' };
  const only = (transceiver, name) => {
    const all = RTCRtpSender.getCapabilities('video').codecs;
    transceiver.setCodecPreferences(all.filter(({ mimeType }) => mimeType === 'video/' + name));
  };
  const codec = (name) => (pc) => { pc.addTransceiver(tone(), send); only(pc.addTransceiver(canvas(), send), name); };
  const kinds = {
    'as it likes': (pc) => { pc.addTransceiver(tone(), send); pc.addTransceiver(canvas(), send); },
    H264: codec('H264'), VP9: codec('VP9'), AV1: codec('AV1'),
    'a simulcast': (pc) => { pc.addTransceiver(tone(), send); pc.addTransceiver(canvas(), { ...send, sendEncodings: [{ rid: 'q' }, { rid: 'h' }, { rid: 'f' }] }); },
    'two of each': (pc) => { for (const track of [tone(), canvas(), canvas(), tone()]) pc.addTransceiver(track, send); },
    'data first': (pc) => { pc.createDataChannel('x'); pc.addTransceiver(tone(), send); pc.addTransceiver(canvas(), send); },
    'in both directions': (pc) => { pc.addTrack(tone()); pc.addTrack(canvas()); },
    'sound alone': (pc) => { pc.addTransceiver(tone(), send); },
    'pictures alone': (pc) => { pc.addTransceiver(canvas(), send); },
    'to watch': (pc) => { pc.addTransceiver('audio', { direction: 'recvonly' }); pc.addTransceiver('video', { direction: 'recvonly' }); },
  };
  window.offer = async (kind, bundlePolicy) => {
    window.pc = new RTCPeerConnection({ bundlePolicy });
    kinds[kind](pc);
    await pc.setLocalDescription(await pc.createOffer());
    return pc.localDescription.sdp;
  };
  window.answer = async (sdp) => {
    await pc.setRemoteDescription({ type: 'answer', sdp });
    const found = pc.getTransceivers().map(({ currentDirection, sender, receiver }) => currentDirection + ' ' + (currentDirection === 'sendonly' ? sender : receiver).getParameters().codecs[0]?.mimeType);
    pc.close();
    return found;
  };`;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--mute-audio'],
    });
    page = await browser.newPage();
    await page.evaluate(PAGE);
  });
  afterAll(() => browser?.close());

  const both = ['sendonly audio/opus', 'sendonly video/VP8'];
  test.for([
    ['as it likes', both],
    ['H264', ['sendonly audio/opus', 'sendonly video/H264']],
    ['VP9', ['sendonly audio/opus', 'sendonly video/VP9']],
    ['AV1', ['sendonly audio/opus', 'sendonly video/AV1']],
    ['a simulcast', both],
    // The second of each is stopped, and gone.
    ['two of each', both],
    ['data first', both],
    ['in both directions', both],
    ['sound alone', both.slice(0, 1)],
    ['pictures alone', both.slice(1)],
    ['to watch', ['recvonly audio/opus', 'recvonly video/VP8']],
  ] as const)('understands the answer to its offer: %s', async ([kind, expected]) => {
    for (const policy of ['max-bundle', 'balanced', 'max-compat']) {
      const offer = await page.evaluate<string>(`offer('${kind}', '${policy}')`);
      const answer = kind === 'to watch' ? watched(offer) : (await published(offer)).answer;
      expect(await page.evaluate(`answer(${JSON.stringify(answer)})`), policy).toEqual(expected);
    }
  });
});

const PYTHON = '/usr/bin/python3';
const run = promisify(execFile);
/**
 * Offers on its output, answers on its input, a line each; then what became of every transceiver. aiortc 1.4 reads no answer
 * that turns a section down: it wants ICE users and common codecs in each.
 */
const AIORTC = `
import asyncio, json, sys
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
def publish(pc):
    for track in (AudioStreamTrack(), VideoStreamTrack()): pc.addTransceiver(track, direction='sendonly')
def watch(pc):
    for kind in ('audio', 'video'): pc.addTransceiver(kind, direction='recvonly')
async def main():
    for kind in (publish, watch):
        pc = RTCPeerConnection(); kind(pc)
        await pc.setLocalDescription(await pc.createOffer())
        print(json.dumps(pc.localDescription.sdp), flush=True)
        sdp = json.loads(await asyncio.get_event_loop().run_in_executor(None, sys.stdin.readline))
        await pc.setRemoteDescription(RTCSessionDescription(type='answer', sdp=sdp))
        print(json.dumps([t.currentDirection + ' ' + t._codecs[0].mimeType for t in pc.getTransceivers()]), flush=True)
        await pc.close()
asyncio.run(main())
`;
const aiortc = await run(PYTHON, ['-c', 'import aiortc']).then(
  () => undefined,
  () => `no aiortc for ${PYTHON}`,
);
describe.skipIf(aiortc)(`aiortc${aiortc ? ` (skipped: ${aiortc})` : ''}`, () => {
  test('understands the answers to its offers: sound and pictures, to watch', async () => {
    const running = run(PYTHON, ['-c', AIORTC], { timeout: 60_000 });
    const { stdin, stdout } = running.child;
    const found: unknown[] = [];
    const read = (async () => {
      let [text, line] = ['', 0];
      for await (const chunk of stdout!) {
        text += String(chunk);
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          const said = JSON.parse(text.slice(0, end)) as unknown;
          text = text.slice(end + 1);
          line += 1;
          if (typeof said !== 'string') found.push(said);
          else stdin!.write(`${JSON.stringify(line > 1 ? watched(said) : (await published(said)).answer)}\n`);
        }
      }
    })();
    await Promise.all([running, read]);
    expect(found).toEqual([
      ['sendonly audio/opus', 'sendonly video/VP8'],
      ['recvonly audio/opus', 'recvonly video/VP8'],
    ]);
  });
});
