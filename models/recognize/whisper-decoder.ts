import { setImmediate as breath } from 'node:timers/promises';
import { focusOf } from './align-att.ts';
import type { LoadedNetwork } from '../runtime/onnx.ts';
import { type Network, type Tensor, type Tensors, booleans, floats, floatsOf, integers } from '../runtime/tensor.ts';
import type { WhisperShape } from './whisper-model.ts';
import { type Attention, beginnings } from './whisper-places.ts';
import type { WhisperTokens } from './whisper-tokens.ts';

/** What a hypothesis goes on from. */
export interface Prompt {
  /** Tokens of what was said before the window, and of words to expect. They are not part of the hypothesis. */
  readonly context: readonly number[];
  /** ISO 639 code; ignored by models for English alone. */
  readonly language: string;
  /** Tokens that are settled: the hypothesis continues them. */
  readonly settled: readonly number[];
  /** The most tokens to write. */
  readonly most: number;
  readonly signal: AbortSignal;
}

/** What a model wrote behind what was settled. */
export interface Writing {
  readonly tokens: readonly number[];
  /** It was finished; otherwise the limit was reached. */
  readonly ended: boolean;
  /** Mean natural logarithm of the probability of a token, the end among them. */
  readonly logprob: number;
  /** How likely nobody speaks in the window, in the model's opinion. */
  readonly noSpeech: number;
  /** The position (20 ms each) every token attended to most; nothing where the model does not tell. */
  readonly focus: readonly number[] | undefined;
}

/** A window of audio that a model has heard. */
export interface Heard {
  /** How likely each language is spoken. Empty for models for English alone. */
  languages(): Promise<ReadonlyMap<string, number>>;
  write(prompt: Prompt): Promise<Writing>;
  /**
   * Where each token begins, in positions of 20 ms, one more for the end of the last; nothing where the model does not
   * tell.
   *
   * @param positions how much of the window is audio
   */
  places(tokens: readonly number[], language: string, positions: number): Promise<readonly number[] | undefined>;
  /** The position at which these words end, if the window begins with them, in the model's opinion. */
  endOf(tokens: readonly number[], language: string): Promise<number>;
}

/** A model that hears windows of audio. */
export interface Listener {
  readonly shape: WhisperShape;
  readonly tokens: WhisperTokens;
  /** Whether it tells what it attends to. */
  readonly attentive: boolean;
  /** @param features as `MelWindow.features` makes them */
  hear(features: Float32Array): Promise<Heard>;
}

/** Row `n` of logits [1, S, V]. */
const rowOf = (logits: Float32Array, n: number, vocabulary: number) =>
  logits.subarray(n * vocabulary, (n + 1) * vocabulary);
/** The natural logarithm of the sum of exponentials. */
function logSum(values: Float32Array): number {
  let top = Number.NEGATIVE_INFINITY;
  for (const value of values) if (value > top) top = value;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - top);
  return top + Math.log(sum);
}
const probability = (logits: Float32Array, token: number) => Math.exp(logits[token]! - logSum(logits));

/** Tokens after which the thread takes a breath, so that it hears when nobody wants the rest. */
const BREATH = 8;

/** What one call of the decoder gives: logits and attention of its tokens, and what the next call needs. */
interface Step {
  readonly outputs: Tensors;
  readonly logits: Float32Array;
  readonly rows: number;
}

/**
 * Whisper's decoder over one window, token by token, always the likeliest (greedy). Keys and values of earlier tokens
 * are kept for the time of one hypothesis; they are of no use for the next, which hears other audio.
 */
class Decoder implements Heard {
  readonly #network: Network;
  readonly #listener: Listener;
  readonly #states: Tensor;
  readonly #ports: readonly string[];

  constructor(network: LoadedNetwork, listener: Listener, states: Tensor) {
    this.#network = network;
    this.#listener = listener;
    this.#states = states;
    this.#ports = network.inputs.map(({ name }) => name);
  }

  async languages(): Promise<ReadonlyMap<string, number>> {
    const { tokens, shape } = this.#listener;
    const codes = [...tokens.languages];
    if (codes.length === 0) return new Map();
    const { logits } = await this.#begin([tokens.start]);
    const row = rowOf(logits, 0, shape.vocabulary);
    const total = logSum(Float32Array.from(codes, ([, id]) => row[id]!));
    return new Map(codes.map(([code, id]) => [code, Math.exp(row[id]! - total)]));
  }

