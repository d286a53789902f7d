import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { z } from 'zod';
import type { AudioChunk } from '../../media/audio.ts';
import { type MediaTime, between, later, ms, sampleIndex, samples, seconds } from '../../media/time.ts';
import type { Hypothesis, Language, SpeechChunk, Word } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { until } from '../../pipeline/until.ts';
import { type Need, defineEngine } from '../engine.ts';
import { serves } from '../languages.ts';
import { type Ear, type TransducerFiles, needsSherpa, openTransducer } from '../sherpa/sherpa.ts';
import { NUMBER, NUMBERS, expectFacts, factsOf, networkFile, tokensFile } from '../sherpa/sherpa-files.ts';
import { type ModelCard, modelDirectory, needsModel } from '../store/weights.ts';
import { wordsOf } from './zipformer-words.ts';

const RATE = 16_000;
/** Behind a segment, so that its last word comes out: a chunk of 32 frames and the 13 that it looks ahead. */
const SILENCE = new Float32Array(sampleIndex(ms(660), RATE));
/** Audio missing within a segment is filled with silence up to this, so that word times stay true. */
const LONGEST_GAP = sampleIndex(seconds(10), RATE);

/** A published model: whose it is, its languages, and the ends of its files' names. */
interface Published {
  readonly name: string;
  readonly owner: string;
  readonly languages: readonly string[];
  readonly stem: string;
  readonly weights: string;
  /** Apache-2.0 unless its page says otherwise, or nothing. */
  readonly licence?: string;
}
/**
 * Models as their makers publish them. The encoder and joiner with weights of eight bits: a quarter of the size.
 *
 * @see https://k2-fsa.github.io/sherpa/onnx/pretrained_models/online-transducer/zipformer-transducer-models.html
 */
const PUBLISHED: readonly Published[] = [
  {
    name: 'en-2023-06-26',
    owner: 'csukuangfj',
    languages: ['en'],
    stem: 'epoch-99-avg-1-chunk-16-left-128',
    weights: '66 million',
  },
  {
    name: 'en-20M-2023-02-17',
    owner: 'csukuangfj',
    languages: ['en'],
    stem: 'epoch-99-avg-1',
    weights: '20 million',
    licence: 'NOASSERTION',
  },
  {
    name: 'korean-2024-06-16',
    owner: 'k2-fsa',
    languages: ['ko'],
    stem: 'epoch-99-avg-1',
    weights: '70 million',
    licence: 'NOASSERTION',
  },
  {
    name: 'multi-zh-hans-2023-12-12',
    owner: 'k2-fsa',
    languages: ['zh'],
    stem: 'epoch-20-avg-1-chunk-16-left-128',
    weights: '66 million',
  },
  {
    name: 'bilingual-zh-en-2023-02-20',
    owner: 'csukuangfj',
    languages: ['zh', 'en'],
    stem: 'epoch-99-avg-1',
    weights: '80 million',
  },
];
const NAMES = PUBLISHED.map(({ name }) => name);

/** The names of a model's files; a directory of one's own may have shorter ones. */
const filesOf = (stem: string) => ({
  encoder: `encoder-${stem}.int8.onnx`,
  decoder: `decoder-${stem}.onnx`,
  joiner: `joiner-${stem}.int8.onnx`,
});
const PLAIN = { encoder: 'encoder.onnx', decoder: 'decoder.onnx', joiner: 'joiner.onnx' };

function cardOf({ name, owner, languages, stem, weights, licence = 'Apache-2.0' }: Published): ModelCard {
  const home = `https://huggingface.co/${owner}/sherpa-onnx-streaming-zipformer-${name}`;
  return {
    name: `zipformer-${name.toLowerCase()}`,
    summary: `Streaming zipformer transducer, ${languages.join(' and ')}: some ${weights} weights, a word every few tenths of a second.`,
    home,
    licence,
    languages,
    device: 'cpu',
    files: [...Object.values(filesOf(stem)), 'tokens.txt'].map((file) => ({
      name: file,
      url: `${home}/resolve/main/${file}`,
    })),
  };
}
export const ZIPFORMER_CARDS: readonly ModelCard[] = PUBLISHED.map(cardOf);
const LANGUAGES = [...new Set(PUBLISHED.flatMap(({ languages }) => languages as Language[]))];

