import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { seconds } from '../../media/time.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { defineEngine } from '../engine.ts';
import { floresCode, m2m100Code } from './language-codes.ts';
import { type Tokens, neuralStage } from './neural-translator.ts';
import { SentencePiece, joined } from './sentencepiece.ts';
import { Seq2Seq, neuralSettings } from './seq2seq.ts';
import { type ModelCard, modelDirectory, needsModel } from '../store/weights.ts';

const TOKENIZER = 'sentencepiece.bpe.model';
const SPECIAL_TOKENS = 'special_tokens_map.json';

const config = neuralSettings(8);

/** How the two families of models write tokens down and call languages. */
interface Family {
  readonly engine: string;
  readonly card: ModelCard;
  /** What the tokens of languages look like in `special_tokens_map.json`: `__en__`, `eng_Latn`. */
  readonly label: RegExp;
  code(language: Language, known: Iterable<string>): string | undefined;
  /** The pieces in the order of their ids; languages follow. */
  pieces(directory: string, tokenizer: SentencePiece): readonly string[];
}

/** The first ids, which fairseq gives to these whatever the tokenizer's own are. */
const SPECIAL = ['<s>', '<pad>', '</s>', '<unk>'];
const UNKNOWN = 3;

const files = (home: string, extra: readonly string[]) =>
  [
    'config.json',
    'generation_config.json',
    SPECIAL_TOKENS,
    TOKENIZER,
    ...extra,
    'onnx/encoder_model_quantized.onnx',
    'onnx/decoder_model_merged_quantized.onnx',
  ].map((name) => ({ name, url: `${home}/resolve/main/${name}` }));

const M2M100_HOME = 'https://huggingface.co/Xenova/m2m100_418M';
export const M2M100_CARD: ModelCard = {
  name: 'm2m100-418m',
  summary: 'M2M100: translation between any two of 100 languages, by a network of 418 million weights.',
  home: M2M100_HOME,
  licence: 'MIT',
  languages: 'any',
  device: 'cpu',
  files: files(M2M100_HOME, ['vocab.json']),
};
const NLLB_HOME = 'https://huggingface.co/Xenova/nllb-200-distilled-600M';
export const NLLB_CARD: ModelCard = {
  name: 'nllb-200-distilled-600m',
  summary: 'NLLB-200: translation between any two of 200 languages, by a network of 600 million weights.',
  home: NLLB_HOME,
  licence: 'CC-BY-NC-4.0',
  terms: 'non-commercial',
  languages: 'any',
  device: 'cpu',
  files: files(NLLB_HOME, []),
};

const M2M100: Family = {
  engine: 'm2m100',
  card: M2M100_CARD,
  label: /^__([a-z]{2,3})__$/,
  code: m2m100Code,
  // Its vocabulary is a list of its own, as fairseq counted the pieces.
  pieces: (directory) => {
    const text = readFileSync(join(directory, 'vocab.json'), 'utf8');
    const pieces: string[] = [];
    for (const [piece, id] of Object.entries(z.record(z.string(), z.int().min(0)).parse(JSON.parse(text)))) {
      pieces[id] = piece;
    }
    return pieces;
  },
};
const NLLB: Family = {
  engine: 'nllb',
  card: NLLB_CARD,
  label: /^([a-z]{3}_[A-Z][a-z]{3})$/,
  code: floresCode,
  // The tokenizer's own three special pieces make way for fairseq's four.
  pieces: (_, tokenizer) => [...SPECIAL, ...tokenizer.pieces.slice(3)],
};

/**
 * The tokens of M2M100 and NLLB-200: SentencePiece, and one token for each language, which opens what is translated and
 * what it is translated to.
 */
export class ManyTokens implements Tokens {
  readonly opening: readonly number[];
  readonly #tokenizer: SentencePiece;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #pieces: readonly string[];
  readonly #before: number;
  readonly #end: number;

