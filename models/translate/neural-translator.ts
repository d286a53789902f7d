import { type ClockTime, type Span, later, ms } from '../../media/time.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { writesSpaces } from '../../pipeline/writing.ts';
import { asSentence, capitalised } from './sentence.ts';
import type { Seq2Seq } from './seq2seq.ts';
import { canShorten, translateWithin } from './shortening.ts';
import { partsOf } from './translation-parts.ts';

/** A network's way to write sentences as numbers. */
export interface Tokens {
  /** Token ids with everything the network wants around them. */
  encode(text: string): readonly number[];
  /** What every answer begins with: the language, where one network speaks several. */
  readonly opening: readonly number[];
  decode(tokens: readonly number[]): string;
}

/** Longer texts are translated in parts: the networks were trained on sentences. */
const MOST_TOKENS = 128;
/** How often an utterance is translated to keep its budget, within its time. */
const ATTEMPTS = 2;
/** A translation may be this much longer than its source, in tokens, before it is taken for one that never ends. */
const LONGER = 3;
const SPARE = 24;

export interface NeuralSettings {
  readonly engine: string;
  readonly from: Language;
  readonly to: Language;
  /** How many beginnings are followed; the makers' number unless given. */
  readonly beams: number | undefined;
  /** How long one utterance may take. */
  readonly patience: Span;
}

/**
 * A neural network that translates, as a stage: one line for each utterance, in order.
 *
 * What a recogniser writes is made a sentence first, as the networks know no others. An utterance that takes longer than
 * `patience` costs a `timeout`, one whose translation does not come to an end a `rejected` fault. One that is too long for
 * its budget is translated once more with less in it.
 */
export function neuralStage(network: Seq2Seq, tokens: Tokens, settings: NeuralSettings): Stage<'translator'> {
  const { engine, from, to, beams, patience } = settings;
  const usual = network.search(beams === undefined ? {} : { beams });
  const most = Math.min(MOST_TOKENS, network.config.max_position_embeddings - 2);
  const fits = (text: string) => tokens.encode(text).length <= most;

  const translate = async (text: string, now: () => ClockTime, deadline: ClockTime, signal: AbortSignal) => {
    const source = tokens.encode(text);
    const longest = Math.min(usual.longest, LONGER * source.length + SPARE + tokens.opening.length);
    const answer = await network.translate(source, tokens.opening, { ...usual, longest }, () => {
      signal.throwIfAborted();
      if (now() > deadline) throw new Fault('translator', 'timeout', `${engine} took longer than ${patience / 1e6} s`);
    });
    if (!answer.ended) throw new Fault('translator', 'rejected', `${engine}: the translation did not come to an end`);
    return tokens.decode(answer.tokens).trim();
  };

  return {
    kind: 'translator',
    engine,
    caps: { lookahead: ms(0), from: [from], to: [to], budgets: canShorten(from), shortens: canShorten(from) },
    async *run(input, { signal, clock }) {
      for await (const utterance of until(input, signal)) {
        const { id, speaker, start, end, text } = utterance;
        const deadline = later(clock.now(), patience);
        const whole = async (source: string) => {
          const parts: string[] = [];
          for (const part of partsOf(source, fits)) {
            parts.push(await translate(part, () => clock.now(), deadline, signal));
          }
          return capitalised(parts.filter(Boolean).join(writesSpaces(to) ? ' ' : ''));
        };
        let line: string;
        try {
          line = await translateWithin(asSentence(text, from), utterance, whole, { from, to, attempts: ATTEMPTS });
        } catch (thrown) {
          if (signal.aborted) return;
          throw thrown;
        }
        if (line !== '') yield { utterance: id, speaker, language: to, start, end, text: line };
      }
    },
  };
}
