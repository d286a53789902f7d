import { type Interval, type SampleRate, type Span, between, ms, sampleIndex, samples } from '../media/time.ts';
import type { SpeechMark, Word } from './domain.ts';
import type { NaturalPhrase } from './fit.ts';

/** A silence between two words of the source that a listener hears as a pause, and a mouth shows as one. */
const PAUSE = ms(150);
/** How far from where it should be a phrase of the voice may be parted, and how much more where it parts by itself. */
const OFF = ms(250);
const OFF_SHARE = 0.12;
const PUNCTUATED = ms(250);
const SILENT = ms(200);
const PUNCTUATION = /[,;:.!?…—–、，；：。！？؟،]/u;
/** The voice is silent where it is quieter than this part of its loudest sample (−34 dB) for so long. */
const QUIET = 0.02;
const QUIET_FOR = ms(40);
/** How far from a word's mark the voice is searched for the quietest place to cut. */
const AROUND = ms(40);
const STEP = ms(5);

/** A word of the voice, and where the voice can be parted before it. */
export interface VoiceWord {
  readonly text: string;
  readonly offset: Span;
  /** Where the words before it end, and where it begins: apart where the voice itself is silent. */
  readonly partFrom: Span;
  readonly partUntil: Span;
  /** A comma, a full stop or the like stands before it. */
  readonly punctuated: boolean;
}

/** The words of a line's voice. Every mark of type `word` is one. */
export function voiceWords(
  text: string,
  marks: readonly SpeechMark[],
  pcm: Float32Array,
  rate: SampleRate,
): VoiceWord[] {
  const loudest = pcm.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const step = Math.max(1, sampleIndex(STEP, rate));
  const peaks = Float32Array.from({ length: Math.ceil(pcm.length / step) }, (_, n) => {
    let most = 0;
    for (let i = n * step; i < Math.min(pcm.length, (n + 1) * step); i += 1) most = Math.max(most, Math.abs(pcm[i]!));
    return most;
  });
  const timeOf = (block: number) => samples(block * step, rate);
  const words = marks.filter(({ type }) => type === 'word');
  let cursor = 0;
  let before = '';
  return words.map(({ offset, text: word }): VoiceWord => {
    const found = text.indexOf(word, cursor);
    const gap = found < 0 ? '' : text.slice(cursor, found);
    const punctuated = before !== '' && PUNCTUATION.test(gap);
    if (found >= 0) cursor = found + word.length;
    before = word;
    const centre = Math.round(sampleIndex(offset as Span, rate) / step);
    const reach = Math.round(sampleIndex(AROUND, rate) / step);
    let quietest = Math.min(centre, peaks.length - 1);
    for (let n = Math.max(0, centre - reach); n <= Math.min(peaks.length - 1, centre + reach); n += 1) {
      if (peaks[n]! < peaks[quietest]!) quietest = n;
    }
    let [from, until] = [quietest, quietest];
    const silent = (n: number) => n >= 0 && n < peaks.length && peaks[n]! <= loudest * QUIET;
    while (silent(from - 1)) from -= 1;
    while (silent(until + 1)) until += 1;
    const apart = silent(quietest) && timeOf(until - from) >= QUIET_FOR;
    return {
      text: word,
      offset: offset as Span,
      partFrom: timeOf(apart ? from : quietest),
      partUntil: timeOf(apart ? until : quietest),
      punctuated,
    };
  });
}

/** The stretches of an utterance between which nobody speaks for a while. */
export function sourcePhrases(words: readonly Word[], pause: Span = PAUSE): Interval[] {
  const phrases: { start: Interval['start']; end: Interval['end'] }[] = [];
  for (const { start, end } of words) {
    const last = phrases.at(-1);
    if (last && between(last.end, start) < pause) last.end = end > last.end ? end : last.end;
    else phrases.push({ start, end });
  }
  return phrases;
}

