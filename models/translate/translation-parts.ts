/** Where a sentence may be cut, the best place first: behind a sentence, a clause, a word, anywhere. */
const CUTS = [/(?<=[.!?…。！？]["'”’»)]*)\s*/u, /(?<=[,;:—–、，；：])\s*/u, /\s+/u, /(?:)/u];

/** Puts neighbours together for as long as the whole still fits. */
function packed(pieces: readonly string[], glue: string, fits: (text: string) => boolean): string[] {
  const parts: string[] = [];
  for (const piece of pieces) {
    const last = parts.at(-1);
    if (last !== undefined && fits(last + glue + piece)) parts[parts.length - 1] = last + glue + piece;
    else parts.push(piece);
  }
  return parts;
}

/**
 * A text in as few parts as fit, in order: cut between sentences, else between clauses, else between words, and within a
 * word only where it does not fit as a whole.
 */
export function partsOf(text: string, fits: (text: string) => boolean, cuts: readonly RegExp[] = CUTS): string[] {
  const [cut, ...finer] = cuts;
  if (cut === undefined || fits(text)) return text === '' ? [] : [text];
  const pieces = text.split(cut).filter((piece) => piece !== '');
  if (pieces.length < 2) return partsOf(text, fits, finer);
  const whole = packed(pieces, /\s/.test(text) && finer.length > 0 ? ' ' : '', fits);
  return whole.flatMap((part) => partsOf(part, fits, fits(part) ? cuts : finer));
}
