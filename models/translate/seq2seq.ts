import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { Fault } from '../../pipeline/fault.ts';
import { BeamSearch, type Search } from './beam.ts';
import { type LoadedNetwork, openOnnx } from '../runtime/onnx.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import { type Tensor, type Tensors, booleans, floatsOf, integers } from '../runtime/tensor.ts';

const id = z.int().min(0);
/** What of `config.json` and `generation_config.json` is used here. */
const published = z.object({
  model_type: z.enum(['marian', 'm2m_100']),
  decoder_start_token_id: id,
  eos_token_id: id,
  pad_token_id: id,
  forced_eos_token_id: id.nullish(),
  bad_words_ids: z.array(z.array(id)).nullish(),
  max_length: z.int().min(2).default(512),
  num_beams: z.int().min(1).default(1),
  length_penalty: z.number().default(1),
  early_stopping: z.boolean().default(false),
  max_position_embeddings: z.int().min(2).default(512),
});
export type Published = z.output<typeof published>;

/** Settings of an engine that translates by such a network. @param timeout seconds that one utterance may take */
export const neuralSettings = (timeout: number) =>
  z.strictObject({
    from: z.string().min(2).max(35).default('en').describe('Language of the programme, BCP 47.'),
    to: z.string().min(2).max(35).describe('Language of the dub, BCP 47.'),
    model: z.string().optional().describe('Directory of the model; its place in the model store unless given.'),
    /** Rounded to 8 bits (a quarter of the memory, a little worse), or as they were trained. */
    weights: z
      .enum(['quantized', 'whole'])
      .default('quantized')
      .describe('Weights of 8 bits, or whole ones where only those are there or are asked for.'),
    beams: z
      .int()
      .min(1)
      .max(12)
      .optional()
      .describe('Beginnings followed; 1 is fastest. The makers’ number unless given.'),
    timeout: z.number().min(0.1).max(60).default(timeout).describe('Seconds to wait for a translation.'),
    runtime: networkSettings.prefault({}),
  });
type Chosen = z.output<ReturnType<typeof neuralSettings>>;

/** A sentence, as tokens. `ended` is false when the network would have gone on. */
export interface Translated {
  readonly tokens: readonly number[];
  readonly ended: boolean;
}

/**
 * An encoder-decoder network of Hugging Face Transformers in the files that Xenova and onnx-community publish:
 * `onnx/encoder_model.onnx`, `onnx/decoder_model_merged.onnx`, or those of `_quantized.onnx`, and two files of settings.
 *
 * @see https://huggingface.co/docs/optimum/main/en/exporters/onnx/overview
 */
export class Seq2Seq {
  readonly config: Published;
  readonly #encoder: LoadedNetwork;
  readonly #decoder: LoadedNetwork;

  constructor(config: Published, encoder: LoadedNetwork, decoder: LoadedNetwork) {
    this.config = config;
    this.#encoder = encoder;
    this.#decoder = decoder;
  }

  /** Loads a model from its directory. Throws a `Fault` that names the file that is missing or wrong. */
  static async open(
    directory: string,
    name: string,
    { weights, runtime }: Pick<Chosen, 'weights' | 'runtime'>,
    scope: Scope,
  ): Promise<Seq2Seq> {
    const config = publishedIn(directory);
    const fileOf = (part: string) => {
      const [small, whole] = [`${part}_quantized.onnx`, `${part}.onnx`].map((file) => join(directory, 'onnx', file));
      // The half-precision file lies beside the whole one.
      const quantized = weights === 'quantized' && !runtime.fp16 && existsSync(small ?? '');
      return (quantized ? small : whole) ?? '';
    };
    const open = (part: string) =>
      openOnnx(fileOf(part), scope, { stage: 'translator', name: `${name} ${part}`, settings: runtime });
    return new Seq2Seq(config, await open('encoder_model'), await open('decoder_model_merged'));
  }

  /** The makers' way to search, with what is changed. */
  search(changes: Partial<Search> = {}): Search {
    const { config } = this;
    const never = (config.bad_words_ids ?? []).flatMap((words) => (words.length === 1 ? words : []));
    return {
      beams: config.num_beams,
      lengthPenalty: config.length_penalty,
      earlyStopping: config.early_stopping,
      end: config.eos_token_id,
      forcedEnd: typeof config.forced_eos_token_id === 'number',
      longest: Math.min(config.max_length, config.max_position_embeddings),
      never,
      ...(config.model_type === 'marian' ? { impossible: config.pad_token_id } : {}),
      ...changes,
    };
  }

