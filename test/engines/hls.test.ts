import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { at } from '../../media/time.ts';
import { encodedClip } from '../fakes/encoded-clip.ts';
import { TRACKS, give, inOrder, openHls, serve, track } from '../fakes/hls-house.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';

const run = promisify(execFile);
const why = missing(WEBCAM.file);
const clips = () => {
  const english = encodedClip(recording(WEBCAM.file));
  const spanish = encodedClip(recording(WEBCAM.file), {
    filter: 'asetrate=44100*1.2,aresample=48000,atempo=0.9',
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
  test('FFmpeg reads every picture and every frame of sound, in sync, both languages and captions', async () => {
    const { server, all, close } = await finished();
    try {
      const url = `${server.url}/hls/index.m3u8`;
      const { stdout } = await run('ffprobe', ['-v', 'warning', '-show_streams', '-of', 'json', url], {
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
      expect(streams.map(({ codec_name }) => codec_name).sort()).toEqual(['aac', 'aac', 'h264', 'webvtt', 'webvtt']);
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
        ['-v', 'warning', '-xerror', '-i', url, '-map', '0:v', '-map', '0:a', '-f', 'null', '-'],
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
});
