import type { Figure, Measurement } from './figure.ts';

/** A measurement that there is: what it is about, and itself, loaded by the process that measures. */
export interface Listed {
  readonly stage: Figure['stage'];
  readonly load: () => Promise<Measurement>;
}

/** Every measurement by its name, in the order of the chain. */
export const MEASUREMENTS: Readonly<Record<string, Listed>> = {
  vad: { stage: 'vad', load: async () => (await import('./vad.ts')).vad },
  enhancer: { stage: 'enhancer', load: async () => (await import('./enhancer.ts')).enhancer },
  separator: { stage: 'separator', load: async () => (await import('./separator.ts')).separator },
  diarizer: { stage: 'diarizer', load: async () => (await import('./diarizer.ts')).diarizer },
  'reference-voice': {
    stage: 'reference voice',
    load: async () => (await import('./reference-voice.ts')).referenceVoice,
  },
  recognizer: { stage: 'recognizer', load: async () => (await import('./recognizer.ts')).recognizer },
  whisper: { stage: 'recognizer', load: async () => (await import('./whisper.ts')).whisper },
  aligner: { stage: 'aligner', load: async () => (await import('./aligner.ts')).aligner },
  translator: { stage: 'translator', load: async () => (await import('./translator.ts')).translator },
  synthesizer: { stage: 'synthesizer', load: async () => (await import('./synthesizer.ts')).synthesizer },
  chain: { stage: 'chain', load: async () => (await import('./chain.ts')).chain },
};
