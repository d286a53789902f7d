import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { type ServerResponse, createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { root } from '../../gateway/root.ts';
import type { Scope } from '../../media/scope.ts';
import type { Browsers } from '../browser.ts';
import type { Seen } from './delays.ts';
import { notePictures, ownPage, owned, whip } from './pages.ts';
import { joined, pace } from './paced.ts';
import { carrier, feeder, freeTcp, runs, server, speaks } from './programs.ts';
import type { Reel } from './reel.ts';
import { freePorts, sdpOf, sendRtp } from './rtp.ts';

/** What doors are measured with. */
export interface House {
  readonly reel: Reel;
  readonly folder: string;
  /** Where the gateway is. */
  readonly url: string;
  readonly browsers: Browsers | undefined;
}

/** Pictures that passed a place, asked for when everything is over. */
export type Pictures = () => readonly Seen[] | Promise<readonly Seen[]>;

/** What a sender needs to know of the session it sends to. */
export interface Target {
  readonly id: string;
  /** What the session says to type into an encoder. */
  readonly address: string;
}

interface Described {
  /** As in `--only`. */
  readonly name: string;
  readonly protocol: string;
  readonly codecs: string;
  readonly client: string;
  /** Why it cannot be measured on this machine. */
  readonly lacking: (house: House) => string | undefined;
}

/** An encoder that calls: the session is created, then it begins. */
export interface Calling extends Described {
  readonly kind: 'calls';
  readonly source: (house: House) => object;
  readonly send: (house: House, to: Target, scope: Scope) => Promise<Pictures>;
  /** FFmpeg in the session's place: its input at a free port, and the address to call; `undefined` where it cannot be. */
  readonly peer?: (port: number) => { readonly input: readonly string[]; readonly address: string };
}

/** An encoder or server that is called: it begins, then the session is created and calls it. */
export interface Waiting extends Described {
  readonly kind: 'waits';
  readonly wait: (
    house: House,
    scope: Scope,
  ) => Promise<{
    readonly source: object;
    readonly sent: Pictures;
    /** FFmpeg's input in the session's place. */
    readonly input: readonly string[];
  }>;
}
export type InDoor = Calling | Waiting;

const none = () => undefined;
const noFfmpeg = (protocol: string) => () => (speaks(protocol) ? undefined : `this FFmpeg has no ${protocol}`);
const noChromium = ({ browsers }: House) => (browsers ? undefined : 'no Chromium');

/** SRT's latency that both sides ask for: the gateway's default. µs, as FFmpeg wants it. */
const SRT_LATENCY = 120_000;
const FFMPEG = 'FFmpeg';
/** The client of doors whose pictures a browser plays before they are sent. */
export const CHROMIUM_PAGE = 'Chromium';

/** Carries a programme to an address by FFmpeg, which leaves it as it is. */
async function carry(units: Reel['ts'], address: string, scope: Scope): Promise<Pictures> {
  const [first, ...rest] = joined(units);
  const into = await carrier(address, first!.bytes, scope);
  const { seen } = pace(rest, ({ bytes }) => void into.write(bytes), scope);
  return () => seen;
}

/** An HTTP server for the length of `scope`. */
async function serving(answer: (path: string, response: ServerResponse) => void, scope: Scope): Promise<string> {
  const http = createServer((request, response) => answer(request.url ?? '/', response));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  scope.defer(() => {
    http.closeAllConnections();
    return new Promise((closed) => http.close(closed));
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

const TS = 'MPEG-TS, H.264, AAC';

/** Every way in. A row more is a door more. */
export const IN_DOORS: readonly InDoor[] = [
  {
    name: 'rtp',
    kind: 'waits',
    protocol: 'plain RTP by SDP',
    codecs: 'H.264, Opus',
    client: 'the bench',
    lacking: none,
    async wait({ reel, folder }, scope) {
      const ports = await freePorts();
      const sdp = sdpOf(ports);
      const file = join(await mkdtemp(join(folder, 'rtp-')), 'reel.sdp');
      await writeFile(file, sdp);
      const { seen } = await sendRtp(reel, ports, scope);
      return {
        source: { kind: 'rtp', sdp },
        sent: () => seen,
        input: ['-protocol_whitelist', 'file,udp,rtp', '-i', file],
      };
    },
  },
  {
    name: 'webrtc',
    kind: 'calls',
    protocol: 'WebRTC, our page',
    codecs: 'VP8, Opus',
    client: CHROMIUM_PAGE,
    lacking: noChromium,
    source: () => ({ kind: 'webrtc' }),
    async send({ browsers, reel }, { id }, scope) {
      const page = owned(await browsers!.publish(id, reel.file), scope);
      const notes = await notePictures(
        page,
        '[...document.querySelectorAll("video")].find(({ videoWidth }) => videoWidth > 0)',
      );
      return notes.seen;
    },
  },
  {
    name: 'whip',
    kind: 'calls',
    protocol: 'WHIP',
    codecs: 'VP8, Opus',
    client: CHROMIUM_PAGE,
    lacking: noChromium,
    source: () => ({ kind: 'webrtc' }),
    async send({ browsers, reel, url }, { id }, scope) {
      const page = await ownPage(browsers!, url, scope);
      const status = await whip(page, `${url}/v1/sessions/${id}/whip`, reel.file);
      if (status !== 201) throw new NotHere(`POST …/whip answers ${status}`);
      return (await notePictures(page)).seen;
    },
  },
  {
    name: 'srt',
    kind: 'calls',
    protocol: 'SRT, latency 120 ms, it calls us',
    codecs: TS,
    client: FFMPEG,
    lacking: noFfmpeg('srt'),
    source: () => ({ kind: 'srt', latency: SRT_LATENCY / 1_000 }),
    send: ({ reel }, { address }, scope) => carry(reel.ts, `${address}?mode=caller&latency=${SRT_LATENCY}`, scope),
    peer: (port) => ({
      input: ['-f', 'mpegts', '-i', `srt://127.0.0.1:${port}?mode=listener&latency=${SRT_LATENCY}`],
      address: `srt://127.0.0.1:${port}`,
    }),
  },
  {
    name: 'srt-caller',
    kind: 'waits',
    protocol: 'SRT, latency 120 ms, we call it',
    codecs: TS,
    client: FFMPEG,
    lacking: noFfmpeg('srt'),
    async wait({ reel }, scope) {
      const port = await freeTcp();
      const seen: Seen[] = [];
      const address = `srt://127.0.0.1:${port}`;
      const carried = carry(reel.ts, `${address}?mode=listener&latency=${SRT_LATENCY}`, scope);
      carried.catch(() => {});
      return {
        source: { kind: 'srt', mode: 'caller', host: '127.0.0.1', port, latency: SRT_LATENCY / 1_000 },
        sent: async () => (scope.signal.aborted ? seen : (await carried)()),
        input: ['-f', 'mpegts', '-i', `${address}?mode=caller&latency=${SRT_LATENCY}`],
      };
    },
  },
  {
    name: 'rtmp',
    kind: 'calls',
    protocol: 'RTMP',
    codecs: 'FLV, H.264, AAC',
    client: FFMPEG,
    lacking: noFfmpeg('rtmp'),
    source: () => ({ kind: 'rtmp' }),
    send: ({ reel }, { address }, scope) => carry(reel.flv, address, scope),
    peer: (port) => ({
      input: ['-listen', '1', '-f', 'flv', '-i', `rtmp://127.0.0.1:${port}/live/reel`],
      address: `rtmp://127.0.0.1:${port}/live/reel`,
    }),
  },
  {
    name: 'http',
    kind: 'waits',
    protocol: 'HTTP',
    codecs: TS,
    client: 'HTTP server of the bench',
    lacking: none,
    async wait({ reel }, scope) {
      const takers = new Set<ServerResponse>();
      const url = await serving((_, response) => {
        response.writeHead(200, { 'content-type': 'video/mp2t' });
        takers.add(response);
        response.on('close', () => takers.delete(response));
      }, scope);
      const give = ({ bytes }: { bytes: Uint8Array }) => takers.forEach((taker) => void taker.write(bytes));
      const { seen } = pace(joined(reel.ts), give, scope);
      return {
        source: { kind: 'url', url: `${url}/reel.ts` },
        sent: () => seen,
        input: ['-f', 'mpegts', '-i', `${url}/reel.ts`],
      };
    },
  },
  {
    name: 'hls',
    kind: 'waits',
    protocol: 'HLS, segments of 2 s',
    codecs: TS,
    client: 'FFmpeg’s playlists, an HTTP server of the bench',
    lacking: none,
    async wait({ reel, folder }, scope) {
      const own = join(await mkdtemp(join(folder, 'hls-')), 'live');
      await mkdir(own);
      const hls = ['-f', 'hls', '-hls_time', '2', '-hls_list_size', '6', '-hls_flags', 'delete_segments+temp_file'];
      const from = ['-fflags', 'nobuffer', '-probesize', '100000', '-f', 'mpegts', '-i', 'pipe:0', '-map', '0'];
      const into = feeder('ffmpeg', ['-v', 'error', ...from, '-c', 'copy', ...hls, join(own, 'live.m3u8')], scope);
      const url = await serving((path, response) => {
        const type = path.endsWith('.m3u8') ? 'application/vnd.apple.mpegurl' : 'video/mp2t';
        readFile(join(own, basename(path))).then(
          (body) => response.writeHead(200, { 'content-type': type }).end(body),
          () => response.writeHead(404).end(),
        );
      }, scope);
      const { seen } = pace(joined(reel.ts), ({ bytes }) => void into.write(bytes), scope);
      const address = `${url}/live.m3u8`;
      await untilThere(address, scope);
      return { source: { kind: 'url', url: address }, sent: () => seen, input: ['-i', address] };
    },
  },
  {
    name: 'rtsp',
    kind: 'waits',
    protocol: 'RTSP over TCP',
    codecs: 'H.264, Opus',
    client: 'GStreamer’s RTSP server',
    lacking: () =>
      runs(
        '/usr/bin/python3',
        '-c',
        'import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer',
      )
        ? undefined
        : 'no GStreamer RTSP server (gir1.2-gst-rtsp-server-1.0)',
    async wait({ reel }, scope) {
      const ports = await freePorts();
      const script = join(root, 'bench/doors/rtsp-server.py');
      const port = await server('/usr/bin/python3', [script, String(ports.video), String(ports.sound)], scope);
      const { seen } = await sendRtp(reel, ports, scope);
      const url = `rtsp://127.0.0.1:${port}/reel`;
      return {
        source: { kind: 'url', url, transport: 'tcp' },
        sent: () => seen,
        input: ['-rtsp_transport', 'tcp', '-i', url],
      };
    },
  },
];

/** What this build of the gateway does not have. */
export class NotHere extends Error {}

/** Waits for a playlist with three segments, as players like to begin with. */
export async function untilThere(url: string, scope: Scope): Promise<void> {
  for (let tries = 0; tries < 150; tries += 1) {
    const answer = await fetch(url, { signal: scope.signal });
    if (answer.ok && ((await answer.text()).match(/#EXTINF/g)?.length ?? 0) >= 3) return;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  throw new Error('FFmpeg wrote no playlist');
}
