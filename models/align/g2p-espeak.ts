import type { Scope } from '../../media/scope.ts';
import { Espeak } from '../speak/espeak-library.ts';
import type { Pronouncer } from './g2p.ts';

/** What eSpeak NG's US English calls its sounds, as the sounds of the dictionary. */
const SOUNDS: Readonly<Record<string, readonly string[]>> = {
  æ: ['AE'],
  ɑ: ['AA'],
  ɑː: ['AA'],
  ɒ: ['AA'],
  a: ['AE'],
  ɐ: ['AH'],
  ʌ: ['AH'],
  ə: ['AH'],
  əl: ['AH', 'L'],
  ɔ: ['AO'],
  ɔː: ['AO'],
  aʊ: ['AW'],
  aɪ: ['AY'],
  aɪə: ['AY', 'AH'],
  aɪɚ: ['AY', 'ER'],
  ɛ: ['EH'],
  e: ['EH'],
  ɚ: ['ER'],
  ɜː: ['ER'],
  ɝ: ['ER'],
  eɪ: ['EY'],
  ɪ: ['IH'],
  ᵻ: ['IH'],
  i: ['IY'],
  iː: ['IY'],
  iə: ['IY', 'AH'],
  oʊ: ['OW'],
  o: ['OW'],
  ɔɪ: ['OY'],
  ʊ: ['UH'],
  u: ['UW'],
  uː: ['UW'],
  ɑːɹ: ['AA', 'R'],
  ɔːɹ: ['AO', 'R'],
  oːɹ: ['AO', 'R'],
  oː: ['AO'],
  ɛɹ: ['EH', 'R'],
  ɪɹ: ['IH', 'R'],
  ʊɹ: ['UH', 'R'],
  b: ['B'],
  tʃ: ['CH'],
  d: ['D'],
  ð: ['DH'],
  f: ['F'],
  ɡ: ['G'],
  g: ['G'],
  h: ['HH'],
  dʒ: ['JH'],
  k: ['K'],
  x: ['K'],
  l: ['L'],
  ɫ: ['L'],
  m: ['M'],
  n: ['N'],
  n̩: ['AH', 'N'],
  m̩: ['AH', 'M'],
  l̩: ['AH', 'L'],
  ŋ: ['NG'],
  p: ['P'],
  ɹ: ['R'],
  r: ['R'],
  s: ['S'],
  ʃ: ['SH'],
  t: ['T'],
  ɾ: ['T'],
  ʔ: ['T'],
  θ: ['TH'],
  v: ['V'],
  w: ['W'],
  ʍ: ['W'],
  j: ['Y'],
  z: ['Z'],
  ʒ: ['ZH'],
};
const LONGEST = Math.max(...Object.keys(SOUNDS).map((ipa) => ipa.length));

/** IPA as eSpeak NG writes it, as sounds of the dictionary; what it does not know is left out. */
export function arpabet(ipa: string): string[] {
  const plain = ipa.replace(/[ˈˌ͡\u200d]/g, '');
  const sounds: string[] = [];
  for (let at = 0; at < plain.length;) {
    let length = Math.min(LONGEST, plain.length - at);
    while (length > 0 && SOUNDS[plain.slice(at, at + length)] === undefined) length -= 1;
    sounds.push(...(SOUNDS[plain.slice(at, at + length)] ?? []));
    at += Math.max(1, length);
  }
  return sounds;
}

/** Pronounces by the rules of eSpeak NG's US English voice. Throws `MissingLibrary` where it is not installed. */
export function openEspeakG2p(scope: Scope): Pronouncer {
  const espeak = new Espeak();
  scope.defer(() => espeak.close());
  return (word) => {
    const { events } = espeak.say(word, { voice: 'en-us', rate: 450, pitch: 50 });
    return Promise.resolve(events.flatMap(({ type, ipa }) => (type === 'phoneme' ? arpabet(ipa) : [])));
  };
}
