import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Config } from '../../gateway/config.ts';
import { silent } from '../../gateway/log.ts';
import type { SessionView } from '../../gateway/protocol.ts';
import { recoverRecordings } from '../../gateway/recordings.ts';
import { type Gateway, serve } from '../../gateway/serve.ts';
import { Scope } from '../../media/scope.ts';
import { ask, eventually } from '../fakes/gateway.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { noRtspServer, rtspServer } from '../fakes/rtsp-server.ts';

const CLIP = 'talking/open-dubbing/englishvideo.mp4';
const srt = / srt\b/.test(
  spawnSync('ffmpeg', ['-hide_banner', '-protocols']).stdout?.toString().replaceAll('\n', ' ') ?? '',
);
const why = missing(CLIP) ?? (srt ? undefined : 'this FFmpeg has no SRT');
/** Seconds that something of a real session may take here. */
const SOON = 40_000;

let gateway: Gateway;
let folder: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-doors-'));
  const settings = { rtc: { workers: 1 }, http: { port: 0 }, recordings: { directory: folder, spareGigabytes: 0 } };
  gateway = await serve(Config.parse(settings), { log: silent });
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await gateway.close();
  rmSync(folder, { recursive: true });
});

/** An encoder that goes on until it is killed. */
function encoder(url: string): ChildProcess {
  const looped = ['-re', '-stream_loop', '-1', '-i', recording(CLIP), '-vf', 'scale=360:240', '-pix_fmt', 'yuv420p'];
  const encoded = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '50', '-c:a', 'aac', '-f', 'mpegts'];
  const child = spawn('ffmpeg', ['-v', 'error', ...looped, ...encoded, `${url}?mode=caller`], { stdio: 'ignore' });
  children.push(child);
  return child;
}
const streams = (path: string): string[] =>
  execFileSync('ffprobe', [
    '-v',
    'error',
    '-show_entries',
    'stream=codec_type:stream_tags=language',
    '-of',
    'csv=p=0',
    path,
  ])
    .toString()
    .trim()
    .split('\n')
    .filter((line) => line !== '');

