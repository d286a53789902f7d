/** How a written word may be said: each way is a list of dictionary words, lower case. */
export type Ways = readonly (readonly string[])[];

const SMALL =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const TENS = '_ _ twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
const SCALES = ['', 'thousand', 'million', 'billion', 'trillion'];
const ORDINALS: Readonly<Record<string, string>> = {
  one: 'first',
  two: 'second',
  three: 'third',
  five: 'fifth',
  eight: 'eighth',
  nine: 'ninth',
  twelve: 'twelfth',
};
const SYMBOLS: Readonly<Record<string, string>> = {
  '&': 'and',
  '%': 'percent',
  '+': 'plus',
  '=': 'equals',
  '@': 'at',
  '#': 'number',
  '°': 'degrees',
  $: 'dollars',
  '€': 'euros',
  '£': 'pounds',
};
/** One of them and many of them, before a number. */
const CURRENCIES: Readonly<Record<string, readonly [string, string]>> = {
  $: ['dollar', 'dollars'],
  '€': ['euro', 'euros'],
  '£': ['pound', 'pounds'],
};
/** Written short, said in full. */
const SHORT: Readonly<Record<string, readonly string[]>> = {
  'vs.': ['versus'],
  'e.g.': ['for', 'example'],
  'i.e.': ['that', 'is'],
  'approx.': ['approximately'],
  'no.': ['number'],
  km: ['kilometers'],
  kg: ['kilograms'],
};
/** Longer numbers are read digit by digit. */
const MOST_DIGITS = 15;

function below1000(n: number): string[] {
  const words: string[] = [];
  if (n >= 100) words.push(SMALL[Math.floor(n / 100)]!, 'hundred');
  const rest = n % 100;
  if (rest >= 20) words.push(TENS[Math.floor(rest / 10)]!);
  if (rest >= 20 ? rest % 10 > 0 : rest > 0) words.push(SMALL[rest < 20 ? rest : rest % 10]!);
  return words;
}
/** A whole number from 0 to below 10^15. */
export function cardinal(n: number): string[] {
  if (n === 0) return ['zero'];
  const words: string[] = [];
  for (let scale = SCALES.length - 1; scale >= 0; scale -= 1) {
    const part = Math.floor(n / 1_000 ** scale) % 1_000;
    if (part > 0) words.push(...below1000(part), ...(scale > 0 ? [SCALES[scale]!] : []));
  }
  return words;
}
function ordinal(n: number): string[] {
  const words = cardinal(n);
  const last = words.pop() ?? '';
  return [...words, ORDINALS[last] ?? (last.endsWith('y') ? `${last.slice(0, -1)}ieth` : `${last}th`)];
}
/** 1984 as nineteen eighty four; nothing for what is not read in pairs. */
function paired(n: number): string[] | undefined {
  const [front, back] = [Math.floor(n / 100), n % 100];
  if (n < 1_100 || n > 9_999 || front % 10 === 0) return undefined;
  if (back === 0) return [...cardinal(front), 'hundred'];
  return [...cardinal(front), ...(back < 10 ? ['oh'] : []), ...cardinal(back)];
}
const digitByDigit = (digits: string) => [...digits].map((digit) => SMALL[Number(digit)]!);

/** Every common way to read a row of digits. */
function readings(digits: string): string[][] {
  if (digits.length > MOST_DIGITS || (digits.length > 1 && digits.startsWith('0'))) {
    const named = digitByDigit(digits);
    return [named, named.map((word) => (word === 'zero' ? 'oh' : word))];
  }
  const n = Number(digits);
  const ways = [cardinal(n)];
  if (n === 0) ways.push(['oh']);
  const pair = paired(n);
  if (pair) ways.push(pair);
  // 2010 as twenty ten; 105 as one hundred and five.
  if (n >= 2_010 && n <= 2_099) ways.push(['twenty', ...cardinal(n % 100)]);
  if (n > 100 && n % 100 > 0) {
    const words = cardinal(n);
    const hundred = words.lastIndexOf('hundred');
    if (hundred >= 0) ways.push(words.toSpliced(hundred + 1, 0, 'and'));
  }
  if (digits.length >= 3) {
    const named = digitByDigit(digits);
    ways.push(named);
    if (digits.includes('0')) ways.push(named.map((word) => (word === 'zero' ? 'oh' : word)));
  }
  return ways;
}

