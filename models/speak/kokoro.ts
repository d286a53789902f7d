import { z } from 'zod';
import type { Language, Line } from '../../pipeline/domain.ts';
import { defineEngine } from '../engine.ts';
import { placeOf } from './espeak-voices.ts';
import { serves } from '../languages.ts';
import { type ModelPlace, wrongFile } from '../store/model-file.ts';
import { needsSherpa, openVoice } from '../sherpa/sherpa.ts';
import {
  NUMBER,
  NUMBERS,
  factsOf,
  needsSpeakData,
  networkFile,
  sizedFile,
  speakData,
  tokensFile,
} from '../sherpa/sherpa-files.ts';
import { expectSpoken, sherpaSynthesizer } from './sherpa-speech.ts';
import { type ModelCard, needsModel } from '../store/weights.ts';

const HOME = 'https://huggingface.co/csukuangfj/kokoro-multi-lang-v1_0';
const FILES = ['model.onnx', 'voices.bin', 'tokens.txt'];

/**
 * Who speaks what: the voices' numbers, and eSpeak NG's voice for the pronunciation. Specific languages come first.
 * Chinese and Japanese are not here: eSpeak NG's phonemes are not those the model learned of them.
 *
 * @see https://huggingface.co/hexgrad/Kokoro-82M/blob/main/VOICES.md
 * @see https://github.com/k2-fsa/sherpa-onnx/blob/master/scripts/kokoro/v1.0/generate_voices_bin.py for the numbers
 */
const SPEAKERS: readonly {
  readonly language: string;
  readonly pronounced: string;
  readonly first: number;
  readonly count: number;
}[] = [
  { language: 'en-GB', pronounced: 'en-gb', first: 20, count: 8 },
  { language: 'en', pronounced: 'en-us', first: 0, count: 20 },
  { language: 'es', pronounced: 'es', first: 28, count: 2 },
  { language: 'fr', pronounced: 'fr', first: 30, count: 1 },
  { language: 'hi', pronounced: 'hi', first: 31, count: 4 },
  { language: 'it', pronounced: 'it', first: 35, count: 2 },
  { language: 'pt', pronounced: 'pt-br', first: 42, count: 3 },
];
const LANGUAGES = SPEAKERS.map(({ language }) => language as Language);

export const KOKORO: ModelCard = {
  name: 'kokoro-multi-lang-v1.0',
  summary: 'Kokoro 1.0: 82 million weights, 53 voices; English, Spanish, French, Hindi, Italian and Portuguese.',
  home: HOME,
  licence: 'Apache-2.0',
  languages: LANGUAGES,
  device: 'cpu',
  files: FILES.map((name) => ({ name, url: `${HOME}/resolve/main/${name}` })),
};

/** The voice that says a line, always the same for a speaker. */
function speakerFor({ language, speaker }: Line): { speaker: number; pronounced: string } {
  const group = SPEAKERS.find((each) => serves(each.language as Language, language)) ?? SPEAKERS[1]!;
  return { speaker: group.first + placeOf(speaker, group.count), pronounced: group.pronounced };
}

async function filesFor(place: ModelPlace) {
  const tokens = tokensFile(place, 'tokens.txt', 'character');
  const model = await networkFile(place, 'model.onnx', {
    inputs: ['tokens', 'style', 'speed'],
    // Of version 1 there are only English voices.
    facts: { sample_rate: NUMBER, n_speakers: NUMBER, has_espeak: '1', version: '2', style_dim: NUMBERS },
  });
  const facts = factsOf(model);
  const [longest = 0, one, width = 0, ...more] = (facts.get('style_dim') ?? '').split(',').map(Number);
  const speakers = Number(facts.get('n_speakers'));
  const most = Math.max(...SPEAKERS.map(({ first, count }) => first + count));
  if (one !== 1 || more.length > 0) throw wrongFile(place, model, `its 'style_dim' is not N,1,N`);
  if (speakers < most) throw wrongFile(place, model, `it has ${speakers} voices where ${most} were expected`);
  const voices = sizedFile(place, 'voices.bin', 4 * longest * width * speakers);
  // Lexica are for English and Chinese without eSpeak NG.
  return { kokoro: { model, voices, tokens, dataDir: speakData(model), lexicon: '', lang: 'en-us' } };
}

/**
 * Kokoro 1.0 through sherpa-onnx: one network for all voices and languages, a style vector for each voice.
 *
 * A speaker keeps one of the voices that were made for the line's language.
 *
 * @see https://huggingface.co/hexgrad/Kokoro-82M
 * @see https://k2-fsa.github.io/sherpa/onnx/tts/pretrained_models/kokoro.html
 */
export const kokoro = defineEngine({
  kind: 'synthesizer',
  id: 'kokoro',
  host: 'thread',
  summary: 'Kokoro: 40 neural voices in six languages from one network of 82 million weights.',
  licence: 'Apache-2.0',
  needs: [needsSherpa, needsSpeakData, needsModel(KOKORO)],
  models: [KOKORO],
  languages: LANGUAGES,
  config: z.strictObject({
    model: z.string().optional().describe('Directory of the model instead of the model store.'),
    language: z
      .string()
      .min(2)
      .max(35)
      .optional()
      .describe('What is spoken, BCP 47; one it does not speak is refused.'),
    speed: z.number().min(0.5).max(2).default(1).describe('1 is the voice’s own.'),
    threads: z.int().min(1).max(16).default(2).describe('Threads of the network.'),
  }),
  async load({ model, language, speed, threads }) {
    expectSpoken('Kokoro', language, LANGUAGES);
    const place = { stage: 'synthesizer' as const, card: KOKORO, model };
    const voice = await openVoice(await filesFor(place), threads);
    const groups = SPEAKERS.filter(
      (each) => language === undefined || serves(each.language as Language, language as Language),
    );
    return sherpaSynthesizer({
      engine: 'kokoro',
      caps: { languages: LANGUAGES, clonesVoice: false, voices: groups.reduce((sum, { count }) => sum + count, 0) },
      speakerFor: (line) => {
        const who = speakerFor(line);
        return { rate: voice.rate, say: (text) => voice.say({ text, ...who, speed }) };
      },
    });
  },
});