describe.skipIf(why)(`real recordings (${why ?? 'there'})`, () => {
  test('what an encoder sends by SRT is seen in every language by HLS and recorded, also when the outlets are killed', async () => {
    const { body } = await ask<SessionView>(gateway, 'POST', '/v1/sessions', {
      ...{ source: { kind: 'srt' }, from: 'en', to: ['es', 'ca'], delay: 3, lips: 'off' },
      outputs: { hls: { enabled: 'on', segment: 2 }, record: { name: 'talk.mkv' } },
    });
    const session = gateway.sessions.get(body.id);
    expect(body.ingest?.url).toMatch(/^srt:\/\/127\.0\.0\.1:\d+$/);
    const sender = encoder(body.ingest!.url);
    await eventually(() => session.state === 'live', 'the session is live', SOON);
    const hls = (path: string) => fetch(new URL(`/v1/sessions/${body.id}/hls/${path}`, gateway.url));
    const whole = async () => {
      const answer = await hls('index.m3u8');
      return answer.status === 200 && (await answer.text());
    };
    const threeSegments = async () =>
      ((await (await hls('video/index.m3u8')).text()).match(/#EXTINF/g)?.length ?? 0) >= 3;
    const playlist = await eventually(whole, 'a playlist', SOON);
    for (const language of ['en', 'es', 'ca']) {
      expect(playlist).toMatch(new RegExp(`TYPE=AUDIO.*LANGUAGE="${language}"`));
      expect(playlist).toMatch(new RegExp(`TYPE=SUBTITLES.*LANGUAGE="${language}"`));
    }
    expect(playlist).toMatch(/RESOLUTION=360x240.*\nvideo\/index\.m3u8/);
    await eventually(threeSegments, 'three segments', SOON);
    const still = async (path: string) => {
      const answer = await fetch(new URL(`/v1/sessions/${body.id}/${path}`, gateway.url));
      return { status: answer.status, type: answer.headers.get('content-type'), bytes: await answer.arrayBuffer() };
    };
    expect(await still('poster.jpg')).toMatchObject({ status: 200, type: 'image/jpeg' });
    const storyboard = await still('storyboard.vtt');
    expect([storyboard.status, storyboard.type]).toEqual([200, 'text/vtt; charset=utf-8']);
    const [sheet = ''] =
      /storyboard\/\d+\.jpg(?=#xywh=0,0,136,90)/.exec(Buffer.from(storyboard.bytes).toString()) ?? [];
    expect(await still(sheet)).toMatchObject({ status: 200, type: 'image/jpeg' });
    expect((await still('storyboard/..%2fposter.jpg')).status).toBe(400);

    const killed = session.outlets.pid!;
    process.kill(killed, 'SIGKILL');
    await eventually(() => session.outlets.pid !== killed, 'another outlet process', SOON);
    // What it had recorded is finished while its successor records.
    const names = () => readdirSync(folder);
    await eventually(() => names().includes('talk.json') && !names().includes('talk.part.mkv'), 'it finished', SOON);
    expect(names()).toEqual(expect.arrayContaining(['talk.mkv', 'talk.poster.jpg', 'talk (2).part.mkv']));
    await eventually(whole, 'a playlist', SOON);
    expect([session.restarts, session.state]).toEqual([0, 'live']);
    await eventually(threeSegments, 'three segments', SOON);

    sender.kill('SIGKILL');
    await once(sender, 'exit');
    expect((await ask(gateway, 'DELETE', `/v1/sessions/${body.id}`)).status).toBe(204);
    const scope = new Scope('recovery');
    await recoverRecordings(folder, { complain: () => {} }, scope);
    await scope.close();
    const files = readdirSync(folder).filter((name) => name.endsWith('.mkv'));
    expect(files).toHaveLength(2);
    for (const file of files) {
      const found = streams(join(folder, file));
      expect(found.filter((line) => line.startsWith('video'))).toHaveLength(1);
      expect(found.filter((line) => line.startsWith('audio')).sort()).toEqual(['audio,cat', 'audio,eng', 'audio,spa']);
    }
  }, 150_000);

  test.skipIf(noRtspServer)(
    `what a camera has by RTSP is fetched, and seen by viewers (${noRtspServer ?? 'there'})`,
    async () => {
      await using scope = new Scope('camera');
      const file = join(folder, '..', `${basename(folder)}.mp4`);
      scope.defer(() => rmSync(file, { force: true }));
      const encoded = ['-vf', 'scale=360:240', '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '25'];
      const input = ['-v', 'error', '-stream_loop', '-1', '-i', recording(CLIP), '-t', '40'];
      execFileSync('ffmpeg', [...input, ...encoded, '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-y', file]);
      const { url } = await rtspServer(file, { sound: 'aac' }, scope);
      const { body } = await ask<SessionView>(gateway, 'POST', '/v1/sessions', {
        ...{ source: { kind: 'url', url, transport: 'tcp' }, from: 'en', to: [], delay: 3, lips: 'off' },
      });
      const session = gateway.sessions.get(body.id);
      await eventually(() => session.state === 'live', 'the session is live', SOON);
      const poster = () => fetch(new URL(`/v1/sessions/${body.id}/poster.jpg`, gateway.url));
      const seen = await eventually(
        async () => {
          const answer = await poster();
          return answer.status === 200 && Buffer.from(await answer.arrayBuffer());
        },
        'a picture',
        SOON,
      );
      expect(seen.readUInt16BE(0)).toBe(0xffd8);
      expect(session.tracks.map(({ id }) => id)).toEqual(['original', 'video']);
      expect([session.state, session.view.reason, session.restarts]).toEqual(['live', null, 0]);
      expect((await ask(gateway, 'DELETE', `/v1/sessions/${body.id}`)).status).toBe(204);
    },
    120_000,
  );
});
