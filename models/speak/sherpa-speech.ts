import { setImmediate as turn } from 'node:timers/promises';
import { type SampleRate, at, ms, samples } from '../../media/time.ts';
import type { Language, Line } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage, StageMap } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { serves } from '../languages.ts';
import { levelling } from '../dsp/loudness.ts';

/** No sample above −1 dB below full scale, as in `loudness.ts`. */
const CEILING = 10 ** (-1 / 20);

/** Says one sentence of a line. */
export interface Speaker {
  readonly rate: SampleRate;
  say(sentence: string): Float32Array;
}
export interface SherpaSpeech {
  readonly engine: string;
  readonly caps: Omit<StageMap['synthesizer']['caps'], 'lookahead' | 'streams' | 'marks'>;
  /** Whoever says this line. A line that cannot be said is a `rejected` fault. */
  readonly speakerFor: (line: Line) => Promise<Speaker> | Speaker;
}

/** A sentence is not left alone where it has fewer letters than this: it would sound like one word in a list. */
const SHORT = 12;

/** A text's sentences, short ones with what follows. Joined by blanks they are the text. */
export function sentencesOf(text: string, language: Language): string[] {
  const sentences: string[] = [];
  let held = '';
  for (const { segment } of new Intl.Segmenter(language, { granularity: 'sentence' }).segment(text)) {
    held += segment;
    // `Dr.`, `z. B.`: what ends so and goes on has not ended.
    if (held.trim().length < SHORT || /(?:^|[\s.])\p{L}{1,3}\.\s*$/u.test(held)) continue;
    sentences.push(held.trim());
    held = '';
  }
  const rest = held.trim();
  if (rest.length >= SHORT || sentences.length === 0) return rest === '' ? sentences : [...sentences, rest];
  return rest === '' ? sentences : [...sentences.slice(0, -1), `${sentences.at(-1)} ${rest}`];
}

/** Brings a line's sentences to the common level. What the first needs is what all get, so that none stands out. */
export class Leveller {
  #gain: number | undefined;

  level(pcm: Float32Array, rate: SampleRate): Float32Array {
    let peak = 0;
    for (const sample of pcm) peak = Math.max(peak, Math.abs(sample));
    if (peak === 0) return pcm;
    this.#gain ??= levelling(pcm, Math.round(rate / 50));
    const gain = Math.min(this.#gain, CEILING / peak);
    return pcm.map((sample) => sample * gain);
  }
}

/** A synthesizer that says lines sentence by sentence, each passed on as soon as it is said. */
export function sherpaSynthesizer({ engine, caps, speakerFor }: SherpaSpeech): Stage<'synthesizer'> {
  const refused = (message: string, cause?: unknown) =>
    new Fault('synthesizer', 'rejected', `${engine}: ${message}`, { cause });
  /** It says of no failure what it is; a text without a sound is one. */
  const say = (speaker: Speaker, sentence: string) => {
    try {
      return speaker.say(sentence);
    } catch (cause) {
      throw refused('could not say the line', cause);
    }
  };
  return {
    kind: 'synthesizer',
    engine,
    caps: { ...caps, lookahead: ms(0), streams: true, marks: [] },
    async *run(input, { signal }) {
      for await (const line of until(input, signal)) {
        const { languages } = caps;
        if (languages !== 'any' && !languages.some((each) => serves(each, line.language))) {
          throw refused(`does not speak ${line.language}; it speaks ${languages.join(', ')}`);
        }
        // What comes out of a thread is copied, and a reference is large.
        const { reference: _, ...plain } = line;
        const sentences = sentencesOf(line.text.replaceAll('\0', ' '), line.language);
        if (sentences.length === 0) {
          yield { line: plain, chunk: { start: at(0), rate: 24_000, pcm: new Float32Array() }, marks: [], last: true };
          continue;
        }
        const speaker = await speakerFor(line);
        const { rate } = speaker;
        const leveller = new Leveller();
        let count = 0;
        for (const [n, sentence] of sentences.entries()) {
          // Saying a sentence blocks the thread; whether it is still wanted is heard between two.
          await turn();
          if (signal.aborted) return;
          const said = say(speaker, sentence);
          const last = n === sentences.length - 1;
          if (last && count + said.length === 0) throw refused('made no sound of the line');
          if (!said.every(Number.isFinite)) throw refused('made samples that are no numbers');
          const start = at(samples(count, rate));
          count += said.length;
          if (said.length === 0 && !last) continue;
          yield { line: plain, chunk: { start, rate, pcm: leveller.level(said, rate) }, marks: [], last };
        }
      }
    },
  };
}

/** Refuses a setting that names a language the model does not speak. */
export function expectSpoken(engine: string, language: string | undefined, languages: readonly Language[]): void {
  if (language === undefined || languages.some((each) => serves(each, language as Language))) return;
  throw new Fault(
    'synthesizer',
    'broken',
    `Cannot load ${engine}: it does not speak '${language}'; it speaks ${languages.join(', ')}`,
  );
}
