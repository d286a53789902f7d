import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ms, samples } from '../../media/time.ts';
import { ESPEAK_FILES, Espeak } from '../../models/speak/espeak-library.ts';
import { levelled } from '../../models/dsp/loudness.ts';
import type { SpeakerId } from '../../pipeline/domain.ts';
import { Prosody, applyContour } from '../../pipeline/prosody.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';

/** Read with and without feeling, talked, and spoken to a crowd. */
const CLIPS = [
  'speech/moonshine/two_cities_16k.wav',
  'speech/faster-whisper/jfk.flac',
  'talking/open-dubbing/englishvideo.mp4',
  'talking/musetalk/eng.wav',
  'diar/pyannote_sample/sample.wav',
  'vad/silero_test.wav',
  'spk/librispeech_test_other/367-130732-0000.flac',
  'spk/librispeech_test_other/2414-128291-0001.flac',
  'spk/librispeech_test_other/3331-159605-0001.flac',
];
const why = missing(...CLIPS) ?? (ESPEAK_FILES.some((file) => existsSync(file)) ? undefined : 'libespeak-ng1');

/** Levels of 250 ms, every 50 ms, decibels; silence is low but not without end. */
function levels(pcm: Float32Array, rate: number): number[] {
  const [size, step] = [rate / 4, rate / 20];
  return Array.from({ length: Math.floor((pcm.length - size) / step) }, (_, n) => {
    const part = pcm.subarray(n * step, n * step + size);
    return 10 * Math.log10(part.reduce((sum, x) => sum + x * x, 0) / size + 1e-7);
  });
}
function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (all: readonly number[]) => all.reduce((sum, x) => sum + x, 0) / all.length;
  const [ma, mb] = [mean(a), mean(b)];
  const sum = (of: (i: number) => number) => a.reduce((total, _, i) => total + of(i), 0);
  const spread = sum((i) => (a[i]! - ma) ** 2) * sum((i) => (b[i]! - mb) ** 2);
  return sum((i) => (a[i]! - ma) * (b[i]! - mb)) / Math.sqrt(spread);
}

describe.skipIf(why)(`how people speak (${why ?? 'real speech'})`, () => {
  test('is heard in a dub: its loudness follows the speaker’s more than without, and no moment by more than 4 dB', () => {
    const espeak = new Espeak();
    const text = 'Los científicos han descubierto una especie nueva de pájaro en la selva amazónica. ';
    const said = espeak.say(text.repeat(5), { voice: 'es+m3', rate: 175, pitch: 50 });
    espeak.close();
    const voice = levelled(said.pcm, 441);
    const prosody = new Prosody();
    const found = CLIPS.flatMap((clip) => {
      const whole = decode(recording(clip), 16_000);
      // Ten seconds of an utterance each, the dub half as long again as it is fitted.
      const pcm = whole.subarray(0, Math.min(whole.length, 160_000));
      const { contour } = prosody.hears(clip as SpeakerId, pcm, 16_000);
      const dub = voice.subarray(0, Math.round((pcm.length / 16_000) * 22_050));
      const length = samples(pcm.length, 16_000);
      const place = { start: ms(0), end: length };
      const shaped = applyContour(dub, 22_050, contour, [{ source: place, dub: place }]);
      const most = shaped.reduce(
        (top, x, i) => (dub[i] === 0 ? top : Math.max(top, Math.abs(Math.log10(x / dub[i]!)))),
        0,
      );
      expect(20 * most).toBeLessThanOrEqual(4.001);
      expect(20 * most).toBeGreaterThan(2);
      // Where both speak: a pause of one tells nothing of the other's emphasis.
      const [source, before, after] = [levels(pcm, 16_000), levels(dub, 22_040), levels(shaped, 22_040)];
      const loud = (all: readonly number[]) => Math.max(...all) - 20;
      const both = source.flatMap((level, n) =>
        level > loud(source) && (before[n] ?? -99) > loud(before) && n < before.length ? [n] : [],
      );
      const pick = (all: readonly number[]) => both.map((n) => all[n]!);
      return [[correlation(pick(source), pick(before)), correlation(pick(source), pick(after))] as const];
    });
    for (const [before, after] of found) expect(after).toBeGreaterThan(before + 0.05);
    const gain = found.reduce((sum, [before, after]) => sum + after - before, 0) / found.length;
    expect(gain).toBeGreaterThan(0.2);
  });
});
