import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findClicks } from '../../media/clicks.ts';
import { Levelling } from '../../media/levelling.ts';
import { Master } from '../../media/mastering.ts';
import { resample } from '../../media/resample.ts';
import { rubberband } from '../../media/rubberband.ts';
import { at } from '../../media/time.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';

const RATE = 48_000;
/** Sixteen-kilohertz recordings: what speech is made of that the models say. */
const NARROW = ['talking/musetalk/eng.wav'];
/** Recordings that fill the whole band. */
const WIDE = ['talking/musetalk/yongen.wav', 'talking/musetalk/sun.wav'];
/** Between the two: nothing above 16 kHz. */
const MIDDLE = ['speech/faster-whisper/jfk.flac', 'talking/open-dubbing/englishvideo.mp4'];
const without = missing(...NARROW, ...WIDE, ...MIDDLE);

/** Folders of clean speech. Left out: ten_testset, where shouting is clipped, and what was mixed with noise. */
const CLEAN = ['align/librivox', 'diar', 'speech', 'spk', 'talking', 'vad'];
function cleanSpeech(): string[] {
  return (
    CLEAN.filter((folder) => existsSync(recording(folder)))
      .flatMap((folder) =>
        readdirSync(recording(folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
      )
      .filter((name) => /\.(wav|flac|mp3|mp4)$/.test(name) && !name.includes('ten_testset'))
      // Of ten utterances of a speaker, two.
      .filter((name) => !name.startsWith('spk/') || /-000[12]\./.test(name))
      .sort()
  );
}
const seconds = (pcm: Float32Array, rate: number, most: number) => pcm.subarray(0, most * rate);

describe.skipIf(without)(`real speech${without ? ` (${without})` : ''}`, () => {
  test('no click is found in clean speech', { timeout: 300_000 }, () => {
    const found: string[] = [];
    let heard = 0;
    for (const name of cleanSpeech()) {
      // A recording's own edges are edges: it is looked at from its first to its last 50 ms.
      let pcm: Float32Array;
      try {
        pcm = seconds(decode(recording(name), RATE, 0), RATE, 12);
      } catch {
        continue; // a picture without sound
      }
      heard += 1;
      for (const click of findClicks(pcm, RATE)) {
        if (click.at > 2_400 && click.at < pcm.length - 2_400)
          found.push(`${name} ${click.at} ${click.by.toFixed(1)} dB`);
      }
    }
    expect(found).toEqual([]);
    expect(heard).toBeGreaterThan(40);
  });

  test('nor in what 16 kHz speech becomes at 48 kHz, stretched, levelled and limited', async () => {
    const { signal } = new AbortController();
    const speech = resample(seconds(decode(recording(NARROW[0]!), 16_000), 16_000, 12), 16_000, RATE);
    for (const speed of [0.9, 1.2]) {
      const stretched = await (await rubberband()).stretch(speech, RATE, speed, signal);
      const levelling = new Levelling({ rate: RATE, target: -10 });
      levelling.push({ start: at(0), rate: RATE, pcm: stretched });
      const { left } = new Master({ rate: RATE, levelling }).process({ left: stretched, right: stretched }, 0);
      const inside = findClicks(left, RATE).filter((click) => click.at > 2_400 && click.at < left.length - 2_400);
      expect(inside).toEqual([]);
    }
  });

  const DEFECTS: Record<string, (pcm: Float32Array, place: number) => Float32Array> = {
    'a cut of 13 ms': (pcm, place) => pcm.map((x, i) => (i < place ? x : (pcm[i + 624] ?? 0))),
    'a sudden end': (pcm, place) => pcm.map((x, i) => (i < place ? x : 0)),
    'a gap of 10 samples': (pcm, place) => pcm.map((x, i) => (i < place || i >= place + 10 ? x : 0)),
    'a jump of 3 dB': (pcm, place) => pcm.map((x, i) => (i < place ? x : x * 0.7079)),
  };
  /** Half a minute of a recording, and what of it is loud, as a mean over 20 ms around each sample. */
  const half = new Map<string, { pcm: Float32Array; level: (i: number) => number; loud: number }>();
  function loudIn(name: string) {
    const known = half.get(name);
    if (known) return known;
    const pcm = seconds(decode(recording(name), RATE, 0), RATE, 30);
    const level = (i: number) => Math.sqrt(pcm.subarray(i - 480, i + 480).reduce((sum, x) => sum + x * x, 0) / 960);
    const levels = Array.from({ length: Math.floor(pcm.length / 960) - 2 }, (_, n) => level((n + 1) * 960));
    const loud = levels.sort((a, b) => a - b)[Math.floor(levels.length * 0.6)]!;
    half.set(name, { pcm, level, loud });
    return { pcm, level, loud };
  }
  /** Share of 60 random loud places in which the defect is found, to 3 ms. */
  function share(name: string, spoil: (pcm: Float32Array, place: number) => Float32Array): number {
    const { pcm, level, loud } = loudIn(name);
    let seed = 11;
    let found = 0;
    for (let n = 0; n < 60;) {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      const place = 9_600 + Math.floor((seed / 2 ** 31) * (pcm.length - 28_800));
      if (level(place) < loud) continue;
      n += 1;
      const around = spoil(pcm.slice(place - 9_600, place + 9_600), 9_600);
      if (findClicks(around, RATE).some((click) => Math.abs(click.at - 9_600) < 144)) found += 1;
    }
    return found / 60;
  }
  const cases = Object.keys(DEFECTS);
  test.for([...NARROW, ...MIDDLE].flatMap((name) => cases.map((defect) => [defect, name] as const)))(
    '%s in loud speech of %s is found at 95 % of random places',
    ([defect, name]) => {
      expect(share(name, DEFECTS[defect]!)).toBeGreaterThanOrEqual(0.95);
    },
  );
  // Speech that fills the whole band leaves a click nowhere to be alone.
  test.for(WIDE.flatMap((name) => cases.map((defect) => [defect, name] as const)))(
    '%s in loud speech of %s, which fills the whole band, is found at most places',
    ([defect, name]) => {
      expect(share(name, DEFECTS[defect]!)).toBeGreaterThanOrEqual(defect === 'a jump of 3 dB' ? 0.6 : 0.8);
    },
  );
});
