import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { shown } from '../../gateway/source-spec.ts';
import type { OpenProgramme } from '../../media/programme.ts';
import { Scope } from '../../media/scope.ts';
import { openStream } from '../../media/stream.ts';
import { programmeConformance, readAll, soundOf } from '../conformance/programme.ts';
import { eventually } from '../fakes/gateway.ts';
import { pulledSource } from '../fakes/pulled-source.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { type RtspOptions, noRtspServer, rtspServer } from '../fakes/rtsp-server.ts';

const FACE = 'talking/video-retalking/face1.mp4';
const why = missing(FACE) ?? noRtspServer;
const SECOND = 1_000_000;
const [NAME, PASSWORD] = ['viewer7', 'open-sesame'];
const SECRET = /sesame|viewer7/;
const folder = mkdtempSync(join(tmpdir(), 'livedub-rtsp-'));
const clip = (name: string) => join(folder, name);

/** A face that talks and, `beeps`, a beep of 100 ms at each even second instead of its voice. */
function make(name: string, { beeps = false, sound = 'aac' } = {}): void {
  const beep = 'aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,2)\\,0.1)*gt(t\\,1):s=48000:d=5';
  const audio = beeps ? ['-f', 'lavfi', '-i', beep, '-map', '0:v', '-map', '1:a'] : [];
  const coded = sound === 'opus' ? ['-c:a', 'libopus'] : ['-c:a', 'aac', '-ac', '1'];
  const video = ['-vf', 'setpts=PTS-STARTPTS,scale=320:320,fps=25', '-pix_fmt', 'yuv420p'];
  const x264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '25'];
  execFileSync('ffmpeg', [
    ...['-v', 'error', '-y', '-t', '5', '-i', recording(FACE), ...audio, ...video, ...x264, ...coded],
    ...['-t', '5', clip(name)],
  ]);
}

// They play in their own time: side by side.
describe.skipIf(why).concurrent(`RTSP from GStreamer's server (${why ?? 'all is there'})`, () => {
  const scope = new Scope('test');
  beforeAll(() => {
    make('beeps.mp4', { beeps: true });
    make('aac.mp4');
    make('opus.mp4', { sound: 'opus' });
  });
  afterAll(async () => {
    await scope.close();
    rmSync(folder, { recursive: true });
  });

  const open =
    (name: string, transport: 'tcp' | 'udp', options: RtspOptions): OpenProgramme =>
    async (own) => {
      const { url } = await rtspServer(clip(name), options, scope);
      return openStream({ kind: 'url', url, transport }, { field: 'source.url' }, own);
    };
  const access = (kind: 'basic' | 'digest') => ({ kind, name: NAME, password: PASSWORD });

  programmeConformance({
    name: 'RTSP, interleaved in TCP, with a digest for a password',
    open: open('beeps.mp4', 'tcp', { sound: 'aac', access: access('digest') }),
    apart: ({ pictures, sounds }) =>
      pictures[50]!.start / SECOND - soundOf(sounds).findIndex((sample) => Math.abs(sample) > 0.1) / 48_000,
    ...{ fps: 25, length: 4, waits: false },
  });

  test.for([
    ['udp', 'aac', 'aac.mp4', { sound: 'aac' }],
    ['udp', 'opus', 'opus.mp4', { sound: 'opus', access: access('basic') }],
    ['tcp', 'pcm_alaw', 'aac.mp4', { sound: 'pcma' }],
  ] as const)('pictures come over %s with sound as %s', async ([transport, codec, name, options], { expect }) => {
    await using own = new Scope('test');
    const programme = await open(name, transport, options)(own);
    const { audio, video } = programme.info;
    expect(audio?.codec).toBe(codec);
    expect(video).toMatchObject({ codec: 'H264', why: null, width: 320 });
    const { sounds, pictures } = await readAll(programme);
    expect(pictures.length).toBeGreaterThan(100);
    expect(sounds.length / 50).toBeGreaterThan(4);
    const pcm = soundOf(sounds);
    expect(Math.sqrt(pcm.reduce((sum, sample) => sum + sample ** 2, 0) / pcm.length)).toBeGreaterThan(0.005);
  });

  test('a wrong password is refused with what to do, and nobody is shown it', async ({ expect }) => {
    const server = await rtspServer(clip('aac.mp4'), { sound: 'aac', access: access('digest') }, scope);
    await using own = new Scope('test');
    const url = server.url.replace(PASSWORD, `${PASSWORD}-not`);
    const failure: unknown = await openStream({ kind: 'url', url }, { field: 'source.url' }, own).catch(
      (thrown: unknown) => thrown,
    );
    expect(failure).toMatchObject({ name: 'Refusal', code: 'invalid', field: 'source.url' });
    const { message, cause } = failure as Error;
    expect(message).toContain('the server asks for a name and password');
    expect(`${message} ${String(cause)} ${JSON.stringify(cause)}`).not.toMatch(SECRET);
    expect(JSON.stringify(shown({ kind: 'url', url, transport: 'tcp' }))).not.toMatch(SECRET);
  });

  test.for(['tcp', 'udp'] as const)(
    'a server over %s that stops is asked again, ever more rarely, until it is back',
    async (transport, { expect }) => {
      await using own = new Scope('test');
      const options = { sound: 'aac', access: access('digest') } as const;
      const first = await rtspServer(clip('aac.mp4'), options, own);
      const pulled = await pulledSource({ kind: 'url', url: first.url, transport }, own);
      const { openings, pictures, states } = pulled;
      await eventually(() => pictures.length > 25, 'it is there', 20_000);
      await first.stop();
      await eventually(() => openings.length >= 3, 'it is tried again', 20_000);
      const seen = pictures.length;
      await rtspServer(clip('aac.mp4'), { ...options, port: first.port }, own);
      await eventually(() => pictures.length > seen + 25, 'it is back', 20_000);

      const told = states.map(({ state }) => state);
      expect([...told.slice(0, 3), ...new Set(told.slice(3, -1)), told.at(-1)]).toEqual([
        ...['opening', 'live', 'away', 'away', 'live'],
      ]);
      expect(JSON.stringify(states)).not.toMatch(SECRET);
      const gone = states.find(({ state }) => state === 'away')!.at;
      expect(openings[1]! - gone).toBeGreaterThan(0.45);
      expect(openings[2]! - openings[1]!).toBeGreaterThan(0.95);
      expect(pulled.steps()).toEqual([]);
      expect(Math.abs(pulled.apart())).toBeLessThan(2);
    },
  );
});
