import { at, later, samples } from '../../media/time.ts';
import type { Language, Line, SpeakerId, SpeechChunk, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { type Said, intervalOf, wordsOf } from './stages.ts';

/** Five seconds of two people, as each kind of stage is given them. */
export const es = 'es' as Language;
export const script: Said[] = [
  { from: 500, to: 1_500, text: 'Good morning everyone.', speaker: 's1' },
  { from: 1_800, to: 2_400, text: 'Hello there.', speaker: 's2' },
  { from: 3_000, to: 4_600, text: 'This is the second segment.', speaker: 's1' },
];
export const audio = () =>
  Array.from({ length: 50 }, (_, n) => ({
    start: later(at(0), samples(n * 1_600, 16_000)),
    rate: 16_000 as const,
    pcm: new Float32Array(1_600).fill(0.1),
  }));
/** Two segments, 0.4–2.5 s and 2.9–4.7 s. */
export const speech = (): SpeechChunk[] => {
  const cut = (from: number, to: number, segment: number) =>
    audio()
      .slice(from, to)
      .map((chunk, n) => ({ ...chunk, segment, last: n === to - from - 1 }));
  return [...cut(4, 25, 0), ...cut(29, 47, 1)];
};
export const utterances = (): Utterance[] =>
  script.map((said, n) => ({
    ...intervalOf(said),
    id: `u${n}` as UtteranceId,
    speaker: (said.speaker ?? 's1') as SpeakerId,
    language: 'en' as Language,
    text: said.text,
    words: wordsOf(said),
  }));
export const lines = (): Line[] =>
  utterances().map(({ id, start, end, speaker, text }) => ({ utterance: id, start, end, speaker, language: es, text }));
