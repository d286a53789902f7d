import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { OutTrack, OutletContext } from '../../gateway/outlet/outlet.ts';
import { MOST_WAITING, Push } from '../../gateway/outlet/push.ts';
import type { PushSpec } from '../../gateway/source-spec.ts';
import { type Clock, ManualClock, MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { type Span, seconds } from '../../media/time.ts';
import { eventually } from '../fakes/gateway.ts';
import { type OutClip, inOrder, outClip } from '../fakes/out-frames.ts';
import { openRtmpSink } from '../fakes/rtmp-sink.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';

const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const absent = has('ffmpeg', '-version') ? missing(WEBCAM.file) : 'no ffmpeg: apt-get install ffmpeg';
const noGstreamer = has('gst-inspect-1.0', 'srtsrc') && has('gst-inspect-1.0', 'tsdemux') ? undefined : 'no GStreamer';
const noOpenssl = has('openssl', 'version') ? undefined : 'no openssl';
const KEY = 'live_s3cr3t-k3y';

const VIDEO: OutTrack = { id: 'video', kind: 'video', language: null, title: 'Picture', codec: 'H264' };
const sound = (id: OutTrack['id'], language: string): OutTrack => ({
  ...{ id, language, kind: 'audio', title: language, codec: 'Opus' },
});
const ORIGINAL = sound('original', 'en');
const SPANISH = sound('dub:es', 'es');
const GERMAN = sound('dub:de', 'de');
const ALL = [VIDEO, ORIGINAL, SPANISH, sound('voice:es', 'es'), GERMAN];

const folder = mkdtempSync(join(tmpdir(), 'livedub-push-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(absent)(`a push to another server (${absent ?? 'ffmpeg'})`, () => {
  let clip: OutClip;
  let scope: Scope;
  let complaints: string[];
  beforeAll(() => {
    clip = outClip(recording(WEBCAM.file), 4);
  });
  beforeEach(() => {
    scope = new Scope('test');
    complaints = [];
  });
  afterEach(() => scope.close());

  const open = (spec: PushSpec, clock: Clock = new MonotonicClock()) => {
    const context: OutletContext = {
      session: 's',
      name: 'Talk',
      from: 'en',
      dateOf: (media) => media / 1_000,
      complain: (message) => complaints.push(message),
    };
    const push = Push.open(spec, context, clock, scope, { jitter: () => 1 });
    scope.defer(() => push.close());
    return push;
  };
  /** Gives everything some times faster than it plays. */
  const feed = async (push: Push, tracks: readonly OutTrack[], from: Span, what: OutClip = clip, clock?: Clock) => {
    const audible = tracks.filter(({ kind }) => kind === 'audio');
    const items = inOrder([...what.pictures, ...audible.flatMap(({ id }) => what.sounds(id))], from);
    let step = 0;
    for (const item of items) {
      if (item.start - from > step) {
        step += 100_000;
        push.tick((clock ?? new MonotonicClock()).now());
        await new Promise((wake) => setTimeout(wake, 20));
      }
      if ('keyFrame' in item) push.picture(item);
      else push.sound(item);
    }
  };
  const run = (program: string, args: readonly string[]): ChildProcess => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore'] });
    scope.defer(() => child.kill('SIGKILL'));
    return child;
  };
  const ended = (child: ChildProcess) =>
    eventually(() => child.exitCode !== null || child.signalCode !== null, 'the receiver ended', 20_000);

  const rtmpListener = async (port: number, out: string) => {
    const args = ['-v', 'error', '-y', '-listen', '1', '-i', `rtmp://127.0.0.1:${port}/app/${KEY}`, '-c', 'copy'];
    const child = run('ffmpeg', [...args, '-flush_packets', '1', out]);
    await eventually(() => inUse('tcp', port), 'FFmpeg waits for RTMP');
    return child;
  };
  const srtListener = async (port: number, out: string) => {
    const url = `srt://127.0.0.1:${port}?mode=listener&latency=200000`;
    const args = ['-v', 'error', '-y', '-i', url, '-map', '0', '-c', 'copy', '-copyts', '-muxdelay', '0', out];
    const child = run('ffmpeg', args);
    await eventually(() => inUse('udp', port), 'FFmpeg waits for SRT');
    return child;
  };

  test('RTMP gets the picture and the first dub, whole and together', async () => {
    const [port, out] = [await freePort('tcp'), join(folder, 'whole.flv')];
    const server = await rtmpListener(port, out);
    const push = open({ url: `rtmp://127.0.0.1:${port}/app/${KEY}` });
    push.tracks(ALL);
    await feed(push, ALL, seconds(7_200));
    await eventually(() => push.counts['connected'] === 1, 'connected');
    await push.close();
    await ended(server);

    const streams = probe(out);
    expect(streams.map(({ codec }) => codec).sort()).toEqual(['aac', 'h264']);
    const [video, audio] = [
      streams.find(({ codec }) => codec === 'h264')!,
      streams.find(({ codec }) => codec === 'aac')!,
    ];
    expect(video.times, 'all but the second in which sound came').toHaveLength(75);
    expect(audio.times.length).toBeGreaterThanOrEqual(140);
    expect(audio.rate).toBe('48000');
    expect(Math.abs(skew(video.times, audio.times))).toBeLessThan(0.02);
    expect(push.counts).toMatchObject({ restarts: 0, failures: 0, 'dropped pictures': 25, 'push waiting': 0 });
    expect(push.counts['sent bytes']).toBeGreaterThan(statSync(out).size / 2);
    expect(complaints).toEqual([]);
  });

  test.skipIf(noOpenssl)(
    `RTMPS gets the same behind TLS, where its certificate is trusted (${noOpenssl ?? 'openssl'})`,
    async () => {
      const [certFile, keyFile, out] = [join(folder, 'cert.pem'), join(folder, 'key.pem'), join(folder, 'tls.flv')];
      const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
      const made = [
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        keyFile,
        '-out',
        certFile,
      ];
      execFileSync('openssl', ['req', '-x509', ...made, '-days', '2', ...names], { stdio: 'ignore' });
      const tls = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
      const sink = await openRtmpSink({ key: KEY, tls }, scope);
      expect(sink.url).toMatch(/^rtmps:/);

      const stranger = open({ url: sink.url });
      stranger.tracks(ALL);
      await feed(stranger, ALL, seconds(0));
      await eventually(() => stranger.counts['failures'] === 1, 'it is not trusted');
      expect(complaints).toHaveLength(1);
      expect(complaints[0]).toContain('its certificate is not trusted');
      expect(complaints[0]).not.toContain(KEY);
      expect(sink.received).toEqual([]);

      process.env['SSL_CERT_FILE'] = certFile;
      scope.defer(() => void delete process.env['SSL_CERT_FILE']);
      const push = open({ url: sink.url });
      push.tracks(ALL);
      await feed(push, ALL, seconds(7_200));
      await eventually(() => push.counts['connected'] === 1, 'connected');
      await push.close();
      await eventually(() => sink.received[0]?.over, 'it has said goodbye');
      writeFileSync(out, sink.flv());
      const streams = probe(out);
      expect(streams.map(({ codec, times }) => [codec, times.length >= 75]).sort()).toEqual([
        ['aac', true],
        ['h264', true],
      ]);
      expect(sink.received).toHaveLength(1);
      expect(complaints).toHaveLength(1);
    },
  );

  test('SRT gets every language as a track that says which it is, on media time', async () => {
    const [port, out] = [await freePort('udp'), join(folder, 'all.ts')];
    const server = await srtListener(port, out);
    const push = open({ url: `srt://127.0.0.1:${port}?latency=200000` });
    push.tracks(ALL);
    await feed(push, ALL, seconds(100));
    await eventually(() => push.counts['connected'] === 1, 'connected');
    await push.close();
    await ended(server);

    const streams = probe(out);
    expect(streams.map(({ codec, language }) => [codec, language])).toEqual([
      ['h264', undefined],
      ['aac', 'eng'],
      ['aac', 'spa'],
      ['aac', 'deu'],
    ]);
    const [video, ...sounds] = streams;
    // What lies in SRT's latency when the sender hangs up is lost: 200 ms, five times faster than it plays.
    expect(video!.times.length).toBeGreaterThan(40);
    video!.times.forEach((time, n) => expect(time).toBeCloseTo(102 + n * 0.04, 3));
    expect(video!.times[0]).toBeCloseTo(102, 2);
    for (const each of sounds) expect(Math.abs(skew(video!.times, each.times))).toBeLessThan(0.02);
  });

  test('a server that goes away and comes back gets the programme again from a key frame on', async () => {
    const port = await freePort('tcp');
    const first = await rtmpListener(port, join(folder, 'first.flv'));
    const clock = new ManualClock();
    const push = open({ url: `rtmp://127.0.0.1:${port}/app/${KEY}` }, clock);
    push.tracks(ALL);
    let place = 0;
    const more = () => feed(push, ALL, seconds(4 * place++), clip, clock);
    await more();
    await eventually(() => push.counts['connected'] === 1, 'connected');
    first.kill('SIGKILL');
    for (let n = 0; push.counts['failures'] === 0 && n < 10; n += 1) await more();
    expect(push.counts).toMatchObject({ connected: 0, failures: 1 });
    await more();
    expect(push.counts, 'it waits a second').toMatchObject({ restarts: 0 });

    const out = join(folder, 'second.flv');
    const second = await rtmpListener(port, out);
    await clock.advance(seconds(1));
    await more();
    await eventually(() => push.counts['connected'] === 1, 'connected again');
    await push.close();
    await ended(second);
    const video = probe(out).find(({ codec }) => codec === 'h264')!;
    expect(video.times).toHaveLength(100);
    expect(video.firstIsKey).toBe(true);
    expect(push.counts['dropped pictures']).toBeGreaterThan(0);
    expect(complaints).toHaveLength(1);
  });

  test('a server that is not there is tried ever less often and complained about once, without the key', async () => {
    const port = await freePort('tcp');
    const clock = new ManualClock();
    const push = open({ url: `rtmp://somebody:${KEY}@127.0.0.1:${port}/app/${KEY}?token=${KEY}` }, clock);
    push.tracks(ALL);
    let place = 0;
    for (const [failures, wait] of [
      [1, 1],
      [2, 2],
      [3, 4],
    ] as const) {
      await feed(push, ALL, seconds(4 * place++), clip, clock);
      await eventually(() => push.counts['failures'] === failures, `failure ${failures}`);
      await clock.advance((seconds(wait) - 1) as Span);
      await feed(push, ALL, seconds(4 * place++), clip, clock);
      expect(push.counts).toMatchObject({ failures, restarts: failures - 1, connected: 0, 'push waiting': 0 });
      await clock.advance(1 as Span);
    }
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toContain(`rtmp://127.0.0.1:${port}`);
    expect(complaints[0]).toContain('nobody listens there');
    expect(complaints.join()).not.toContain(KEY);
  });

  test('a server that takes nothing costs bounded memory and whole groups of pictures, and is tried anew', async () => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    scope.defer(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const clock = new ManualClock();
    const push = open({ url: `rtmp://127.0.0.1:${(server.address() as AddressInfo).port}/app/${KEY}` }, clock);
    push.tracks(ALL);
    const heavy = outClip(recording(WEBCAM.file), 4, { height: 720, crf: 8 });
    for (let n = 0; push.counts['dropped pictures'] === 0 && n < 20; n += 1) {
      await feed(push, ALL, seconds(4 * n), heavy, clock);
    }
    expect(push.counts['dropped pictures']).toBeGreaterThan(0);
    expect(push.counts['push waiting']).toBeGreaterThan(MOST_WAITING / 2);
    expect(push.counts['push waiting']).toBeLessThan(MOST_WAITING + 1_000_000);
    await clock.advance(seconds(16));
    push.tick(clock.now());
    expect(push.counts).toMatchObject({ failures: 1, 'push waiting': 0, connected: 0 });
    expect(complaints).toHaveLength(1);
  });

  test('a slow server misses whole groups of pictures and goes on at a key frame', async () => {
    const [port, out] = [await freePort('tcp'), join(folder, 'slow.flv')];
    const server = await rtmpListener(port, out);
    const clock = new ManualClock();
    const push = open({ url: `rtmp://127.0.0.1:${port}/app/${KEY}` }, clock);
    push.tracks(ALL);
    const heavy = outClip(recording(WEBCAM.file), 4, { height: 720, crf: 8 });
    let n = 0;
    const more = () => feed(push, ALL, seconds(4 * n++), heavy, clock);
    await more();
    await eventually(() => push.counts['connected'] === 1, 'connected');
    server.kill('SIGSTOP');
    while (push.counts['dropped pictures'] === 0 && n < 30) await more();
    server.kill('SIGCONT');
    await eventually(() => push.counts['push waiting']! < MOST_WAITING / 2, 'what waited is taken');
    const dropped = push.counts['dropped pictures']!;
    await more();
    expect(push.counts).toMatchObject({ failures: 0, restarts: 0, 'dropped pictures': dropped });
    await push.close();
    await ended(server);
    expect(dropped).toBeGreaterThan(0);
    const video = probe(out).find(({ codec }) => codec === 'h264')!;
    expect(video.times).toHaveLength(n * heavy.pictures.length - dropped);
    expect(execFileSync('ffmpeg', ['-v', 'error', '-i', out, '-f', 'null', '-']).toString()).toBe('');
  });

  test('a language that is added comes with another connection; RTMP goes on as it is', async () => {
    const [port, out] = [await freePort('udp'), join(folder, 'added.ts')];
    const first = await srtListener(port, join(folder, 'before.ts'));
    const clock = new ManualClock();
    const push = open({ url: `srt://127.0.0.1:${port}?latency=200000` }, clock);
    push.tracks([VIDEO, ORIGINAL, SPANISH]);
    await feed(push, [VIDEO, ORIGINAL, SPANISH], seconds(0), clip, clock);
    await eventually(() => push.counts['connected'] === 1, 'connected');
    push.tracks(ALL);
    await feed(push, [ORIGINAL, SPANISH, GERMAN], seconds(4), clip, clock);
    await ended(first);
    const second = await srtListener(port, out);
    for (let n = 2; push.counts['connected'] === 0 && n < 12; n += 1) {
      await feed(push, ALL, seconds(4 * n), clip, clock);
      await clock.advance(seconds(8));
    }
    await push.close();
    await ended(second);
    expect(probe(out).map(({ language }) => language)).toEqual([undefined, 'eng', 'spa', 'deu']);
  });

  test.skipIf(noGstreamer)(`GStreamer plays what comes by SRT (${noGstreamer ?? 'srtsrc'})`, async () => {
    const [port, out] = [await freePort('udp'), join(folder, 'gst')];
    const source = ['srtsrc', `uri=srt://127.0.0.1:${port}?mode=listener`, 'latency=200', '!', 'tsdemux', 'name=d'];
    // Unless told, h264parse writes lengths in place of start codes.
    const startCodes = ['h264parse', '!', 'video/x-h264,stream-format=byte-stream,alignment=au'];
    const video = ['d.', '!', 'queue', '!', ...startCodes, '!', 'filesink', `location=${out}.h264`];
    const audio = ['d.', '!', 'queue', '!', 'aacparse', '!', 'audio/mpeg,stream-format=adts', '!'];
    const sink = ['filesink', `location=${out}.aac`];
    const child = run('gst-launch-1.0', ['-q', '-e', ...source, ...video, ...audio, ...sink]);
    await eventually(() => inUse('udp', port), 'GStreamer waits for SRT');
    const push = open({ url: `srt://127.0.0.1:${port}?latency=200000`, language: 'es' });
    push.tracks(ALL);
    await feed(push, ALL, seconds(50));
    await feed(push, ALL, seconds(54));
    await eventually(() => existsSync(`${out}.h264`) && statSync(`${out}.h264`).size > 10_000, 'pictures');
    await push.close();
    child.kill('SIGINT');
    await ended(child);
    const decoded = (file: string) => probe(file).map(({ codec, times }) => [codec, times.length > 100]);
    expect(decoded(`${out}.h264`)).toEqual([['h264', true]]);
    expect(decoded(`${out}.aac`)).toEqual([['aac', true]]);
  });
});

