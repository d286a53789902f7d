import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NtpTime, ntpFromUnix } from '../../media/rtcp.ts';
import { ProgrammeClock } from '../../media/programme-clock.ts';
import { Timeline } from '../../media/timeline.ts';
import { type ClockTime, at, ms, seconds } from '../../media/time.ts';
import { Unwrapper } from '../../media/unwrap.ts';

const HOUR = 3_600_000;
/** Numbers between 0 and 1, the same every time. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
const clock = (millis: number) => Math.round(millis * 1_000) as ClockTime;
const ntp = (millis: number): NtpTime => ntpFromUnix(1_700_000_000_000_000 + Math.round(millis * 1_000));

test('after a day every frame is at exactly its multiple of 20 ms, and played when its time has come', () => {
  const frames = (24 * HOUR) / 20;
  const track = new ProgrammeClock().track(1, 'audio', 48_000);
  const sequence = new Unwrapper(16);
  const base = 2 ** 32 - 48_000;
  for (let k = 0; k <= frames; k += 1) {
    const ticks = track.ticks((base + k * 960) % 2 ** 32);
    track.arrived(ticks, clock(k * 20 + 50));
    if (track.place(ticks) !== k * 20_000) expect(track.place(ticks)).toBe(k * 20_000);
    if (sequence.unwrap((65_000 + k) & 0xffff) !== 65_000 + k) expect(sequence.highest).toBe(65_000 + k);
  }
  const timeline = new Timeline({ delay: seconds(5), rate: 48_000, anchor: track.anchor! });
  expect(track.anchor).toEqual({ media: frames * 20_000, clock: frames * 20_000 + 50_000 });
  timeline.pushOriginal({ start: at(frames * 20_000), rate: 48_000, pcm: new Float32Array(960).fill(0.5) });
  const [first, ...others] = timeline.frames(clock(frames * 20 + 5_050));
  expect([first?.start, first?.pcm[0], others.length]).toEqual([frames * 20_000, 0.5, 0]);
});

test('44.1 kHz and 90 kHz ticks do not add up their roundings, over every wrap of a day', () => {
  for (const rate of [44_100, 90_000]) {
    const track = new ProgrammeClock().track(1, 'audio', rate);
    for (let second = 0; second <= 24 * 3_600; second += 7) {
      const ticks = track.ticks((2 ** 32 - 5 + second * rate) % 2 ** 32);
      if (track.place(ticks) !== second * 1_000_000) expect(track.place(ticks)).toBe(second * 1_000_000);
    }
  }
});

/** A publisher with sound and picture whose clocks are what `wall` and `ppm` make of them. */
function publish(options: {
  readonly millis: number;
  readonly ppm: number;
  readonly seed: number;
  /** What the publisher's wall clock shows, beyond the time, ms. */
  readonly wall?: (t: number) => number;
  readonly suspended?: { readonly from: number; readonly length: number };
}) {
  const { millis, ppm, seed, wall = () => 0, suspended } = options;
  const random = dice(seed);
  const programme = new ProgrammeClock();
  const [audio, video] = [programme.track(1, 'audio', 48_000), programme.track(2, 'video', 90_000)];
  const bases = [4_294_000_000, 4_290_000_000] as const;
  const last = { audio: -Infinity, video: -Infinity };
  let [backwards, worst, fastest] = [0, 0, 0];
  for (let t = 0; t < millis; t += 20) {
    if (suspended && t >= suspended.from && t < suspended.from + suspended.length) continue;
    // What the publisher's quartz makes of it; sound and picture of one instant have one count.
    const captured = t * (1 + ppm / 1e6);
    const [audioTick, videoTick] = [Math.round(captured * 48) + bases[0], Math.round(captured * 90) + bases[1]];
    const arrive = () => clock(t + 50 + random() * 40);
    const ticks = audio.ticks(audioTick % 2 ** 32);
    audio.arrived(ticks, arrive());
    const heard = audio.place(ticks);
    if (heard < last.audio) backwards += 1;
    last.audio = heard;
    if (t % 40 === 0) {
      const ticks = video.ticks(videoTick % 2 ** 32);
      // A picture is some 15 ms longer on its way than sound.
      video.arrived(ticks, (arrive() + 15_000) as ClockTime);
      const seen = video.place(ticks);
      if (seen < last.video) backwards += 1;
      if (last.video > 0) fastest = Math.max(fastest, Math.abs(seen - last.video - 40_000 * (1 + ppm / 1e6)));
      last.video = seen;
      if (t > 60_000) worst = Math.max(worst, Math.abs(seen - heard));
    }
    if (t % 5_000 === 1_000) audio.report(audioTick % 2 ** 32, ntp(t + wall(t)));
    if (t % 5_000 === 3_500) video.report(videoTick % 2 ** 32, ntp(t + wall(t)));
  }
  return { backwards, worst, fastest };
}

describe('sound and picture', () => {
  test.for([500, -500, 0])(
    'of a publisher %d ppm off are within 20 ms of each other for two hours, over wraps',
    (ppm) => {
      const { backwards, worst } = publish({ millis: 2 * HOUR, ppm, seed: 5 });
      expect(backwards).toBe(0);
      expect(worst).toBeLessThan(20_000);
    },
  );

  test.for([
    ['a leap second', (t: number) => (t > 120_000 ? -1_000 : 0)],
    ['a leap second the other way', (t: number) => (t > 122_000 ? 1_000 : 0)],
    ['an hour put forward', (t: number) => (t > 121_000 ? HOUR : 0)],
    ['an hour put back', (t: number) => (t > 121_000 ? -HOUR : 0)],
    ['a clock that is put right bit by bit', (t: number) => Math.min(400, Math.max(0, (t - 90_000) * 0.0005))],
    ['a clock that is put back and forth every half minute', (t: number) => (Math.floor(t / 30_000) % 2) * 1_500],
  ] as const)('stay together when the publisher has %s', ([, wall]) => {
    const { backwards, worst, fastest } = publish({ millis: 300_000, ppm: 100, seed: 9, wall });
    expect(backwards).toBe(0);
    expect(fastest).toBeLessThanOrEqual(ms(40) * 0.005 + 20);
    expect(worst).toBeLessThan(20_000);
  });
});

test('whatever a publisher sets his clock to, media time never runs backwards and moves by no more than the slew', () => {
  const steps = fc.array(fc.record({ at: fc.nat(100_000), by: fc.integer({ min: -4_000_000, max: 4_000_000 }) }), {
    maxLength: 6,
  });
  const suspended = fc.record({ from: fc.nat(90_000), length: fc.nat(800) });
  fc.assert(
    fc.property(steps, suspended, fc.integer({ min: -500, max: 500 }), (steps, suspended, ppm) => {
      const wall = (t: number) => steps.reduce((sum, step) => sum + (t > step.at ? step.by : 0), 0);
      const { backwards, fastest } = publish({ millis: 110_000, ppm, seed: ppm, wall, suspended });
      expect(backwards).toBe(0);
      expect(fastest).toBeLessThanOrEqual((suspended.length + 40) * 1_000 * 1.006);
    }),
    { numRuns: 60 },
  );
});