  constructor(directory: string, family: Family, { from, to }: Pick<Wanted, 'from' | 'to'>, end: number) {
    this.#tokenizer = SentencePiece.read(join(directory, TOKENIZER));
    this.#pieces = family.pieces(directory, this.#tokenizer);
    this.#ids = new Map(this.#pieces.map((piece, id) => [piece, id]));
    this.#end = end;
    const special = z
      .object({ additional_special_tokens: z.array(z.string()) })
      .parse(JSON.parse(readFileSync(join(directory, SPECIAL_TOKENS), 'utf8'))).additional_special_tokens;
    const labels = special.flatMap((token) => family.label.exec(token)?.[1] ?? []);
    const idOf = (language: Language) => {
      const code = family.code(language, labels);
      if (code !== undefined) return this.#pieces.length + labels.indexOf(code);
      const message = `${family.engine} does not know ${language}; it knows ${labels.join(', ')}`;
      throw new Fault('translator', 'broken', message);
    };
    this.#before = idOf(from);
    this.opening = [idOf(to)];
  }

  encode(text: string): number[] {
    const pieces = this.#tokenizer.encode(text).map((piece) => this.#ids.get(piece) ?? UNKNOWN);
    return [this.#before, ...pieces, this.#end];
  }

  decode(tokens: readonly number[]): string {
    const said = tokens.filter((id) => id >= SPECIAL.length && id < this.#pieces.length);
    return joined(said.map((id) => this.#pieces[id] ?? ''));
  }
}

type Wanted = Omit<z.output<typeof config>, 'from' | 'to'> & { readonly from: Language; readonly to: Language };

async function load(family: Family, wanted: Wanted, scope: Scope): Promise<Stage<'translator'>> {
  const { from, to, model, weights, beams, timeout, runtime } = wanted;
  const { engine, card } = family;
  const directory = modelDirectory(card, model);
  if (!existsSync(join(directory, TOKENIZER))) {
    const message = `Cannot load ${engine}: there is no ${directory}/${TOKENIZER}; livedub models pull ${card.name}`;
    throw new Fault('translator', 'unavailable', message);
  }
  const network = await Seq2Seq.open(directory, engine, { weights, runtime }, scope);
  const tokens = new ManyTokens(directory, family, { from, to }, network.config.eos_token_id);
  return neuralStage(network, tokens, {
    engine: `${engine} ${from}→${to}`,
    from,
    to,
    beams,
    patience: seconds(timeout),
  });
}
const languages = ({ from, to }: { from: string; to: string }) => ({ from: from as Language, to: to as Language });

/**
 * M2M100: one network for any two of a hundred languages, not by way of English.
 *
 * @see https://arxiv.org/abs/2010.11125
 * @see https://huggingface.co/docs/transformers/model_doc/m2m_100
 */
export const m2m100 = defineEngine({
  kind: 'translator',
  id: 'm2m100',
  host: 'thread',
  config,
  summary: 'M2M100: one neural network for a hundred languages; about a gigabyte of memory.',
  licence: 'MIT',
  needs: [needsModel(M2M100_CARD)],
  models: [M2M100_CARD],
  pairs: 'any',
  load: (settings, scope) => load(M2M100, { ...settings, ...languages(settings) }, scope),
});

/**
 * NLLB-200: one network for any two of two hundred languages. Its weights may not be used for profit.
 *
 * The language of the source stands before the sentence, as the paper has it (§5.1.1); the first version in Transformers
 * put it behind.
 *
 * @see https://arxiv.org/abs/2207.04672
 * @see https://huggingface.co/docs/transformers/model_doc/nllb
 */
export const nllb = defineEngine({
  kind: 'translator',
  id: 'nllb',
  host: 'thread',
  config,
  byName: true,
  summary: 'NLLB-200: one neural network for two hundred languages; not for profit, over a gigabyte of memory.',
  licence: 'CC-BY-NC-4.0',
  needs: [needsModel(NLLB_CARD)],
  models: [NLLB_CARD],
  pairs: 'any',
  load: (settings, scope) => load(NLLB, { ...settings, ...languages(settings) }, scope),
});

/** How tests reach the tokens of either family. */
export const FAMILIES = { m2m100: M2M100, nllb: NLLB } as const;
