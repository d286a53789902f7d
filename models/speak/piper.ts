import { z } from 'zod';
import { medianPitch } from '../../media/pitch.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { type Need, defineEngine } from '../engine.ts';
import { type Ensemble, byPitch, sizeOf, voiceOf } from './cast-voices.ts';
import { NATURAL, rateOf } from './delivery.ts';
import { serves } from '../languages.ts';
import { type Voice, needsSherpa, openVoice } from '../sherpa/sherpa.ts';
import { NUMBER, needsSpeakData, networkFile, speakData, tokensFile } from '../sherpa/sherpa-files.ts';
import { expectSpoken, sherpaSynthesizer } from './sherpa-speech.ts';
import { type ModelCard, needsModel } from '../store/weights.ts';

/** Voice, its language, and its licence with what is said of it in the `MODEL_CARD` beside it. */
const VOICES: readonly (readonly [name: string, language: string, licence: string, terms?: 'non-commercial'])[] = [
  // Made from recordings that the Blizzard Challenge 2013 licenses for research alone.
  ['en_US-lessac-medium', 'en', 'LicenseRef-Blizzard-2013', 'non-commercial'],
  ['en_US-ljspeech-medium', 'en', 'LicenseRef-public-domain'],
  ['en_US-libritts_r-medium', 'en', 'CC-BY-4.0'],
  ['es_ES-davefx-medium', 'es', 'CC0-1.0'],
  ['fr_FR-siwis-medium', 'fr', 'CC-BY-4.0'],
  ['de_DE-thorsten-medium', 'de', 'CC0-1.0'],
  ['nl_NL-mls-medium', 'nl', 'CC-BY-4.0'],
];

function cardOf([voice, language, licence, terms]: (typeof VOICES)[number]): ModelCard {
  const home = `https://huggingface.co/csukuangfj/vits-piper-${voice}`;
  return {
    name: `piper-${voice.toLowerCase().replaceAll('_', '-')}`,
    summary: `Piper, ${voice}: a voice of some sixteen million weights.`,
    home,
    licence: `MIT AND ${licence}`,
    ...(terms && { terms }),
    languages: [language],
    device: 'cpu',
    files: [`${voice}.onnx`, 'tokens.txt'].map((name) => ({ name, url: `${home}/resolve/main/${name}` })),
  };
}
export const PIPER_CARDS: readonly ModelCard[] = VOICES.map(cardOf);
const NAMES = VOICES.map(([name]) => name);
const LANGUAGES = [...new Set(VOICES.map(([, language]) => language as Language))];

const isThere = (card: ModelCard) => needsModel(card).present();
/** One voice is enough. */
const needsVoice: Need = { install: needsModel(PIPER_CARDS[1]!).install, present: () => PIPER_CARDS.some(isThere) };

/** One of the speakers of a network. */
interface Talker {
  readonly voice: Voice;
  readonly speaker: number;
}
/** So many speakers of a network are listened to; a network may have hundreds. */
const AUDITIONED = 16;
/** Two seconds of vowels between nasals, which every language has. */
const AUDITION = 'Mamma mia, nine many women. No, lima one, mama.';

/** What voices' speakers there are, each by how high it is found to speak. */
function auditioned(voices: readonly Voice[]): Ensemble<Talker> {
  const talkers = voices.flatMap((voice) =>
    Array.from({ length: Math.min(voice.speakers, AUDITIONED) }, (_, speaker) => ({ voice, speaker })),
  );
  return byPitch(
    talkers,
    ({ voice, speaker }) => medianPitch(voice.say({ text: AUDITION, speaker, speed: 1 }), voice.rate)?.hertz,
  );
}

/** A voice's network, wherever its files are. */
async function open(card: ModelCard, model: string | undefined, file: string, settings: Settings): Promise<Voice> {
  const place = { stage: 'synthesizer' as const, card, model };
  const tokens = tokensFile(place, 'tokens.txt', 'character');
  const facts = { comment: /piper/, sample_rate: NUMBER, n_speakers: NUMBER, language: /./, voice: /./ };
  const network = await networkFile(place, file, { inputs: ['input', 'input_lengths', 'scales'], facts });
  const vits = {
    model: network,
    tokens,
    dataDir: speakData(network),
    // Nothing stands for the usual amount.
    noiseScale: Math.max(1e-6, settings.noise),
    noiseScaleW: Math.max(1e-6, settings.rhythm),
  };
  return openVoice({ vits }, settings.threads);
}

