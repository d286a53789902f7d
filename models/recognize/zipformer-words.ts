import { type MediaTime, later, ms, seconds } from '../../media/time.ts';
import type { Word } from '../../pipeline/domain.ts';
import type { Heard } from '../sherpa/sherpa.ts';

/** A frame of a streaming zipformer, and so the least a token lasts. */
const FRAME = ms(40);
/** Scripts that are written without blanks: every character is a word. */
const UNSPACED = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;
/** What models emit that is nobody's word. */
const SILENT = /^(?:<.*>|)$/;

/**
 * The words that tokens make, with their times.
 *
 * A token begins a word where it has a blank before it or is of a script without blanks. A transducer finds a token when
 * it has heard enough of it, so a word begins a frame before its first token and ends with its last, or where the next
 * begins if that is sooner.
 *
 * @param start where the stream's first sample is
 * @param end no word ends later
 */
export function wordsOf({ tokens, times }: Heard, start: MediaTime, end: MediaTime): Word[] {
  const words: { text: string; first: number; last: number }[] = [];
  let fresh = true;
  for (const [n, token] of tokens.entries()) {
    const text = token.replaceAll('▁', ' ');
    const piece = text.trim();
    const opens = fresh || /^\s/.test(text) || UNSPACED.test(piece);
    const time = times[n] ?? 0;
    // A blank of its own begins the word that follows.
    fresh = piece === '' && /\s/.test(text);
    if (SILENT.test(piece)) continue;
    const word = words.at(-1);
    if (opens || word === undefined) words.push({ text: piece, first: time, last: time });
    else Object.assign(word, { text: word.text + piece, last: time });
    fresh = false;
  }
  const place = (time: number) => Math.min(end, Math.max(start, later(start, seconds(time)))) as MediaTime;
  return words.map(({ text, first, last }, n) => {
    const next = words[n + 1];
    const begins = Math.max(start, place(first) - FRAME) as MediaTime;
    const nexts = next ? Math.max(begins, place(next.first) - FRAME) : end;
    return { text, start: begins, end: Math.max(begins, Math.min(place(last) + FRAME, nexts, end)) as MediaTime };
  });
}
