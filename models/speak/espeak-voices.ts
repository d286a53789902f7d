import type { Language, SpeakerId } from '../../pipeline/domain.ts';
import { serves } from '../languages.ts';

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
 * Eight timbres whose median F0 on a Spanish sentence was 102, 199, 129, 237, 72, 160, 88 and 272 Hz: at least 15 % apart
 * each, and far apart next to each other, so that the first speakers are the easiest to tell apart.
 */
export const TIMBRES: readonly Timbre[] = [
  { variant: 'm3', pitch: 45 },
  { variant: 'f2', pitch: 50 },
  { variant: 'm1', pitch: 80 },
  { variant: 'f4', pitch: 75 },
  { variant: 'm4', pitch: 10 },
  { variant: 'f3', pitch: 10 },
  { variant: 'm8', pitch: 50 },
  { variant: 'f5', pitch: 75 },
];

/**
 * A speaker's place among `count` voices, the same in every process.
 *
 * Labels that end in a number, as diarizers give them, take places in turn: the first `count` speakers never share one.
 */
export function placeOf(speaker: SpeakerId, count: number): number {
  const digits = /(\d{1,9})\D*$/.exec(speaker)?.[1];
  if (digits !== undefined) return (Number(digits) + count - 1) % count;
  // FNV-1a.
  let hash = 0x811c9dc5;
  for (const unit of speaker) hash = Math.imul(hash ^ (unit.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash % count;
}