function numbers(word: string): string[][] | undefined {
  const plain = word.replace(/(?<=\d),(?=\d{3})/g, '');
  const whole = /^\d+$/.exec(plain);
  if (whole) return readings(plain);
  const nth = /^(\d{1,15})(?:st|nd|rd|th)$/.exec(plain);
  if (nth) return [ordinal(Number(nth[1]))];
  const plural = /^(\d{1,15})'?s$/.exec(plain);
  if (plural) {
    return readings(plural[1]!).map((way) => {
      const last = way.at(-1)!;
      return [...way.slice(0, -1), last.endsWith('y') ? `${last.slice(0, -1)}ies` : `${last}s`];
    });
  }
  const decimal = /^(\d*)\.(\d+)$/.exec(plain);
  if (decimal) {
    const front = decimal[1] === '' ? [[]] : readings(decimal[1]!);
    return front.map((way) => [...way, 'point', ...digitByDigit(decimal[2]!)]);
  }
  const time = /^(\d{1,2}):(\d{2})$/.exec(plain);
  if (time) {
    const minutes = Number(time[2]);
    const said = minutes === 0 ? [[], ["o'clock"]] : [[...(minutes < 10 ? ['oh'] : []), ...cardinal(minutes)]];
    return said.map((way) => [...cardinal(Number(time[1])), ...way]);
  }
  const money = /^([$€£])(\d+)(?:\.(\d{2}))?$/.exec(plain);
  if (money) {
    const [one, many] = CURRENCIES[money[1]!]!;
    const cents = money[3] === undefined ? [] : cardinal(Number(money[3]));
    return readings(money[2]!).map((way) => [...way, money[2] === '1' ? one : many, ...cents]);
  }
  return undefined;
}

const isLetters = (word: string) => /^[a-z']+$/.test(word);
/** Letters that are said by name: no vowel, or written in capitals with points. */
const byName = (word: string) => [...word].filter((letter) => letter !== "'");

/**
 * How a word as it stands in a text may be said, for words a dictionary does not have as they stand.
 *
 * No way at all for what is not said (a dash, dots); nothing for what cannot be read here, as other scripts.
 *
 * @param known whether the dictionary has a word
 */
export function spell(text: string, known: (word: string) => boolean): Ways | undefined {
  const word = text
    .normalize('NFKC')
    .replace(/[‘’ʼ`]/g, "'")
    .replace(/[‐‑–—]/g, '-')
    .toLowerCase();
  if (known(word)) return [[word]];
  const short = SHORT[word];
  if (short) return [short];
  const bare = word.replace(/^[^\p{L}\p{N}$€£#@&+%'.]+/u, '').replace(/[^\p{L}\p{N}%°&+'.]+$/u, '');
  for (const each of [bare, bare.replace(/\.+$/, ''), bare.replace(/^[.']+|[.']+$/g, '')]) {
    if (each === '') continue;
    if (known(each)) return [[each]];
    if (SHORT[each]) return [SHORT[each]];
    const read = numbers(each);
    if (read) return read;
    const symbol = SYMBOLS[each];
    if (symbol !== undefined) return [[symbol]];
  }
  const core = bare.replace(/^[.']+|[.']+$/g, '');
  if (core === '') return /[\p{L}\p{N}]/u.test(word) ? undefined : [];
  // Accents are left out, parts are said one after the other, and symbols between them have names.
  const parts = core
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replace(/([%&+=@#°$€£])/g, ' $1 ')
    .split(/(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])|[-/_.,:;!?"()[\]{}\s]+/)
    .filter((part) => part !== '');
  if (parts.length > 1) {
    const initials = parts.every((part) => part.length === 1 && isLetters(part));
    if (initials) return [parts];
    let ways: string[][] = [[]];
    for (const part of parts) {
      const said = spell(part, known);
      if (!said) return undefined;
      if (said.length > 0) ways = ways.flatMap((way) => said.slice(0, 2).map((each) => [...way, ...each]));
    }
    return ways;
  }
  const [only = ''] = parts;
  if (known(only)) return [[only]];
  if (!isLetters(only)) return undefined;
  // BBC, PhD: what has no vowel is said letter by letter; and what is written in capitals may be.
  if (!/[aeiouy]/.test(only)) return [byName(only)];
  return /^[^a-z]{2,5}$/.test(text) && /\p{Lu}{2}/u.test(text) ? [[only], byName(only)] : [[only]];
}