  /**
   * Translates a sentence, token ids in and out. What comes out begins behind the decoder's own first token.
   *
   * @param source token ids, with whatever the model wants before and behind them
   * @param opening tokens that the answer must begin with, such as its language
   * @param proceed called between steps; throws to give up
   */
  async translate(
    source: readonly number[],
    opening: readonly number[],
    search: Search,
    proceed: () => void,
  ): Promise<Translated> {
    const mask = integers(
      source.map(() => 1),
      [1, source.length],
    );
    const ids = integers(source, [1, source.length]);
    const { last_hidden_state: hidden } = await this.#encoder.run({ input_ids: ids, attention_mask: mask });
    if (!hidden) throw new Fault('translator', 'broken', 'the encoder has no output last_hidden_state');

    const start = [this.config.decoder_start_token_id, ...opening];
    const beams = new BeamSearch(start, search);
    let state: Tensors = { encoder_hidden_states: hidden, encoder_attention_mask: mask };
    let inputs: Tensors = {
      ...state,
      ...this.#nothing(),
      input_ids: integers(start, [1, start.length]),
      use_cache_branch: booleans([false], [1]),
    };
    const cache: Record<string, Tensor> = {};
    for (;;) {
      // The network blocks the thread, so this is where it can hear that it is to stop.
      await setImmediate();
      proceed();
      const { logits, ...made } = await this.#decoder.run(inputs);
      const rows = lastOf(logits);
      const step = beams.push(rows.data, rows.width);
      // The language is said by us and is part of the answer, as in the reference.
      if (!step) {
        const { tokens, ended } = beams.best(start.length);
        return { tokens: [...opening, ...tokens], ended };
      }
      const { from } = step;
      for (const [key, tensor] of Object.entries(made)) {
        const name = key.replace('present', 'past_key_values');
        // What is seen of the source does not change, and is the same in every row.
        if (!name.includes('.encoder.')) cache[name] = rowsOf(tensor, from);
        else if (cache[name]?.dims[0] !== from.length)
          cache[name] = rowsOf(
            cache[name] ?? tensor,
            from.map(() => 0),
          );
      }
      state = mapped(state, (tensor) =>
        tensor.dims[0] === from.length
          ? tensor
          : rowsOf(
              tensor,
              from.map(() => 0),
            ),
      );
      inputs = {
        ...state,
        ...cache,
        input_ids: integers(step.tokens, [from.length, 1]),
        use_cache_branch: booleans([true], [1]),
      };
    }
  }

  /** The cache before the first step: tensors without numbers. */
  #nothing(): Tensors {
    const empty: Record<string, Tensor> = {};
    for (const { name, element, shape } of this.#decoder.inputs) {
      if (!name.startsWith('past_key_values')) continue;
      const dims = shape.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? 1 : 0));
      empty[name] =
        element === 'float16' ? { data: new Uint16Array(), dims, as: 'float16' } : { data: new Float32Array(), dims };
    }
    return empty;
  }
}

/** Settings beside the weights; those for generating count more. */
function publishedIn(directory: string): Published {
  const read = (name: string, needed: boolean): object => {
    const file = join(directory, name);
    if (!existsSync(file) && !needed) return {};
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as object;
    } catch (cause) {
      throw new Fault('translator', 'unavailable', `Cannot read ${file}: ${(cause as Error).message}`, { cause });
    }
  };
  const parsed = published.safeParse({ ...read('config.json', true), ...read('generation_config.json', false) });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const message = `Cannot use ${directory}/config.json: '${issue?.path.join('.')}' is wrong: ${issue?.message}`;
  throw new Fault('translator', 'broken', message);
}

/** The logits behind the last token, row by row: [batch, tokens, vocabulary] → batch × vocabulary. */
function lastOf(logits: Tensor | undefined): { data: Float32Array; width: number } {
  const all = floatsOf(logits, 'logits');
  const [batch = 1, tokens = 1, width = 0] = logits?.dims ?? [];
  const data = new Float32Array(batch * width);
  for (let row = 0; row < batch; row += 1) {
    const end = (row + 1) * tokens * width;
    data.set(all.subarray(end - width, end), row * width);
  }
  return { data, width };
}

/** Rows of the first axis, in the order asked for. */
function rowsOf(tensor: Tensor, rows: readonly number[]): Tensor {
  const [batch = 1, ...rest] = tensor.dims;
  const size = tensor.data.length / batch;
  // One kind of array in, the same kind out.
  const source = tensor.data as Float32Array;
  const data = new (source.constructor as Float32ArrayConstructor)(size * rows.length);
  for (const [n, row] of rows.entries()) data.set(source.subarray(row * size, (row + 1) * size), n * size);
  return { ...tensor, data, dims: [rows.length, ...rest] } as Tensor;
}

const mapped = (tensors: Tensors, change: (tensor: Tensor) => Tensor): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, change(tensor)]));
