import { at, later, samples } from '../../media/time.ts';
import type { Language, Line, SpeakerId, SpeechChunk, Spoken, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { conforms } from '../conformance/stage.ts';
import {
  type Said,
  alignerOf,
  diarizerOf,
  enhancerBy,
  intervalOf,
  recognizerOf,
  separatorAt,
  synthesizerAt,
  translatorTo,
  vadOf,
  wordsOf,
} from '../fakes/stages.ts';

const es = 'es' as Language;
const script: Said[] = [
  { from: 500, to: 1_500, text: 'Good morning everyone.', speaker: 's1' },
  { from: 1_800, to: 2_400, text: 'Hello there.', speaker: 's2' },
  { from: 3_000, to: 4_600, text: 'This is the second segment.', speaker: 's1' },
];
const audio = () =>
  Array.from({ length: 50 }, (_, n) => ({
    start: later(at(0), samples(n * 1_600, 16_000)),
    rate: 16_000 as const,
    pcm: new Float32Array(1_600).fill(0.1),
  }));
/** Two segments, 0.4–2.5 s and 2.9–4.7 s. */
const speech = (): SpeechChunk[] => {
  const cut = (from: number, to: number, segment: number) =>
    audio()
      .slice(from, to)
      .map((chunk, n) => ({ ...chunk, segment, last: n === to - from - 1 }));
  return [...cut(4, 25, 0), ...cut(29, 47, 1)];
};
const utterances = (): Utterance[] =>
  script.map((said, n) => ({
    ...intervalOf(said),
    id: `u${n}` as UtteranceId,
    speaker: (said.speaker ?? 's1') as SpeakerId,
    language: 'en' as Language,
    text: said.text,
    words: wordsOf(said),
  }));
const lines = (): Line[] =>
  utterances().map(({ id, start, end, speaker, text }) => ({ utterance: id, start, end, speaker, language: es, text }));

/** Each sentence whole, with its sound. */
const spoken = (): Spoken[] =>
  utterances().map(({ id, start, end, language, text }) => {
    const pcm = new Float32Array(Math.round((end - start) * 0.016)).fill(0.1);
    return { utterance: id, language, start, rate: 16_000, pcm, text, last: true };
  });

conforms('the scripted separator', () => separatorAt(), audio);
conforms('the scripted aligner', () => alignerOf(script), spoken);
conforms('the scripted VAD', () => vadOf(script), audio);
conforms('the scripted enhancer', () => enhancerBy(2), audio);
conforms('the scripted diarizer', () => diarizerOf(script), speech);
conforms('the scripted recognizer', () => recognizerOf(script), speech);
conforms('the scripted translator', () => translatorTo(es), utterances);
conforms('the scripted synthesizer', () => synthesizerAt(2), lines);
