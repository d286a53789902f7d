import type { Language } from '../../pipeline/domain.ts';
import { serves } from '../languages.ts';
import type { Ensemble } from './cast-voices.ts';

/** Languages that eSpeak NG 1.51 reads by a voice of that very name. */
const OWN_VOICE =
  'af am an ar as az bg bn bs ca cs cy da de el eo es et eu fa fi fr ga gd gn gu he hi hr hu hy ia id io is it ka kk kl ' +
  'kn ko ku ky la lb lt lv mi mk ml mr ms mt my nb ne nl om or pa pl pt qu ro ru sd si sk sl sq sr sv sw ta te th tk tn ' +
  'tr tt ug uk ur uz vi';

/**
 * Languages whose voice has another name. Japanese is absent, because eSpeak NG reads kana but no kanji; `cmn` alone
 * would read Chinese as if it were English.
 */
const OTHER_VOICE: Readonly<Record<string, string>> = {
  en: 'en-us',
  // The file of British English is called plain `en`.
  'en-GB': 'en',
  'es-419': 'es-419',
  'es-MX': 'es-419',
  'fr-BE': 'fr-be',
  'fr-CH': 'fr-ch',
  no: 'nb',
  nn: 'nb',
  'pt-BR': 'pt-br',
  zh: 'cmn-latn-pinyin',
  yue: 'yue',
  // A neighbour's voice: understood, with an accent.
  ast: 'es',
  gl: 'es',
  oc: 'ca',
  sc: 'it',
};

const VOICES = new Map<Language, string>([
  ...OWN_VOICE.split(' ').map((tag): [Language, string] => [tag as Language, tag]),
  ...Object.entries(OTHER_VOICE).map(([tag, voice]): [Language, string] => [tag as Language, voice]),
]);

/** Languages eSpeak NG can speak, BCP 47. Each serves its regions too. */
export const SPOKEN: readonly Language[] = [...VOICES.keys()];

/** The voice that reads a language, by the most specific tag that serves it. */
export function voiceFor(language: Language): string | undefined {
  const tag = SPOKEN.filter((each) => serves(each, language)).sort((a, b) => b.length - a.length)[0];
  return tag && VOICES.get(tag);
}

/** How one speaker sounds in every language. */
export interface Timbre {
  /** A voice variant of eSpeak NG, which changes formants and breath. */
  readonly variant: string;
  /** 0 … 100; 50 is the variant's own pitch. */
  readonly pitch: number;
}

/**
 * Fourteen timbres, those next to each other far apart. Median F0 in hertz on a sentence each of Spanish, English, German,
 * French and Russian, which agree within 4 %, and of Chinese:
 *
 * | men          | 106, 137, 83, 117, 71, 148 | Chinese  88, 124, 73, 103, 63, 138 |
 * | women        | 211, 256, 189, 237, 285    | Chinese 180, 231, 168, 198, 258    |
 * | children     | 326, 339, 310              | Chinese 297, 300, 287              |
 */
export const TIMBRES: Ensemble<Timbre> = {
  male: [
    { variant: 'm3', pitch: 50 },
    { variant: 'm1', pitch: 86 },
    { variant: 'm8', pitch: 45 },
    { variant: 'm6', pitch: 64 },
    { variant: 'm4', pitch: 10 },
    { variant: 'm2', pitch: 84 },
  ],
  female: [
    { variant: 'f2', pitch: 57 },
    { variant: 'f1', pitch: 83 },
    { variant: 'f4', pitch: 55 },
    { variant: 'f3', pitch: 62 },
    { variant: 'f5', pitch: 80 },
  ],
  child: [
    { variant: 'f5', pitch: 92 },
    { variant: 'f3', pitch: 99 },
    { variant: 'f4', pitch: 99 },
  ],
};
