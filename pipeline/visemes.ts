/** How a mouth stands. All 0 is the speaker's own mouth at rest, lips closed. */
export interface Mouth {
  /** 0 (lips meet) … 1 (as open as this speaker's mouth gets in speech). */
  readonly open: number;
  /** −1 (narrow) … 1 (corners apart, as in a smile). */
  readonly spread: number;
  /** 0 … 1: lips put forward and thick, as for [u]. */
  readonly round: number;
  /** 0 … 1: lips pressed on each other, as for [p]. */
  readonly press: number;
  /** 0 … 1: the lower lip at the upper teeth, as for [f]. */
  readonly tuck: number;
  /** 0 … 1: how much is seen of the teeth, and of the tongue, where the mouth is open at all. */
  readonly teeth: number;
  readonly tongue: number;
}

/** Sounds that look alike. */
export type Viseme =
  | 'silence'
  | 'lips'
  | 'near-lips'
  | 'lip-teeth'
  | 'tongue-teeth'
  | 'ridge'
  | 'hiss'
  | 'hush'
  | 'back'
  | 'r'
  | 'l'
  | 'u'
  | 'o'
  | 'a'
  | 'e'
  | 'i'
  | 'schwa';

/**
 * What a viseme does, and how much it insists on it. Consonants that lips make insist; others take the shape of the
 * vowels around them. `reach` is how long before and after its sound it is seen, seconds.
 */
export interface Gesture extends Mouth {
  readonly insists: { readonly open: number; readonly shape: number };
  readonly reach: { readonly open: number; readonly shape: number };
}

const gesture = (
  [open, spread, round]: readonly [number, number, number],
  [insistsOpen, insistsShape]: readonly [number, number],
  rest: Partial<Mouth> = {},
): Gesture => ({
  open,
  spread,
  round,
  press: 0,
  tuck: 0,
  teeth: 0.5,
  tongue: 0.2,
  ...rest,
  insists: { open: insistsOpen, shape: insistsShape },
  // Lips begin to round well before a rounded vowel is heard, and stay so for longer than a mouth is open.
  reach: { open: 0.05, shape: round > 0.3 ? 0.11 : 0.07 },
});

/** Openings go with the height of vowels: open ones 1, mid ones about 0.6, close ones about 0.3; sibilants keep the teeth together. */
export const GESTURES: Readonly<Record<Viseme, Gesture>> = {
  silence: gesture([0, 0, 0], [0.7, 0.3], { teeth: 0, tongue: 0 }),
  lips: gesture([0, -0.05, 0.05], [1.6, 0.15], { press: 1, teeth: 0, tongue: 0 }),
  'near-lips': gesture([0.12, -0.05, 0.1], [1, 0.15], { teeth: 0.2, tongue: 0 }),
  'lip-teeth': gesture([0.12, 0.1, 0], [1.3, 0.3], { tuck: 1, teeth: 0.9, tongue: 0 }),
  'tongue-teeth': gesture([0.24, 0.05, 0], [0.6, 0.2], { teeth: 0.8, tongue: 0.8 }),
  ridge: gesture([0.26, 0.1, 0], [0.5, 0.15], { teeth: 0.7, tongue: 0.5 }),
  hiss: gesture([0.17, 0.25, 0], [0.9, 0.35], { teeth: 1, tongue: 0 }),
  hush: gesture([0.22, -0.35, 0.55], [0.9, 0.9], { teeth: 0.9, tongue: 0 }),
  back: gesture([0.36, 0, 0], [0.35, 0.1], { teeth: 0.4 }),
  r: gesture([0.3, -0.15, 0.25], [0.5, 0.4], { tongue: 0.3 }),
  l: gesture([0.38, 0.05, 0], [0.5, 0.15], { tongue: 0.8 }),
  u: gesture([0.24, -0.75, 1], [0.9, 1.2], { teeth: 0.1, tongue: 0 }),
  o: gesture([0.55, -0.5, 0.75], [1, 1.1], { teeth: 0.2 }),
  a: gesture([1, 0.05, 0], [1, 0.7], { teeth: 0.4, tongue: 0.3 }),
  e: gesture([0.64, 0.4, 0], [0.9, 0.8], { teeth: 0.6, tongue: 0.3 }),
  i: gesture([0.36, 0.65, 0], [0.9, 1], { teeth: 0.8 }),
  schwa: gesture([0.45, 0, 0], [0.6, 0.3], { teeth: 0.4 }),
};

/** Letters of the International Phonetic Alphabet by what their sounds look like. */
const LETTERS: Readonly<Record<Exclude<Viseme, 'silence'>, string>> = {
  lips: 'pbmɓʙ',
  'near-lips': 'βɸ',
  'lip-teeth': 'fvɱʋⱱ',
  'tongue-teeth': 'θð',
  ridge: 'tdnʈɖɗɳɾɽ',
  hiss: 'szɬɮʦʣ',
  hush: 'ʃʒʂʐɕʑʧʤʨʥ',
  back: 'kɡgŋxɣqɢχʁhɦħʕʔcɟɲçʝɴɠʄ',
  r: 'ɹrɻʀɺ',
  l: 'lɫɭʎʟ',
  u: 'uʊwyʏʉʍɥ',
  o: 'oɔøœɵɞɒ',
  a: 'aɑæʌɐɶ',
  e: 'eɛ',
  i: 'iɪjɨɯɰ',
  schwa: 'əɜɝɚɘɤ',
};
const VISEME_OF = new Map<string, Viseme>(
  Object.entries(LETTERS).flatMap(([viseme, letters]) => [...letters].map((letter) => [letter, viseme as Viseme])),
);
const STOPS = new Set([...'tdʈɖ']);
const VOWELS: ReadonlySet<Viseme> = new Set(['u', 'o', 'a', 'e', 'i', 'schwa']);
export const isVowel = (viseme: Viseme): boolean => VOWELS.has(viseme);

/**
 * What a phoneme in IPA looks like, one viseme or, for a diphthong, several in turn; nothing where no letter is known.
 * Stress, length, tones and diacritics do not change it; an affricate looks like its fricative.
 */
export function visemesOf(ipa: string): Viseme[] {
  const letters = [...ipa.normalize('NFD')].filter((letter) => VISEME_OF.has(letter));
  const seen = letters.flatMap((letter, n): Viseme[] => {
    const viseme = VISEME_OF.get(letter)!;
    const next = VISEME_OF.get(letters[n + 1] ?? '');
    if (STOPS.has(letter) && (next === 'hush' || next === 'hiss')) return [];
    return [viseme];
  });
  return seen.filter((viseme, n) => viseme !== seen[n - 1]);
}