/**
 * Which stretch of the voice stands for which phrase of the source, so that its pauses fall on the source's pauses.
 *
 * Without a word alignment between the languages, a pause of the source is looked for at the same share of the voice,
 * and moved to where the voice parts by itself: at punctuation, or where it is silent. A pause for which there is no
 * such place nearby is not kept: its two phrases become one. The cheapest places, in order, by dynamic programming.
 *
 * @param length of the voice
 * @returns two phrases or more, or `undefined` where the line is one phrase
 */
export function pairPhrases(
  source: readonly Interval[],
  words: readonly VoiceWord[],
  length: Span,
): NaturalPhrase[] | undefined {
  let phrases = [...source];
  while (phrases.length > 1 && words.length > 1) {
    const found = partings(phrases, words, length);
    if (found.worst === undefined) {
      const cuts = found.cuts.map((at) => words[at]!);
      return phrases.map((interval, n): NaturalPhrase => ({
        from: cuts[n - 1]?.partUntil ?? (0 as Span),
        to: cuts[n]?.partFrom ?? length,
        source: interval,
      }));
    }
    phrases = joined(phrases, found.worst);
  }
  return undefined;
}

const joined = (phrases: readonly Interval[], n: number): Interval[] => [
  ...phrases.slice(0, n),
  { start: phrases[n]!.start, end: phrases[n + 1]!.end },
  ...phrases.slice(n + 2),
];

/** The words before which the voice is parted, and the pause of the source that has no place, if there is one. */
function partings(
  phrases: readonly Interval[],
  words: readonly VoiceWord[],
  length: Span,
): { cuts: number[]; worst: number | undefined } {
  const spoken = phrases.map(({ start, end }) => between(start, end));
  const total = spoken.reduce((sum, part) => sum + part, 0);
  let sum = 0;
  const wanted = spoken.slice(0, -1).map((part) => ((sum += part) / total) * length);
  const count = wanted.length;
  const away = (n: number, k: number) => {
    const word = words[k]!;
    const ease = (word.punctuated ? PUNCTUATED : 0) + (word.partUntil > word.partFrom ? SILENT : 0);
    return Math.abs((word.partFrom + word.partUntil) / 2 - wanted[n]!) - ease;
  };
  // best[n][k]: the least cost of the first n + 1 pauses with the last of them before word k.
  const best: number[][] = [];
  const from: number[][] = [];
  for (let n = 0; n < count; n += 1) {
    best.push(new Array<number>(words.length).fill(Number.POSITIVE_INFINITY));
    from.push(new Array<number>(words.length).fill(-1));
    let [least, at] = n === 0 ? [0, -1] : [Number.POSITIVE_INFINITY, -1];
    for (let k = 1; k < words.length; k += 1) {
      const before = n === 0 ? undefined : best[n - 1]![k - 1];
      if (before !== undefined && before < least) [least, at] = [before, k - 1];
      best[n]![k] = least + away(n, k);
      from[n]![k] = at;
    }
  }
  const last = best[count - 1]!;
  const cuts: number[] = [];
  let k = last.indexOf(Math.min(...last));
  // More pauses than places: the shortest phrase joins its neighbour.
  if (!Number.isFinite(last[k] ?? Number.POSITIVE_INFINITY)) return { cuts: [], worst: shortestPair(spoken) };
  for (let n = count - 1; n >= 0; n -= 1) {
    cuts.unshift(k);
    k = from[n]![k]!;
  }
  const most = Math.max(OFF, length * OFF_SHARE);
  const costs = cuts.map((at, n) => away(n, at));
  const worst = costs.reduce((far, cost, n) => (cost > (costs[far] ?? 0) ? n : far), 0);
  return { cuts, worst: (costs[worst] ?? 0) > most ? worst : undefined };
}

function shortestPair(lengths: readonly number[]): number {
  const shorter = (n: number) => Math.min(lengths[n] ?? 0, lengths[n + 1] ?? 0);
  let best = 0;
  for (let n = 1; n < lengths.length - 1; n += 1) if (shorter(n) < shorter(best)) best = n;
  return best;
}
