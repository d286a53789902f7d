import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFile } from '../../media/file.ts';
import { Scope } from '../../media/scope.ts';
import { type StreamInput, type StreamOptions, openStream } from '../../media/stream.ts';
import { ms, seconds } from '../../media/time.ts';
import {
  type Read,
  expectGapless,
  expectInOrder,
  programmeConformance,
  readAll,
  soundOf,
} from '../conformance/programme.ts';
import { missing, recording } from '../fakes/recordings.ts';

const folder = mkdtempSync(join(tmpdir(), 'livedub-stream-'));
const path = (name: string) => join(folder, name);
const make = (name: string, ...args: string[]) => {
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...args, path(name)]);
};
const FACE = 'talking/video-retalking/face1.mp4';
const why = missing(FACE);
/** A beep of 100 ms at 2 s and at 4 s. */
const BEEPS = (rate = 48_000, layout = 'mono') => {
  const beep = '0.5*sin(2*PI*1000*t)*gte(mod(t\\,2)\\,0)*lt(mod(t\\,2)\\,0.1)*gt(t\\,1)';
  const all = Array.from({ length: layout === '5.1' ? 6 : 1 }, () => beep).join('|');
  return ['-f', 'lavfi', '-i', `aevalsrc=${all}:s=${rate}:d=5:c=${layout}`];
};
const FACES = ['-t', '5', '-i', recording(FACE)];
const SMALL = ['-vf', 'setpts=PTS-STARTPTS,scale=320:320,fps=25', '-pix_fmt', 'yuv420p', '-t', '5'];
const X264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '25'];
const BOTH = ['-map', '0:v', '-map', '1:a'];
const clipOf = (name: string, sound: readonly string[], ...args: string[]) =>
  make(name, ...FACES, ...sound, ...BOTH, ...SMALL, ...args);

/** Where the beep of 2 s begins, s. */
const beepIn = ({ sounds }: Read) => soundOf(sounds).findIndex((sample) => Math.abs(sample) > 0.1) / 48_000;
/** Picture 50 was shown at 2 s. */
const apart = (read: Read) => read.pictures[50]!.start / 1_000_000 - beepIn(read);

async function* bytesOf(bytes: Uint8Array, most = 20_000): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += most) yield bytes.subarray(from, from + most);
}
const bytes = (name: string, part = 1): StreamInput => {
  const all = readFileSync(path(name));
  const format = name.endsWith('.flv') ? 'flv' : 'mpegts';
  return { kind: 'bytes', format, bytes: bytesOf(all.subarray(0, all.length * part)) };
};
async function read(input: StreamInput, options: Partial<StreamOptions> = {}) {
  await using scope = new Scope('test');
  const programme = await openStream(input, { field: 'source.url', ...options }, scope);
  return { info: programme.info, ...(await readAll(programme)) };
}
async function failureOf(input: StreamInput, options: Partial<StreamOptions> = {}) {
  await using scope = new Scope('test');
  return await openStream(input, { field: 'source.url', ...options }, scope).then(
    () => 'opened',
    (failure: unknown) => failure,
  );
}

const server = createServer((request, response) => {
  const name = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname.slice(1));
  if (/^\d{3}$/.test(name)) response.writeHead(Number(name)).end();
  else if (name === 'silent') response.writeHead(200, { 'Content-Type': 'video/mp2t' }).flushHeaders();
  else if (name === 'locked.ts' && !request.headers.authorization)
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end();
  else if (name === 'stalls.ts') response.writeHead(200).write(readFileSync(path('plain.ts')).subarray(0, 150_000));
  else {
    const file = createReadStream(path(name === 'locked.ts' ? 'plain.ts' : name));
    file.on('error', () => response.writeHead(404).end()).pipe(response);
  }
});
const url = (name: string, before = ''): StreamInput => ({
  kind: 'url',
  url: `http://${before}127.0.0.1:${(server.address() as AddressInfo).port}/${name}`,
});

/** A UDP port that is free, and even, as RTP's are. */
async function freePort(): Promise<number> {
  for (;;) {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    socket.close();
    await once(socket, 'close');
    if (port % 2 === 0) return port;
  }
}

