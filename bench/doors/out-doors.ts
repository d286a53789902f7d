import { createRequire } from 'node:module';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import type { Scope } from '../../media/scope.ts';
import { receive } from './ear.ts';
import { watchGrowing } from './growing.ts';
import { type House, NotHere, type Pictures, untilThere } from './in-doors.ts';
import { notePictures, ownPage, owned, playHls, whep } from './pages.ts';
import { type Viewer, freeTcp, speaks, watch } from './programs.ts';
import { freePorts } from './rtp.ts';

/** A session that is live, and what was set up before it began. */
export interface Showing extends House {
  readonly session: HostedSession;
  readonly recordings: string;
  /** FFmpeg listening for pushes, by the door's name. */
  readonly pushed: ReadonlyMap<string, Viewer>;
}

/** A way out, and somebody who watches by it. */
export interface OutDoor {
  /** As in `--only`. */
  readonly name: string;
  readonly protocol: string;
  readonly codecs: string;
  readonly client: string;
  /** Browsers are watched by one at a time: two of them are more than a small machine draws in time. */
  readonly alone: boolean;
  readonly note?: string;
  readonly lacking: (house: House) => string | undefined;
  /** What the session must be created with. */
  readonly output?: (house: House, port: number) => { readonly url: string; readonly input: readonly string[] };
  readonly watch: (showing: Showing, scope: Scope) => Promise<Pictures>;
}

const none = () => undefined;
const noFfmpeg = (protocol: string) => () => (speaks(protocol) ? undefined : `this FFmpeg has no ${protocol}`);
const noChromium = ({ browsers }: House) => (browsers ? undefined : 'no Chromium');
const noHlsJs = (house: House) => noChromium(house) ?? (hasHlsJs() ? undefined : 'no hls.js: npm install');
const hasHlsJs = (): boolean => {
  try {
    return createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js') !== '';
  } catch {
    return false;
  }
};
const hlsOf = ({ url, session }: Showing, name: string) => `${url}/v1/sessions/${session.id}/hls/${name}`;
const FFMPEG = 'FFmpeg';
const STEADY =
  'FFmpeg does not play, it takes a segment when it is there: the most is how far behind a steady player is';

/** FFmpeg at a playlist that is there. */
const segments = (name: string) => async (showing: Showing, scope: Scope) => {
  await untilThere(hlsOf(showing, 'video/index.m3u8'), scope);
  return shown(watch(['-i', hlsOf(showing, name)], scope), scope);
};
/** FFmpeg's pictures, once there are any. */
async function shown(viewer: Viewer, scope: Scope): Promise<Pictures> {
  for (let tries = 0; viewer.seen.length === 0; tries += 1) {
    scope.signal.throwIfAborted();
    if (tries > 300) throw new Error(`FFmpeg shows nothing: ${viewer.said() || 'and says nothing'}`);
    await new Promise((wake) => setTimeout(wake, 100));
  }
  return () => viewer.seen;
}
const pushed = (name: string) => (showing: Showing, scope: Scope) => shown(showing.pushed.get(name)!, scope);

