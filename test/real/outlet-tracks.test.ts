import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { Config, SessionSpec } from '../../gateway/config.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import { HostedOutlets } from '../../gateway/hosted-outlets.ts';
import { silent } from '../../gateway/log.ts';
import { videoTrack } from '../../gateway/output-tracks.ts';
import { Room } from '../../gateway/room.ts';
import { Sfu } from '../../gateway/sfu.ts';
import { eventually } from '../fakes/gateway.ts';

const program = fileURLToPath(new URL('../fakes/outlet-process.mjs', import.meta.url));
const H264 = { 'packetization-mode': 1, 'profile-level-id': '42e01f' };

test('outlets follow a picture that becomes one of another codec, each time', async () => {
  await using scope = new Scope('test');
  const sfu = await Sfu.open({ workers: 1, log: silent }, scope);
  const config = Config.parse({});
  const room = await Room.open({ sfu, rtc: config.rtc, onInput() {}, onReport() {}, onLost() {} }, scope);
  const track = videoTrack();
  const { id, kind, language, rtpBase, clockRate } = track;
  const session = {
    ...{ id: 'one', spec: SessionSpec.parse({}), room: Promise.resolve(room), attend: () => () => {} },
    tracks: [{ id, kind, language, label: null, rtp: { base: rtpBase, rate: clockRate } }],
  } as unknown as HostedSession;
  await room.offer(track);
  const outlets = new HostedOutlets(
    session,
    { recordings: config.recordings, clock: new MonotonicClock(), log: silent, program, onDeath() {} },
    scope.child('outlets'),
  );
  outlets.start();
  const hears = (codec: string) =>
    eventually(() => outlets.counts['video']?.[codec] === 1, `outlets take ${codec} pictures`);
  await hears('VP8');
  for (const codec of ['H264', 'VP8', 'H264', 'VP8']) {
    await room.offer({ ...track, mimeType: `video/${codec}`, parameters: codec === 'H264' ? H264 : {} });
    outlets.event({ event: 'tracks', data: session.tracks });
    await hears(codec);
  }
  expect(outlets.restarts).toBe(0);
});
