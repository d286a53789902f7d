import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** What a model's `config.json` and `generation_config.json` say, as far as decoding needs it. */
export interface WhisperShape {
  readonly mels: number;
  /** Positions of the encoder, 20 ms each. */
  readonly positions: number;
  /** The longest sequence of tokens, prompt included. */
  readonly context: number;
  readonly vocabulary: number;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  /** Never written. */
  readonly suppressed: readonly number[];
  /** Not written at the beginning: nothing, and a space. */
  readonly notFirst: readonly number[];
  /** Layer and head of the cross-attentions that follow the audio; none known means the upper half of the layers. */
  readonly aligned: readonly (readonly [number, number])[];
}

const Config = z.object({
  model_type: z.literal('whisper'),
  d_model: z.int().positive(),
  decoder_layers: z.int().positive(),
  decoder_attention_heads: z.int().positive(),
  num_mel_bins: z.int().positive(),
  max_source_positions: z.int().positive(),
  max_target_positions: z.int().positive(),
  vocab_size: z.int().positive(),
});
const ids = z.array(z.int().min(0)).nullish();
const Generation = z.object({
  suppress_tokens: ids,
  begin_suppress_tokens: ids,
  alignment_heads: z.array(z.tuple([z.int().min(0), z.int().min(0)])).nullish(),
});

/** Reads the dimensions of the model in a directory. */
export function whisperShape(directory: string): WhisperShape {
  const read = <S extends z.ZodType>(name: string, schema: S): z.output<S> => {
    const parsed = schema.safeParse(JSON.parse(readFileSync(join(directory, name), 'utf8')));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw new TypeError(`Cannot use ${name} of ${directory}: '${issue?.path.join('.')}' is wrong: ${issue?.message}`);
  };
  const config = read('config.json', Config);
  const generation = read('generation_config.json', Generation);
  const { decoder_layers: layers, decoder_attention_heads: heads } = config;
  const upper = Array.from({ length: layers - Math.floor(layers / 2) }, (_, n) => n + Math.floor(layers / 2));
  return {
    mels: config.num_mel_bins,
    positions: config.max_source_positions,
    context: config.max_target_positions,
    vocabulary: config.vocab_size,
    layers,
    heads,
    width: config.d_model / heads,
    suppressed: generation.suppress_tokens ?? [],
    notFirst: generation.begin_suppress_tokens ?? [],
    aligned:
      generation.alignment_heads ??
      upper.flatMap((layer) => Array.from({ length: heads }, (_, head): [number, number] => [layer, head])),
  };
}
