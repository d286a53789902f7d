import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Received, Recorder } from '../../gateway/recorder.ts';
import type { Room } from '../../gateway/room.ts';
import type { Gateway } from '../../gateway/serve.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { writeRtp } from '../../media/rtp.ts';
import { Scope } from '../../media/scope.ts';
import { ask, eventually, openGateway } from '../fakes/gateway.ts';
import { type Picture, pictures, units } from '../fakes/pictures.ts';

const folder = mkdtempSync(join(tmpdir(), 'livedub-recorder-'));
let gateway: Gateway;
let encoded: Picture[];
beforeAll(async () => {
  encoded = pictures('VP8', { count: 50, size: '320x180' });
  gateway = await openGateway();
});
afterAll(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true });
});

/** Publishes pictures that we know, 25 a second, over and over, from the middle of a second on. */
async function publish(room: Room, scope: Scope): Promise<void> {
  const transport = await room.router.createPlainTransport({
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    rtcpMux: true,
    comedia: true,
  });
  scope.defer(() => transport.close());
  const codec = { mimeType: 'video/VP8', clockRate: 90_000, payloadType: 102 };
  await room.publish(transport, 'video', { codecs: [codec], encodings: [{ ssrc: 2222 }] });
  const socket = createSocket('udp4');
  const line = units('VP8', encoded);
  let index = 10;
  let sequence = 0;
  const timer = setInterval(() => {
    const { payloads } = line[index % line.length]!;
    payloads.forEach((payload, i) => {
      sequence = (sequence + 1) & 0xffff;
      const marker = i === payloads.length - 1;
      const packet = { payloadType: 102, ssrc: 2222, marker, sequence, timestamp: index * 3_600, payload };
      socket.send(writeRtp(packet), transport.tuple.localPort, '127.0.0.1');
    });
    index += 1;
  }, 40);
  scope.defer(() => {
    clearInterval(timer);
    socket.close();
  });
}

interface Probed {
  readonly streams: {
    readonly codec_type: string;
    readonly codec_name: string;
    readonly width?: number;
    readonly height?: number;
    readonly tags?: { readonly language?: string };
    readonly disposition: { readonly default: number };
  }[];
  readonly format: { readonly duration: string };
}
const probed = (file: string) =>
  JSON.parse(
    execFileSync('ffprobe', ['-v', 'error', '-show_streams', '-show_format', '-of', 'json', file], {
      encoding: 'utf8',
    }),
  ) as Probed;

test.for(['mkv', 'mp4', 'webm'])(
  'a recording is what every viewer gets: the picture bit for bit, the dub first (%s)',
  async (extension) => {
    await using scope = new Scope('test');
    const { body } = await ask(gateway, 'POST', '/v1/sessions', { to: ['es'] });
    const session = gateway.sessions.get(body.id);
    await publish(await session.room, scope);
    await eventually(() => session.tracks.some(({ id }) => id === 'video'), 'video is offered');
    const path = join(folder, `watched.${extension}`);
    const received: Received[] = [];
    let packets = 0;
    const recorder = await Recorder.open(
      {
        session,
        path,
        clock: new MonotonicClock(),
        onReceived: (packet) => received.push(packet),
        onAudio: (_track, media, payload) => {
          expect(payload).toHaveLength(3);
          expect(media % 20_000).toBe(0);
          packets += 1;
        },
      },
      scope,
    );
    expect(recorder.recorded).toBe(0);
    await eventually(() => recorder.recorded > 2_500_000, 'two and a half seconds', 15_000);
    const written = await recorder.close();
    expect(recorder.lost).toBe(0);
    expect(recorder.size).toEqual({ width: 320, height: 180 });
    expect(written.pictures).toBeGreaterThan(50);
    expect(written.packets).toBeLessThanOrEqual(packets);

    const { streams, format } = probed(path);
    expect(streams.map((s) => [s.codec_type, s.codec_name, s.disposition.default])).toEqual([
      ['video', 'vp8', 1],
      ['audio', 'opus', 1],
      ['audio', 'opus', 0],
    ]);
    expect(streams[0]).toMatchObject({ width: 320, height: 180 });
    expect(streams.slice(1).map(({ tags }) => tags?.language)).toEqual(['spa', 'eng']);
    expect(Math.abs(Number(format.duration) - recorder.recorded / 1e6)).toBeLessThan(0.2);

    // Its pictures are those that were published, one after the other, from a key frame on.
    const listing = execFileSync(
      'ffmpeg',
      ['-v', 'error', '-xerror', '-i', path, '-map', '0:v', '-c', 'copy', '-f', 'framemd5', '-'],
      {
        encoding: 'utf8',
      },
    );
    const hashes = listing.split('\n').flatMap((line) => (/^\d/.test(line) ? [line.split(',').at(-1)!.trim()] : []));
    const sent = encoded.map(({ data }) => createHash('md5').update(data).digest('hex'));
    const first = sent.indexOf(hashes[0]!);
    expect(encoded[first]?.keyFrame).toBe(true);
    expect(hashes).toEqual(hashes.map((_, i) => sent[(first + i) % sent.length]));
    expect(hashes).toHaveLength(written.pictures);
    // It can be played to its end.
    execFileSync('ffmpeg', ['-v', 'error', '-xerror', '-i', path, '-map', '0', '-f', 'null', '-']);
    // Somebody who takes notes hears of every packet of sound and of every picture once, in the programme's time.
    for (const track of ['original', 'dub:es', 'video']) {
      const times = received.filter((each) => each.track === track).map(({ media }) => media);
      expect(times.length).toBeGreaterThan(50);
      times.forEach((time, i) => i > 0 && expect(time).toBeGreaterThan(times[i - 1]!));
    }
    await session.close();
  },
);

test('without video the file begins with the first sound, and voices by themselves are in it when asked for', async () => {
  await using scope = new Scope('test');
  const { body } = await ask(gateway, 'POST', '/v1/sessions', { to: ['es', 'de'] });
  const session = gateway.sessions.get(body.id);
  await eventually(() => session.state !== 'starting', 'the session is there');
  const path = join(folder, 'heard.mp4');
  const tracks = session.tracks.filter(({ kind }) => kind === 'audio');
  const recorder = await Recorder.open({ session, tracks, path, clock: new MonotonicClock() }, scope);
  await eventually(() => recorder.recorded > 1_000_000, 'a second');
  const { pictures: none, packets } = await recorder.close();
  expect(none).toBe(0);
  expect(packets).toBeGreaterThanOrEqual(150);
  expect(probed(path).streams.map(({ tags }) => tags?.language)).toEqual(['spa', 'spa', 'deu', 'deu', 'eng']);
  await session.close();
});

test('a recording of nothing leaves no file and is closed all the same', async () => {
  await using scope = new Scope('test');
  const { body } = await ask(gateway, 'POST', '/v1/sessions', { to: ['es'] });
  const session = gateway.sessions.get(body.id);
  await eventually(() => session.state !== 'starting', 'the session is there');
  const path = join(folder, 'nothing.mp4');
  const recorder = await Recorder.open({ session, tracks: [], path, clock: new MonotonicClock() }, scope);
  expect(await recorder.close()).toEqual({ pictures: 0, packets: 0 });
  expect(recorder.origin).toBeUndefined();
  await session.close();
});