const isThere = (card: ModelCard) => needsModel(card).present();
const needsOne: Need = {
  install: needsModel(ZIPFORMER_CARDS[0]!).install,
  present: () => ZIPFORMER_CARDS.some(isThere),
};

/** One segment on its way through the network. */
class Segment {
  readonly number: number;
  readonly start: MediaTime;
  readonly #ear: Ear;
  #heard = 0;
  #stable: readonly Word[] = [];
  #told = '';

  constructor(ear: Ear, first: SpeechChunk) {
    this.#ear = ear;
    this.number = first.segment;
    this.start = first.start;
  }

  hear({ start, pcm }: AudioChunk): void {
    const missing = sampleIndex(between(this.#end(), start), RATE);
    if (missing > RATE / 1_000) this.#pass(new Float32Array(Math.min(missing, LONGEST_GAP)));
    if (pcm.length > 0) this.#pass(pcm);
  }

  /** What is new since the last time, if anything is. */
  news(): Hypothesis | undefined {
    const words = this.#words();
    // A word may still grow until the next one begins; what a transducer has found it does not take back.
    this.#settle(words.slice(0, -1));
    const draft = words.at(-1)?.text ?? '';
    const told = `${this.#stable.length} ${draft}`;
    if (told === this.#told || words.length === 0) return undefined;
    this.#told = told;
    return { start: this.start, end: this.#end(), segment: this.number, stable: this.#stable, draft, final: false };
  }

  finish(): Hypothesis {
    const end = this.#end();
    if (this.#heard > 0) this.#ear.hear(SILENCE);
    this.#settle(wordsOf(this.#ear.heard(), this.start, end));
    return { start: this.start, end, segment: this.number, stable: this.#stable, draft: '', final: true };
  }

  #settle(words: readonly Word[]): void {
    this.#stable = [...this.#stable, ...words.slice(this.#stable.length)];
  }
  #pass(pcm: Float32Array): void {
    this.#heard += pcm.length;
    this.#ear.hear(pcm);
  }
  #end(): MediaTime {
    return later(this.start, samples(this.#heard, RATE));
  }
  #words(): Word[] {
    return wordsOf(this.#ear.heard(), this.start, this.#end());
  }
}

const config = z.strictObject({
  model: z
    .enum(NAMES as [string, ...string[]])
    .optional()
    .describe('Which of the published models; the first that is there and knows the language unless given.'),
  language: z
    .string()
    .min(2)
    .max(35)
    .optional()
    .describe('What is spoken, BCP 47; a model that does not know it is refused.'),
  directory: z
    .string()
    .optional()
    .describe(
      'Directory of a model of one’s own: encoder.onnx, decoder.onnx, joiner.onnx and tokens.txt, or the published names.',
    ),
  threads: z.int().min(1).max(16).default(1).describe('Threads of the network.'),
});

/** The model that settings mean. */
function cardFor({ model, language, directory }: z.output<typeof config>): ModelCard {
  const named = model === undefined ? ZIPFORMER_CARDS : ZIPFORMER_CARDS.filter((_, n) => NAMES[n] === model);
  const knows = ({ languages }: ModelCard) =>
    language === undefined || (languages as readonly Language[]).some((each) => serves(each, language as Language));
  const able = named.filter(knows);
  const card =
    directory === undefined
      ? (able.find(isThere) ?? able[0])
      : (able[0] ?? (model === undefined ? named[0] : undefined));
  if (card) return card;
  const known = [...new Set(named.flatMap(({ languages }) => languages as readonly string[]))].join(', ');
  const what = model === undefined ? 'streaming zipformers are' : `the zipformer '${model}' is`;
  throw new Fault('recognizer', 'broken', `Cannot load a zipformer for '${language}': ${what} here for ${known}`);
}

async function filesFor(card: ModelCard, directory: string | undefined): Promise<TransducerFiles> {
  const place = { stage: 'recognizer' as const, card, model: directory };
  const plain = directory !== undefined && existsSync(join(modelDirectory(card, directory), PLAIN.encoder));
  const names = plain ? PLAIN : filesOf(PUBLISHED[ZIPFORMER_CARDS.indexOf(card)]!.stem);
  const tokens = tokensFile(place, 'tokens.txt', 'piece');
  const facts = { model_type: /^zipformer2?$/, decode_chunk_len: NUMBER, T: NUMBER };
  const encoder = await networkFile(place, names.encoder, { inputs: ['x'], facts });
  const second = factsOf(encoder).get('model_type') === 'zipformer2';
  const further = second ? ['query_head_dims', 'value_head_dims', 'num_heads'] : ['attention_dims'];
  const lists = ['num_encoder_layers', 'encoder_dims', 'cnn_module_kernels', 'left_context_len', ...further];
  expectFacts(place, encoder, Object.fromEntries(lists.map((name) => [name, NUMBERS])));
  return {
    encoder,
    decoder: await networkFile(place, names.decoder, {
      inputs: ['y'],
      facts: { context_size: NUMBER, vocab_size: NUMBER },
    }),
    joiner: await networkFile(place, names.joiner, {
      inputs: ['encoder_out', 'decoder_out'],
      facts: { joiner_dim: NUMBER },
    }),
    tokens,
  };
}

/**
 * Streaming zipformer transducers through sherpa-onnx: a token or none every 40 ms, never taken back.
 *
 * A word is stable as soon as the next begins. Times come from the frames in which tokens were found, so they are some
 * tens of milliseconds late rather than exact; an aligner makes them so. There is no glossary: sherpa-onnx biases only
 * its beam search, which changes what it has said.
 *
 * @see Yao et al.: "Zipformer: A faster and better encoder for automatic speech recognition", ICLR 2024
 * @see https://k2-fsa.github.io/sherpa/onnx/pretrained_models/online-transducer/zipformer-transducer-models.html
 */
export const zipformer = defineEngine({
  kind: 'recognizer',
  id: 'zipformer',
  host: 'thread',
  summary: 'Streaming zipformer transducer: English, Chinese and Korean, a word as soon as it is said.',
  licence: 'Apache-2.0',
  needs: [needsSherpa, needsOne],
  models: ZIPFORMER_CARDS,
  languages: LANGUAGES,
  config,
  async load(settings) {
    const card = cardFor(settings);
    const listen = await openTransducer(await filesFor(card, settings.directory), settings.threads);
    const own = settings.directory !== undefined && settings.language !== undefined && settings.model === undefined;
    const languages = own ? [settings.language as Language] : (card.languages as readonly Language[]);
    return {
      kind: 'recognizer',
      engine: `zipformer ${settings.directory === undefined ? card.name.replace(/^zipformer-/, '') : ''}`.trim(),
      // A chunk of 320 ms, and the 130 ms that the network looks ahead of it.
      caps: { rate: RATE, lookahead: ms(450), languages, drafts: true, wordTimes: true },
      async *run(input, { signal }) {
        let segment: Segment | undefined;
        for await (const chunk of until(input, signal)) {
          if (segment && segment.number !== chunk.segment) {
            // The rest of it, with its last chunk, was lost on the way.
            yield segment.finish();
            segment = undefined;
          }
          segment ??= new Segment(listen(), chunk);
          segment.hear(chunk);
          if (!chunk.last) {
            const news = segment.news();
            if (news) yield news;
            continue;
          }
          yield segment.finish();
          segment = undefined;
        }
        if (segment && !signal.aborted) yield segment.finish();
      },
    };
  },
});
