import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Browser, type BrowserServer, type Page, chromium } from 'playwright-core';
import { CHROMIUM } from '../../bench/browser.ts';
import { eventually } from './gateway.ts';

export const noChromium = existsSync(CHROMIUM) ? undefined : `no ${CHROMIUM}`;

/** What the pages do, without any library: as text, for its globals are not ours. */
const CLIENT = `
window.offered = async (pc, options) => {
  await pc.setLocalDescription(await pc.createOffer(options));
  return pc.localDescription.sdp;
};
window.posted = async (pc, url, token) => {
  const headers = { 'content-type': 'application/sdp', ...(token && { authorization: 'Bearer ' + token }) };
  const answer = await fetch(url, { method: 'POST', headers, body: await offered(pc) });
  const sdp = await answer.text();
  if (answer.status !== 201) throw new Error(answer.status + ' ' + sdp);
  await pc.setRemoteDescription({ type: 'answer', sdp });
  return { location: answer.headers.get('location'), etag: answer.headers.get('etag'), link: answer.headers.get('link') };
};
// A canvas with what is drawn, 25 times a second, and a sound.
window.drawn = async (src) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
  const context = canvas.getContext('2d');
  const audio = new AudioContext();
  const out = audio.createMediaStreamDestination();
  const clip = Object.assign(document.createElement('video'), { loop: true });
  if (src) {
    clip.src = src;
    await clip.play();
    audio.createMediaElementSource(clip).connect(out);
  } else {
    const tone = audio.createOscillator();
    tone.connect(out);
    tone.start();
  }
  setInterval(() => {
    context.fillStyle = 'hsl(' + ((performance.now() / 10) % 360) + ' 80% 50%)';
    context.fillRect(0, 0, 320, 180);
    if (src) context.drawImage(clip, 0, 0, 300, 180);
  }, 40);
  window.source = { audio: out.stream.getAudioTracks()[0], video: canvas.captureStream(25).getVideoTracks()[0] };
};
window.publish = async (url, codec, src, token) => {
  if (!window.source) await drawn(src);
  window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  pc.addTransceiver(source.audio, { direction: 'sendonly' });
  const video = pc.addTransceiver(source.video, { direction: 'sendonly' });
  const own = RTCRtpSender.getCapabilities('video').codecs.filter(({ mimeType }) => mimeType === codec);
  if (own.length === 0) return null;
  video.setCodecPreferences(own);
  return posted(pc, url, token);
};
window.watch = async (url, kinds = ['audio', 'video']) => {
  window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', encodedInsertableStreams: true });
  window.sounds = [];
  window.pictures = [];
  window.loudest = 0;
  const stream = new MediaStream();
  for (const kind of kinds) {
    const { receiver } = pc.addTransceiver(kind, { direction: 'recvonly' });
    stream.addTrack(receiver.track);
    const { readable, writable } = receiver.createEncodedStreams();
    const transform = (frame, out) => {
      const { rtpTimestamp, synchronizationSource } = frame.getMetadata();
      const text = () => new TextDecoder().decode(new Uint8Array(frame.data).subarray(3, 40));
      if (kind === 'audio') sounds.push([synchronizationSource, rtpTimestamp ?? frame.timestamp, text()]);
      else pictures.push([synchronizationSource, rtpTimestamp ?? frame.timestamp, frame.type]);
      out.enqueue(frame);
    };
    readable.pipeThrough(new TransformStream({ transform })).pipeTo(writable);
  }
  const player = Object.assign(document.createElement('video'), { srcObject: stream, autoplay: true });
  document.body.append(player);
  if (kinds.includes('audio')) {
    const audio = new AudioContext();
    const analyser = audio.createAnalyser();
    audio.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      window.loudest = Math.max(loudest, ...samples);
    }, 30);
  }
  return posted(pc, url);
};
// RFC 9725 section 4.3.3.
window.restartIce = async (url, token) => {
  const sdp = await offered(pc, { iceRestart: true });
  const lines = sdp.split('\\r\\n');
  const first = (start) => lines.find((line) => line.startsWith(start));
  const fragment = [first('a=ice-ufrag'), first('a=ice-pwd'), first('m='), first('a=mid'), ''].join('\\r\\n');
  const headers = {
    'content-type': 'application/trickle-ice-sdpfrag',
    'if-match': '*',
    ...(token && { authorization: 'Bearer ' + token }),
  };
  const before = pc.remoteDescription.sdp;
  const answer = await fetch(url, { method: 'PATCH', headers, body: fragment });
  const body = await answer.text();
  if (answer.status !== 200) throw new Error(answer.status + ' ' + body);
  const value = (name) => new RegExp('^a=' + name + ':(.*)$', 'm').exec(body)[1].trim();
  const after = before
    .replace(/a=ice-ufrag:.*/g, 'a=ice-ufrag:' + value('ice-ufrag'))
    .replace(/a=ice-pwd:.*/g, 'a=ice-pwd:' + value('ice-pwd'));
  await pc.setRemoteDescription({ type: 'answer', sdp: after });
  return { body, etag: answer.headers.get('etag'), ufrag: value('ice-ufrag') };
};
// The ICE user name of the other end that media goes to.
window.selected = async () => {
  const rows = await pc.getStats();
  const [transport] = [...rows.values()].filter(({ type }) => type === 'transport');
  const pair = rows.get(transport.selectedCandidatePairId);
  return rows.get(pair?.remoteCandidateId)?.usernameFragment;
};
window.statistics = async (type) => [...(await pc.getStats()).values()].filter((row) => row.type === type);
`;
export interface Posted {
  readonly location: string;
  readonly etag: string;
  readonly link: string | null;
}
export interface Inbound {
  readonly kind: string;
  readonly ssrc: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly bytesReceived: number;
  readonly framesDecoded?: number;
  readonly frameWidth?: number;
  readonly frameHeight?: number;
  readonly totalSamplesReceived?: number;
  readonly concealedSamples?: number;
}
/** An encoded frame as it was received; of sound with what is behind its first three bytes, of pictures with its kind. */
export type Received = readonly [ssrc: number, rtp: number, text: string];

