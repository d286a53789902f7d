import { type MediaTime, earliest, later, latest, seconds } from '../../media/time.ts';
import type { Word } from '../../pipeline/domain.ts';

/** A word as a server tells it, seconds from the beginning of what it was sent. */
export interface Told {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const plain = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
const pieces = (text: string) => text.split(/\s+/).filter((piece) => piece !== '');

/**
 * Gives timed words the signs that only the running text has. Words that are not those of the text stay as they are.
 *
 * Servers tell words without commas and full stops, and sentences end there.
 */
export function punctuated(words: readonly Told[], text: string): readonly Told[] {
  const written = pieces(text).filter((piece) => plain(piece) !== '');
  const same = written.length === words.length && written.every((piece, n) => plain(piece) === plain(words[n]!.text));
  return same ? words.map((word, n) => ({ ...word, text: written[n]! })) : words;
}

/** The words of a text without times, shared out by their length over a stretch of audio, in seconds. */
export function shared(text: string, start: number, end: number): Told[] {
  const words = pieces(text);
  const total = words.reduce((sum, word) => sum + word.length, 0);
  let written = 0;
  const place = () => start + ((end - start) * written) / total;
  return words.map((word) => {
    const from = place();
    written += word.length;
    return { text: word, start: from, end: place() };
  });
}

/** Words in order and inside their segment, whatever the server said of them. */
export function placed(words: readonly Told[], start: MediaTime, end: MediaTime): Word[] {
  let edge = start;
  const place = (at: number): MediaTime =>
    latest(edge, earliest(end, later(start, seconds(Number.isFinite(at) ? Math.max(0, at) : 0))));
  return words.flatMap((word) => {
    const text = word.text.trim();
    if (text === '') return [];
    const from = place(word.start);
    edge = from;
    const to = place(word.end);
    edge = to;
    return [{ text, start: from, end: to }];
  });
}
