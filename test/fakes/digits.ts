import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode } from './recordings.ts';

export const DIGITS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'] as const;
const VOICES = ['slt', 'rms', 'awb', 'kal16'] as const;

/** Digits said one after the other, 16 kHz, with where each was put, in samples. */
export interface Said {
  readonly text: string;
  readonly pcm: Float32Array;
  readonly places: readonly { readonly text: string; readonly start: number; readonly end: number }[];
}

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * Strings of digits that flite says, in four voices with a manner of speaking that `models/export/whisper.py` did not
 * teach with, in a little noise.
 *
 * @param counts how many digits each string has
 */
export function digitStrings(counts: readonly number[], seed = 5): Said[] {
  const folder = mkdtempSync(join(tmpdir(), 'livedub-digits-'));
  const chance = random(seed);
  const words = new Map<string, Float32Array>();
  const word = (digit: string, voice: string, manner: string) => {
    const name = `${voice}-${manner}-${digit}`;
    let pcm = words.get(name);
    if (!pcm) {
      const [stretch, pitch] = manner.split('/');
      const file = join(folder, `${name.replace('/', '-')}.wav`);
      const set = ['--setf', `duration_stretch=${stretch}`, '--setf', `int_f0_target_mean=${pitch}`];
      execFileSync('flite', ['-voice', voice, ...set, '-t', digit, '-o', file]);
      const raw = decode(file, 16_000);
      const loud = (x: number) => Math.abs(x) > 0.01;
      pcm = raw.slice(Math.max(0, raw.findIndex(loud) - 160), raw.findLastIndex(loud) + 160);
      words.set(name, pcm);
    }
    return pcm;
  };
  try {
    return counts.map((count) => {
      const voice = VOICES[Math.floor(chance() * VOICES.length)]!;
      const manner = chance() < 0.5 ? '0.92/115' : '1.1/150';
      const digits = Array.from({ length: count }, () => DIGITS[Math.floor(chance() * 10)]!);
      const places: { text: string; start: number; end: number }[] = [];
      let at = Math.round((0.1 + 0.3 * chance()) * 16_000);
      for (const text of digits) {
        const end = at + word(text, voice, manner).length;
        places.push({ text, start: at, end });
        at = end + Math.round((0.05 + 0.15 * chance()) * 16_000);
      }
      const pcm = Float32Array.from({ length: at + 3_200 }, () => 4e-4 * (chance() - 0.5));
      for (const { text, start } of places) {
        word(text, voice, manner).forEach((x, n) => {
          pcm[start + n]! += 0.7 * x;
        });
      }
      return { text: digits.join(' '), pcm, places };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