/** A page with RTCPeerConnection and fetch: any publisher or viewer that knows the RFC and nothing of Livedub. */
export class WhipPage {
  readonly page: Page;
  constructor(page: Page) {
    this.page = page;
  }

  /** @param clip a media file to publish; a moving colour and a tone unless told */
  async publish(
    url: string,
    codec: string,
    { clip, token }: { readonly clip?: string; readonly token?: string } = {},
  ): Promise<Posted | null> {
    if (clip !== undefined) {
      const body = await readFile(clip);
      await this.page.route('**/clip.mp4', (route) => route.fulfill({ body, contentType: 'video/mp4' }));
    }
    const source = clip === undefined ? 'undefined' : "'/clip.mp4'";
    return this.run(`publish(${JSON.stringify(url)}, '${codec}', ${source}, ${JSON.stringify(token)})`);
  }
  watch(url: string, kinds = ['audio', 'video']): Promise<Posted> {
    return this.run(`watch(${JSON.stringify(url)}, ${JSON.stringify(kinds)})`);
  }
  /** @returns the gateway's answer, once media comes and goes by the new ICE session */
  async restartIce(url: string, token?: string): Promise<{ readonly body: string; readonly etag: string }> {
    const { ufrag, ...answer } = await this.run<{ body: string; etag: string; ufrag: string }>(
      `restartIce(${JSON.stringify(url)}, ${JSON.stringify(token)})`,
    );
    await this.#seen(async () => (await this.run('selected()')) === ufrag, 'other candidates');
    return answer;
  }
  run<T>(code: string): Promise<T> {
    return this.page.evaluate<T>(code);
  }
  async inbound(kind: 'audio' | 'video'): Promise<Inbound | undefined> {
    const all = await this.run<Inbound[]>(`statistics('inbound-rtp')`);
    return all.find((each) => each.kind === kind);
  }
  pictures(): Promise<Received[]> {
    return this.run<Received[]>('pictures');
  }
  sounds(): Promise<Received[]> {
    return this.run<Received[]>('sounds');
  }

  /** Waits for so many more pictures. */
  async see(more: number, within?: number): Promise<void> {
    const count = async () => (await this.inbound('video'))?.framesDecoded ?? 0;
    const before = await count();
    await this.#seen(async () => (await count()) >= before + more, `${more} pictures`, within);
  }
  /** Waits for sound that was received, decoded and not made up, seconds. */
  async hear(more: number, within?: number): Promise<void> {
    const count = async () => {
      const { totalSamplesReceived = 0, concealedSamples = 0 } = (await this.inbound('audio')) ?? {};
      return totalSamplesReceived - concealedSamples;
    };
    const before = await count();
    await this.#seen(async () => (await count()) >= before + more * 48_000, `${more} s of sound`, within);
  }
  async #seen(probe: () => Promise<boolean>, what: string, within = 20_000): Promise<void> {
    await eventually(probe, what, within).catch(async (cause: unknown) => {
      const rows = await this.run<object[]>(
        `pc.getStats().then((all) => [...all.values()].filter(({ type }) => /inbound|candidate|transport/.test(type)))`,
      );
      const state = await this.run<string>('pc.connectionState');
      throw new Error(`no ${what}; ${state}, ${JSON.stringify(rows)}`, { cause });
    });
  }
}

/** Debian's Chromium for such pages. */
export class WhipBrowser {
  readonly #server: BrowserServer;
  readonly #browser: Browser;
  readonly #url: string;
  private constructor(server: BrowserServer, browser: Browser, url: string) {
    this.#server = server;
    this.#browser = browser;
    this.#url = url;
  }
  static async open(url: string): Promise<WhipBrowser> {
    const server = await chromium.launchServer({
      executablePath: CHROMIUM,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--allow-loopback-in-peer-connection',
        '--autoplay-policy=no-user-gesture-required',
        '--mute-audio',
        '--disable-background-timer-throttling',
        '--disable-backgrounding-occluded-windows',
        '--disable-renderer-backgrounding',
      ],
    });
    return new WhipBrowser(server, await chromium.connect(server.wsEndpoint()), url);
  }
  /** @param origin where the page comes from; the gateway unless told */
  async page(origin = this.#url): Promise<WhipPage> {
    const page = await this.#browser.newPage();
    await page.goto(`${origin}/healthz`);
    await page.evaluate(CLIENT);
    return new WhipPage(page);
  }
  async close(): Promise<void> {
    await this.#browser.close();
    await this.#server.close();
  }
  /** Its pages are gone without a word to anybody. */
  kill(): Promise<void> {
    return this.#server.kill();
  }
}
