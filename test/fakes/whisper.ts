import { fileURLToPath } from 'node:url';

/** A small Whisper that was taught ten digits; `models/export/whisper.py` wrote it and the reference beside it. */
export const WHISPER = fileURLToPath(new URL('../fixtures/whisper', import.meta.url));

/** What openai/whisper makes of a window of audio. */
export interface WhisperReading {
  readonly samples: number;
  readonly mel: number[][];
  readonly encoder: number[][];
  readonly greedy: readonly {
    readonly prompt: readonly number[];
    readonly tokens: readonly number[];
    readonly text: string;
    readonly logprob: number;
    readonly noSpeech: number;
    readonly compression: number;
  }[];
  readonly words: readonly { readonly word: string; readonly start: number; readonly end: number }[];
  readonly languages: Readonly<Record<string, number>>;
}
export interface WhisperReference {
  readonly digits: WhisperReading & { readonly said: string };
  readonly formula: WhisperReading;
  readonly clip: WhisperReading & { readonly name: string };
}

/** Samples that any language makes alike: a sweep, and noise of a linear congruential generator. */
export function formula(count: number): Float32Array {
  let state = 1n;
  return Float32Array.from({ length: count }, (_, n) => {
    state = (state * 1_103_515_245n + 12_345n) % 2n ** 31n;
    const t = n / 16_000;
    return 0.3 * Math.sin(2 * Math.PI * (100 * t + 1_500 * t * t)) + 0.01 * (Number(state) / 2 ** 30 - 1);
  });
}
