import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EncodedClip, encodedClip } from '../fakes/encoded-clip.ts';
import { TRACKS, give, inOrder, openHls, serve } from '../fakes/hls-house.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';

const run = promisify(execFile);
const why = missing(WEBCAM.file);
const lacks = (element: string) =>
  spawnSync('gst-inspect-1.0', ['--exists', element]).status === 0 ? undefined : `no GStreamer ${element}`;
const CHROMIUM = '/usr/bin/chromium';

describe.skipIf(why)(`a whole programme in two languages, played by others (${why ?? 'there'})`, () => {
  let clip: EncodedClip;
  let server: Awaited<ReturnType<typeof serve>>;
  let close: () => Promise<unknown>;
  beforeAll(async () => {
    clip = encodedClip(recording(WEBCAM.file));
    const { hls, scope } = openHls({ segment: 2 });
    hls.tracks(TRACKS);
    for (const one of inOrder({ video: clip, original: clip, 'dub:es': clip })) give(hls, one);
    await hls.close();
    const page = '<video src="/hls/index.m3u8" muted></video>';
    server = await serve(hls, { '/': { type: 'text/html', body: page } });
    close = () => Promise.all([server.close(), scope.close()]);
  });
  afterAll(() => close?.());

  /** How many pictures GStreamer decoded, and how many AAC frames of sound, by the bytes of it at a sink. */
  async function played(uri: string) {
    const folder = mkdtempSync(join(tmpdir(), 'livedub-gst-'));
    const [pictures, sound] = [join(folder, 'pictures'), join(folder, 'sound')];
    const into = (caps: string, path: string) => `${caps} ! filesink location=${path}`;
    const video = into('videoconvert ! videoscale ! video/x-raw,format=GRAY8,width=16,height=16', pictures);
    const audio = into('audioconvert ! audioresample ! audio/x-raw,format=S16LE,channels=1,rate=48000', sound);
    const args = ['-v', 'playbin3', `uri=${uri}`, `video-sink=${video}`, `audio-sink=${audio}`];
    try {
      const { stdout } = await run('gst-launch-1.0', args, { timeout: 50_000, maxBuffer: 1 << 28 });
      return { video: statSync(pictures).size / 256, audio: statSync(sound).size / 2 / 1_024, stdout };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test.skipIf(lacks('hlsdemux2'))('GStreamer’s hlsdemux2 decodes picture and sound to the end', async () => {
    const { video, audio, stdout } = await played(`${server.url}/hls/index.m3u8`);
    expect(stdout).toContain('GstHLSDemux2');
    expect(video).toBe(clip.pictures.length);
    expect(audio).toBeGreaterThanOrEqual(clip.sound.length - 1);
  });

  test.skipIf(lacks('dashdemux2'))('GStreamer’s dashdemux2 decodes picture and sound to the end', async () => {
    const { video, audio, stdout } = await played(`${server.url}/hls/manifest.mpd`);
    expect(stdout).toContain('GstDashDemux2');
    expect(video).toBe(clip.pictures.length);
    expect(audio).toBeGreaterThanOrEqual(clip.sound.length - 1);
  });

  test('FFmpeg decodes every picture and sound by DASH, and complains of nothing', async () => {
    const decode = [
      '-i',
      `${server.url}/hls/manifest.mpd`,
      '-map',
      '0:v',
      '-map',
      '0:a:0',
      '-fps_mode',
      'passthrough',
      '-f',
      'framemd5',
      '-',
    ];
    const { stdout, stderr } = await run('ffmpeg', ['-v', 'error', ...decode], {
      timeout: 50_000,
      maxBuffer: 1 << 28,
    });
    const frames = (stream: number) => stdout.split('\n').filter((line) => line.startsWith(`${stream},`)).length;
    expect(frames(0)).toBe(clip.pictures.length);
    expect(frames(1)).toBeGreaterThanOrEqual(clip.sound.length - 1);
    expect(stderr).toBe('');
  });

  test.skipIf(!existsSync(CHROMIUM))('Chromium’s own HLS plays it to the end, without a script', async (context) => {
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
    });
    try {
      const page = await browser.newPage();
      await page.goto(server.url);
      const answer = await page.evaluate(
        `document.querySelector('video').canPlayType('application/vnd.apple.mpegurl')`,
      );
      context.skip(answer === '', `Chromium ${browser.version()} has no HLS of its own`);
      await page.evaluate(`document.querySelector('video').play()`);
      await page.waitForFunction(`document.querySelector('video').ended`, undefined, { timeout: 40_000 });
      const seen = await page.evaluate<{
        error: string | null;
        width: number;
        pictures: number;
        sound: number;
      }>(`(() => {
        const video = document.querySelector('video');
        const { totalVideoFrames } = video.getVideoPlaybackQuality();
        const sound = video.webkitAudioDecodedByteCount;
        return { error: video.error?.message ?? null, width: video.videoWidth, pictures: totalVideoFrames, sound };
      })()`);
      expect(seen).toMatchObject({ error: null, width: 320 });
      expect(seen.pictures).toBeGreaterThan(0.8 * clip.pictures.length);
      expect(seen.sound).toBeGreaterThan(10_000);
    } finally {
      await browser.close();
    }
  });
});
