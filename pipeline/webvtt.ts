import type { MediaTime } from '../media/time.ts';
import type { Cue } from './domain.ts';

/** Characters in a row that are comfortable to read in a caption. */
const WIDTH = 42;
/** A cue shorter than this cannot be read. Microseconds. */
const SHORTEST = 700_000;

/**
 * Captions as a WebVTT file (W3C WebVTT: The Web Video Text Tracks Format).
 *
 * Drafts are left out and of cues with the same id the last counts. Cues come out in order of their start; times before
 * `origin` become 0.
 */
export function webvtt(cues: readonly Cue[], origin = 0 as MediaTime): string {
  const last = new Map<string, Cue>();
  for (const cue of cues) if (!cue.draft && cue.text.trim() !== '') last.set(`${cue.language} ${cue.id}`, cue);
  const blocks = [...last.values()].sort((a, b) => a.start - b.start).map((cue) => block(cue, origin));
  return ['WEBVTT\n', ...blocks].join('\n');
}

function block({ id, speaker, start, end, text }: Cue, origin: MediaTime): string {
  const from = Math.max(0, start - origin);
  const to = Math.max(from + SHORTEST, end - origin);
  // "line:-2": the second line from the bottom, so that two rows fit; a cue's size and place are percentages.
  const settings = 'line:-2 position:50% size:80% align:center';
  const body = rows(text).map(escaped).join('\n');
  return `${id.replaceAll(/\s+|-->/gu, '_')}\n${timestamp(from)} --> ${timestamp(to)} ${settings}\n<v ${annotation(speaker)}>${body}\n`;
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

/** A voice span's annotation ends at `>` and at a line's end. */
const annotation = (speaker: string) => escaped(speaker.replaceAll(/\s+/gu, ' '));

/** One row, or two as even as words allow when one would be too long. */
export function rows(text: string): string[] {
  const flat = text.trim().replaceAll(/\s+/gu, ' ');
  if (flat.length <= WIDTH) return [flat];
  const middle = flat.length / 2;
  let cut = -1;
  for (let i = flat.indexOf(' '); i >= 0; i = flat.indexOf(' ', i + 1)) {
    if (cut < 0 || Math.abs(i - middle) < Math.abs(cut - middle)) cut = i;
  }
  return cut < 0 ? [flat] : [flat.slice(0, cut), flat.slice(cut + 1)];
}
