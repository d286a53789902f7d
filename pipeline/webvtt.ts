import type { MediaTime } from '../media/time.ts';
import { layout, seamless } from './cue-layout.ts';
import type { Cue } from './domain.ts';

/** A caption as files have it. What was made elsewhere may lack its lines and the end of its voice. */
export type Caption = Pick<Cue, 'id' | 'language' | 'speaker' | 'start' | 'end' | 'text' | 'draft'> &
  Partial<Pick<Cue, 'lines' | 'voiceEnd' | 'place'>>;

/** How speakers are told apart. */
export interface Look {
  /** CSS colours that can be read on black. */
  readonly colours: readonly string[];
  /** @param order how many speakers were heard before this one */
  readonly colourOf: (speaker: string, order: number) => number;
  readonly nameOf: (speaker: string) => string;
}
export const PLAIN: Look = { colours: [], colourOf: () => 0, nameOf: (speaker) => speaker };

/**
 * Captions as a WebVTT file (W3C WebVTT: The Web Video Text Tracks Format), each speaker with a colour.
 *
 * Drafts are left out and of cues with the same id the last counts. Cues come out in order of their start, none of them
 * over the next one except where two people speak at once. Times count from `origin`; what was over by then is left out.
 */
export function webvtt(cues: readonly Caption[], look: Look = PLAIN, origin = 0 as MediaTime): string {
  const shown = following(cues, origin);
  const speakers = [...new Set(shown.map(({ speaker }) => speaker))];
  return vttHeader(speakers, look) + shown.map((cue) => `\n${vttBlock(cue, look)}`).join('');
}

/** A caption with all that it takes to write it. */
export type Shown = Cue;

/** The captions of a file one after the other, counted from `origin`. */
export function following(cues: readonly Caption[], origin = 0 as MediaTime): Shown[] {
  const last = new Map<string, Caption>();
  for (const cue of cues) {
    const key = `${cue.language} ${cue.id}`;
    if (!cue.draft && cue.text.trim() !== '') last.set(key, cue);
    else if (!cue.draft) last.delete(key);
  }
  return seamless([...last.values()].map(whole))
    .filter(({ end }) => end > origin)
    .map((cue) => ({
      ...cue,
      start: Math.max(0, cue.start - origin) as MediaTime,
      end: (cue.end - origin) as MediaTime,
    }));
}

export function whole(cue: Caption): Shown {
  const { text, start, end, language } = cue;
  const lines = cue.lines ?? layout({ text, words: [], start, end }, language).flatMap((part) => part.lines);
  return { ...cue, lines, voiceEnd: cue.voiceEnd ?? end };
}

/** Signature and style sheet, up to the blank line before the first cue. Names that come up later have no colour. */
export function vttHeader(speakers: readonly string[], { colours, colourOf, nameOf }: Look): string {
  const rules = speakers.flatMap((speaker, order) => {
    const colour = colours[colourOf(speaker, order)];
    return colour ? [`::cue(v[voice="${quoted(nameOf(speaker))}"]) { color: ${colour}; }`] : [];
  });
  return rules.length > 0 ? `WEBVTT\n\nSTYLE\n${[...new Set(rules)].join('\n')}\n` : 'WEBVTT\n';
}

/** One cue, with the line end behind it. */
export function vttBlock({ id, speaker, start, end, lines, place }: Shown, { nameOf }: Look): string {
  const from = timestamp(start);
  // A cue ends after it starts, in the milliseconds that are written (WebVTT, "WebVTT cue timings").
  const to = timestamp(Math.max(end, start + 1_000));
  // Left alone, a cue is as low as it has room, which "line" cannot say for any number of lines.
  const settings = `${place === 'top' ? 'line:0 ' : ''}position:50% size:90% align:center`;
  const body = lines.map(escaped).join('\n');
  return `${id.replaceAll(/\s+|-->/gu, '_')}\n${from} --> ${to} ${settings}\n<v ${annotation(nameOf(speaker))}>${body}\n`;
}

/** `hh:mm:ss.ttt`, from microseconds. Hours have two digits or more. */
export function timestamp(micros: number): string {
  const total = Math.round(micros / 1_000);
  const pad = (n: number, width: number) => String(n).padStart(width, '0');
  const [h, m, s] = [Math.floor(total / 3_600_000), Math.floor(total / 60_000) % 60, Math.floor(total / 1_000) % 60];
  return `${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(total % 1_000, 3)}`;
}

/** Cue text with what the parser would take for markup, or for the end of the cue, written as text. */
export const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\u0000', '\uFFFD');

/** A voice span's annotation ends at `>` and at a line's end, and is never empty. */
const annotation = (speaker: string) => escaped(spaced(speaker)) || '?';
/** A name within a CSS string (CSS Syntax §4.3.7): nothing in it can end the string, the block or the style sheet. */
const quoted = (name: string) =>
  (spaced(name) || '?').replaceAll(/[^\p{L}\p{N} _-]/gu, (sign) => `\\${(sign.codePointAt(0) ?? 0).toString(16)} `);
const spaced = (text: string) => text.replaceAll(/[\s\u0000]+/gu, ' ').trim();
