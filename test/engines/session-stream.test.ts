import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { SessionSpec } from '../../gateway/config.ts';
import { audioTrack, languageTracks, videoTrack } from '../../gateway/output-tracks.ts';
import { root } from '../../gateway/root.ts';
import type { FromSession } from '../../gateway/session/ipc.ts';
import { Session } from '../../gateway/session/session.ts';
import { ManualClock } from '../../media/clock.ts';
import { pictureIdOf } from '../../media/packetize.ts';
import { isRtcp, parseRtp } from '../../media/rtp.ts';
import { Scope } from '../../media/scope.ts';
import { type MediaTime, ms } from '../../media/time.ts';
import { VideoDecoder } from '../../media/video-decoder.ts';
import { type Codec, infoOf, opener, programmeOf, shifted } from '../fakes/programmes.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { type Came, picturesOf } from '../fakes/sent.ts';

const FILE = 'talking/video-retalking/face1.mp4';
const lacking =
  ['ffmpeg', 'flite', 'espeak-ng', 'apertium'].find((program) => spawnSync(program, ['--version']).error) ??
  missing(FILE) ??
  (existsSync(join(root, 'dist/models/thread-main.js')) ? undefined : 'npm run build');
const SECOND = 1_000_000;
/** What tells one picture from another. */
const endOf = (data: Uint8Array) => Buffer.from(data.subarray(-48)).toString('hex');

describe.skipIf(lacking)(`a session whose source stops for 20 s (${lacking ?? 'all is there'})`, () => {
  let scope: Scope;
  beforeEach(() => {
    scope = new Scope('test');
    return () => scope.close();
  });

  async function open(codec: Codec) {
    const clock = new ManualClock();
    const items = programmeOf(recording(FILE), codec, 5);
    // What comes back does so in the middle of a group of pictures.
    const middle = items.findIndex((item) => item.kind === 'video' && item.start > 0.5 * SECOND);
    const back = [...items.slice(middle), ...shifted(items, 5 * SECOND)];
    const source = opener(clock, (opening) => {
      if (opening === 0) return { info: infoOf(codec), items, paced: true, fails: new Error('connection reset') };
      if (clock.now() < 25 * SECOND) return { fails: new Error('connection refused') };
      return { info: infoOf(codec), items: back, paced: true, hangs: true };
    });
    const sfu = createSocket({ type: 'udp4', recvBufferSize: 1 << 22 });
    const packets: Came[] = [];
    sfu.on('message', (data) => {
      const packet = isRtcp(data) ? undefined : parseRtp(Uint8Array.from(data));
      if (packet) packets.push({ ...packet, came: clock.now() / 1_000 });
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
        spec: SessionSpec.parse({ source: { kind: 'url', url: 'rtsp://example.org/live' }, to: ['es'], delay: 3 }),
        ports: { input: 0, output: 0 },
        sfu: { address: '127.0.0.1', port: sfu.address().port },
        outputs,
        resume: null,
      },
      clock,
      (message) => told.push(message),
      scope,
      { stream: () => ({ open: source, pace: 'arrival' }) },
    );
    const track = (id: string) => outputs.find((each) => each.id === id)!;
    return { clock, session, packets, told, track, source, items };
  }

  test.each(['H264', 'VP8'] as const)(
    'shows a slate on one unbroken time line until %s comes back',
    async (codec) => {
      const { clock, packets, told, track, source, items } = await open(codec);
      const back = () => source.times.at(-1)! >= 25 * SECOND;
      for (let left = 60; left > 0 && !back(); left -= 1) await clock.advance(ms(1_000));
      for (let n = 0; n < 7; n += 1) await clock.advance(ms(1_000));
      const states = told.flatMap((message) => (message.type === 'source' ? [message] : []));
      expect(states.map(({ state, reason }) => [state, reason])).toEqual([
        ['opening', null],
        ['live', null],
        ['away', 'connection reset'],
        ['away', 'connection refused'],
        ['live', null],
      ]);

      // Every packet of sound is there, one frame after the other.
      for (const id of ['original', 'dub:es', 'voice:es']) {
        const sound = packets.filter(({ ssrc }) => ssrc === track(id).ssrc);
        expect(sound.length).toBeGreaterThan(30 * 50);
        const steps = sound.slice(1).map((packet, n) => (packet.timestamp - sound[n]!.timestamp) >>> 0);
        expect(new Set(steps)).toEqual(new Set([960]));
      }

      // So is every packet of the picture, and time only goes on.
      const { ssrc } = track('video');
      const video = packets.filter((packet) => packet.ssrc === ssrc);
      const gaps = video.slice(1).map((packet, n) => (packet.sequence - video[n]!.sequence) & 0xffff);
      expect(new Set(gaps)).toEqual(new Set([1]));
      const sent = picturesOf(packets, track('video'), codec);
      const steps = sent.slice(1).map(({ stamp }, n) => (stamp - sent[n]!.stamp) / 90_000);
      expect(Math.min(...steps)).toBeGreaterThan(0);
      expect(Math.max(...steps)).toBeLessThan(1.5);

      // Before: all pictures. Then the slate, until the key frame with which the source is back.
      const pictures = items.filter(({ kind }) => kind === 'video').length;
      const originals = new Set(items.flatMap((item) => (item.kind === 'video' ? [endOf(item.data)] : [])));
      expect(sent.slice(0, pictures).every(({ data }) => originals.has(endOf(data)))).toBe(true);
      const entry = sent.findIndex(({ data }, n) => n >= pictures && originals.has(endOf(data)));
      expect(sent[entry]!.keyFrame).toBe(true);
      expect(sent.slice(entry).every(({ data }) => originals.has(endOf(data)))).toBe(true);
      expect(sent.length - entry).toBeGreaterThan(60);
      const slate = sent.slice(pictures, entry);
      expect(slate.length).toBeGreaterThan(95);
      expect(slate.filter(({ keyFrame }) => keyFrame).length).toBeGreaterThan(19);

      // All of it decodes, and the slate is what was there, dimmed.
      const decoder = new VideoDecoder({ codec });
      const frames = sent.flatMap(({ data, stamp }) => decoder.decode(data, stamp as MediaTime));
      expect(decoder.damaged).toBe(0);
      expect(frames.length).toBe(sent.length);
      decoder[Symbol.dispose]();
      const mean = (n: number) => frames[n]!.y.reduce((sum, luma) => sum + luma, 0) / frames[n]!.y.length;
      const [shown, dimmed, again] = [mean(pictures - 1), mean(pictures + 7), mean(entry + 5)];
      expect(dimmed).toBeLessThan(16 + 0.6 * (shown - 16));
      expect(dimmed).toBeGreaterThan(16 + 0.25 * (shown - 16));
      expect(again).toBeCloseTo(shown, -1);

      // Receivers take the picture whose id is one more for the next one.
      if (codec !== 'H264') {
        const ids = sent.map(({ payloads }) => pictureIdOf(codec, payloads[0]!)!.value);
        expect(new Set(ids.slice(1).map((id, n) => (id - ids[n]!) & 0x7fff))).toEqual(new Set([1]));
      }
      expect(told.filter(({ type }) => type === 'fault' || type === 'ended')).toEqual([]);
    },
    60_000,
  );
});
