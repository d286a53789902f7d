import { describe, expect, test } from 'vitest';
import { Timeline } from '../../media/timeline.ts';
import { type ClockTime, at, seconds } from '../../media/time.ts';
import { chunksOf, decode, missing, recording } from '../fakes/recordings.ts';

const RATE = 48_000 as const;
const FILES = ['1089-134686-0000', '1089-134686-0001', '1089-134691-0000', '1089-134691-0001'].map(
  (name) => `speech/librispeech_1089/${name}.flac`,
);
const absent = missing(...FILES);

/** Somebody reading aloud, over and over for `length` seconds. */
function reading(length: number, floor: number): Float32Array {
  const clips = FILES.map((name) => decode(recording(name), RATE));
  const pcm = new Float32Array(length * RATE);
  for (let offset = 0, n = 0; offset < pcm.length; n += 1) {
    const clip = clips[n % clips.length]!;
    pcm.set(clip.subarray(0, pcm.length - offset), offset);
    offset += clip.length;
  }
  // A room, or music under the voice: the same sound from beginning to end.
  for (let i = 0; i < pcm.length; i += 1) pcm[i]! += floor * (Math.sin(i * 0.05) + Math.sin(i * 0.031)) * 0.7;
  return pcm;
}
const level = (pcm: Float32Array) => 10 * Math.log10(pcm.reduce((sum, x) => sum + x * x, 0) / pcm.length + 1e-10);

describe.skipIf(absent)(`the delay of a programme with real speech (${absent ?? 'LibriSpeech'})`, () => {
  test.for([
    ['in a quiet room', 0],
    ['with a soft sound under it', 0.004],
  ] as const)('is raised and lowered between words, %s, and every sample is heard once', ([, floor]) => {
    const programme = reading(150, floor);
    const timeline = new Timeline({
      delay: seconds(4),
      rate: RATE,
      anchor: { media: at(0), clock: 0 as ClockTime },
      keep: seconds(10),
    });
    const chunks = chunksOf(programme, RATE, 960);
    const heard: Float32Array[] = [];
    const moved: number[] = [];
    let settled = 0;
    for (let t = 0; t < 154_000; t += 10) {
      const chunk = t % 20 === 0 ? chunks[t / 20] : undefined;
      if (chunk) timeline.pushOriginal(chunk);
      if (t === 20_000) timeline.aim(seconds(4.5));
      if (timeline.delay === seconds(4.5) && settled === 0) {
        settled = t;
        timeline.aim(seconds(4.2));
      }
      const before = timeline.delay;
      const frames = timeline.frames((t * 1_000) as ClockTime);
      heard.push(...frames.map(({ pcm }) => pcm));
      // The frame that comes later or sooner is the next one.
      if (Math.abs(timeline.delay - before) > 500) moved.push(heard.length);
    }
    expect(settled).toBeGreaterThan(25_000);
    expect(settled).toBeLessThan(100_000);
    expect(timeline.delay).toBe(seconds(4.2));
    // 0.8 s of change at a tenth takes 8 s.
    expect(moved.length * 0.01).toBeGreaterThan(7);
    const frame = (index: number) => level(programme.subarray(index * 960, (index + 1) * 960));
    const spoken = level(programme);
    const there = moved.map(frame).sort((a, b) => a - b);
    expect(there[Math.floor(there.length * 0.95)]).toBeLessThan(spoken - 15);
    heard.forEach((pcm, index) => {
      const whole = programme.subarray(index * 960, (index + 1) * 960);
      if (pcm.some((sample, i) => sample !== whole[i])) expect(index).toBe('as it came in');
    });
    expect(heard.length).toBeGreaterThan(7_450);
  });
});
