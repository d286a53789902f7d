/** What goes into an Apertium pipeline and what comes out of it. */

/**
 * A `.mode` file's programs with their arguments, told to answer after every NUL.
 *
 * The file is a shell pipeline with two holes: `$1`, how the generator treats what it cannot inflect (`-g` marks it), and
 * `$2`, options for the tagger (none).
 */
export function programsOf(mode: string): string[][] {
  const programs: string[][] = [[]];
  for (const [, quoted, bare] of mode.matchAll(/'([^']*)'|([^\s'|]+|\|)/g)) {
    if (bare === '|') programs.push([]);
    else if (bare !== '$2') programs.at(-1)?.push(bare === '$1' ? '-g' : (quoted ?? bare ?? ''));
  }
  return programs.flatMap(([name, ...rest]) => (name === undefined ? [] : [[name, '-z', ...rest]]));
}

/** Characters with a meaning in the stream between the programs, https://wiki.apertium.org/wiki/Apertium_stream_format. */
const RESERVED = /[[\]{}^$\\/@<>]/g;
/** A blank that the programs carry through as it is. Behind it nothing of the sentence is held back. */
const END = '[][\n]';

/** A request for one text. A NUL in it would be a second request, and `~` speaks to the post-generator. */
export const request = (text: string): string =>
  `${text.replace(/[\u0000-\u001f\u007f~]+/g, ' ').replace(RESERVED, '\\$&')}${END}\0`;

/** The text of an answer, with Apertium's marks in it. */
export const answerOf = (raw: string): string => raw.replace(END, '').replace(/\\(.)/gs, '$1');

/** The words Apertium did not know, which it passes on behind a `*`. */
export const unknownIn = (marked: string): string[] =>
  [...marked.matchAll(/(?<![\p{L}\p{N}])\*([\p{L}\p{N}'’]+)/gu)].map((match) => match[1] ?? '');

/**
 * The text without the marks for words not known (`*`), without translation (`@`) or not inflected (`#`, which also
 * stands inside a multiword: `go# to`). A mark stands before a word; elsewhere these are ordinary characters.
 */
export const withoutMarks = (marked: string): string =>
  marked.replace(/(?<![\p{L}\p{N}])[*@#](?=\p{L})/gu, '').replace(/(?<=\p{L})# (?=\p{L})/gu, ' ');

/** `text` with each of `words` that it has in lower case written with a capital, as a name would be. */
export const asNames = (text: string, words: readonly string[]): string =>
  words.reduce(
    (result, word) =>
      /^\p{Ll}./u.test(word)
        ? result.replaceAll(
            new RegExp(`(?<![\\p{L}\\p{N}])${word}(?![\\p{L}\\p{N}])`, 'gu'),
            word.charAt(0).toUpperCase() + word.slice(1),
          )
        : result,
    text,
  );
