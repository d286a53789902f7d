import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { MelWindow } from '../../models/recognize/whisper-mel.ts';
import { formula, type WhisperReference } from '../fakes/whisper.ts';

const file = fileURLToPath(new URL('../fixtures/whisper/reference.json', import.meta.url));
const { formula: wanted } = JSON.parse(readFileSync(file, 'utf8')) as WhisperReference;

/** Every eighth band and every sixteenth frame, as the reference has them. */
const sampled = (features: Float32Array, frames: number) =>
  Array.from({ length: 10 }, (_, band) =>
    Array.from({ length: Math.ceil(frames / 16) }, (_, n) => features[band * 8 * frames + n * 16]!),
  );
const furthest = (a: readonly number[][], b: readonly number[][]) =>
  Math.max(...a.flatMap((row, i) => row.map((value, j) => Math.abs(value - b[i]![j]!))));

describe('the log-mel spectrogram', () => {
  test('is the one of openai/whisper within 1e-4', () => {
    const window = new MelWindow(80, 500);
    window.push(formula(wanted.samples));
    expect(furthest(wanted.mel, sampled(window.features(), 500))).toBeLessThan(1e-4);
  });

  test('is the same however the audio came, and whatever was asked in between', () => {
    const pcm = formula(wanted.samples);
    const whole = new MelWindow(80, 500);
    whole.push(pcm);
    const pieces = new MelWindow(80, 500);
    for (let at = 0, size = 100; at < pcm.length; at += size, size = (size * 7) % 4_001) {
      pieces.push(pcm.subarray(at, at + size));
      if (size % 3 === 0) pieces.features();
    }
    expect(pieces.features()).toEqual(whole.features());
  });

  test('of what is left after a cut is that of the rest alone', () => {
    const pcm = formula(wanted.samples);
    const cut = new MelWindow(80, 500);
    cut.push(pcm);
    cut.features();
    cut.drop(16_000);
    const rest = new MelWindow(80, 500);
    rest.push(pcm.subarray(16_000));
    expect(cut.features()).toEqual(rest.features());
  });

  test('of a window that is full mirrors its end', () => {
    const pcm = formula(16_000);
    const [full, wide] = [new MelWindow(80, 100), new MelWindow(80, 200)];
    full.push(pcm);
    wide.push(pcm);
    const last = (features: Float32Array, frames: number) =>
      Array.from({ length: 80 }, (_, band) => features[band * frames + 99]!);
    expect(last(full.features(), 100)).not.toEqual(last(wide.features(), 200));
    expect(full.features().every(Number.isFinite)).toBe(true);
    expect(() => full.push(pcm)).toThrow('Cannot hear 32000 samples at once: the window has 16000');
    expect(() => full.drop(100)).toThrow('a whole number of frames');
  });
});
