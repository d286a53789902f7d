import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { type SrtConnection, type SrtListener, type SrtOptions, callSrt, listenSrt } from '../../media/srt.ts';
import { lossyRelay } from '../fakes/lossy-relay.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { FACE1 } from '../fakes/talking-clips.ts';

const folder = mkdtempSync(join(tmpdir(), 'livedub-srt-'));
const clip = join(folder, 'clip.ts');
const absent = missing(FACE1.file);
const gstreamer = spawnSync('gst-inspect-1.0', ['--exists', 'srtsink']).status === 0;
const SECRET = 'correct horse battery';
/** What a stall of a busy machine may take without a packet being too late. */
const CALM = 1_000;

let scope: Scope;
let bytes: Buffer;
beforeAll(() => {
  if (absent) return;
  execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', recording(FACE1.file), '-t', '2', '-c', 'copy', clip]);
  bytes = readFileSync(clip);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => void (scope = new Scope('test')));
afterEach(() => scope.close());

const local = (options: Partial<SrtOptions> = {}): SrtOptions => ({
  host: '127.0.0.1',
  port: 0,
  latency: 60,
  ...options,
});
const listen = (options: Partial<SrtOptions> = {}) => listenSrt(local(options), scope);
const callTo = (port: number, options: Partial<SrtOptions> = {}) => callSrt(local({ port, ...options }), scope);
const next = (listener: SrtListener) => listener.next(scope.signal);
async function pair(options: Partial<SrtOptions> = {}): Promise<[SrtConnection, SrtConnection, SrtListener]> {
  const listener = await listen(options);
  const [ours, theirs] = await Promise.all([next(listener), callTo(listener.port, options)]);
  return [theirs, ours, listener];
}
async function read(connection: SrtConnection): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const message of connection) all.push(message);
  return Buffer.concat(all);
}
/** Writes at some 20 Mbit/s. */
async function write(connection: SrtConnection, what: Uint8Array): Promise<void> {
  for (let at = 0; at < what.length; at += 13_160) {
    expect(connection.write(what.subarray(at, at + 13_160))).toBe(true);
    await sleep(5);
  }
}
function start(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.on('error', () => {});
  scope.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}
const ffmpeg = (...args: string[]) => start('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...args]);
const srt = (port: number, query: string) => `srt://127.0.0.1:${port}?${query}`;
async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}
const pictures = (path: string) =>
  execFileSync('ffprobe', ['-v', 'error', '-count_packets', '-select_streams', 'v', '-show_entries', 'stream=nb_read_packets', '-of', 'csv=p=0', path]).toString().trim().split(/\s+/)[0] ?? ''; // prettier-ignore
async function until(true_: () => boolean): Promise<void> {
  for (let n = 0; n < 1_000 && !true_(); n += 1) await sleep(10);
  expect(true_()).toBe(true);
}
/** Called until somebody listens. */
async function callUntil(port: number, options: Partial<SrtOptions> = {}): Promise<SrtConnection> {
  for (let n = 0; ; n += 1) {
    try {
      return await callTo(port, options);
    } catch (failure) {
      if (n === 5) throw failure;
    }
  }
}

