import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at } from '../../media/time.ts';
import type { Phoneme } from '../../pipeline/face.ts';
import { MouthTimeline } from '../../pipeline/mouth-timeline.ts';
import { GESTURES, visemesOf } from '../../pipeline/visemes.ts';

const START = 2_000_000;
const RATE = 16_000;
/** Phonemes one after the other, `[ipa, ms]`; a space is silence. The sound is a tone wherever a phoneme is. */
function said(sounds: readonly (readonly [string, number])[], level: (n: number) => number = () => 0.3) {
  let t = 0;
  const phonemes: Phoneme[] = [];
  const total = sounds.reduce((sum, [, length]) => sum + length, 0);
  const pcm = new Float32Array((total * RATE) / 1_000);
  for (const [n, [text, length]] of sounds.entries()) {
    if (text !== ' ') {
      phonemes.push({ text, start: at(START + t * 1_000), end: at(START + (t + length) * 1_000) });
      for (let i = (t * RATE) / 1_000; i < ((t + length) * RATE) / 1_000; i += 1)
        pcm[i] = level(n) * Math.sin(i * 0.05);
    }
    t += length;
  }
  return { clip: { start: at(START), end: at(START + t * 1_000) }, pcm, phonemes };
}
const mouth = (line: MouthTimeline, ms: number) => line.mouthAt(at(START + ms * 1_000));

test.for([
  ['p', ['lips']],
  ['mʲ', ['lips']],
  ['β', ['near-lips']],
  ['v', ['lip-teeth']],
  ['θ', ['tongue-teeth']],
  ['tʃ', ['hush']],
  ['d͡ʒ', ['hush']],
  ['ts', ['hiss']],
  ['ɡ', ['back']],
  ['n', ['ridge']],
  ['ˈaɪ', ['a', 'i']],
  ['aʊ', ['a', 'u']],
  ['øː', ['o']],
  ['ɐ̃ʊ̃', ['a', 'u']],
  ['əl', ['schwa', 'l']],
  ['ʌ', ['a']],
  ['ʲ', []],
  ['', []],
  ['(en)', ['e', 'ridge']],
] as const)('%s looks like %s', ([ipa, visemes]) => {
  expect(visemesOf(ipa)).toEqual(visemes);
});

