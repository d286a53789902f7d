import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { at } from '../../media/time.ts';
import { encodedClip } from '../fakes/encoded-clip.ts';
import { TRACKS, give, inOrder, openHls, serve } from '../fakes/hls-house.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';

const run = promisify(execFile);
const why = missing(WEBCAM.file);
const clips = () => {
  const english = encodedClip(recording(WEBCAM.file));
  const spanish = encodedClip(recording(WEBCAM.file), {
    filter: 'tremolo=5',
    channels: 2,
  });
  return { video: english, original: english, 'dub:es': spanish };
};
const CUE = {
  id: 'u1',
  language: 'es',
  speaker: 's1',
  start: 2_000_000,
  end: 7_000_000,
  text: 'Hola & adiós',
  draft: false,
};

/** The whole clip, published and over. */
async function finished(length = 4) {
  const { hls, scope } = openHls({ segment: length });
  hls.tracks(TRACKS);
  hls.cue(CUE);
  const all = clips();
  for (const one of inOrder(all)) give(hls, one);
  await hls.close();
  const server = await serve(hls);
  return { hls, all, server, close: () => Promise.all([server.close(), scope.close()]) };
}
interface Packet {
  readonly codec_type: string;
  readonly pts_time: string;
  readonly duration_time: string;
  readonly flags: string;
}
async function packets(url: string, map: string): Promise<Packet[]> {
  const { stdout } = await run(
    'ffprobe',
    ['-v', 'error', '-select_streams', map, '-show_packets', '-of', 'json', url],
    {
      maxBuffer: 1 << 26,
      timeout: 30_000,
    },
  );
  return (JSON.parse(stdout) as { packets: Packet[] }).packets;
}

