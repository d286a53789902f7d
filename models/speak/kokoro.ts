import { z } from 'zod';
import type { Language, Line } from '../../pipeline/domain.ts';
import { defineEngine } from '../engine.ts';
import { type Ensemble, inTurn, voiceOf } from './cast-voices.ts';
import { NATURAL, rateOf } from './delivery.ts';
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

const range = (first: number, count: number) => Array.from({ length: count }, (_, n) => first + n);

/**
 * Who speaks what: the voices' numbers, and eSpeak NG's voice for the pronunciation. Specific languages come first. Men's
 * and women's voices are told by the second letter of their names. Romance languages lend each other their few voices,
 * their own first: French has one, a woman's.
 * Chinese and Japanese are not here: eSpeak NG's phonemes are not those the model learned of them.
 *
 * @see https://huggingface.co/hexgrad/Kokoro-82M/blob/main/VOICES.md
 * @see https://github.com/k2-fsa/sherpa-onnx/blob/master/scripts/kokoro/v1.0/generate_voices_bin.py for the numbers
 */
const SPEAKERS: readonly {
  readonly language: string;
  readonly pronounced: string;
  readonly voices: Ensemble<number>;
}[] = [
  { language: 'en-GB', pronounced: 'en-gb', voices: { male: range(24, 4), female: range(20, 4) } },
  { language: 'en', pronounced: 'en-us', voices: { male: range(11, 9), female: range(0, 11) } },
  { language: 'es', pronounced: 'es', voices: { male: [29, 36, 43, 44], female: [28, 35, 42] } },
  { language: 'fr', pronounced: 'fr', voices: { male: [29, 36, 43, 44], female: [30, 28, 35, 42] } },
  { language: 'hi', pronounced: 'hi', voices: { male: [33, 34], female: [31, 32] } },
  { language: 'it', pronounced: 'it', voices: { male: [36, 29, 43, 44], female: [35, 28, 42] } },
  { language: 'pt', pronounced: 'pt-br', voices: { male: [43, 44, 29, 36], female: [42, 28, 35] } },
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
function speakerFor(line: Line): { speaker: number; pronounced: string } {
  const group = SPEAKERS.find((each) => serves(each.language as Language, line.language)) ?? SPEAKERS[1]!;
  return { speaker: voiceOf(line, group.voices), pronounced: group.pronounced };
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
  const most = 1 + Math.max(...SPEAKERS.flatMap(({ voices }) => inTurn(voices)));
  if (one !== 1 || more.length > 0) throw wrongFile(place, model, `its 'style_dim' is not N,1,N`);
  if (speakers < most) throw wrongFile(place, model, `it has ${speakers} voices where ${most} were expected`);
  const voices = sizedFile(place, 'voices.bin', 4 * longest * width * speakers);
  // Lexica are for English and Chinese without eSpeak NG.
  return { kokoro: { model, voices, tokens, dataDir: speakData(model), lexicon: '', lang: 'en-us' } };
}

/**
 * Kokoro 1.0 through sherpa-onnx: one network for all voices and languages, a style vector for each voice.
 *
 * A speaker keeps one of the voices for the line's language, a man's, a woman's, or a woman's for a child.
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
      caps: {
        languages: LANGUAGES,
        clonesVoice: false,
        voices: new Set(groups.flatMap(({ voices }) => inTurn(voices))).size,
        rates: NATURAL,
      },
      speakerFor: (line) => {
        const who = speakerFor(line);
        return { rate: voice.rate, say: (text) => voice.say({ text, ...who, speed: speed * rateOf(line) }) };
      },
    });
  },
});