  async write({ context, language, settled, most, signal }: Prompt): Promise<Writing> {
    const { tokens, shape } = this.#listener;
    const before = context.length > 0 ? [tokens.previous, ...context] : [];
    const head = [...before, ...this.#head(language), tokens.noTimestamps, ...settled];
    const limit = Math.min(most, shape.context - head.length);
    const written: number[] = [];
    const focus: number[] = [];
    let [sum, ended] = [0, false];

    if (limit < 1) return { tokens: [], ended: false, logprob: 0, noSpeech: 0, focus: undefined };
    let step = await this.#begin(head);
    const noSpeech = probability(rowOf(step.logits, before.length, shape.vocabulary), tokens.noSpeech);
    const past = step.outputs;
    for (;;) {
      const row = rowOf(step.logits, step.rows - 1, shape.vocabulary).slice();
      const token = this.#likeliest(row, written.length === 0 && settled.length === 0);
      sum += row[token]! - logSum(row);
      if (token === tokens.endOfText) ended = true;
      if (ended) break;
      const place = this.#focus(step);
      if (place !== undefined) focus.push(place);
      written.push(token);
      if (written.length % BREATH === 0) await breath();
      signal.throwIfAborted();
      if (written.length >= limit) break;
      step = await this.#further(token, step.outputs, past);
    }
    const logprob = sum / (written.length + 1);
    return { tokens: written, ended, logprob, noSpeech, focus: this.#listener.attentive ? focus : undefined };
  }

  async places(tokens: readonly number[], language: string, positions: number) {
    const { attentive, tokens: special, shape } = this.#listener;
    if (!attentive || tokens.length === 0 || positions < 1) return undefined;
    const head = this.#head(language);
    const { outputs, rows } = await this.#begin([...head, special.noTimestamps, ...tokens, special.endOfText]);
    const heads = shape.aligned.map(([layer, n]): Attention => {
      const all = floatsOf(outputs[`cross_attentions.${layer}`], `cross_attentions.${layer}`);
      const weights = new Float32Array(rows * positions);
      for (let row = 0; row < rows; row += 1) {
        const from = (n * rows + row) * shape.positions;
        weights.set(all.subarray(from, from + positions), row * positions);
      }
      return { rows, frames: positions, weights };
    });
    return beginnings(heads, head.length, 1);
  }

  async endOf(tokens: readonly number[], language: string): Promise<number> {
    const { tokens: special, shape } = this.#listener;
    const { logits, rows } = await this.#begin([...this.#head(language), special.timestamps, ...tokens]);
    const row = rowOf(logits, rows - 1, shape.vocabulary);
    return focusOf(row.subarray(special.timestamps, special.timestamps + shape.positions + 1));
  }

  /** Start, language and task; models for English alone know only the start. */
  #head(language: string): number[] {
    const { tokens } = this.#listener;
    if (tokens.languages.size === 0) return [tokens.start];
    const id = tokens.languages.get(language);
    if (id === undefined) throw new TypeError(`Cannot listen for '${language}': the model does not know this language`);
    return [tokens.start, id, tokens.transcribe];
  }

  #likeliest(row: Float32Array, first: boolean): number {
    const { shape, tokens } = this.#listener;
    for (const id of shape.suppressed) row[id] = Number.NEGATIVE_INFINITY;
    if (first) for (const id of shape.notFirst) row[id] = Number.NEGATIVE_INFINITY;
    // Text has no time stamps; places are asked for separately.
    row.fill(Number.NEGATIVE_INFINITY, tokens.timestamps);
    return focusOf(row);
  }

  /** Where the step's last token looked: attention of the alignment heads on average. */
  #focus({ outputs, rows }: Step): number | undefined {
    const { attentive, shape } = this.#listener;
    if (!attentive) return undefined;
    const sum = new Float32Array(shape.positions);
    for (const [layer, head] of shape.aligned) {
      const all = floatsOf(outputs[`cross_attentions.${layer}`], `cross_attentions.${layer}`);
      const from = (head * rows + rows - 1) * shape.positions;
      for (let n = 0; n < shape.positions; n += 1) sum[n]! += all[from + n]!;
    }
    return focusOf(sum);
  }

  #begin(ids: readonly number[]): Promise<Step> {
    const { shape } = this.#listener;
    const nothing = floats(new Float32Array(0), [1, shape.heads, 0, shape.width]);
    const past = this.#ports.filter((name) => name.startsWith('past_key_values.')).map((name) => [name, nothing]);
    return this.#step(ids, Object.fromEntries(past) as Tensors, false);
  }

  #further(token: number, own: Tensors, first: Tensors): Promise<Step> {
    const past: Record<string, Tensor> = {};
    for (const name of this.#ports) {
      if (!name.startsWith('past_key_values.')) continue;
      const present = name.replace('past_key_values', 'present');
      // Of what was heard, the keys and values come with the first call alone.
      const kept = (name.includes('.encoder.') ? first : own)[present];
      if (!kept)
        throw new TypeError(`Cannot use this Whisper decoder: it has an input ${name} and no output ${present}`);
      past[name] = kept;
    }
    return this.#step([token], past, true);
  }

  async #step(ids: readonly number[], past: Tensors, cached: boolean): Promise<Step> {
    const outputs = await this.#network.run({
      input_ids: integers(ids, [1, ids.length]),
      encoder_hidden_states: this.#states,
      ...past,
      use_cache_branch: booleans([cached], [1]),
    });
    return { outputs, logits: floatsOf(outputs['logits'], 'logits'), rows: ids.length };
  }
}

/**
 * Whisper as two networks: what hears (`encoder_model.onnx`) and what writes (`decoder_model_merged.onnx`, with and
 * without a past in one file), named as Hugging Face's Optimum exports them.
 *
 * @see Radford et al.: "Robust Speech Recognition via Large-Scale Weak Supervision", 2022
 * @see https://huggingface.co/docs/optimum-onnx/onnx/usage_guides/export_a_model (the merged decoder)
 */
export class WhisperListener implements Listener {
  readonly shape: WhisperShape;
  readonly tokens: WhisperTokens;
  readonly attentive: boolean;
  readonly #encoder: LoadedNetwork;
  readonly #decoder: LoadedNetwork;

  constructor(
    networks: { encoder: LoadedNetwork; decoder: LoadedNetwork },
    shape: WhisperShape,
    tokens: WhisperTokens,
  ) {
    this.shape = shape;
    this.tokens = tokens;
    this.#encoder = networks.encoder;
    this.#decoder = networks.decoder;
    const outputs = new Set(networks.decoder.outputs.map(({ name }) => name));
    this.attentive = shape.aligned.every(([layer]) => outputs.has(`cross_attentions.${layer}`));
  }

  async hear(features: Float32Array): Promise<Heard> {
    const { mels, positions } = this.shape;
    const { last_hidden_state: states } = await this.#encoder.run({
      input_features: floats(features, [1, mels, 2 * positions]),
    });
    if (!states) throw new TypeError('Cannot use this Whisper encoder: it has no output last_hidden_state');
    return new Decoder(this.#decoder, this, states);
  }
}
