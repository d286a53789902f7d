import type { ModelCard, ModelFile } from '../store/weights.ts';

const ENCODER = 'encoder_model.onnx';
const DECODER = 'decoder_model_merged.onnx';
/** Weights that do not fit into one protobuf lie beside their network. */
const beside = (network: string) => `${network}_data`;

/** A repository on Hugging Face that has Whisper as ONNX, and which of its files are used. */
function card(
  size: string,
  repository: string,
  networks: readonly string[],
  rest: Pick<ModelCard, 'summary' | 'device'> & { readonly speed?: string },
): ModelCard {
  const home = `https://huggingface.co/${repository}`;
  const file = (name: string): ModelFile => ({ name, url: `${home}/resolve/main/${name}` });
  const texts = ['config.json', 'generation_config.json', 'vocab.json', 'merges.txt', 'added_tokens.json'];
  const files = [...networks.map((name) => `onnx/${name}`), ...texts].map(file);
  return { name: `whisper-${size}`, home, licence: 'MIT', languages: 'any', ...rest, files };
}

/**
 * Whisper's sizes, as they are published for onnxruntime. Those called `_timestamped` give their cross-attention away,
 * which word times and AlignAtt are made of; the others do not, and their words are placed by when they appeared.
 *
 * File names as listed on the repositories' pages; their checksums are recorded when they are first fetched.
 */
export const WHISPER_CARDS = {
  tiny: card('tiny', 'onnx-community/whisper-tiny_timestamped', [ENCODER, DECODER], {
    summary: 'Whisper with 39 million parameters: 99 languages, for a machine with little to spare.',
    device: 'cpu',
    speed: '0.3 s for a window and 20 ms for a token, processor time of one core (random weights of this size)',
  }),
  base: card('base', 'onnx-community/whisper-base_timestamped', [ENCODER, DECODER], {
    summary: 'Whisper with 74 million parameters: 99 languages.',
    device: 'cpu',
    speed: '0.8 s for a window and 28 ms for a token, processor time of one core (random weights of this size)',
  }),
  small: card('small', 'onnx-community/whisper-small_timestamped', [ENCODER, DECODER], {
    summary: 'Whisper with 244 million parameters: 99 languages.',
    device: 'gpu',
  }),
  medium: card('medium', 'Xenova/whisper-medium', [ENCODER, DECODER, beside(DECODER)], {
    summary: 'Whisper with 769 million parameters: 99 languages.',
    device: 'gpu',
  }),
  'large-v3': card('large-v3', 'Xenova/whisper-large-v3', [ENCODER, beside(ENCODER), DECODER, beside(DECODER)], {
    summary: 'Whisper with 1550 million parameters: 100 languages, the most accurate.',
    device: 'gpu',
  }),
  'large-v3-turbo': card(
    'large-v3-turbo',
    'onnx-community/whisper-large-v3-turbo',
    [ENCODER, beside(ENCODER), DECODER],
    {
      summary: 'Whisper large-v3 with a decoder of 4 layers, 809 million parameters: nearly as accurate, much faster.',
      device: 'gpu',
    },
  ),
} as const satisfies Record<string, ModelCard>;
export type WhisperSize = keyof typeof WHISPER_CARDS;