describe.skipIf(absent !== undefined)(`real recordings (${absent ?? 'there'})`, () => {
  test('what FFmpeg sends with passphrase and stream id comes in byte for byte', async () => {
    const listener = await listen({ passphrase: SECRET, streamid: 'studio', latency: CALM });
    const query = `mode=caller&passphrase=${SECRET}&streamid=studio&linger=2`;
    ffmpeg('-re', '-i', clip, '-c', 'copy', '-f', 'mpegts', join(folder, 'sent.ts'), '-c', 'copy', '-f', 'mpegts', srt(listener.port, query)); // prettier-ignore
    const got = await read(await next(listener));
    const sent = readFileSync(join(folder, 'sent.ts'));
    // FFmpeg closes without waiting for its last packets.
    expect(got.length).toBeGreaterThan(sent.length - 40 * 1_316);
    expect(got.equals(sent.subarray(0, got.length))).toBe(true);
  });

  test('we call a listening FFmpeg and hear what it sends', async () => {
    const port = await freePort();
    ffmpeg('-re', '-i', clip, '-c', 'copy', '-f', 'mpegts', srt(port, `mode=listener&passphrase=${SECRET}`));
    const got = await read(await callUntil(port, { passphrase: SECRET, latency: CALM }));
    expect(got.length).toBeGreaterThan(bytes.length / 2);
    expect(got.length % 188).toBe(0);
    expect(got[0]).toBe(0x47);
  });

  test('what we write into a listening FFmpeg is a file with every picture', async () => {
    const [port, file, count] = [await freePort(), join(folder, 'written.ts'), pictures(clip)];
    // It ends by itself once it has them all: at our end it would drop what it has not read yet.
    const child = ffmpeg('-i', srt(port, 'mode=listener'), '-map', '0:v', '-c', 'copy', '-frames:v', count, file);
    const exited = once(child, 'exit');
    const theirs = await callUntil(port, { latency: CALM });
    await write(theirs, bytes);
    // It looks at some seconds before it begins, and a picture ends where the next one begins.
    while (child.exitCode === null && theirs.connected) {
      theirs.write(bytes);
      await sleep(200);
    }
    await exited;
    expect(pictures(file)).toBe(count);
  });

  test.skipIf(!gstreamer)('GStreamer sends to us, and takes what we send (skipped without its srt)', async () => {
    const listener = await listen({ latency: CALM, passphrase: SECRET });
    const uri = (port: number, mode: string) => srt(port, `mode=${mode}`);
    const security = [`passphrase=${SECRET}`, `latency=${CALM}`];
    const child = start('gst-launch-1.0', ['-q', 'fdsrc', 'blocksize=1316', '!', 'srtsink', `uri=${uri(listener.port, 'caller')}`, ...security]); // prettier-ignore
    // The pipe stays open: at its end GStreamer drops what it has not sent yet.
    child.stdin?.write(bytes);
    let got = Buffer.alloc(0);
    for await (const message of await next(listener)) {
      got = Buffer.concat([got, message]);
      if (got.length >= bytes.length) break;
    }
    expect(got.equals(bytes)).toBe(true);

    const [port, file] = [await freePort(), join(folder, 'gst.ts')];
    start('gst-launch-1.0', ['-q', 'srtsrc', `uri=${uri(port, 'listener')}`, ...security, '!', 'filesink', 'buffer-mode=unbuffered', `location=${file}`]); // prettier-ignore
    await write(await callUntil(port, { passphrase: SECRET, latency: CALM }), bytes);
    await until(() => existsSync(file) && readFileSync(file).length === bytes.length);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  test('a network that loses one datagram in twenty loses nothing of the programme', async () => {
    const listener = await listen({ latency: CALM });
    const relay = await lossyRelay(listener.port, 50, scope);
    const caller = await callUntil(relay.port, { latency: CALM });
    const ours = await next(listener);
    const [got] = await Promise.all([read(ours), write(caller, bytes).then(() => caller.end())]);
    expect(got.equals(bytes)).toBe(true);
    expect(relay.lost).toBeGreaterThan(5);
    const packets = Math.ceil(bytes.length / 1_316);
    expect(caller.stats).toMatchObject({ sent: packets, dropped: 0, unsent: 0 });
    expect(ours.stats).toMatchObject({ received: packets, dropped: 0, unread: 0 });
    expect(ours.stats.lost).toBeGreaterThan(0);
    expect(caller.stats.retransmitted).toBeGreaterThan(0);
  });
});

test('whoever calls with another passphrase, without one, or with another stream id is refused and counted', async () => {
  const listener = await listen({ passphrase: SECRET, streamid: 'studio' });
  const streamid = 'studio';
  const refused = { kind: 'passphrase' };
  await expect(callTo(listener.port, { passphrase: 'wrong wrong wrong', streamid })).rejects.toMatchObject(refused);
  await expect(callTo(listener.port, { streamid })).rejects.toMatchObject(refused);
  const stranger = await callTo(listener.port, { passphrase: SECRET, streamid: 'kitchen' });
  expect(await read(stranger)).toHaveLength(0);
  await until(() => listener.refused.passphrase === 2);
  expect(listener.refused).toEqual({ passphrase: 2, streamid: 1, busy: 0 });
  const [right] = await Promise.all([next(listener), callTo(listener.port, { passphrase: SECRET, streamid })]);
  expect(right.peer.address).toBe('127.0.0.1');
});

test('nobody at the port, and a name that is nobody’s, are told apart', async () => {
  await expect(callTo(await freePort())).rejects.toMatchObject({ kind: 'timeout' });
  await expect(callTo(9, { host: 'nobody.invalid' })).rejects.toMatchObject({ kind: 'unreachable' });
  await expect(listen({ host: '192.0.2.1' })).rejects.toMatchObject({ kind: 'taken' });
});

test('a second caller is refused while one is connected, and taken when that has gone', async () => {
  const [first, ours, listener] = await pair();
  expect(await read(await callTo(listener.port))).toHaveLength(0);
  expect(listener.refused.busy).toBe(1);
  expect(ours.connected).toBe(true);
  await first.close();
  expect(await read(ours)).toHaveLength(0);
  const [again, third] = await Promise.all([next(listener), callTo(listener.port)]);
  third.write(new Uint8Array(1_316).fill(7));
  for await (const message of again) {
    expect(message).toEqual(new Uint8Array(1_316).fill(7));
    break;
  }
});

test('a reader that is too slow loses the oldest, and is told how much', async () => {
  const [theirs, ours] = await pair({ latency: CALM });
  const COUNT = 6_000;
  for (let n = 0; n < COUNT; n += 1) {
    const message = Buffer.alloc(1_316);
    message.writeUInt32LE(n);
    expect(theirs.write(message)).toBe(true);
    if (n % 50 === 49) await sleep(5);
  }
  await theirs.end();
  await until(() => !ours.connected);
  await until(() => ours.stats.unread === COUNT - 4_096);
  const got = await read(ours);
  expect(got.readUInt32LE(0)).toBe(COUNT - 4_096);
  expect(got.readUInt32LE(got.length - 1_316)).toBe(COUNT - 1);
});

test('what libsrt has no room for is counted and not waited for', async () => {
  const [theirs] = await pair();
  expect(theirs.write(new Uint8Array(1_316 * 30_000))).toBe(false);
  expect(theirs.stats.unsent).toBeGreaterThan(0);
});

test.skipIf(absent !== undefined)('a caller that is killed is lost, and comes back to the same port', async () => {
  const listener = await listen();
  const send = () => ffmpeg('-re', '-stream_loop', '-1', '-i', clip, '-c', 'copy', '-f', 'mpegts', srt(listener.port, 'mode=caller')); // prettier-ignore
  const child = send();
  const ours = await next(listener);
  let heard = 0;
  await expect(
    (async () => {
      for await (const message of ours) if ((heard += message.length) > 100_000) child.kill('SIGKILL');
    })(),
  ).rejects.toMatchObject({ kind: 'lost' });
  send();
  for await (const message of await next(listener)) {
    expect(message[0]).toBe(0x47);
    break;
  }
});

test('it listens and calls by IPv6 and by name', async () => {
  const listener = await listen({ host: '::1' });
  const [ours] = await Promise.all([next(listener), callTo(listener.port, { host: '::1' })]);
  expect(ours.peer.address).toBe('::1');
  const named = await listen({ host: 'localhost' });
  await Promise.all([next(named), callTo(named.port, { host: 'localhost' })]);
});

test('closing in the middle of listening, calling and receiving leaves no timer, no thread and no port', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const threads = () =>
    readdirSync('/proc/self/task').filter((task) => {
      try {
        return readFileSync(`/proc/self/task/${task}/comm`, 'latin1').startsWith('SRT:');
      } catch {
        return false;
      }
    });
  const before = timers();
  const [theirs, ours, listener] = await pair();
  theirs.write(new Uint8Array(13_160));
  const reading = read(ours);
  const fails = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (failure: unknown) => String(failure),
    );
  const waiting = fails(next(listener));
  const calling = fails(freePort().then((port) => callTo(port)));
  await sleep(30);
  expect(threads()).not.toHaveLength(0);
  await scope.close();
  const [, waited, called] = await Promise.all([reading, waiting, calling]);
  expect([waited, called]).toEqual([expect.stringContaining('closed'), expect.stringMatching(/abort|closed/i)]);
  expect(timers()).toBeLessThanOrEqual(before);
  expect(threads()).toHaveLength(0);
  const socket = createSocket('udp4').bind(listener.port, '127.0.0.1');
  await once(socket, 'listening');
  socket.close();
});
