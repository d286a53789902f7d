import { type Hearing, PAUSED, UNHEARD } from './alignment-phones.ts';
import { type Ends, FROM_START, Trellis } from './alignment-trellis.ts';

/** Natural logarithms below the best way at which nobody thinks any more that a way will be the best. */
const DOUBT = 20;
/** The logarithm of how likely something unknown is, per frame. */
const UNKNOWN = -1;

/** A network's letters and what they are called. */
export interface Alphabet {
  /** The column of nothing new: CTC's blank. */
  readonly blank: number;
  /** The column of what stands between words, if there is one. */
  readonly between: number | undefined;
  readonly size: number;
}

/** Natural logarithms of probabilities, one row a frame, with a column more for what is unknown. */
export function logProbabilities(logits: Float32Array, size: number): Float32Array[] {
  return Array.from({ length: logits.length / size }, (_, t) => {
    const row = logits.subarray(t * size, (t + 1) * size);
    const top = row.reduce((a, b) => Math.max(a, b));
    const total = top + Math.log(row.reduce((sum, each) => sum + Math.exp(each - top), 0));
    const out = new Float32Array(size + 1);
    for (const [n, each] of row.entries()) out[n] = each - total;
    out[size] = UNKNOWN;
    return out;
  });
}

/**
 * Places the letters of words in a network's output by the rules of CTC: letters follow each other with or without blanks
 * between them, and with one at least between two that are the same.
 *
 * @param frames from {@link logProbabilities}
 * @param words of each the ways to write it, in columns; a word without any is not said
 * @param open other words may follow
 * @param begun other words came before
 * @see https://docs.pytorch.org/audio/stable/tutorials/ctc_forced_alignment_api_tutorial.html
 * @see Kürzinger et al., "CTC-Segmentation of Large Corpora for German End-to-end Speech Recognition", 2020
 */
export function placeLetters(
  frames: readonly Float32Array[],
  words: readonly (readonly (readonly number[])[])[],
  { blank, between, size }: Alphabet,
  { open, begun: before = false }: { readonly open: boolean; readonly begun?: boolean },
): (Hearing & { readonly columns: Int32Array }) | undefined {
  const trellis = new Trellis();
  const heard: { readonly phone: string; readonly word: number }[] = [];
  const columns: number[] = [];
  const add = (column: number, word: number, after: Ends) => {
    const unit = trellis.add({ scores: [column], stay: [0], leave: [0] }, after);
    heard[unit] = { phone: column === blank ? '' : String(column), word };
    columns[unit] = column;
    return unit;
  };
  /** A letter, and the blank before it that may be left out where the letter before is another. */
  const letter = (column: number, word: number, after: Ends): Ends => {
    const gap = add(blank, PAUSED, after);
    const others = [...after].filter(([unit]) => columns[unit] !== column);
    return new Map([[add(column, word, new Map([...others, [gap, 0]])), 0]]);
  };
  let ends: Ends = FROM_START;
  let begun = before;
  for (const [word, ways] of words.entries()) {
    if (ways.length === 0) continue;
    if (begun && between !== undefined) ends = letter(between, PAUSED, ends);
    begun = true;
    const next = new Map<number, number>();
    for (const way of ways) {
      let after = ends;
      for (const column of way) after = letter(column, word, after);
      for (const unit of after.keys()) next.set(unit, 0);
    }
    ends = next;
  }
  const last = add(blank, PAUSED, ends);
  ends = new Map([...ends, [last, 0]]);
  if (open) {
    const unit = trellis.add({ scores: [size], stay: [0], leave: [0] }, ends);
    heard[unit] = { phone: '', word: UNHEARD };
  } else trellis.end(ends);
  const walk = trellis.walk(frames, Infinity, DOUBT);
  if (!walk) return undefined;
  const sounds = walk.visits.map(({ unit, start, end }) => ({ ...heard[unit]!, start, end }));
  const misfit = new Float32Array(frames.length).fill(NaN);
  for (const { word, start, end } of sounds) {
    for (let t = start; word >= 0 && t < end; t += 1) misfit[t] = -frames[t]![walk.columns[t]!]!;
  }
  return { sounds, agreed: walk.agreed, misfit, columns: walk.columns };
}
