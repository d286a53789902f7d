import { MissingLibrary } from '../../media/native.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Espeak } from '../speak/espeak-library.ts';
import { voiceFor } from '../speak/espeak-voices.ts';

/** A vowel of IPA. A diphthong is one phoneme to eSpeak NG, and so is a vowel with the consonant it swallows (`əl`). */
const VOWEL = /[aeiouyæɑɒɐəɘɚɛɜɝɞɪɨʉʊʌɔøœɶɵɤɯʏ]|\u0329/u;

/** One for the whole process, opened when it is first asked and kept: 2.5 MB. */
let espeak: Espeak | 'absent' | undefined;
function opened(): Espeak | undefined {
  try {
    espeak ??= new Espeak();
  } catch (cause) {
    if (!(cause instanceof MissingLibrary)) throw cause;
    espeak = 'absent';
  }
  return espeak === 'absent' ? undefined : espeak;
}

/**
 * How many syllables a text has when it is read aloud, numbers and abbreviations included.
 *
 * Counted in what eSpeak NG would say: some 4 ms for a sentence, on the calling thread. By rules where eSpeak NG is not
 * installed or does not speak the language.
 */
export function syllables(text: string, language: Language): number {
  const voice = voiceFor(language);
  const words = text.replaceAll('\0', ' ');
  if (!/[\p{L}\p{N}]/u.test(words)) return 0;
  const library = voice === undefined ? undefined : opened();
  if (library === undefined || voice === undefined) return syllablesByRule(words, language);
  const { events } = library.say(words, { voice, rate: 450, pitch: 50 });
  return events.filter(({ type, ipa }) => type === 'phoneme' && !ipa.startsWith('(') && VOWEL.test(ipa)).length;
}

/** Groups of vowels that are one syllable, in a word in lower case whose accents are on their letters. */
const NUCLEI: Readonly<Record<string, RegExp>> = {
  en: /[aeiouy]+/g,
  es: /[iuü]?[aeoáéó](?:[iu](?![aeoáéóíú])|y(?!\p{L}))?|[íú]|[iuü]+/gu,
  it: /[iu]?[aeoàèéòó](?:[iu](?![aeoàèéòó]))?|[ìù]|[iu]+/g,
  pt: /[iu]?[aeoáâãàéêóôõ](?:[iuoe](?![aeoáéó]))?|[íú]|[iu]+/g,
  de: /aa|ee|oo|ie|ei|ai|au|äu|eu|[aeiouyäöü]/g,
  fr: /[aeiouyàâäéèêëîïôöùûüœ]+/g,
};
const LATIN_VOWELS = /[aeiouyæøœ]+/g;
const OTHER_VOWELS = /[аеёиоуыэюяіїєαεηιουω]/g;

/** Silent letters that make no syllable, taken away before the vowels are counted. */
const SILENT: Readonly<Record<string, readonly [RegExp, string][]>> = {
  en: [
    [/(?<=[aeiouy][^aeiouy]+)es?$(?<![sxz]es$|[cs]hes$|[cg]es$|[^aeiouy]les?$)/, ''],
    [/(?<=[aeiouy][^aeiouytd]+)ed$/, 'd'],
    [/(?<=i)o(?=us)|(?<=[tsc])i(?=on|ous|al)/, ''],
  ],
  fr: [
    [/(?<=[aeiouyàâäéèêëîïôöùûüœ].*[^aeiouyé])(?:es?|ent)$/, ''],
    [/(?<=[gq])u(?=[eiéèê])/, ''],
  ],
  es: [[/(?<=[gq])u(?=[eiéí])/, '']],
};

function inWord(word: string, base: string): number {
  const lower = word.toLowerCase();
  const bare = (SILENT[base] ?? []).reduce((rest, [silent, by]) => rest.replace(silent, by), lower);
  const nuclei = NUCLEI[base]
    ? bare.match(NUCLEI[base])
    : bare.normalize('NFD').replace(/\p{M}/gu, '').match(LATIN_VOWELS);
  const count = (nuclei?.length ?? 0) + (bare.match(OTHER_VOWELS)?.length ?? 0);
  return Math.max(count, 1);
}

/**
 * Syllables by rules of thumb, for every script: one for each Chinese character, Korean block or mora; groups of vowels
 * where vowels are written; half the letters where they are not; two for a digit.
 */
export function syllablesByRule(text: string, language: Language): number {
  const base = language.toLowerCase().split('-')[0] ?? '';
  let count = 0;
  for (const [word] of text.normalize('NFC').matchAll(/[\p{L}\p{M}'’]+|\p{N}+/gu)) {
    if (/\p{N}/u.test(word)) count += 2 * word.length;
    else if (/\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}/u.test(word)) {
      // A Japanese character is read with two syllables more often than with one.
      const han = word.match(/\p{Script=Han}/gu)?.length ?? 0;
      const kana = word.match(/[\p{Script=Hiragana}\p{Script=Katakana}ー]/gu)?.length ?? 0;
      count +=
        (base === 'ja' ? 1.7 * han : han) + kana - (word.match(/[ゃゅょぁぃぅぇぉャュョァィゥェォ]/gu)?.length ?? 0);
    } else if (/\p{Script=Hangul}/u.test(word)) count += word.length;
    else if (/\p{Script=Arabic}|\p{Script=Hebrew}/u.test(word)) count += (word.match(/\p{L}/gu)?.length ?? 0) / 2;
    else if (/[\u0900-\u0dff]/u.test(word)) {
      // A consonant carries a vowel unless a virama takes it away.
      count +=
        (word.match(/\p{Lo}/gu)?.length ?? 0) -
        (word.match(/[\u094d\u09cd\u0acd\u0bcd\u0c4d\u0ccd\u0d4d]/gu)?.length ?? 0);
    } else if (/\p{Script=Thai}/u.test(word)) count += (word.match(/\p{Lo}/gu)?.length ?? 0) / 2.4;
    else for (const part of word.split(/['’](?=\p{L}{2})/u)) count += /\p{L}/u.test(part) ? inWord(part, base) : 0;
  }
  return Math.round(count);
}

/**
 * Syllables a second of unhurried speech: Pellegrino, Coupé & Marsico, "A cross-language perspective on speech
 * information rate", Language 87(3), 2011, table 1. Others are given the mean of those.
 */
const RATES: Readonly<Record<string, number>> = {
  de: 5.97,
  en: 6.19,
  es: 7.82,
  fr: 7.18,
  it: 6.99,
  ja: 7.84,
  vi: 5.22,
  zh: 5.18,
};
const MEAN_RATE = 6.55;
export const usualRate = (language: Language): number => RATES[language.toLowerCase().split('-')[0] ?? ''] ?? MEAN_RATE;
