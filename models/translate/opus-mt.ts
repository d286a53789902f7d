import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { seconds } from '../../media/time.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { type Pair, defineEngine } from '../engine.ts';
import { serves } from '../languages.ts';
import { type Tokens, neuralStage } from './neural-translator.ts';
import { SentencePiece, joined } from './sentencepiece.ts';
import { Seq2Seq, neuralSettings } from './seq2seq.ts';
import { type ModelCard, modelDirectory, needsModel } from '../store/weights.ts';

/** Files of a model, all of which are used. */
const FILES = [
  'config.json',
  'generation_config.json',
  'vocab.json',
  'source.spm',
  'target.spm',
  'onnx/encoder_model_quantized.onnx',
  'onnx/decoder_model_merged_quantized.onnx',
];

/**
 * The directions that Xenova publishes for onnxruntime, of those from and into English that a dub may want; a target in
 * capitals is a family of languages, one of which is asked for. `languages` as the model's name writes them.
 *
 * @see https://github.com/huggingface/transformers.js/blob/2.17.2/scripts/extra/marian.py
 */
const PUBLISHED: readonly (readonly [from: string, to: string, name: string])[] = [
  ...['es', 'de', 'fr', 'it', 'nl', 'ru', 'zh', 'ar', 'hi', 'sv', 'fi', 'cs', 'da', 'hu', 'uk', 'vi', 'id', 'ro'].map(
    (to) => ['en', to, `en-${to}`] as const,
  ),
  ...['pt', 'ca', 'gl', 'oc'].map((to) => ['en', to, 'en-ROMANCE'] as const),
  ['en', 'ja', 'en-jap'],
  ...['es', 'de', 'fr', 'it', 'nl', 'ru', 'zh', 'ar', 'hi', 'sv', 'fi', 'cs', 'da', 'hu', 'uk', 'vi', 'id', 'pl'].map(
    (from) => [from, 'en', `${from}-en`] as const,
  ),
  ...['tr', 'ko', 'ja'].map((from) => [from, 'en', `${from}-en`] as const),
  ...['pt', 'ca', 'gl', 'ro'].map((from) => [from, 'en', 'ROMANCE-en'] as const),
  ...['es-de', 'de-es', 'es-fr', 'fr-es', 'fr-de', 'de-fr', 'es-it', 'it-es', 'it-fr', 'es-ru', 'ru-es'].map((name) => {
    const [from = '', to = ''] = name.split('-');
    return [from, to, name] as const;
  }),
];

function cardOf(name: string): ModelCard {
  const home = `https://huggingface.co/Xenova/opus-mt-${name}`;
  return {
    name: `opus-mt-${name.toLowerCase()}`,
    summary: `OPUS-MT ${name.replace('-', ' → ')}: translation by a network of 75 million weights.`,
    home,
    // Each model's page says which of the two; https://github.com/Helsinki-NLP/Opus-MT says the latter of all.
    licence: 'Apache-2.0 OR CC-BY-4.0',
    languages: [...new Set(PUBLISHED.filter((each) => each[2] === name).flatMap(([from, to]) => [from, to]))],
    device: 'cpu',
    files: FILES.map((file) => ({ name: file, url: `${home}/resolve/main/${file}` })),
  };
}
export const OPUS_CARDS: readonly ModelCard[] = [...new Set(PUBLISHED.map(([, , name]) => name))].map(cardOf);

/** The model for a pair of languages, if one is published. */
export function opusCard(from: Language, to: Language): ModelCard | undefined {
  const found = PUBLISHED.find((each) => serves(each[0] as Language, from) && serves(each[1] as Language, to));
  return found && OPUS_CARDS.find(({ name }) => name === `opus-mt-${found[2].toLowerCase()}`);
}

/** ISO 639-3, with the script where there are several, for languages that models of several languages tell apart so. */
const LONG: Readonly<Record<string, readonly string[]>> = {
  ar: ['ara'],
  ca: ['cat'],
  es: ['spa'],
  fr: ['fra'],
  gl: ['glg'],
  it: ['ita'],
  oc: ['oci'],
  pt: ['por'],
  ro: ['ron'],
  zh: ['cmn_Hans', 'cmn'],
  'zh-Hant': ['cmn_Hant', 'cmn'],
  'zh-TW': ['cmn_Hant', 'cmn'],
  'zh-HK': ['yue_Hant', 'cmn_Hant'],
};
/** What a language may be called between `>>` and `<<`, the most specific name first. */
export function labelsOf(language: Language): string[] {
  const [base = '', ...rest] = language.split('-');
  const region = rest.length > 0 ? [`${base}_${rest.join('_')}`] : [];
  return [...region, ...(LONG[language] ?? []), base.toLowerCase(), ...(LONG[base] ?? [])];
}

