import { type Finding, finder } from './rules.ts';

/** Seconds of media time. */
export interface VttCue {
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}
export interface Vtt {
  readonly header: boolean;
  /** X-TIMESTAMP-MAP: what is added to a cue's time to get media time. `undefined` without one. */
  readonly shift: number | undefined;
  readonly cues: readonly VttCue[];
}

const TIMINGS = /^((?:\d{2,}:)?\d{2}:\d{2}\.\d{3})[ \t]+-->[ \t]+((?:\d{2,}:)?\d{2}:\d{2}\.\d{3})/u;
const secondsOf = (text: string) => text.split(':').reduce((sum, each) => sum * 60 + Number(each), 0);

/** A WebVTT segment as a player reads it. */
export function vttOf(text: string): Vtt {
  const blocks = text
    .replace(/^\u{feff}/u, '')
    .replaceAll('\r\n', '\n')
    .trimEnd()
    .split(/\n\n+/u);
  const head = blocks[0] ?? '';
  const map = /^X-TIMESTAMP-MAP=(.*)$/mu.exec(head)?.[1];
  const mpegts = map && /MPEGTS:(\d+)/u.exec(map)?.[1];
  const local = map && /LOCAL:([\d:.]+)/u.exec(map)?.[1];
  const shift = mpegts && local ? Number(mpegts) / 90_000 - secondsOf(local) : undefined;
  const cues = blocks.slice(1).flatMap((block): VttCue[] => {
    const lines = block.split('\n').filter((line, n) => n > 0 || line !== '');
    const at = lines.findIndex((line) => line.includes('-->'));
    const times = at < 0 ? null : TIMINGS.exec(lines[at] ?? '');
    if (!times) return [];
    const [start, end] = [times[1], times[2]].map((time) => secondsOf(time ?? '') + (shift ?? 0));
    return [
      { id: at > 0 ? (lines[0] ?? '') : '', start: start ?? 0, end: end ?? 0, text: lines.slice(at + 1).join('\n') },
    ];
  });
  return { header: /^WEBVTT(?:[ \t\n]|$)/u.test(head), shift, cues };
}

/** @param period of the segment in media time, where that is known */
export function vttFindings(
  name: string,
  vtt: Vtt,
  period: { readonly start: number; readonly end: number } | undefined,
  at: string,
): Finding[] {
  const find = finder(at);
  const all: Finding[] = [];
  if (!vtt.header) all.push(find('vtt-header', name));
  if (vtt.shift === undefined) all.push(find('vtt-map', name));
  for (const { id, start, end } of vtt.cues) {
    const cue = `${name}: ${id || 'a cue'} from ${start.toFixed(3)} to ${end.toFixed(3)} s`;
    if (end <= start) all.push(find('vtt-cue', cue));
    else if (period && (start >= period.end + 0.05 || end <= period.start - 0.05))
      all.push(
        find('vtt-outside', `${cue}, the segment from ${period.start.toFixed(3)} to ${period.end.toFixed(3)} s`),
      );
  }
  return all;
}
