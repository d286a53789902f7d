import type { Spoken } from '../../pipeline/domain.ts';
import { conforms } from '../conformance/stage.ts';
import {
  alignerOf,
  diarizerOf,
  enhancerBy,
  recognizerOf,
  separatorAt,
  synthesizerAt,
  translatorTo,
  vadOf,
} from '../fakes/stages.ts';
import { audio, es, lines, script, speech, utterances } from '../fakes/talk.ts';

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
