import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { openStream } from '../../media/stream.ts';
import { at } from '../../media/time.ts';
import { expectGapless, expectInOrder, programmeConformance, readAll, soundOf } from '../conformance/programme.ts';
import { encodedClip } from '../fakes/encoded-clip.ts';
import { eventually } from '../fakes/gateway.ts';
import { TRACKS, give, inOrder, openHls, serve } from '../fakes/hls-house.ts';
import { type LiveHlsOptions, liveHls } from '../fakes/live-hls.ts';
import { pulledSource } from '../fakes/pulled-source.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';

const FACE = 'talking/video-retalking/face1.mp4';
const why = missing(FACE, WEBCAM.file);
const folder = mkdtempSync(join(tmpdir(), 'livedub-live-'));
const FILE = join(folder, 'face.mp4');
/** The same picture, and a beep of 100 ms at every key frame, each second. */
const BEEPS = join(folder, 'beeps.mp4');

const loud = (pcm: Float32Array) => pcm.some((sample) => Math.abs(sample) > 0.1);

// It plays in its own time: side by side.
describe.skipIf(why).concurrent(`live HLS as a source (${why ?? 'there'})`, () => {
  const scope = new Scope('test');
  beforeAll(() => {
    const picture = ['-vf', 'setpts=PTS-STARTPTS,scale=320:320,fps=25', '-pix_fmt', 'yuv420p', '-g', '25', '-bf', '0'];
    const args = ['-t', '7', '-i', recording(FACE), ...picture, '-c:v', 'libx264', '-preset', 'ultrafast'];
    execFileSync('ffmpeg', ['-v', 'error', '-y', ...args, '-c:a', 'aac', '-t', '7', FILE]);
    const beep = ['-f', 'lavfi', '-i', 'aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=48000:d=7'];
    const both = ['-map', '0:v', '-map', '1:a', '-c:v', 'copy', '-c:a', 'aac', '-shortest', BEEPS];
    execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', FILE, ...beep, ...both]);
  });
  afterAll(async () => {
    await scope.close();
    rmSync(folder, { recursive: true });
  });

  for (const segments of ['mpegts', 'fmp4'] as const) {
    programmeConformance({
      name: `a live playlist of ${segments}, until it ends`,
      open: async (own) => {
        const { url } = await liveHls(FILE, { segments, loop: false }, scope);
        return openStream({ kind: 'url', url }, { field: 'source.url' }, own);
      },
      ...{ apart: null, fps: 25, length: 4, waits: false },
    });
  }

  async function pulled(segments: LiveHlsOptions['segments'], own: Scope, file = FILE) {
    const server = await liveHls(file, { segments }, own);
    const source = await pulledSource({ kind: 'url', url: server.url, transport: 'tcp' }, own);
    await eventually(() => source.pictures.length > 25, 'it is there', 20_000);
    return { server, ...source };
  }

  test('a playlist that does not grow for a while is away, and goes on without being opened again', async ({
    expect,
  }) => {
    await using own = new Scope('test');
    const { server, states, pictures, openings, steps, apart } = await pulled('mpegts', own);
    server.trouble('held');
    await eventually(() => states.at(-1)!.state === 'away', 'it is away', 20_000);
    const seen = pictures.length;
    server.trouble('none');
    await eventually(() => pictures.length > seen + 25, 'it is back', 20_000);
    expect(states.map(({ state, reason }) => [state, reason])).toEqual([
      ['opening', null],
      ['live', null],
      ['away', 'nothing comes from it'],
      ['live', null],
    ]);
    expect(openings).toHaveLength(1);
    expect(steps()).toEqual([]);
    expect(Math.abs(apart())).toBeLessThan(3);
  });

  test('a playlist that is not there for a while is asked for again soon', async ({ expect }) => {
    await using own = new Scope('test');
    const { server, states, pictures, openings, steps } = await pulled('fmp4', own);
    server.trouble('gone');
    await eventually(() => openings.length >= 3, 'it is tried again', 20_000);
    const seen = pictures.length;
    server.trouble('none');
    await eventually(() => pictures.length > seen + 25, 'it is back', 20_000);
    const away = states.filter(({ state }) => state === 'away');
    expect(away.at(-1)!.reason).toContain('the server has nothing there');
    expect(states.at(-1)!.at - away[0]!.at).toBeLessThan(15);
    expect(steps()).toEqual([]);
  });

  test.for(['mpegts', 'fmp4'] as const)(
    'an encoder of %s that begins again behind a discontinuity, its clock at 0, goes on in time',
    async (segments, { expect }) => {
      await using own = new Scope('test');
      const { server, pictures, sounds, keys, states, steps } = await pulled(segments, own, BEEPS);
      await server.restart();
      await eventually(() => server.playlist().includes('#EXT-X-DISCONTINUITY\n'), 'a discontinuity', 20_000);
      const seen = pictures.length;
      await eventually(() => pictures.length > seen + 75, 'it goes on', 20_000);
      expect(states.at(-1)!.state).toBe('live');
      expect(steps()).toEqual([]);
      // Sound and pictures belong together as before: every beep is with a key frame.
      const beeps = sounds.filter(({ pcm }, n) => n > 0 && loud(pcm) && !loud(sounds[n - 1]!.pcm));
      expect(beeps.length).toBeGreaterThan(3);
      const apart = beeps.map(({ start, pcm }) => {
        const beep = start + (pcm.findIndex((sample) => Math.abs(sample) > 0.1) * 1_000_000) / 48_000;
        return Math.min(...keys.map((key) => Math.abs(key - beep)));
      });
      expect(Math.max(...apart)).toBeLessThan(60_000);
    },
  );

  test('what we give as LL-HLS somebody else can take as a source: picture, default language, live', async ({
    expect,
  }) => {
    await using own = new Scope('test');
    const english = encodedClip(recording(WEBCAM.file), { seconds: 8 });
    const quiet = encodedClip(recording(WEBCAM.file), { seconds: 8, filter: 'volume=0' });
    const { hls, scope: house } = openHls({ segment: 2 });
    own.defer(() => house.close());
    hls.tracks(TRACKS);
    const queue = inOrder({ video: english, original: english, 'dub:es': quiet });
    const began = performance.now() - 4_000;
    const feed = () => {
      const until = (performance.now() - began) * 1_000;
      while (queue[0] && queue[0].start < until) give(hls, queue.shift()!);
      hls.tick(new MonotonicClock().now(), at(Math.max(0, until - 200_000)));
      if (queue.length === 0) void hls.close();
    };
    feed();
    const timer = setInterval(feed, 50);
    own.defer(() => clearInterval(timer));
    const server = await serve(hls);
    own.defer(() => server.close());
    const programme = await openStream(
      { kind: 'url', url: `${server.url}/hls/index.m3u8` },
      { field: 'source.url' },
      own,
    );
    expect(programme.info).toMatchObject({ container: 'hls', duration: null, video: { codec: 'H264', why: null } });
    const { pictures, sounds, failure } = await readAll(programme);
    expect(failure).toBeUndefined();
    expectGapless(sounds);
    expectInOrder(pictures);
    expect(pictures.length).toBeGreaterThan(150);
    expect(sounds.length / 50).toBeGreaterThan(5);
    expect(soundOf(sounds).some((sample) => Math.abs(sample) > 0.05)).toBe(true);
  });
});
