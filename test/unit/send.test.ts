import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ntpFromUnix, parseRtcp } from '../../media/rtcp.ts';
import { parseRtp } from '../../media/rtp.ts';
import { RtpTrack, type RtpTrackOptions } from '../../media/send.ts';
import { at, ms } from '../../media/time.ts';
import { Unwrapper, distance } from '../../media/unwrap.ts';

const AUDIO: RtpTrackOptions = {
  ssrc: 7,
  payloadType: 111,
  rate: 48_000,
  rtpBase: 0xffff_ff00,
  numbering: { by: 'frame', every: ms(20) },
  cname: 'programme',
};
const VIDEO: RtpTrackOptions = { ...AUDIO, ssrc: 8, rate: 90_000, numbering: { by: 'packet', next: 65_535 } };
const frame = (n: number) => at(n * 20_000);

test('a time stamp is media time, over a wrap and before 0', () => {
  const track = new RtpTrack(AUDIO);
  expect(track.stamp(at(0))).toBe(0xffff_ff00);
  expect(track.stamp(frame(1))).toBe(960 - 256);
  expect(track.stamp(frame(-1))).toBe(0xffff_ff00 - 960);
});

test('a year of programme is stamped to the tick', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_576_800_000 }), (n) => {
      const track = new RtpTrack({ ...AUDIO, rtpBase: 0 });
      expect(track.stamp(frame(n))).toBe((n * 960) % 2 ** 32);
      expect(distance(track.stamp(frame(n)), track.stamp(frame(n + 1)), 32)).toBe(960);
    }),
  );
});

test('a process that takes over numbers audio as its predecessor would have', () => {
  const send = (track: RtpTrack, n: number) =>
    parseRtp(track.packet(Uint8Array.of(n & 255), frame(n), false))!.sequence;
  const first = new RtpTrack(AUDIO);
  expect([70_000, 70_001, 70_002].map((n) => send(first, n))).toEqual([4_464, 4_465, 4_466]);
  expect(send(new RtpTrack(AUDIO), 70_003)).toBe(4_467);
  // Frames that were never sent are missing numbers.
  expect(send(new RtpTrack(AUDIO), 70_010)).toBe(4_474);
});

test('video packets are numbered one by one from where they are told', () => {
  const track = new RtpTrack(VIDEO);
  expect(track.sequence).toBe(65_534);
  const sent = [0, 1, 2].map((i) => parseRtp(track.packet(Uint8Array.of(i), at(40_000), i === 2))!);
  expect(sent.map(({ sequence, marker, ssrc }) => [sequence, marker, ssrc])).toEqual([
    [65_535, false, 8],
    [0, false, 8],
    [1, true, 8],
  ]);
  expect(track.sequence).toBe(1);
});

test('reports relate both tracks to one clock, and count what was sent', () => {
  const audio = new RtpTrack(AUDIO);
  const video = new RtpTrack(VIDEO);
  audio.packet(new Uint8Array(100), frame(0), false);
  audio.packet(new Uint8Array(50), frame(1), false);
  const now = ntpFromUnix(1_700_000_000_000_000);
  const playing = at(1_000_000);
  const [report, description] = parseRtcp(audio.report(now, playing));
  expect(report).toMatchObject({ type: 'sender-report', ssrc: 7, ntp: now, packets: 2, octets: 150 });
  expect(description).toEqual({ type: 'description', ssrc: 7, cname: 'programme' });
  const [other] = parseRtcp(video.report(now, playing));
  const rtp = (packet: typeof report) => (packet?.type === 'sender-report' ? packet.rtp : NaN);
  expect(new Unwrapper(32, 0xffff_ff00).unwrap(rtp(report)) - 0xffff_ff00).toBe(48_000);
  expect(new Unwrapper(32, 0xffff_ff00).unwrap(rtp(other)) - 0xffff_ff00).toBe(90_000);
});
