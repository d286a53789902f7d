import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProgrammeClock, type TrackClock } from '../../media/programme-clock.ts';
import { type NtpTime, ntpFromUnix } from '../../media/rtcp.ts';
import { type ClockTime, at, ms } from '../../media/time.ts';

const clock = (millis: number) => ms(millis) as number as ClockTime;
const ntp = (millis: number): NtpTime => ntpFromUnix(1_700_000_000_000_000 + millis * 1_000);
const AUDIO = 5_000_000;
const VIDEO = 900_000;

/** What is captured at `millis`, as its time stamp. */
const audioTick = (millis: number) => AUDIO + millis * 48;
const videoTick = (millis: number) => VIDEO + millis * 90;

function receive(track: TrackClock, timestamp: number, millis: number): number {
  const ticks = track.ticks(timestamp);
  track.arrived(ticks, clock(millis));
  return track.place(ticks) / 1_000;
}

function tracks(programme = new ProgrammeClock()) {
  return { programme, audio: programme.track(1, 'audio', 48_000), video: programme.track(2, 'video', 90_000) };
}

test('media time 0 is the first packet of the first track; audio is its samples from there', () => {
  const { audio } = tracks();
  expect(receive(audio, AUDIO, 7_000)).toBe(0);
  for (let frame = 1; frame < 500; frame += 1) {
    // Arrival wanders and the publisher's clock is fast: audio does not care.
    expect(receive(audio, AUDIO + frame * 960, 7_000 + frame * 19.9 + (frame % 7) * 5)).toBe(frame * 20);
  }
});

test('audio stays exact to the sample over a wrap of its time stamps and a day of programme', () => {
  const audio = new ProgrammeClock().track(1, 'audio', 48_000);
  const first = 2 ** 32 - 960;
  const day = 24 * 3_600 * 1_000;
  for (let millis = 0; millis <= day; millis += 600_000) {
    expect(receive(audio, (first + millis * 48) % 2 ** 32, millis)).toBe(millis);
  }
});

test('before any report, tracks are related by their quickest packets', () => {
  const { audio, video } = tracks();
  receive(audio, audioTick(0), 130);
  audio.arrived(audio.ticks(audioTick(20)), clock(120));
  // Audio takes 100 ms at best; the first picture takes 100 ms, too.
  expect(receive(video, videoTick(40), 140)).toBe(40);
});

test('reports place the picture where it was captured when they come before it', () => {
  const { audio, video } = tracks();
  receive(audio, audioTick(0), 50);
  video.arrived(video.ticks(videoTick(0)), clock(200));
  audio.report(audioTick(10), ntp(10));
  video.report(videoTick(30), ntp(30));
  expect(receive(video, videoTick(0), 200)).toBe(0);
});

test('reports that come later move the picture by at most 5 ms a second, to within 5 ms, never the sound', () => {
  const { audio, video } = tracks();
  receive(audio, audioTick(0), 50);
  expect(receive(video, videoTick(0), 150)).toBe(100);
  audio.report(audioTick(0), ntp(0));
  video.report(videoTick(0), ntp(0));
  let before = 100;
  for (let millis = 40; millis <= 60_000; millis += 40) {
    expect(receive(audio, audioTick(millis), millis + 50)).toBe(millis);
    const placed = receive(video, videoTick(millis), millis + 150);
    expect(placed - before).toBeGreaterThanOrEqual(40 * 0.995 - 0.001);
    expect(placed - before).toBeLessThanOrEqual(40 * 1.005 + 0.001);
    if (millis === 10_000) expect(placed - millis).toBeCloseTo(50, 0);
    before = placed;
  }
  expect(before - 60_000).toBeCloseTo(5, 1);
});

test('all packets of one picture have one time, also while it is being moved', () => {
  const { audio, video } = tracks();
  receive(audio, audioTick(0), 50);
  receive(video, videoTick(0), 150);
  audio.report(audioTick(0), ntp(0));
  video.report(videoTick(0), ntp(0));
  const first = receive(video, videoTick(1_000), 1_150);
  expect(receive(video, videoTick(1_000), 1_151)).toBe(first);
});

