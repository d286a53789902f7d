import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { resample } from '../../media/resample.ts';
import type { Language, Reference } from '../../pipeline/domain.ts';
import { defineEngine } from '../engine.ts';
import type { ModelPlace } from '../store/model-file.ts';
import { NATURAL, rateOf } from './delivery.ts';
import { excerpt } from './reference-audio.ts';
import { needsSherpa, openVoice } from '../sherpa/sherpa.ts';
import { needsSpeakData, networkFile, speakData, tokensFile } from '../sherpa/sherpa-files.ts';
import { expectSpoken, sherpaSynthesizer } from './sherpa-speech.ts';
import { castable, referenceFor, stockVoices } from './stock-voices.ts';
import { type ModelCard, modelDirectory, needsModel } from '../store/weights.ts';

const HOME = 'https://huggingface.co/k2-fsa/ZipVoice';
const DISTILLED = `${HOME}/resolve/main/zipvoice_distill`;
const VOCODER = 'vocos_24khz.onnx';
const LEXICON = 'lexicon.txt';

/**
 * The distilled model with weights of eight bits, as its makers publish it, and the vocoder it was made for.
 *
 * @see https://github.com/k2-fsa/sherpa-onnx/blob/master/.github/workflows/upload-zipvoice-models.yaml
 */
export const ZIPVOICE: ModelCard = {
  name: 'zipvoice-distill-int8',
  summary: 'ZipVoice, distilled: 123 million weights; speaks with the voice of a few seconds of speech and their text.',
  home: HOME,
  licence: 'Apache-2.0',
  languages: ['en'],
  device: 'cpu',
  files: [
    ...['text_encoder_int8.onnx', 'fm_decoder_int8.onnx', 'tokens.txt'].map((name) => ({
      name,
      url: `${DISTILLED}/${name}`,
    })),
    { name: VOCODER, url: `https://github.com/k2-fsa/sherpa-onnx/releases/download/vocoder-models/${VOCODER}` },
  ],
};

/** The model hears prompts at its own rate. */
const RATE = 24_000;
/** Seconds of a voice: with less it is not known, with more the model is slow and no better. */
const LEAST = 3;
const MOST = 10;

/** A voice that the model can speak with: long enough, and it is known what is said in it. */
const isPrompt = ({ pcm, rate, text }: Reference) => text.trim() !== '' && pcm.length >= LEAST * rate;

/** What the model is shown of a voice. Those of one reference are made once. */
function prompts() {
  let made: { readonly id: string; readonly prompt: Pick<Reference, 'pcm' | 'rate' | 'text'> } | undefined;
  return (reference: Reference) => {
    if (made?.id === reference.id) return made.prompt;
    const { pcm, rate, text } = excerpt(reference, MOST);
    // Its resampler is a short one.
    made = { id: reference.id, prompt: { pcm: resample(pcm, rate, RATE), rate: RATE, text } };
    return made.prompt;
  };
}

async function filesFor(place: ModelPlace) {
  const tokens = tokensFile(place, 'tokens.txt', 'piece');
  const encoder = await networkFile(place, 'text_encoder_int8.onnx', {
    inputs: ['tokens', 'prompt_tokens', 'prompt_features_len', 'speed'],
  });
  const decoder = await networkFile(place, 'fm_decoder_int8.onnx', {
    inputs: ['t', 'x', 'text_condition', 'speech_condition', 'guidance_scale'],
  });
  const vocoder = await networkFile(place, VOCODER, { inputs: ['mels'], facts: { model_type: /vocos$/ } });
  const lexicon = join(modelDirectory(place.card, place.model), LEXICON);
  // It insists on a lexicon, which only Chinese needs.
  return {
    encoder,
    decoder,
    vocoder,
    tokens,
    dataDir: speakData(encoder),
    lexicon: existsSync(lexicon) ? lexicon : '/dev/null',
  };
}

/**
 * ZipVoice through sherpa-onnx: flow matching, so it speaks with any voice that it hears a few seconds of.
 *
 * The speaker's own voice is cut to ten seconds. While there is none, of three seconds or more and with its text, a
 * stock voice speaks (`stock-voices.ts`); without stock voices the line is `rejected`, and the stand-in speaks.
 * Chinese needs the `lexicon.txt` of sherpa-onnx's archive in the directory.
 *
 * @see Zhu et al.: "ZipVoice: Fast and High-Quality Zero-Shot Text-to-Speech with Flow Matching", 2025
 * @see https://github.com/k2-fsa/ZipVoice
 */
export const zipvoice = defineEngine({
  kind: 'synthesizer',
  id: 'zipvoice',
  host: 'thread',
  summary: 'ZipVoice: speaks with the speaker’s own voice, on this machine; English, and Chinese with its lexicon.',
  licence: 'Apache-2.0',
  needs: [needsSherpa, needsSpeakData, needsModel(ZIPVOICE)],
  models: [ZIPVOICE],
  languages: ['en', 'zh'] as Language[],
  config: z.strictObject({
    model: z.string().optional().describe('Directory of the model instead of the model store.'),
    language: z
      .string()
      .min(2)
      .max(35)
      .optional()
      .describe('What is spoken, BCP 47; one it does not speak is refused.'),
    voices: z.array(z.string().min(1)).min(1).optional().describe('Stock voices to use, by name; all unless said.'),
    steps: z.int().min(1).max(32).default(4).describe('How often the speech is refined.'),
    speed: z.number().min(0.5).max(2).default(1).describe('1 is the pace of the voice that is cloned.'),
    threads: z.int().min(1).max(16).default(2).describe('Threads of the network.'),
  }),
  async load({ model, language, voices, steps, speed, threads }) {
    const place = { stage: 'synthesizer' as const, card: ZIPVOICE, model };
    const chinese = existsSync(join(modelDirectory(ZIPVOICE, model), LEXICON));
    const languages = (chinese ? ['en', 'zh'] : ['en']) as Language[];
    expectSpoken('ZipVoice', language, languages);
    const stock = castable(stockVoices(voices).filter(isPrompt));
    const voice = await openVoice({ zipvoice: await filesFor(place) }, threads);
    const promptOf = prompts();
    return sherpaSynthesizer({
      engine: 'zipvoice',
      caps: { languages, clonesVoice: true, voices: Infinity, rates: NATURAL },
      speakerFor: (line) => {
        const reference = promptOf(referenceFor(line, stock, isPrompt));
        return { rate: voice.rate, say: (text) => voice.say({ text, speed: speed * rateOf(line), reference, steps }) };
      },
    });
  },
});
