import type { MediaTime } from '../media/time.ts';
import { type Caption, type Look, PLAIN, following, timestamp } from './webvtt.ts';

/**
 * Captions as SubRip text: the same as the WebVTT file has, numbered from 1. There is no standard; this is what FFmpeg,
 * VLC and mpv agree on. Where several people speak, each has a colour.
 */
export function srt(cues: readonly Caption[], look: Look = PLAIN, origin = 0 as MediaTime): string {
  const shown = following(cues, origin);
  const speakers = [...new Set(shown.map(({ speaker }) => speaker))];
  const blocks = shown.map(({ start, end, lines, speaker }, n) => {
    const colour = speakers.length > 1 ? look.colours[look.colourOf(speaker, speakers.indexOf(speaker))] : undefined;
    const body = lines.map(plain).join('\n');
    const times = [start, Math.max(end, start + 1_000)].map((time) => timestamp(time).replace('.', ','));
    return `${n + 1}\n${times.join(' --> ')}\n${colour ? `<font color="${colour}">${body}</font>` : body}\n`;
  });
  return blocks.join('\n');
}

/** SubRip has no escapes: a word joiner keeps what was said from being read as markup or as times. */
const plain = (line: string) =>
  line
    .replaceAll('\u0000', '\uFFFD')
    .replaceAll('-->', '--\u2060>')
    .replaceAll(/[<{](?=\S)/gu, '$&\u2060');