test('whatever arrives and is reported, the time of a track never runs backwards', () => {
  const step = fc.record({
    video: fc.boolean(),
    ahead: fc.integer({ min: 1, max: 3_000 }),
    late: fc.integer({ min: 0, max: 900 }),
    report: fc.option(fc.integer({ min: -500, max: 500 })),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const { audio, video } = tracks();
      const last = new Map<TrackClock, number>();
      let millis = 0;
      for (const { video: isVideo, ahead, late, report } of steps) {
        millis += ahead;
        const track = isVideo ? video : audio;
        const tick = isVideo ? videoTick(millis) : audioTick(millis);
        const placed = receive(track, tick, millis + late);
        expect(placed).toBeGreaterThan(last.get(track) ?? -Infinity);
        last.set(track, placed);
        if (report !== null) track.report(tick, ntp(millis + report));
      }
    }),
  );
});

test('a sender whose wall clock is set, and a track whose reports are from another clock, move nothing', () => {
  const { audio, video } = tracks();
  receive(audio, audioTick(0), 50);
  receive(video, videoTick(0), 50);
  audio.report(audioTick(0), ntp(0));
  video.report(videoTick(0), ntp(3_600_000));
  for (let millis = 0; millis < 5_000; millis += 40) {
    receive(audio, audioTick(millis), millis + 50);
    expect(receive(video, videoTick(millis), millis + 50)).toBe(millis);
  }
});

test('sound that begins after the picture is placed where it arrives and becomes the master', () => {
  const { programme, audio, video } = tracks();
  expect(receive(video, videoTick(0), 100)).toBe(0);
  receive(video, videoTick(3_000), 3_100);
  expect(programme.master).toBe(video);
  expect(receive(audio, audioTick(3_020), 3_120)).toBe(3_020);
  expect(programme.master).toBe(audio);
});

test('a restarted process puts both tracks on the same axis, over a wrap', () => {
  const first = tracks();
  const wrap = 2 ** 32 - 480;
  receive(first.audio, wrap, 50);
  receive(first.video, videoTick(0), 150);
  expect(receive(first.audio, wrap + 960 - 2 ** 32, 70)).toBe(20);
  const resume = structuredClone(first.programme.snapshot());
  const second = tracks(new ProgrammeClock({ resume, start: at(999) }));
  expect(receive(second.audio, wrap + 96_000 - 2 ** 32, 2_050)).toBe(2_000);
  expect(receive(second.video, videoTick(2_000), 2_150)).toBeCloseTo(2_100, 1);
});

test('a publisher who comes back with new tracks goes on where he arrives', () => {
  const { programme, audio } = tracks();
  receive(audio, audioTick(0), 50);
  receive(audio, audioTick(1_000), 1_050);
  programme.forget(1);
  expect(receive(programme.track(9, 'audio', 48_000), 12_345, 31_050)).toBe(31_000);
  // The same when the process was restarted in between and knows no more than where the programme is.
  const later = new ProgrammeClock({ anchor: programme.anchor! });
  expect(receive(later.track(10, 'audio', 48_000), 777, 41_050)).toBe(41_000);
});

test('sound that is no longer the master is exact to the sample all the same', () => {
  const { programme, audio } = tracks();
  receive(audio, audioTick(0), 150);
  const other = programme.track(3, 'audio', 48_000);
  receive(other, 0, 250);
  audio.report(audioTick(0), ntp(0));
  other.report(0, ntp(150));
  expect(programme.master).toBe(other);
  for (let millis = 20; millis < 3_000; millis += 20)
    expect(receive(audio, audioTick(millis), millis + 150)).toBe(millis);
});

test('a new count is told from lateness', () => {
  const { audio } = tracks();
  receive(audio, audioTick(0), 50);
  expect(audio.jumped(audio.ticks(audioTick(20)), clock(4_000))).toBe(false);
  expect(audio.jumped(audioTick(3_000), clock(1_000))).toBe(true);
  expect(audio.jumped(audioTick(0), clock(11_000))).toBe(true);
  expect(audio.expected(clock(1_050))).toBe(at(1_000_000));
  const ticks = audio.rebase(99, at(500_000));
  audio.arrived(ticks, clock(1_000));
  expect(audio.place(ticks)).toBe(500_000);
  expect(receive(audio, 99 + 960, 1_020)).toBe(520);
});
