import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openLog } from '../../gateway/log.ts';
import { type RtmpDoor, openRtmp } from '../../gateway/rtmp/door.ts';
import { TAG } from '../../gateway/rtmp/flv.ts';
import type { IngestState, RtmpIngest } from '../../gateway/rtmp/ingest.ts';
import { Feed } from '../../gateway/session/feed.ts';
import { Scope } from '../../media/scope.ts';
import { openStream } from '../../media/stream.ts';
import { eventually } from '../fakes/gateway.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { ObsPublisher, flvTags } from '../fakes/obs-publisher.ts';
import { RtmpPublisher } from '../fakes/rtmp-publisher.ts';
import { openRtmpSink } from '../fakes/rtmp-sink.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';

const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const absent = has('ffmpeg', '-version') ? missing(WEBCAM.file) : 'no ffmpeg: apt-get install ffmpeg';
const noPlugin = (sink: string) =>
  has('gst-inspect-1.0', sink) && has('gst-inspect-1.0', 'flvmux') ? undefined : `no GStreamer with ${sink}`;
const KEY = 'a-key_of-24-letters-0000';

const folder = mkdtempSync(join(tmpdir(), 'livedub-rtmp-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** One line for every packet: track, times, size and hash of its bytes. */
const packets = (file: string): string[] => {
  const copy = ['-map', '0:v?', '-map', '0:a?', '-c', 'copy', '-f', 'framemd5', '-'];
  return execFileSync('ffmpeg', ['-v', 'error', '-i', file, ...copy])
    .toString()
    .split('\n')
    .filter((line) => /^\d/.test(line))
    .map((line) => line.replace(/\s+/g, ''));
};
/** What the packets of one track hold, in order. */
const hashes = (file: string, track: 0 | 1) =>
  packets(file)
    .filter((line) => line.startsWith(`${track},`))
    .map((line) => line.split(',')[5]!);
let files = 0;
const saved = (bytes: Uint8Array): string => {
  files += 1;
  const file = join(folder, `${files}.flv`);
  writeFileSync(file, bytes);
  return file;
};

describe.skipIf(absent)(`RTMP publishers (${absent ?? 'ffmpeg'})`, () => {
  let clip: string;
  let scope: Scope;
  let door: RtmpDoor;
  let ingest: RtmpIngest;
  let port: number;
  let feed: Feed;
  let states: [IngestState, string | null][];
  let logged: string;

  beforeAll(() => {
    clip = join(folder, 'clip.flv');
    const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '15', '-c:a', 'aac', '-ar', '44100'];
    const args = ['-v', 'error', '-y', '-i', recording(WEBCAM.file), '-t', '3', '-vf', 'scale=320:-2', ...encode];
    execFileSync('ffmpeg', [...args, clip]);
  });
  beforeEach(async () => {
    scope = new Scope('test');
    states = [];
    logged = '';
    const to = new Writable({
      write: (line: Buffer, _, done) => {
        logged += line.toString();
        done();
      },
    });
    door = openRtmp({ host: '127.0.0.1', port: 0 }, { log: openLog({ level: 'info', to }) }, scope);
    const onState = (state: IngestState, reason: string | null) => states.push([state, reason]);
    ({ ingest, port } = await door.admit(KEY, { session: 's1', onState }, scope));
    feed = await Feed.open(scope);
    ingest.to(feed.port);
  });
  afterEach(async () => {
    await scope.close();
    expect(logged).not.toContain(KEY);
  });

  const url = (key = KEY) => `rtmp://127.0.0.1:${port}/live/${key}`;
  const run = (program: string, args: readonly string[]): ChildProcess & { said: string; closed: boolean } => {
    const child = Object.assign(spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] }), {
      said: '',
      closed: false,
    });
    for (const out of [child.stdout, child.stderr]) out?.on('data', (some: Buffer) => (child.said += some.toString()));
    child.on('close', () => (child.closed = true));
    scope.defer(() => child.kill('SIGKILL'));
    return child;
  };
  /** It has ended, and all that it said has come. */
  const over = (child: { readonly closed: boolean }) => eventually(() => child.closed, 'the encoder has ended', 30_000);
  const publish = (...to: string[]) => run('ffmpeg', ['-v', 'error', '-i', clip, '-c', 'copy', '-f', 'flv', ...to]);
  const publishLive = (to: string) =>
    run('ffmpeg', ['-v', 'error', '-re', '-stream_loop', '-1', '-i', clip, '-c', 'copy', '-f', 'flv', to]);
  const next = () => feed.next(AbortSignal.timeout(30_000));
  /** A file with what the next publisher sends: all of it, or what comes until there is enough. */
  const received = async (enough = Infinity) => {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of await next()) {
      parts.push(part);
      size += part.length;
      if (size > enough) break;
    }
    return saved(Buffer.concat(parts));
  };

  test('every packet of FFmpeg arrives at the session process as it was, at its time', async () => {
    const arriving = received();
    await over(publish(url()));
    const lines = packets(await arriving);
    expect(lines).toEqual(packets(clip));
    expect(lines.length).toBeGreaterThan(200);
    await eventually(() => states.length === 2, 'it has gone');
    expect(states).toEqual([
      ['publishing', null],
      ['waiting', null],
    ]);
    expect(ingest.counts).toMatchObject({ publishers: 1, 'rtmp tags dropped': 0, 'groups of pictures dropped': 0 });
  });

  test('what arrives is opened as a programme, with every picture as it was', async () => {
    const arriving = next();
    const encoder = publish(url());
    const programme = await openStream(
      { kind: 'bytes', format: 'flv', bytes: await arriving },
      { field: 'source' },
      scope,
    );
    expect(programme.info.video).toMatchObject({ codec: 'H264', source: 'h264', why: null, width: 320 });
    const kinds: string[] = [];
    for await (const item of programme) kinds.push(item.kind === 'video' && item.keyFrame ? 'key frame' : item.kind);
    await over(encoder);
    expect(kinds.find((kind) => kind !== 'audio')).toBe('key frame');
    expect(kinds.filter((kind) => kind !== 'audio')).toHaveLength(90);
    expect(kinds.filter((kind) => kind === 'audio').length).toBeGreaterThan(140);
  });

  test('an encoder that makes its pictures as they are sent is taken, and sound alone is', async () => {
    const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-c:a', 'aac'];
    const live = ['-v', 'error', '-re', '-t', '1.5', '-i', recording(WEBCAM.file), '-vf', 'scale=160:-2', ...encode];
    const both = received();
    await over(run('ffmpeg', [...live, '-f', 'flv', url()]));
    const lines = packets(await both);
    expect(lines.filter((line) => line.startsWith('0,'))).toHaveLength(45);
    expect(lines.filter((line) => line.startsWith('1,')).length).toBeGreaterThan(50);

    const sound = received();
    await over(publish('-vn', url()));
    expect(hashes(await sound, 0)).toEqual(hashes(clip, 1));
  });

  test.for(['rtmp2sink', 'rtmpsink'])('every packet of GStreamer’s %s arrives as it was', async (sink, { skip }) => {
    const lacking = noPlugin(sink);
    if (lacking) skip(lacking);
    const arriving = received();
    const pipeline =
      `filesrc location=${clip} ! flvdemux name=d flvmux name=m streamable=true ! ${sink} location=${url()} ` +
      'd.video ! queue ! h264parse ! m.video d.audio ! queue ! aacparse ! m.audio';
    await over(run('gst-launch-1.0', ['-q', ...pipeline.split(' ')]));
    const file = await arriving;
    expect(hashes(file, 1)).toEqual(hashes(clip, 1));
    expect(hashes(file, 0)).toEqual(hashes(clip, 0));
  });

  test.for([
    ['as a query', `/live?key=${KEY}`, []],
    ['at the end of one path', `/live/more/${KEY}`, []],
    ['with a query of the encoder’s own', `/live/${KEY}?backup=1`, []],
    ['apart from the app', '/live', ['-rtmp_playpath', KEY]],
  ] as const)('the key is found %s', async ([, path, options]) => {
    const arriving = received();
    await over(publish(...options, `rtmp://127.0.0.1:${port}${path}`));
    expect(packets(await arriving)).toHaveLength(packets(clip).length);
  });

  test('who has no key of a session is turned away and told so', async () => {
    const stranger = publish(url('another-key'));
    await over(stranger);
    expect(stranger.exitCode).not.toBe(0);
    expect(stranger.said).toContain('No session has this stream key.');
    expect(states).toEqual([]);
    expect(door.counts).toMatchObject({ 'publishers accepted': 0, 'publishers turned away': 1 });
  });

  test('a second publisher is turned away and the first goes on', async () => {
    const first = publishLive(url());
    const bytes = await next();
    const second = publish(url());
    await over(second);
    expect(second.exitCode).not.toBe(0);
    expect(second.said).toContain('Somebody publishes to this session already.');
    expect(ingest.counts['publishers refused']).toBe(1);
    const before = ingest.counts['rtmp tags']!;
    await eventually(() => ingest.counts['rtmp tags']! > before + 20, 'the first goes on');
    expect(first.exitCode).toBeNull();
    bytes.close();
  });

  test('a publisher that was killed comes back, and is read from its beginning', async () => {
    const first = publishLive(url());
    const bytes = await next();
    first.kill('SIGKILL');
    let size = 0;
    for await (const part of bytes) size += part.length;
    expect(size).toBeGreaterThan(0);
    const again = received();
    await over(publish(url()));
    expect(packets(await again)).toEqual(packets(clip));
    expect(ingest.counts['publishers']).toBe(2);
  });

  test('a session process that is replaced gets the headers again and begins with a key frame', async () => {
    publishLive(url());
    expect(packets(await received(20_000)).length).toBeGreaterThan(10);
    feed = await Feed.open(scope); // Its successor listens elsewhere, and reads twice.
    ingest.to(undefined);
    ingest.to(feed.port);
    for (let turn = 0; turn < 2; turn += 1) {
      const file = await received(40_000);
      expect(packets(file).length).toBeGreaterThan(20);
      const first = ['-select_streams', 'v', '-show_entries', 'packet=flags', '-of', 'csv=p=0', file];
      const flags = execFileSync('ffprobe', ['-v', 'error', ...first]).toString();
      expect(flags.slice(0, 1)).toBe('K');
      const decoded = spawnSync('ffmpeg', ['-v', 'error', '-xerror', '-i', file, '-frames:v', '5', '-f', 'null', '-']);
      expect(decoded.stderr.toString()).toBe('');
    }
    expect(ingest.counts['publishers']).toBe(1);
  });

  test('a session process that comes after the publisher gets the programme', async () => {
    ingest.to(undefined);
    publishLive(url());
    await eventually(() => ingest.publishing, 'somebody publishes');
    ingest.to(feed.port);
    expect(packets(await received(20_000)).length).toBeGreaterThan(10);
  });

  test('pictures that FFmpeg cannot take out of RTMP are refused, and the log says what to set', async () => {
    // HEVC as Enhanced RTMP sends it; FFmpeg 5.1 does not.
    const publisher = await RtmpPublisher.open({ port, app: 'live', name: KEY }, scope);
    await eventually(() => publisher.codes.includes('NetStream.Publish.Start'), 'it publishes');
    publisher.send({ type: TAG.video, timestamp: 0, body: Buffer.from('\x90hvc1\x01\x02\x03', 'latin1') });
    await eventually(() => publisher.over, 'it is turned away');
    expect(publisher.codes.at(-1)).toBe('NetStream.Publish.Rejected');
    expect(states.at(-1)![1]).toMatch(/HEVC .*set it to H\.264/);
    expect(logged).toMatch(/set it to H\.264 and AAC/);
    expect(logged).toContain('HEVC (H.265) by Enhanced RTMP');
  });

  test('an encoder with the habits of OBS is understood, with B-frames, other tracks and all, and comes back', async () => {
    const file = join(folder, 'b-frames.flv');
    const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '60', '-c:a', 'aac', '-ar', '44100'];
    const args = ['-v', 'error', '-y', '-i', recording(WEBCAM.file), '-t', '2', '-vf', 'scale=320:-2', ...encode];
    execFileSync('ffmpeg', [...args, file]);
    const tags = flvTags(readFileSync(file));
    const place = { url: `rtmp://127.0.0.1:${port}/live`, key: KEY };
    for (const turn of [1, 2]) {
      const arriving = received();
      const obs = await ObsPublisher.open(place, scope);
      expect(obs.codes).toEqual(['NetConnection.Connect.Success', 'NetStream.Publish.Start']);
      obs.metadata(320, 214);
      for (const tag of tags) {
        obs.send(tag);
        const spare = Buffer.from('\x95\x01mp4a\x01rest', 'latin1');
        if (tag.type === TAG.audio) obs.send({ ...tag, body: spare });
      }
      obs.stop();
      expect(packets(await arriving)).toEqual(packets(file));
      await eventually(() => obs.over, 'it is answered and closed');
      expect(obs.codes.at(-1)).toBe('NetStream.Unpublish.Success');
      const sounds = tags.filter(({ type }) => type === TAG.audio).length;
      expect(ingest.counts).toMatchObject({ publishers: turn, 'rtmp tags of other tracks': turn * sounds });
    }
    expect(logged).not.toContain('closed');
  });

  test.for([
    ['hvc1', 'HEVC (H.265)'],
    ['av01', 'AV1'],
  ] as const)('OBS set to %s is turned away before anything reaches the session', async ([letters, codec]) => {
    const obs = await ObsPublisher.open({ url: `rtmp://127.0.0.1:${port}/live`, key: KEY }, scope);
    obs.metadata(1_920, 1_080, Buffer.from(letters).readUInt32BE());
    const aac = { type: TAG.audio, timestamp: 0, body: Buffer.of(0xaf, 0, 0x12, 0x10) } as const;
    obs.send(aac, { type: TAG.video, timestamp: 0, body: Buffer.from(`\x90${letters}rest`, 'latin1') });
    await eventually(() => obs.over, 'it is turned away');
    expect(obs.codes.at(-1)).toBe('NetStream.Publish.Rejected');
    await eventually(() => states.at(-1)?.[0] === 'waiting', 'the session is told');
    expect(states.at(-1)![1]).toBe(
      `the encoder sends ${codec} by Enhanced RTMP; set it to H.264 (AVC) pictures and AAC sound`,
    );
    const arriving = received();
    await over(publish(url()));
    expect(packets(await arriving)).toEqual(packets(clip));
  });

  test('a reader that stops loses the oldest groups of pictures, and the rest is whole', async () => {
    const publisher = await RtmpPublisher.open({ port, app: 'live', name: KEY }, scope);
    await eventually(() => publisher.codes.includes('NetStream.Publish.Start'), 'it publishes');
    // 60 s of 8 Mbit/s: a second of 10 pictures begins with a key frame; every picture says its number.
    const numbered = Array.from({ length: 600 }, (_, n) => {
      const body = Buffer.alloc(100_000);
      Buffer.of(n % 10 === 0 ? 0x17 : 0x27, 1, 0, 0, 0).copy(body);
      body.writeUInt32BE(n, 5);
      return { type: TAG.video, timestamp: 100 * n, body };
    });
    const reading = next();
    publisher.send({ type: TAG.video, timestamp: 0, body: Buffer.of(0x17, 0, 0, 0, 0) }, numbered[0]!);
    const bytes = await reading;
    let most = 0;
    for (let n = 1; n < 600; n += 20) {
      publisher.send(...numbered.slice(n, n + 20));
      const all = 1 + Math.min(600, n + 20);
      await eventually(() => ingest.counts['rtmp tags'] === all, 'they have come');
      most = Math.max(most, ingest.waiting);
    }
    expect(most).toBeGreaterThan(4_000_000);
    expect(most).toBeLessThan(8_300_000);
    publisher.close();

    const parts: Uint8Array[] = [];
    for await (const part of bytes) parts.push(part);
    const flv = Buffer.concat(parts);
    const seen: number[] = [];
    for (let at = 13; at < flv.length; at += 15 + flv.readUIntBE(at + 1, 3)) {
      if (flv.readUInt8(at + 12) === 1) seen.push(flv.readUInt32BE(at + 16));
    }
    const lost = 600 - seen.length;
    expect(lost).toBeGreaterThan(100);
    expect(ingest.counts['rtmp tags dropped']).toBe(lost);
    expect(ingest.counts['groups of pictures dropped']).toBeGreaterThan(10);
    expect(seen.at(-1)).toBe(599);
    const afterGaps = seen.filter((n, place) => place > 0 && n !== seen[place - 1]! + 1);
    expect(afterGaps.length).toBeGreaterThan(0);
    for (const n of afterGaps) expect(n % 10).toBe(0);
  });

  test('a sink of the same protocol keeps what a publisher with its key sends', async () => {
    const sink = await openRtmpSink({ key: KEY }, scope);
    await over(publish(sink.url));
    expect(packets(saved(sink.flv()))).toEqual(packets(clip));
    await over(publish(sink.url.replace(KEY, 'something-else')));
    expect(sink.turnedAway).toBe(1);
    expect(sink.received).toHaveLength(1);
  });
});
