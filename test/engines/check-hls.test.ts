import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NothingThere, checkHls } from '../../gateway/hls-check/check.ts';
import { encodedClip } from '../fakes/encoded-clip.ts';
import { TRACKS, give, inOrder, openHls, serve } from '../fakes/hls-house.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';

const run = promisify(execFile);
const why = missing(WEBCAM.file);
const GST = '/usr/bin/gst-launch-1.0';
const TYPES: Readonly<Record<string, string>> = {
  m3u8: 'application/vnd.apple.mpegurl',
  ts: 'video/mp2t',
  m4s: 'video/mp4',
  mp4: 'video/mp4',
};

let folder: string;
let server: Server;
let url: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-check-'));
  // A plain server of files, as most HLS comes from.
  server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    readFile(join(folder, path)).then(
      (body) => response.setHeader('content-type', TYPES[path.split('.').at(-1) ?? ''] ?? 'text/plain').end(body),
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

const check = async (address: string, seconds = 3) => {
  const result = await checkHls(address, { seconds, signal: new AbortController().signal });
  const errors = result.findings.filter(({ severity }) => severity === 'error').map(({ rule }) => rule);
  return { result, errors };
};
const CODED = '-vf scale=320:-2 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 30 -c:a aac'.split(' ');
const encode = (...more: string[]) =>
  run('ffmpeg', ['-v', 'error', '-i', recording(WEBCAM.file), '-t', '8', ...CODED, '-f', 'hls', ...more]);

describe.skipIf(why)(`HLS of a real clip, checked (${why ?? 'there'})`, () => {
  test('ours, finished, has no errors and no warnings but that a plain server does not compress', async () => {
    const { hls, scope } = openHls({ segment: 2 });
    hls.tracks(TRACKS);
    const english = encodedClip(recording(WEBCAM.file));
    const spanish = encodedClip(recording(WEBCAM.file), { filter: 'tremolo=5', channels: 2 });
    for (const one of inOrder({ video: english, original: english, 'dub:es': spanish })) give(hls, one);
    await hls.close();
    const ours = await serve(hls);
    try {
      const { result } = await check(`${ours.url}/hls/index.m3u8`);
      const counted = result.findings.filter(({ severity, rule }) => severity !== 'note' && rule !== 'no-gzip');
      expect(counted).toEqual([]);
      expect(result.live).toBe(false);
      expect(result.renditions.map(({ kind }) => kind)).toEqual(['pictures', 'sound', 'sound', 'captions', 'captions']);
      for (const { seconds, kind } of result.renditions) if (kind !== 'captions') expect(seconds).toBeGreaterThan(8);
    } finally {
      await ours.close();
      await scope.close();
    }
  });

  test('FFmpeg’s fragmented MP4 is read; that its BANDWIDTH is too low and nothing says who may read it is found', async () => {
    await encode(
      '-hls_time',
      '2',
      '-hls_segment_type',
      'fmp4',
      '-hls_playlist_type',
      'vod',
      '-master_pl_name',
      'main.m3u8',
      '-hls_fmp4_init_filename',
      'init.mp4',
      join(folder, 'mp4.m3u8'),
    );
    const { result, errors } = await check(`${url}/main.m3u8`);
    expect(errors).toEqual(['bandwidth-low']);
    expect(result.findings.map(({ rule }) => rule)).toContain('no-cors');
    expect(result.renditions[0]).toMatchObject({ kind: 'pictures', discontinuities: 0 });
    expect(result.renditions[0]!.seconds).toBeGreaterThan(7);
  });

  test('FFmpeg’s MPEG-TS, finished and while it grows, has no errors', async () => {
    await encode(
      '-hls_time',
      '1',
      '-hls_playlist_type',
      'vod',
      '-hls_flags',
      'program_date_time',
      join(folder, 'ts.m3u8'),
    );
    expect((await check(`${url}/ts.m3u8`)).errors).toEqual([]);
    const args = [
      '-v',
      'error',
      '-re',
      '-stream_loop',
      '-1',
      '-i',
      recording(WEBCAM.file),
      '-vf',
      'scale=320:-2',
      '-pix_fmt',
      'yuv420p',
    ];
    const coded = [
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-g',
      '30',
      '-c:a',
      'aac',
      '-f',
      'hls',
      '-hls_time',
      '1',
      '-hls_list_size',
      '6',
    ];
    const child = spawn(
      'ffmpeg',
      [...args, ...coded, '-hls_flags', 'program_date_time+delete_segments+temp_file', join(folder, 'live.m3u8')],
      { stdio: 'ignore' },
    );
    try {
      for (let tries = 0; tries < 300 && !existsSync(join(folder, 'live2.ts')); tries += 1)
        await new Promise((next) => setTimeout(next, 50));
      const { result, errors } = await check(`${url}/live.m3u8`, 4);
      // How busy this machine is decides when segments come.
      expect(errors.filter((rule) => rule !== 'update-late' && rule !== 'starved')).toEqual([]);
      expect([result.live, result.lowLatency]).toEqual([true, false]);
      expect(result.renditions[0]!.pieces).toBeGreaterThanOrEqual(3);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  test.skipIf(!existsSync(GST))('GStreamer’s hlssink2 has no errors', async () => {
    const file = join(folder, 'gst.mp4');
    await run('ffmpeg', ['-v', 'error', '-i', recording(WEBCAM.file), '-t', '8', ...CODED, file]);
    const source = ['-q', 'filesrc', `location=${file}`, '!', 'qtdemux', 'name=d'];
    const streams = 'd.video_0 ! queue ! h264parse ! s.video d.audio_0 ! queue ! aacparse ! s.audio'.split(' ');
    const files = [`location=${folder}/gst%05d.ts`, `playlist-location=${folder}/gst.m3u8`];
    const sink = ['hlssink2', 'name=s', ...files, 'target-duration=1', 'playlist-length=0'];
    await run(GST, [...source, ...streams, ...sink], { timeout: 40_000 });
    const { result, errors } = await check(`${url}/gst.m3u8`);
    expect(errors).toEqual([]);
    expect(result.renditions[0]!.pieces).toBeGreaterThan(4);
  });

  test('what is no playlist, and what is not there, is said to be so', async () => {
    await expect(check(`${url}/nothing.m3u8`)).rejects.toThrow(NothingThere);
    await expect(check(`${url}/ts0.ts`)).rejects.toThrow('is no HLS playlist');
  });
});