const config = z.strictObject({
  voice: z
    .enum(NAMES as [string, ...string[]])
    .optional()
    .describe('A voice; the first that is there for a line’s language unless given.'),
  language: z.string().min(2).max(35).optional().describe('What is spoken, BCP 47; other voices are not loaded.'),
  model: z
    .string()
    .optional()
    .describe('Directory of a voice of one’s own: a network with its metadata, and tokens.txt.'),
  file: z
    .string()
    .regex(/^[\w.-]+\.onnx$/)
    .optional()
    .describe('The network’s file name in that directory; that of the voice unless given.'),
  speed: z.number().min(0.5).max(2).default(1).describe('1 is the voice’s own.'),
  noise: z.number().min(0).max(1.5).default(0.667).describe('How much the sound varies.'),
  rhythm: z.number().min(0).max(1.5).default(0.8).describe('How much the rhythm varies.'),
  threads: z.int().min(1).max(16).default(1).describe('Threads of the network.'),
});
type Settings = z.output<typeof config>;

/** The voices that settings mean: all that are there unless told. */
function voicesFor({ voice, language, model }: Settings): readonly ModelCard[] {
  const named = voice === undefined ? PIPER_CARDS : PIPER_CARDS.filter((_, n) => NAMES[n] === voice);
  const spoken = named.filter(({ languages }) => {
    const [has] = languages as readonly Language[];
    return language === undefined || (has !== undefined && serves(has, language as Language));
  });
  const known = named.flatMap(({ languages }) => languages as readonly Language[]);
  // A voice of one's own speaks what one says it speaks.
  if (model === undefined || voice !== undefined)
    expectSpoken(voice ? `Piper's ${voice}` : 'Piper', language, [...new Set(known)]);
  if (model !== undefined) return spoken.length > 0 ? spoken.slice(0, 1) : PIPER_CARDS.slice(0, 1);
  const there = spoken.filter(isThere);
  if (there.length > 0) return there;
  const [first] = spoken;
  throw new Fault(
    'synthesizer',
    'unavailable',
    `Cannot load Piper: there is no voice; livedub models pull ${first?.name}`,
  );
}

/**
 * Piper: VITS voices, one network each, faster than they speak on one core; through sherpa-onnx.
 *
 * Lines come sentence by sentence. What each voice's speakers sound like is measured when it is loaded, so that a man is
 * spoken for by a man where there is one; each of our speakers keeps one of them for good.
 *
 * @see https://github.com/rhasspy/piper
 * @see https://k2-fsa.github.io/sherpa/onnx/tts/pretrained_models/vits.html
 */
export const piper = defineEngine({
  kind: 'synthesizer',
  id: 'piper',
  host: 'thread',
  summary: 'Piper: small neural voices for many languages, in real time on one core.',
  licence: 'MIT',
  needs: [needsSherpa, needsSpeakData, needsVoice],
  models: PIPER_CARDS,
  languages: LANGUAGES,
  config,
  async load(settings) {
    const cards = voicesFor(settings);
    const own = settings.model !== undefined;
    const languages = own
      ? [(settings.language ?? cards[0]?.languages[0] ?? 'en') as Language]
      : [...new Set(cards.flatMap(({ languages: each }) => each as readonly Language[]))];
    const voices = new Map<ModelCard, Promise<Voice>>();
    const networkOf = (card: ModelCard) => {
      const file = settings.file ?? `${NAMES[PIPER_CARDS.indexOf(card)]}.onnx`;
      const voice = voices.get(card) ?? open(card, settings.model, file, settings);
      voices.set(card, voice);
      return voice;
    };
    const cardsFor = (language: Language) =>
      own ? cards.slice(0, 1) : cards.filter((card) => serves(card.languages[0] as Language, language));
    const troupes = new Map<string, Promise<Ensemble<Talker>>>();
    const troupeOf = (some: readonly ModelCard[]) => {
      const key = some.map(({ name }) => name).join();
      const troupe = troupes.get(key) ?? Promise.all(some.map(networkOf)).then(auditioned);
      troupes.set(key, troupe);
      return troupe;
    };
    // What cannot speak is found out now; voices of further languages load with their first line.
    const first = await troupeOf(cardsFor(languages[0]!));
    return sherpaSynthesizer({
      engine: 'piper',
      caps: { languages, clonesVoice: false, voices: sizeOf(first), rates: NATURAL },
      async speakerFor(line) {
        const some = cardsFor(line.language);
        if (some.length === 0) throw new Fault('synthesizer', 'rejected', `piper: no voice speaks ${line.language}`);
        const { voice, speaker } = voiceOf(line, await troupeOf(some));
        const speed = settings.speed * rateOf(line);
        return { rate: voice.rate, say: (text) => voice.say({ text, speaker, speed }) };
      },
    });
  },
});