/** Every way out. A row more is a door more. */
export const OUT_DOORS: readonly OutDoor[] = [
  {
    name: 'rtp',
    protocol: 'plain RTP',
    codecs: 'H.264',
    client: FFMPEG,
    alone: false,
    note: 'nothing of ours lies between: what FFmpeg needs to decode, which is in every row of FFmpeg’s',
    lacking: none,
    async watch({ session, folder }, scope) {
      const { video } = await freePorts();
      const stream = await receive(session, video, scope);
      const type = stream.payloadType;
      const lines = ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
      lines.push(`m=video ${video} RTP/AVP ${type}`, `a=rtpmap:${type} ${stream.codec}/90000`);
      if (stream.codec === 'H264') lines.push(`a=fmtp:${type} packetization-mode=1`);
      const file = join(await mkdtemp(join(folder, 'out-')), 'out.sdp');
      await writeFile(file, [...lines, ''].join('\r\n'));
      const viewer = watch(['-protocol_whitelist', 'file,udp,rtp', '-i', file], scope);
      await stream.resume();
      return shown(viewer, scope);
    },
  },
  {
    name: 'webrtc',
    protocol: 'WebRTC, our page',
    codecs: 'H.264, Opus',
    client: 'Chromium',
    alone: true,
    lacking: noChromium,
    async watch({ browsers, session }, scope) {
      const page = owned(await browsers!.open(`/watch/${session.id}`), scope);
      await page.getByRole('button', { name: /play/i }).first().click();
      await page.waitForFunction('window.livedub?.framesDecoded > 5', undefined, { timeout: 30_000 });
      return (await notePictures(page)).seen;
    },
  },
  {
    name: 'whep',
    protocol: 'WHEP',
    codecs: 'H.264, Opus',
    client: 'Chromium',
    alone: true,
    lacking: noChromium,
    async watch({ browsers, session, url }, scope) {
      const page = await ownPage(browsers!, url, scope);
      const status = await whep(page, `${url}/v1/sessions/${session.id}/whep`);
      if (status !== 201) throw new NotHere(`POST …/whep answers ${status}`);
      await page.waitForFunction('document.querySelector("video").videoWidth > 0', undefined, { timeout: 30_000 });
      return (await notePictures(page)).seen;
    },
  },
  {
    name: 'll-hls',
    protocol: 'LL-HLS, parts of 0.333 s',
    codecs: 'fMP4, H.264, AAC',
    client: 'Chromium, hls.js',
    alone: true,
    lacking: noHlsJs,
    async watch(showing, scope) {
      const page = await ownPage(showing.browsers!, showing.url, scope);
      await untilThere(hlsOf(showing, 'video/index.m3u8'), scope);
      await playHls(page, hlsOf(showing, 'index.m3u8'));
      return (await notePictures(page)).seen;
    },
  },
  {
    name: 'hls',
    protocol: 'HLS, segments of 2 s',
    codecs: 'fMP4, H.264, AAC',
    client: FFMPEG,
    alone: false,
    note: STEADY,
    lacking: none,
    watch: segments('index.m3u8'),
  },
  {
    name: 'dash',
    protocol: 'DASH, segments of 2 s',
    codecs: 'fMP4, H.264, AAC',
    client: FFMPEG,
    alone: false,
    note: STEADY,
    lacking: none,
    watch: segments('manifest.mpd'),
  },
  {
    name: 'rtmp',
    protocol: 'RTMP push',
    codecs: 'FLV, H.264, AAC',
    client: `${FFMPEG} listening`,
    alone: false,
    lacking: noFfmpeg('rtmp'),
    output: (_, port) => ({
      url: `rtmp://127.0.0.1:${port}/live/reel`,
      input: ['-listen', '1', '-f', 'flv', '-i', `rtmp://127.0.0.1:${port}/live/reel`],
    }),
    watch: pushed('rtmp'),
  },
  {
    name: 'srt',
    protocol: 'SRT push, latency 120 ms',
    codecs: 'MPEG-TS, H.264, AAC',
    client: `${FFMPEG} listening`,
    alone: false,
    lacking: noFfmpeg('srt'),
    output: (_, port) => ({
      url: `srt://127.0.0.1:${port}`,
      input: ['-f', 'mpegts', '-i', `srt://127.0.0.1:${port}?mode=listener&latency=120000`],
    }),
    watch: pushed('srt'),
  },
  {
    name: 'recording',
    protocol: 'recording, as it grows',
    codecs: 'Matroska, H.264, Opus',
    client: 'the file system',
    alone: false,
    note: 'a picture is there when the file is as long as its last byte; looked at every 5 ms',
    lacking: none,
    watch: ({ recordings }, scope) => watchGrowing(recordings, scope),
  },
];

/** FFmpeg listening for each push, and what the session is told of it. */
export async function listeners(doors: readonly OutDoor[], house: House, scope: Scope) {
  const viewers = new Map<string, Viewer>();
  const push: { url: string }[] = [];
  for (const { name, output, lacking } of doors) {
    if (!output || lacking(house) !== undefined) continue;
    const { url, input } = output(house, await freeTcp());
    viewers.set(name, watch(input, scope));
    push.push({ url });
  }
  return { pushed: viewers, push };
}