const inUse = (protocol: 'tcp' | 'udp', port: number) =>
  new RegExp(
    `:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F]+:0000 ${protocol === 'tcp' ? '0A' : '07'}`,
  ).test(readFileSync(`/proc/net/${protocol}`, 'latin1'));
async function freePort(protocol: 'tcp' | 'udp'): Promise<number> {
  if (protocol === 'tcp') {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((done) => server.close(done));
    return port;
  }
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((done) => socket.close(done));
  return port;
}

interface Probed {
  readonly codec: string;
  readonly language: string | undefined;
  readonly rate: string | undefined;
  readonly times: readonly number[];
  readonly firstIsKey: boolean;
}
function probe(file: string): Probed[] {
  const show = [
    '-show_entries',
    'stream=index,codec_name,sample_rate:stream_tags=language:packet=stream_index,pts_time,flags',
  ];
  const { streams, packets = [] } = JSON.parse(
    execFileSync('ffprobe', ['-v', 'error', '-of', 'json', ...show, file], { encoding: 'utf8', maxBuffer: 1 << 28 }),
  ) as {
    streams: { index: number; codec_name: string; sample_rate?: string; tags?: { language?: string } }[];
    packets?: { stream_index: number; pts_time: string; flags: string }[];
  };
  return streams.map(({ index, codec_name, sample_rate, tags }) => {
    const own = packets.filter((packet) => packet.stream_index === index);
    return {
      codec: codec_name,
      language: tags?.language,
      rate: sample_rate,
      times: own.map(({ pts_time }) => Number(pts_time)),
      firstIsKey: own[0]?.flags.startsWith('K') ?? false,
    };
  });
}
/** How much later sound begins than pictures, s: both do at the key frame, sound with the next whole frame of 21 ms. */
const skew = (video: readonly number[], audio: readonly number[]) => audio[0]! - video[0]! - 0.00267;