describe.skipIf(why)(`live sources (skipped: ${why})`, () => {
  beforeAll(async () => {
    clipOf('plain.ts', BEEPS(), ...X264, '-c:a', 'aac');
    clipOf('plain.flv', BEEPS(44_100), ...X264, '-c:a', 'aac');
    clipOf('plain.mp4', BEEPS(), ...X264, '-c:a', 'aac', '-movflags', '+faststart');
    make('list.m3u8', '-i', path('plain.ts'), '-c', 'copy', '-hls_time', '1', '-hls_list_size', '0', '-f', 'hls');
    clipOf('bframes.ts', BEEPS(), ...X264, '-bf', '2', '-c:a', 'aac');
    clipOf(
      'hevc.ts',
      BEEPS(),
      '-c:v',
      'libx265',
      '-preset',
      'ultrafast',
      '-x265-params',
      'log-level=none',
      '-c:a',
      'aac',
    );
    clipOf('rare.ts', BEEPS(), ...X264, '-g', '250', '-c:a', 'aac');
    clipOf('surround.ts', BEEPS(48_000, '5.1'), ...X264, '-c:a', 'ac3');
    clipOf(
      'vp9.webm',
      BEEPS(),
      '-c:v',
      'libvpx-vp9',
      '-deadline',
      'realtime',
      '-cpu-used',
      '8',
      '-g',
      '25',
      '-lag-in-frames',
      '0',
      '-c:a',
      'libopus',
    );
    make('sound.ts', '-i', path('plain.ts'), '-vn', '-c', 'copy');
    make('pictures.flv', '-i', path('plain.flv'), '-an', '-c', 'copy');
    make('later.ts', '-i', path('plain.ts'), '-c', 'copy', '-output_ts_offset', '5000');
    make('later.flv', '-i', path('plain.flv'), '-c', 'copy', '-output_ts_offset', '5000');
    writeFileSync(
      path('evil.m3u8'),
      `#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://${path('plain.ts')}\n#EXT-X-ENDLIST\n`,
    );
    writeFileSync(path('text.txt'), 'this is no media\n'.repeat(1_000));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  const open = (input: () => StreamInput) => (scope: Scope) => openStream(input(), { field: 'source' }, scope);
  const common = { apart, fps: 25, length: 4.5 };
  programmeConformance({ name: 'a file', open: (scope) => openFile(path('plain.mp4'), {}, scope), ...common });
  programmeConformance({ name: 'MPEG-TS as bytes', open: open(() => bytes('plain.ts')), ...common });
  programmeConformance({ name: 'FLV as bytes', open: open(() => bytes('plain.flv')), ...common });
  programmeConformance({ name: 'MPEG-TS over HTTP', open: open(() => url('plain.ts')), ...common });
  programmeConformance({ name: 'HLS', open: open(() => url('list.m3u8')), ...common });

  test('pictures that can pass do so bit for bit', async () => {
    const { pictures, info } = await read(bytes('plain.ts'));
    expect(info.video?.why).toBeNull();
    const md5 = (args: string[], input?: Uint8Array) =>
      execFileSync('ffmpeg', ['-v', 'error', ...args, '-f', 'framemd5', '-'], { input, encoding: 'utf8' })
        .split('\n')
        .flatMap((line) => (/^0,/.test(line) ? [line.split(',').at(-1)] : []));
    const wanted = md5(['-i', path('plain.ts'), '-map', 'v']);
    expect(md5(['-f', 'h264', '-i', 'pipe:0'], Buffer.concat(pictures.map(({ data }) => data)))).toEqual(wanted);
    expect((await read(url('vp9.webm'))).info.video).toMatchObject({ codec: 'VP9', why: null });
  });

  test.for([
    ['bframes.ts', 'B-frames'],
    ['hevc.ts', 'do not take hevc'],
  ] as const)('%s is transcoded once, because of %s, and stays with its sound', async ([name, because]) => {
    const all = await read(bytes(name));
    expect(all.info.video).toMatchObject({ codec: 'H264', width: 320, height: 320 });
    expect(all.info.video?.why).toContain(because);
    expectInOrder(all.pictures);
    expectGapless(all.sounds);
    expect(Math.abs(apart(all))).toBeLessThan(0.04);
  });

  test('key frames that turn out rare end the programme with what to do, and it opens again with that', async () => {
    const slow = async function* () {
      const all = readFileSync(path('rare.ts'));
      yield all.subarray(0, 60_000);
      await new Promise((wake) => setTimeout(wake, 3_000));
      yield all.subarray(60_000);
    };
    const { failure, pictures } = await read({ kind: 'bytes', format: 'mpegts', bytes: slow() });
    expect(failure).toMatchObject({
      name: 'PicturesUnfit',
      why: 'a late joiner would wait more than 4 s for a key frame',
    });
    expect(pictures.length).toBeGreaterThan(90);
    const { why } = failure as { why: string };
    const again = await read(bytes('rare.ts'), { transcode: why });
    expect(again.failure).toBeUndefined();
    expect(again.info.video).toMatchObject({ codec: 'H264', why });
    const keys = again.pictures.filter(({ keyFrame }) => keyFrame).map(({ start }) => start);
    expect(keys.slice(1).every((key, n) => key - keys[n]! < 2_100_000)).toBe(true);
  });

  test('how long it is, is said of files only: nobody knows it of what goes on', async () => {
    for (const live of [bytes('plain.ts'), bytes('plain.flv'), url('plain.ts'), url('plain.flv')])
      expect((await read(live)).info.duration).toBeNull();
    for (const finished of [url('plain.mp4'), url('list.m3u8')])
      expect(Math.abs((await read(finished)).info.duration! - seconds(5))).toBeLessThan(seconds(0.2));
  });

  test('sound of six channels, of 44.1 kHz, alone, and pictures alone', async () => {
    const six = await read(bytes('surround.ts'));
    expect(six.info.audio).toMatchObject({ codec: 'ac3', channels: 6 });
    expect(Math.abs(apart(six))).toBeLessThan(0.04);
    expect((await read(bytes('plain.flv'))).info.audio).toMatchObject({ rate: 44_100 });
    const sound = await read(bytes('sound.ts'));
    expect(sound.info.video).toBeNull();
    expectGapless(sound.sounds);
    expect(sound.sounds.length).toBeGreaterThan(240);
    const seen = await read(bytes('pictures.flv'));
    expect(seen.info.audio).toBeNull();
    expect(seen.sounds).toEqual([]);
    expect(seen.pictures).toHaveLength(125);
    expectInOrder(seen.pictures);
  });

  /** The clip again after itself, with another clock: 12 and more seconds there, or back. */
  const joined = (first: string, second: string): StreamInput => {
    const flv = first.endsWith('.flv');
    const head = readFileSync(path(first));
    const tail = readFileSync(path(second)).subarray(flv ? 13 : 0);
    return { kind: 'bytes', format: flv ? 'flv' : 'mpegts', bytes: bytesOf(Buffer.concat([head, tail])) };
  };
  test.for([
    ['plain.ts', 'later.ts'],
    ['later.ts', 'plain.ts'],
    ['plain.flv', 'later.flv'],
    ['later.flv', 'plain.flv'],
  ] as const)('a clock that jumps from %s to %s goes on, with sound and pictures together', async ([first, second]) => {
    const { pictures, sounds, failure } = await read(joined(first, second));
    expect(failure).toBeUndefined();
    expectInOrder(pictures);
    expectGapless(sounds);
    expect(Math.abs(sounds.length / 50 - 10)).toBeLessThan(0.5);
    expect(Math.abs(pictures.length - 250)).toBeLessThan(3);
    const pcm = soundOf(sounds);
    const second2 = pcm.findIndex((sample, n) => n > 6 * 48_000 && Math.abs(sample) > 0.1) / 48_000;
    expect(Math.abs(pictures.at(-75)!.start / 1_000_000 - second2)).toBeLessThan(0.08);
  });

  test('pictures without time stamps get one', async () => {
    const ts = readFileSync(path('plain.ts'));
    let pictures = 0;
    for (let at = 0; at < ts.length; at += 188) {
      const begins = (ts[at + 1]! & 0x40) !== 0;
      const from = at + 4 + ((ts[at + 3]! & 0x20) !== 0 ? 1 + ts[at + 4]! : 0);
      if (!begins || ts.readUIntBE(from, 3) !== 1 || (ts[from + 3]! & 0xf0) !== 0xe0) continue;
      if ((pictures += 1) % 2 === 1) continue;
      ts[from + 7]! &= 0x3f;
      ts.fill(0xff, from + 9, from + 9 + ts[from + 8]!);
    }
    expect(pictures).toBe(125);
    const all = await read({ kind: 'bytes', format: 'mpegts', bytes: bytesOf(ts) });
    expect(all.failure).toBeUndefined();
    expect(all.pictures).toHaveLength(125);
    expectInOrder(all.pictures);
    expect(Math.abs(apart(all))).toBeLessThan(0.04);
  });

  test.for(['plain.ts', 'plain.flv'])('%s that stops in mid-picture gives what it had', async (name) => {
    const all = await read(bytes(name, 0.6));
    expect(all.failure).toBeUndefined();
    expectGapless(all.sounds);
    expectInOrder(all.pictures);
    expect(all.pictures.length).toBeGreaterThan(40);
  });

  test('what a sender throws, and one that falls silent, is a source that is away', async () => {
    const whole = readFileSync(path('plain.ts'));
    const breaking = async function* () {
      yield* bytesOf(whole.subarray(0, 150_000));
      throw new Error('the line went dead');
    };
    const broken = await failureOrEnd({ kind: 'bytes', format: 'mpegts', bytes: breaking() });
    expect(broken).toMatchObject({ name: 'StreamAway' });
    const silent = async function* () {
      yield* bytesOf(whole.subarray(0, 150_000));
      await new Promise(() => {});
    };
    const quiet = await failureOrEnd({ kind: 'bytes', format: 'mpegts', bytes: silent() }, { patience: seconds(1) });
    expect(quiet).toMatchObject({ name: 'StreamAway', message: 'Nothing has come from the MPEG-TS stream for 1 s' });
    const stalled = await failureOrEnd(url('stalls.ts'), { patience: ms(1_500) });
    expect(stalled).toMatchObject({ name: 'StreamAway' });
  });
  const failureOrEnd = (input: StreamInput, options: Partial<StreamOptions> = {}) =>
    read(input, options).then(
      ({ failure }) => failure,
      (failure: unknown) => failure,
    );

  test.for([
    ['404', 'not_found', 'nothing there'],
    ['nowhere.ts', 'not_found', 'nothing there'],
    ['401', 'invalid', 'name and password'],
    ['403', 'invalid', 'does not allow'],
    ['text.txt', 'unsupported', 'Cannot play'],
    ['evil.m3u8', 'unsupported', 'Cannot'],
  ] as const)('%s never works: it is refused with what to do', async ([name, code, message]) => {
    const failure = await failureOf(url(`${name}?token=sesame`, 'ann:secret@'));
    expect(failure).toMatchObject({ name: 'Refusal', code, field: 'source.url' });
    expect((failure as Error).message).toContain(message);
    const cause = (failure as Error).cause as Error | undefined;
    expect(`${String(failure)} ${String(cause)}`).not.toMatch(/secret|ann:|sesame/);
  });

  test('a server that fails, is silent or is not there may come back; a password opens what is locked', async () => {
    expect(await failureOf(url('503'))).toMatchObject({ name: 'StreamAway' });
    expect(await failureOf(url('silent'), { patience: seconds(1) })).toMatchObject({ name: 'StreamAway' });
    const gone = await failureOf({ kind: 'url', url: 'http://ann:secret@127.0.0.1:1/live.ts' });
    expect(gone).toMatchObject({ name: 'StreamAway' });
    expect(`${String(gone)} ${String((gone as Error).cause)}`).not.toContain('secret');
    expect((await read(url('locked.ts', 'ann:secret@'))).pictures).toHaveLength(125);
    expect(await failureOf({ kind: 'url', url: 'file:///etc/passwd' })).toMatchObject({ name: 'Refusal' });
    expect(
      await failureOf({ kind: 'bytes', format: 'flv', bytes: bytesOf(readFileSync(path('text.txt'))) }),
    ).toMatchObject({
      name: 'Refusal',
    });
    expect(await failureOf({ kind: 'bytes', format: 'flv', bytes: bytesOf(new Uint8Array(0)) })).toMatchObject({
      name: 'StreamAway',
    });
  });

  test('plain RTP comes by its session description, and is away when its sender is', async () => {
    const [video, audio] = [await freePort(), await freePort()];
    const out = ['-f', 'rtp'];
    const args = ['-v', 'error', '-re', '-stream_loop', '1', '-i', path('plain.mp4'), '-sdp_file', path('a.sdp')];
    const child = spawn('ffmpeg', [
      ...args,
      ...['-map', 'v', '-c', 'copy', ...out, `rtp://127.0.0.1:${video}`],
      ...['-map', 'a', '-c:a', 'libopus', ...out, `rtp://127.0.0.1:${audio}`],
    ]);
    try {
      const sdp = await (async () => {
        for (;;) {
          try {
            const text = readFileSync(path('a.sdp'), 'utf8');
            if (text.includes('m=audio')) return text.replace(/^SDP:\s*/, '');
          } catch {
            // Not yet.
          }
          await new Promise((wake) => setTimeout(wake, 50));
        }
      })();
      await using scope = new Scope('test');
      const programme = await openStream({ kind: 'sdp', sdp }, { field: 'source.sdp', patience: seconds(2) }, scope);
      expect(programme.info).toMatchObject({ container: 'sdp', video: { codec: 'H264', why: null } });
      const { sounds, pictures, failure } = await readAll(programme);
      expectGapless(sounds);
      expectInOrder(pictures);
      expect(pictures.length).toBeGreaterThan(100);
      expect(failure).toMatchObject({ name: 'StreamAway' });
    } finally {
      child.kill('SIGKILL');
    }
  });
});