describe('a mouth that says phonemes', () => {
  test.for(['p', 'b', 'm'])('is closed in the middle of [%s], and open in the vowels about it', (ipa) => {
    const line = new MouthTimeline(said([['a', 150], [ipa, 70], ['a', 150]])); // prettier-ignore
    expect(mouth(line, 185).open).toBeLessThan(0.01);
    expect(mouth(line, 185).press).toBeGreaterThan(0.9);
    for (const ms of [75, 300]) expect(mouth(line, ms).open).toBeGreaterThan(0.5);
  });

  test('is closed before the release of a stop whose mark stands at the release', () => {
    const line = new MouthTimeline(said([['a', 150], ['b', 20], ['a', 150]])); // prettier-ignore
    for (const ms of [120, 140, 160]) expect(mouth(line, ms).open).toBeLessThan(0.02);
  });

  test('is closed in silence and outside the clip, and ready when the sound begins', () => {
    const line = new MouthTimeline(said([['a', 200], [' ', 400], ['o', 200]])); // prettier-ignore
    for (const ms of [-200, 320, 400, 500, 950, 5_000]) expect(mouth(line, ms).open).toBeLessThan(0.02);
    expect(mouth(line, 600).open).toBeGreaterThan(0.15);
    expect(mouth(line, 700).open).toBeGreaterThan(0.3);
  });

  test('opens by the height of the vowel', () => {
    const opening = (ipa: string) => mouth(new MouthTimeline(said([['k', 60], [ipa, 160], ['k', 60]])), 140).open; // prettier-ignore
    const openings = ['a', 'e', 'i'].map(opening);
    expect(openings).toEqual(openings.toSorted((a, b) => b - a));
    expect(openings[0]! - openings[2]!).toBeGreaterThan(0.3);
  });

  test('is rounded for [u], spread for [i], and a consonant takes its vowel’s shape', () => {
    const around = (ipa: string) => new MouthTimeline(said([['s', 100], [ipa, 160], ['t', 80]])); // prettier-ignore
    expect(mouth(around('u'), 180).round).toBeGreaterThan(0.7);
    expect(mouth(around('i'), 180).spread).toBeGreaterThan(0.4);
    // The [s] of [su] is said with rounded lips already, that of [si] is not.
    expect(mouth(around('u'), 70).round).toBeGreaterThan(mouth(around('i'), 70).round + 0.25);
  });

  test('opens wider for what is said louder', () => {
    const sounds = [['a', 200], ['t', 60], ['a', 200]] as const; // prettier-ignore
    const line = new MouthTimeline(said(sounds, (n) => (n === 0 ? 0.5 : 0.06)));
    expect(mouth(line, 100).open).toBeGreaterThan(1.4 * mouth(line, 360).open);
  });

  test('the lower lip goes to the teeth for [f], and the mouth is nearly closed', () => {
    const line = new MouthTimeline(said([['a', 150], ['f', 90], ['a', 150]])); // prettier-ignore
    expect(mouth(line, 195).tuck).toBeGreaterThan(0.9);
    expect(mouth(line, 195).open).toBeLessThanOrEqual(GESTURES['lip-teeth'].open + 0.01);
  });

  test('never leaves what a mouth can do, never jumps, and always closes for lips, whatever is said', () => {
    const sound = fc.tuple(fc.constantFrom('p', 'm', 'a', 'u', 'i', 's', 'tʃ', 'f', 'k', ' ', 'aɪ', 'ʲ'), fc.integer({ min: 20, max: 300 })); // prettier-ignore
    fc.assert(
      fc.property(fc.array(sound, { minLength: 1, maxLength: 25 }), (sounds) => {
        const take = said(sounds);
        const line = new MouthTimeline(take);
        let before = line.mouthAt(at(START - 400_000));
        for (let t = START - 400_000; t < take.clip.end + 400_000; t += 5_000) {
          const now = line.mouthAt(at(t));
          for (const value of [now.open, now.round, now.press, now.tuck, now.teeth, now.tongue]) {
            expect(value >= 0 && value <= 1.2).toBe(true);
          }
          expect(Math.abs(now.spread)).toBeLessThanOrEqual(1);
          expect(Math.abs(now.open - before.open)).toBeLessThan(0.3);
          before = now;
        }
        for (const { text, start, end } of take.phonemes) {
          if (text === 'p' || text === 'm') expect(line.mouthAt(at((start + end) / 2)).open).toBeLessThan(0.02);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('a mouth that only hears', () => {
  /** A voice: a fundamental with formants at `f1` and `f2`, as harmonics of 120 Hz. */
  const vowel = (f1: number, f2: number, ms: number) =>
    Float32Array.from({ length: (ms * RATE) / 1_000 }, (_, i) => {
      let sum = 0;
      for (let h = 1; h < 30; h += 1) {
        const f = 120 * h;
        const gain = 1 / (1 + ((f - f1) / 90) ** 2) + 0.5 / (1 + ((f - f2) / 120) ** 2) + 0.004;
        sum += gain * Math.sin((2 * Math.PI * f * i) / RATE);
      }
      return 0.2 * sum;
    });
  const heard = (...parts: Float32Array[]) => {
    const pcm = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    parts.reduce((offset, part) => (pcm.set(part, offset), offset + part.length), 0);
    return new MouthTimeline({ clip: { start: at(START), end: at(START + (pcm.length / RATE) * 1e6) }, pcm });
  };
  const silence = new Float32Array(RATE * 0.4);

  test('opens for open vowels, spreads for front ones, rounds for back ones, and closes in silence', () => {
    const line = heard(vowel(750, 1_250, 300), silence, vowel(280, 2_300, 300), silence, vowel(310, 750, 300));
    const [a, i, u] = [150, 850, 1_550].map((ms) => mouth(line, ms));
    expect(a!.open).toBeGreaterThan(i!.open + 0.2);
    expect(i!.spread).toBeGreaterThan(u!.spread + 0.3);
    expect(u!.round).toBeGreaterThan(i!.round + 0.2);
    for (const ms of [480, 600, 1_200]) expect(mouth(line, ms).open).toBeLessThan(0.02);
  });

  test('noise 20 dB below the voice does not open the mouth', () => {
    let seed = 1;
    const noise = (part: Float32Array) => part.map((x) => x + 0.05 * (((seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647) * 2 - 1)); // prettier-ignore
    const line = heard(...[silence, vowel(750, 1_250, 500), silence, vowel(750, 1_250, 500), silence].map(noise));
    for (const ms of [200, 1_100]) expect(mouth(line, ms).open).toBeLessThan(0.05);
    expect(mouth(line, 650).open).toBeGreaterThan(0.5);
  });
});