/**
 * The tokens of a model: two SentencePiece tokenizers over one vocabulary.
 *
 * Models of several targets are told which by a token before the sentence, `>>por<<`, of those in their vocabulary; a
 * language that a model of several does not have is refused with those it has.
 */
export class OpusTokens implements Tokens {
  readonly opening: readonly number[] = [];
  readonly #source: SentencePiece;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #pieces: readonly string[];
  readonly #before: readonly number[];
  readonly #end: number;
  readonly #unknown: number;

  constructor(directory: string, to: Language, end: number) {
    this.#source = SentencePiece.read(join(directory, 'source.spm'));
    const words = z
      .record(z.string(), z.int().min(0))
      .parse(JSON.parse(readFileSync(join(directory, 'vocab.json'), 'utf8')));
    this.#ids = new Map(Object.entries(words));
    const pieces: string[] = [];
    for (const [piece, id] of this.#ids) pieces[id] = piece;
    this.#pieces = pieces;
    this.#end = end;
    this.#unknown = words['<unk>'] ?? end;

    const labels = [...this.#ids.keys()].filter((word) => /^>>.+<<$/.test(word));
    const label = labelsOf(to)
      .map((name) => `>>${name}<<`)
      .find((name) => this.#ids.has(name));
    if (labels.length > 0 && label === undefined) {
      const known = labels.map((name) => name.slice(2, -2)).join(', ');
      throw new Fault('translator', 'broken', `Cannot translate into ${to}: the model in ${directory} knows ${known}`);
    }
    this.#before = label === undefined ? [] : [this.#ids.get(label) ?? this.#unknown];
  }

  encode(text: string): number[] {
    const pieces = this.#source.encode(text).map((piece) => this.#ids.get(piece) ?? this.#unknown);
    return [...this.#before, ...pieces, this.#end];
  }

  decode(tokens: readonly number[]): string {
    const said = tokens.map((id) => this.#pieces[id] ?? '');
    return joined(said.filter((piece) => !SPECIAL.test(piece)));
  }
}
const SPECIAL = /^(?:<\/s>|<unk>|<pad>|>>.+<<)$/;

/**
 * OPUS-MT: Marian networks of the University of Helsinki, one for each pair of languages.
 *
 * @see https://github.com/Helsinki-NLP/Opus-MT
 * @see https://huggingface.co/docs/transformers/model_doc/marian
 */
export const opusMt = defineEngine({
  kind: 'translator',
  id: 'opus-mt',
  host: 'thread',
  summary: 'OPUS-MT: a small neural network for each pair of languages, on the CPU.',
  licence: 'Apache-2.0 OR CC-BY-4.0',
  needs: [],
  models: OPUS_CARDS,
  pairs: PUBLISHED.map(([from, to]): Pair => {
    const card = opusCard(from as Language, to as Language);
    return { from: from as Language, to: to as Language, needs: card ? [needsModel(card)] : [] };
  }),
  config: neuralSettings(4),
  async load({ model, weights, beams, timeout, runtime, ...languages }, scope) {
    const [from, to] = [languages.from as Language, languages.to as Language];
    const card = opusCard(from, to);
    if (card === undefined && model === undefined) {
      const known = PUBLISHED.map((each) => `${each[0]}→${each[1]}`).join(', ');
      throw new Fault('translator', 'broken', `Cannot translate ${from}→${to}: OPUS-MT is here for ${known}`);
    }
    const directory = card ? modelDirectory(card, model) : (model ?? '');
    if (!existsSync(join(directory, 'source.spm'))) {
      const fix = card ? `; livedub models pull ${card.name}` : '';
      throw new Fault('translator', 'unavailable', `Cannot load OPUS-MT: there is no ${directory}/source.spm${fix}`);
    }
    const network = await Seq2Seq.open(directory, 'opus-mt', { weights, runtime }, scope);
    const tokens = new OpusTokens(directory, to, network.config.eos_token_id);
    const settings = { engine: `opus-mt ${from}→${to}`, from, to, beams, patience: seconds(timeout) };
    return neuralStage(network, tokens, settings);
  },
});
