import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { at, samples } from '../../media/time.ts';
import { ESPEAK_FILES } from '../../models/speak/espeak-library.ts';
import { MouthTimeline } from '../../pipeline/mouth-timeline.ts';
import { visemesOf } from '../../pipeline/visemes.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';
import { takeOf } from '../fakes/takes.ts';

/** Sentences with most of each language's sounds. */
const SENTENCES = {
  es: 'El veloz murciélago hindú comía feliz cardillo y kiwi; la cigüeña tocaba el saxofón.',
  en: 'The quick brown fox jumps over the lazy dog, thinking of joy, azure boats and that house.',
  de: 'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.',
  fr: 'Voyez le brick géant que j’examine près du wharf; un bon vin blanc.',
  ru: 'Съешь же ещё этих мягких французских булок, да выпей чаю.',
} as const;

describe.skipIf(!ESPEAK_FILES.some((file) => existsSync(file)))('eSpeak NG’s phonemes (needs libespeak-ng1)', () => {
  test.for(Object.entries(SENTENCES))(
    'every sound of %s has a look, and lips close for each [p b m]',
    ([language, text]) => {
      // prettier-ignore
      const take = takeOf(text, at(0), { language });
      expect(take.phonemes!.length).toBeGreaterThan(30);
      const unknown = take.phonemes!.filter((phoneme) => visemesOf(phoneme.text).length === 0).map((phoneme) => phoneme.text); // prettier-ignore
      // What is left is palatalisation by itself.
      expect(unknown.filter((ipa) => ipa !== 'ʲ')).toEqual([]);
      const line = new MouthTimeline(take);
      for (const { text: ipa, start, end } of take.phonemes!) {
        if (visemesOf(ipa)[0] === 'lips') expect(line.mouthAt(at((start + end) / 2)).open).toBeLessThan(0.02);
      }
    },
  );
});

const CLIP = 'speech/faster-whisper/jfk.flac';
const absent = missing(CLIP);
test.skipIf(absent !== undefined)(`real speech opens the mouth, and its pauses close it (${absent ?? CLIP})`, () => {
  const pcm = decode(recording(CLIP), 16_000);
  const line = new MouthTimeline({ clip: { start: at(0), end: at(samples(pcm.length, 16_000)) }, pcm });
  const levels: { energy: number; open: number }[] = [];
  for (let t = 0.2; t < pcm.length / 16_000 - 0.2; t += 0.02) {
    const part = pcm.subarray(Math.round((t - 0.03) * 16_000), Math.round((t + 0.03) * 16_000));
    levels.push({ energy: Math.sqrt(part.reduce((sum, x) => sum + x * x, 0) / part.length), open: line.mouthAt(at(t * 1e6)).open }); // prettier-ignore
  }
  const sorted = levels.toSorted((a, b) => a.energy - b.energy);
  const mean = (of: typeof levels) => of.reduce((sum, { open }) => sum + open, 0) / of.length;
  const tenth = Math.floor(sorted.length / 10);
  expect(mean(sorted.slice(0, tenth))).toBeLessThan(0.05);
  expect(mean(sorted.slice(-2 * tenth))).toBeGreaterThan(0.5);
});
