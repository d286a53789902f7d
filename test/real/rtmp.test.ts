import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Config } from '../../gateway/config.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import { openLog } from '../../gateway/log.ts';
import type { IngestView, SessionView } from '../../gateway/protocol.ts';
import { TAG } from '../../gateway/rtmp/flv.ts';
import { type Gateway, serve } from '../../gateway/serve.ts';
import { Scope } from '../../media/scope.ts';
import { ask, eventually } from '../fakes/gateway.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { RtmpPublisher } from '../fakes/rtmp-publisher.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';

const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const why = has('ffmpeg', '-version') ? missing(WEBCAM.file) : 'no ffmpeg: apt-get install ffmpeg';
/** Milliseconds that something of a real session may take here. */
const SOON = 40_000;
const TOKEN = 'sixteen-letters-or-more';
const OWNER = { authorization: `Bearer ${TOKEN}` };

describe.skipIf(why)(`real recordings (${why ?? 'there'})`, () => {
  let folder: string;
  let clip: string;
  let gateway: Gateway;
  let scope: Scope;
  let logged: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'livedub-rtmp-'));
    clip = join(folder, 'clip.flv');
    const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '30', '-c:a', 'aac', '-ar', '44100'];
    const args = ['-v', 'error', '-i', recording(WEBCAM.file), '-vf', 'scale=360:240', '-pix_fmt', 'yuv420p'];
    execFileSync('ffmpeg', [...args, ...encode, clip]);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  beforeEach(async () => {
    scope = new Scope('test');
    logged = '';
    const to = new Writable({
      write: (line: Buffer, _, done) => {
        logged += line.toString();
        done();
      },
    });
    const settings = { rtc: { workers: 1 }, http: { port: 0 }, rtmp: { port: 0 }, auth: { token: TOKEN } };
    gateway = await serve(Config.parse(settings), { log: openLog({ level: 'trace', to }) });
    scope.defer(() => gateway.close());
  });
  afterEach(() => scope.close());

  const run = (program: string, args: readonly string[]): ChildProcess & { said: string } => {
    const child = Object.assign(spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] }), { said: '' });
    child.stderr.on('data', (some: Buffer) => (child.said += some.toString()));
    scope.defer(() => child.kill('SIGKILL'));
    return child;
  };
  /** An encoder that goes on until it is ended. */
  const encoder = ({ url, key }: { readonly url: string; readonly key?: string }) =>
    run('ffmpeg', ['-v', 'error', '-re', '-stream_loop', '-1', '-i', clip, '-c', 'copy', '-f', 'flv', `${url}/${key}`]);
  const open = async (more: object): Promise<[HostedSession, IngestView & { readonly key: string }]> => {
    const spec = { source: { kind: 'rtmp' }, from: 'en', to: ['es'], delay: 3, lips: 'off', ...more };
    const { body, status } = await ask<SessionView>(gateway, 'POST', '/v1/sessions', spec, OWNER);
    expect(status).toBe(201);
    expect(body).toMatchObject({ source: { kind: 'rtmp' }, reason: null });
    expect(body.ingest?.url).toMatch(/^rtmp:\/\/127\.0\.0\.1:\d+\/live$/);
    expect(body.ingest?.key).toMatch(/^[\w-]{24}$/);
    return [gateway.sessions.get(body.id), body.ingest as IngestView & { readonly key: string }];
  };

  const dubbed = (session: HostedSession) =>
    session.archive.lines.filter(({ outcome }) => outcome === 'dubbed' || outcome === 'trimmed').length;
  /** What a player gets in four seconds: pictures, and how loud the dub is at its loudest, dB. */
  const played = async (session: HostedSession) => {
    const url = new URL(`/v1/sessions/${session.id}/hls/index.m3u8`, gateway.url).href;
    const measure = ['-map', '0:v', '-map', '0:m:language:es', '-af', 'volumedetect', '-f', 'null', '-'];
    const player = run('ffmpeg', ['-hide_banner', '-i', url, '-t', '4', ...measure]);
    await once(player, 'close');
    const pictures = Number([...player.said.matchAll(/frame= *(\d+)/g)].at(-1)?.[1]);
    return { pictures, loudest: Number(/max_volume: (\S+) dB/.exec(player.said)?.[1]) };
  };

  test('an encoder publishes with the key of the answer, and the dub goes on when it stops and comes back and when the session process is killed', async () => {
    const [session, ingest] = await open({ outputs: { hls: { enabled: 'on', segment: 2, window: 600 } } });

    const stranger = encoder({ url: ingest.url, key: 'not-the-key-of-anybody' });
    await once(stranger, 'close');
    expect(stranger.said).toContain('No session has this stream key.');
    await eventually(() => session.state === 'waiting', 'the session waits', SOON);
    expect(session.reason).toBeNull();

    let sender = encoder(ingest);
    await eventually(() => session.state === 'live', 'the session is live', SOON);
    expect(session.reason).toBeNull();
    expect(session.tracks.map(({ id }) => id)).toEqual(expect.arrayContaining(['video', 'original', 'dub:es']));
    await eventually(() => dubbed(session) > 0, 'a dubbed line', SOON);
    const hls = async (path: string) =>
      (await fetch(new URL(`/v1/sessions/${session.id}/hls/${path}`, gateway.url))).text();
    const segments = async () => ((await hls('video/index.m3u8')).match(/#EXTINF/g) ?? []).length;
    await eventually(async () => (await segments()) >= 2, 'two segments', SOON);

    const { pictures, loudest } = await played(session);
    expect(pictures).toBeGreaterThan(100);
    expect(loudest).toBeGreaterThan(-30);

    sender.kill('SIGINT');
    await once(sender, 'exit');
    await eventually(() => session.reason?.startsWith('The source is away: it has ended.'), 'it is away', SOON);
    const before = await segments();
    sender = encoder(ingest);
    await eventually(() => session.reason === null && session.state === 'live', 'it is back', SOON);
    await eventually(async () => (await segments()) >= before + 2, 'two more segments', SOON);
    expect(session.restarts).toBe(0);
    for (const list of ['index.m3u8', 'video/index.m3u8']) expect(await hls(list)).not.toContain('DISCONTINUITY');

    const killed = session.pid!;
    process.kill(killed, 'SIGKILL');
    await eventually(() => session.state === 'restarting', 'it is seen');
    await eventually(() => session.state === 'live' && session.reason === null, 'it is live again', SOON);
    const sofar = dubbed(session);
    await eventually(() => dubbed(session) > sofar, 'another dubbed line', SOON);
    expect([session.restarts, session.pid === killed]).toEqual([1, false]);
    expect(sender.exitCode, 'the encoder has noticed nothing').toBeNull();
    expect(logged.match(/RTMP publisher came/g)).toHaveLength(2);

    const shown = await ask(gateway, 'GET', '/v1/sessions');
    expect(JSON.stringify(shown.body)).not.toContain(ingest.key);
    expect(await ask(gateway, 'GET', `/v1/sessions/${session.id}`, undefined, OWNER)).toMatchObject({
      body: { ingest },
    });
    const metrics = await (await fetch(new URL('/metrics', gateway.url))).text();
    expect(metrics).toContain('rtmp_connections_total{outcome="publishers accepted"} 2');
    expect(logged).toContain('an unknown stream key');
    for (const secret of [ingest.key, 'not-the-key-of-anybody']) expect(logged).not.toContain(secret);
  }, 150_000);

  test('an encoder that sends HEVC is turned away, and the session says what to set', async () => {
    const key = 'a-key-of-my-own-0001';
    const { body } = await ask<SessionView>(gateway, 'POST', '/v1/sessions', { source: { kind: 'rtmp', key } }, OWNER);
    expect(body.ingest?.key).toBe(key);
    const again = await ask(gateway, 'POST', '/v1/sessions', { source: { kind: 'rtmp', key } }, OWNER);
    expect(again).toMatchObject({ status: 409, body: { code: 'conflict', field: 'source.key' } });
    expect(JSON.stringify(again.body)).not.toContain(key);

    const session = gateway.sessions.get(body.id);
    const port = Number(new URL(body.ingest!.url).port);
    const publisher = await RtmpPublisher.open({ port, app: 'live', name: key }, scope);
    await eventually(() => publisher.codes.includes('NetStream.Publish.Start'), 'it publishes');
    publisher.send({ type: TAG.video, timestamp: 0, body: Buffer.from('\x90hvc1\x01\x02\x03', 'latin1') });
    await eventually(() => publisher.over, 'it is turned away');
    await eventually(() => session.state === 'waiting', 'the session waits', SOON);
    expect(session.reason).toBe(
      'The source is away: the encoder sends HEVC (H.265) by Enhanced RTMP; set it to H.264 (AVC) pictures and AAC sound.',
    );
  }, 60_000);
});
