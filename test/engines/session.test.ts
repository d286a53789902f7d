import { execFileSync, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SessionSpec } from '../../gateway/config.ts';
import { audioTrack, languageTracks, videoTrack } from '../../gateway/output-tracks.ts';
import { root } from '../../gateway/root.ts';
import type { FromSession, ToSession } from '../../gateway/session/ipc.ts';
import { Session } from '../../gateway/session/session.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { type RtpPacket, isRtcp, parseRtp } from '../../media/rtp.ts';
import { Scope } from '../../media/scope.ts';
import { type ClockTime, at } from '../../media/time.ts';
import { eventually } from '../fakes/gateway.ts';

const lacking =
  ['ffmpeg', 'flite', 'espeak-ng', 'apertium'].find((program) => spawnSync(program, ['--version']).error) ??
  (existsSync(join(root, 'dist/models/thread-main.js')) ? undefined : 'npm run build');
const folder = mkdtempSync(join(tmpdir(), 'livedub-session-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'clip.mkv');

type Start = Extract<ToSession, { type: 'start' }>;

describe.skipIf(lacking)(`a session of a recorded programme (needs ${lacking ?? 'all engines'})`, () => {
  let scope: Scope;
  beforeAll(() => {
    const wav = join(folder, 'speech.wav');
    execFileSync('flite', ['-voice', 'slt', '-o', wav, '-t', 'Good morning everyone. The river is very high today.']);
    const picture = ['-f', 'lavfi', '-i', 'testsrc2=s=160x90:r=25:d=6', '-i', wav, '-af', 'apad', '-t', '6'];
    const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '25', '-pix_fmt', 'yuv420p'];
    execFileSync('ffmpeg', ['-v', 'error', ...picture, ...h264, '-c:a', 'pcm_s16le', path]);
  });
  beforeEach(() => {
    scope = new Scope('test');
    return () => scope.close();
  });

  async function open(spec: object, more: Partial<Start> = {}) {
    const sfu = createSocket('udp4');
    const packets: RtpPacket[] = [];
    sfu.on('message', (data) => {
      if (!isRtcp(data)) packets.push(parseRtp(data)!);
    });
    sfu.bind(0, '127.0.0.1');
    await once(sfu, 'listening');
    scope.defer(() => sfu.close());
    const told: FromSession[] = [];
    const outputs = [audioTrack('original', 'en'), ...languageTracks('es', { overlap: 'both' }), videoTrack()];
    const session = await Session.open(
      {
        type: 'start',
        session: 'test',
        spec: SessionSpec.parse({ source: { kind: 'file', path }, to: ['es'], delay: 3, ...spec }),
        ports: { input: 0, output: 0 },
        sfu: { address: '127.0.0.1', port: sfu.address().port },
        outputs,
        resume: null,
        ...more,
      },
      new MonotonicClock(),
      (message) => told.push(message),
      scope,
    );
    const of = <T extends FromSession['type']>(type: T) =>
      told.filter((message): message is Extract<FromSession, { type: T }> => message.type === type);
    const track = (id: string) => packets.filter(({ ssrc }) => ssrc === outputs.find((each) => each.id === id)!.ssrc);
    return { session, told, of, track, outputs, packets };
  }

  test('is played whole, dubbed where somebody speaks, and then over', async () => {
    const { of, track, outputs } = await open({});
    expect(of('ready')).toHaveLength(1);
    expect(of('ready')[0]!.ports.input).toBeGreaterThan(0);
    await eventually(() => of('ended').length > 0, 'the programme is over', 20_000);
    expect(of('live')).toHaveLength(1);
    expect(of('video').at(-1)?.tracks[0]).toMatchObject({ id: 'video', mimeType: 'video/H264' });
    // All of it: 6 s in frames of 20 ms, each once, on every track; 150 pictures.
    for (const id of ['original', 'dub:es', 'voice:es']) {
      const { rtpBase } = outputs.find((each) => each.id === id)!;
      const frames = track(id).map(({ timestamp }) => ((timestamp - rtpBase) >>> 0) / 960);
      expect(frames.slice(0, 300)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    }
    expect(track('video').filter(({ marker }) => marker)).toHaveLength(150);
    // A line was placed, and what was said of it agrees.
    const [line] = of('line').filter((each) => each.line.dub);
    expect(line!.line).toMatchObject({ language: 'es', outcome: expect.stringMatching(/dubbed|trimmed/) as string });
    expect(of('clip').some(({ clip }) => clip.start === line!.line.dub!.start)).toBe(true);
    expect(new Set(of('cue').map(({ cue }) => cue.language))).toEqual(new Set(['en', 'es']));
    expect(
      of('mode')
        .map(({ mode }) => mode)
        .at(-1),
    ).toEqual({ audio: 'dubbed', video: 'original', text: 'translated', quality: 'full' });
    expect(of('stats').at(-1)?.stats).toMatchObject({
      delay: { configured: 3, wanted: 3, measured: expect.closeTo(3, 0) as number, least: 3, most: 6, drift: null },
      loudness: {
        'dub:es': {
          integrated: expect.closeTo(-23, 0) as number,
          truePeak: expect.toSatisfy((peak) => peak <= -1) as number,
        },
        original: { integrated: expect.closeTo(-23, 0) as number },
      },
      fit: { rungs: { es: {} }, withinSpeed: expect.any(Number) as number },
      drops: { 'audio frames skipped': 0, 'audio before engines': 0, 'datagrams not sent': 0 },
    });
    expect(of('pulse').length).toBeGreaterThan(10);
    expect(of('fault')).toEqual([]);
  }, 30_000);

  test('gains and loses a language while it runs', async () => {
    const { session, of, packets } = await open({ delay: 2, source: { kind: 'file', path, loop: true } });
    await eventually(() => of('live').length > 0, 'it is live', 10_000);
    const portuguese = languageTracks('pt', { overlap: 'both' });
    await session.addLanguage(portuguese);
    const heard = () =>
      Math.min(...portuguese.map((track) => packets.filter(({ ssrc }) => ssrc === track.ssrc).length));
    await eventually(() => heard() > 10, 'sound in the new language, its dub and its voices');
    await session.removeLanguage('pt');
    await new Promise((wake) => setTimeout(wake, 50));
    const before = heard();
    await new Promise((wake) => setTimeout(wake, 200));
    expect(heard()).toBe(before);
    expect(of('ended')).toEqual([]);
  }, 30_000);

  test('taken over it goes on with the frames that are due now', async () => {
    const now = new MonotonicClock().now();
    const anchor = { media: at(0), clock: (now - 5_000_000) as ClockTime };
    const resume = { anchor, delay: 3_000_000, inputs: [], videoSequences: { video: 700 }, generation: 2 };
    const { track, outputs, of } = await open({ source: { kind: 'file', path, loop: true } }, { resume });
    await eventually(() => track('video').length > 30, 'pictures');
    const { rtpBase } = outputs.find(({ id }) => id === 'original')!;
    const first = ((track('original')[0]!.timestamp - rtpBase) >>> 0) / 48_000;
    // 5 s had come in, 3 s late: it is played from 2 s on.
    expect(first).toBeGreaterThanOrEqual(2);
    expect(first).toBeLessThan(3);
    expect(track('video')[0]!.sequence).toBe(700 + 128);
    await eventually(() => of('pulse').length > 0, 'a pulse');
    const { anchor: told, delay, generation } = of('pulse').at(-1)!.resume;
    expect({ delay, generation }).toEqual({ delay: 3_000_000, generation: 2 });
    expect(told.clock - told.media).toBeCloseTo(anchor.clock - anchor.media, -1);
  }, 30_000);
});
