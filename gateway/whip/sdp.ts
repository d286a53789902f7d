import { type Refusal, refuse } from '../refusal.ts';

/** `a=name:value`, or `a=name` with an empty value. */
export interface Attribute {
  readonly name: string;
  readonly value: string;
}
/** What stands under one m-line (RFC 8866 §5.14). */
export interface Section {
  readonly media: string;
  readonly port: number;
  readonly protocol: string;
  readonly formats: readonly string[];
  readonly attributes: readonly Attribute[];
}
/** A session description, as far as WebRTC looks at one: the attributes, before the first m-line and under each. */
export interface Description {
  readonly attributes: readonly Attribute[];
  readonly sections: readonly Section[];
}

/** A browser's largest offer has some 200 lines a section, the longest of 300 characters; parameter sets take a thousand. */
const MOST_LINES = 4_000;
const MOST_CHARACTERS = 4_000;
/** RFC 9725 wants one of each kind; meetings' pages offer a few more. */
const MOST_SECTIONS = 16;
const M_LINE = /^([a-z]+) (\d{1,5})(?:\/\d+)? ([\w.+/-]+)((?: [\w.+*-]+)+)$/;

export const malformed = (what: string, fix = 'Send the SDP offer as the peer connection made it.'): Refusal =>
  refuse('invalid', `The session description is malformed: ${what}.`, 'body', fix);

/**
 * Takes a session description apart. Lines end in CRLF or LF; blanks before that do not count.
 *
 * @throws Refusal `invalid` for what is not one
 */
export function readSdp(text: string): Description {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd());
  if (lines.length > MOST_LINES) throw malformed(`it has more than ${MOST_LINES} lines`);
  if (lines[0] !== 'v=0') throw malformed('it does not begin with "v=0"');
  const attributes: Attribute[] = [];
  const sections: (Section & { readonly attributes: Attribute[] })[] = [];
  for (const [i, line] of lines.entries()) {
    if (line.length > MOST_CHARACTERS) throw malformed(`line ${i + 1} has more than ${MOST_CHARACTERS} characters`);
    if (!/^[a-z]=[^\0\r]*$/.test(line)) throw malformed(`line ${i + 1} is not "<letter>=<value>"`);
    const value = line.slice(2);
    if (line.startsWith('m=')) {
      if (sections.length >= MOST_SECTIONS) throw malformed(`it has more than ${MOST_SECTIONS} m-lines`);
      sections.push(sectionOf(value, i + 1));
    } else if (line.startsWith('a=')) (sections.at(-1)?.attributes ?? attributes).push(attributeOf(value));
  }
  return { attributes, sections };
}

export function attributeOf(text: string): Attribute {
  const colon = text.indexOf(':');
  return colon < 0 ? { name: text, value: '' } : { name: text.slice(0, colon), value: text.slice(colon + 1) };
}

function sectionOf(value: string, line: number): Section & { readonly attributes: Attribute[] } {
  const [, media = '', port = '', protocol = '', formats = ''] = M_LINE.exec(value) ?? [];
  if (media === '' || Number(port) > 65_535) throw malformed(`line ${line} is not an m-line`);
  return { media, port: Number(port), protocol, formats: formats.trim().split(' '), attributes: [] };
}

type Attributed = { readonly attributes: readonly Attribute[] };
/** The value of the first attribute with that name; `''` for one without a value. */
export const valueOf = ({ attributes }: Attributed, name: string): string | undefined =>
  attributes.find((each) => each.name === name)?.value;
export const valuesOf = ({ attributes }: Attributed, name: string): string[] =>
  attributes.filter((each) => each.name === name).map(({ value }) => value);