describe.skipIf(why)(`HLS of a real clip ${why ?? ''}`, () => {
  test('FFmpeg reads every picture and every frame of sound, in sync, in both languages (it knows no captions in HLS)', async () => {
    const { server, all, close } = await finished();
    try {
      const url = `${server.url}/hls/index.m3u8`;
      const { stdout } = await run('ffprobe', ['-v', 'error', '-show_streams', '-of', 'json', url], {
        timeout: 30_000,
      });
      const { streams } = JSON.parse(stdout) as {
        streams: {
          codec_name: string;
          width?: number;
          channels?: number;
          avg_frame_rate?: string;
          tags?: { language?: string };
        }[];
      };
      expect(streams.map(({ codec_name }) => codec_name).sort()).toEqual(['aac', 'aac', 'h264']);
      expect(streams.flatMap(({ channels }) => channels ?? []).sort()).toEqual([1, 2]);
      const [pictures, sound] = [await packets(url, 'v:0'), await packets(url, 'a:0')];
      expect(pictures).toHaveLength(all.video.pictures.length);
      expect(sound).toHaveLength(all.original.sound.length);
      // Both begin at the same time of the programme; pictures are a thirtieth of a second apart to the end.
      expect(Math.abs(Number(pictures[0]?.pts_time) - Number(sound[0]?.pts_time))).toBeLessThan(0.001);
      const last = Number(pictures.at(-1)?.pts_time) - Number(pictures[0]?.pts_time);
      expect(last).toBeCloseTo((pictures.length - 1) / 30, 2);
      expect(pictures.filter(({ flags }) => flags.startsWith('K'))).toHaveLength(5);
      const { stderr } = await run(
        'ffmpeg',
        ['-v', 'error', '-xerror', '-i', url, '-map', '0:v', '-map', '0:a', '-f', 'null', '-'],
        {
          timeout: 60_000,
        },
      );
      expect(stderr).toBe('');
    } finally {
      await close();
    }
  });

  test('FFmpeg reads the same segments by DASH', async () => {
    const { server, all, close } = await finished();
    try {
      const url = `${server.url}/hls/manifest.mpd`;
      const { stdout } = await run('ffprobe', ['-v', 'error', '-show_streams', '-of', 'json', url], {
        timeout: 30_000,
      });
      const { streams } = JSON.parse(stdout) as { streams: { codec_name: string }[] };
      expect(streams.map(({ codec_name }) => codec_name).sort()).toEqual(['aac', 'aac', 'h264']);
      expect(all.video.pictures.length).toBeGreaterThan(250);
    } finally {
      await close();
    }
  });

  test.skipIf(!existsSync('/usr/bin/gst-launch-1.0'))('GStreamer decodes every picture', async () => {
    const { server, close } = await finished();
    try {
      const url = `${server.url}/hls/video/index.m3u8`;
      const args = [
        'souphttpsrc',
        `location=${url}`,
        '!',
        'hlsdemux',
        '!',
        'qtdemux',
        '!',
        'h264parse',
        '!',
        'avdec_h264',
        '!',
        'fakesink',
        'sync=false',
        'silent=false',
        '-v',
      ];
      const { stdout } = await run('gst-launch-1.0', args, { timeout: 40_000, maxBuffer: 1 << 26 });
      expect(stdout.match(/chain\s+\*+/g)?.length ?? 0).toBeGreaterThan(250);
    } finally {
      await close();
    }
  });

  test.skipIf(!existsSync('/usr/bin/chromium'))(
    'Chromium plays with hls.js close to the live edge, goes on where parameter sets change, switches languages, shows captions',
    async () => {
      const { hls, scope } = openHls({ segment: 2 }, {});
      hls.tracks(TRACKS);
      const first = clips();
      const other = { ...first, video: encodedClip(recording(WEBCAM.file), { preset: ':ref=3' }) };
      const script = readFileSync(createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js'));
      const server = await serve(hls, {
        '/': { type: 'text/html', body: '<video muted></video><script src=/hls.min.js></script>' },
        '/hls.min.js': { type: 'text/javascript', body: script },
      });
      const queue = [first, other, first, other].flatMap((clip, n) =>
        inOrder(clip, n * 9_900_000).filter(({ start }) => start < (n + 1) * 9_900_000),
      );
      for (let n = 0; n < 12; n += 1)
        hls.cue({ ...CUE, id: `u${n}`, start: n * 3_000_000, end: n * 3_000_000 + 2_500_000, text: `Hola ${n}` });
      const began = performance.now() - 7_000;
      const feed = () => {
        const until = (performance.now() - began) * 1_000;
        while (queue[0] && queue[0].start < until) give(hls, queue.shift()!);
        hls.tick(new MonotonicClock().now(), at(until - 200_000));
      };
      feed();
      const timer = setInterval(feed, 50);
      const browser = await chromium.launch({
        executablePath: '/usr/bin/chromium',
        args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
      });
      try {
        const page = await browser.newPage();
        await page.goto(server.url);
        await page.evaluate(`(() => {
          window.trouble = [];
          const hls = (window.hls = new Hls({ lowLatencyMode: true, renderTextTracksNatively: true }));
          hls.on(Hls.Events.ERROR, (_, data) => trouble.push(data.type + ' ' + data.details + ' ' + data.fatal + ' ' + (data.error?.message ?? '')));
          hls.loadSource('/hls/index.m3u8');
          const video = (window.video = document.querySelector('video'));
          hls.attachMedia(video);
          hls.on(Hls.Events.MANIFEST_PARSED, () => { hls.subtitleDisplay = true; void video.play(); });
        })()`);
        // Past the first change of parameter sets, at 9.9 s.
        await page.waitForFunction('video.currentTime > 11 && hls.audioTracks.length === 2', undefined, {
          timeout: 20_000,
        });
        const latency = Number(await page.evaluate('hls.latency'));
        const languages = await page.evaluate('hls.audioTracks.map(({ lang, name }) => [lang, name])');
        expect(languages).toEqual([
          ['en', 'Original'],
          ['es', 'español'],
        ]);
        await page.evaluate(
          'hls.audioTrack = hls.audioTrack === 0 ? 1 : 0; hls.subtitleTrack = hls.subtitleTracks.findIndex(({ lang }) => lang === "es")',
        );
        const from = Number(await page.evaluate('video.currentTime'));
        await page.waitForFunction(
          `video.currentTime > ${from + 4} && [...video.textTracks].some(({ activeCues }) => [...(activeCues ?? [])].some(({ text }) => text.includes('Hola')))`,
          undefined,
          { timeout: 20_000 },
        );
        const seen = await page.evaluate<{
          trouble: string[];
          width: number;
          shown: number;
          discontinuity: number;
          parts: number;
        }>(
          '({ trouble, width: video.videoWidth, dropped: video.getVideoPlaybackQuality().droppedVideoFrames, shown: video.getVideoPlaybackQuality().totalVideoFrames, discontinuity: hls.levels[0].details.fragments.at(-1).cc, parts: hls.levels[0].details.partList?.length })',
        );
        expect(seen.trouble.filter((one) => one.includes('true'))).toEqual([]);
        expect(seen).toMatchObject({ width: 320, discontinuity: 0 });
        expect(seen.shown).toBeGreaterThan(100);
        expect(latency).toBeLessThan(5);
        expect(server.asked.some((url) => /_HLS_msn=\d+&_HLS_part=\d+/.test(url))).toBe(true);
        expect(server.asked.some((url) => /^\/hls\/video\/\d+\.\d+\.m4s/.test(url))).toBe(true);
      } finally {
        clearInterval(timer);
        await browser.close();
        await server.close();
        await scope.close();
      }
    },
  );
});
