import { ffprobe } from './ffmpeg.ts';
import type { Contents } from './probe.ts';
import type { Scope } from './scope.ts';
import type { Piece, TimeMap } from './time-map.ts';
import { type MediaTime, type Span, at, between, later, ms, seconds } from './time.ts';

/**
 * FFmpeg's expression (ffmpeg-utils, "Expression Evaluation") for where in the output a picture is.
 *
 * @param time what FFmpeg calls the picture's time there, in units of `unit` seconds
 */
export function timesExpression(map: TimeMap, time: string, unit: string): string {
  const x = 'ld(0)';
  const leaf = ({ from, to }: Piece): string => {
    const longer = to.end - to.start;
    if (!(longer > from.end - from.start)) return `${x}+${inSeconds(to.start - from.start)}`;
    return `${inSeconds(to.start)}+(${x}-${inSeconds(from.start)})*${longer / 1_000}/${(from.end - from.start) / 1_000}`;
  };
  // A balanced tree: ten comparisons for a thousand pieces, and no deeper than FFmpeg nests.
  const tree = (first: number, last: number): string => {
    const { pieces } = map;
    if (last - first === 1) return leaf(pieces[first] as Piece);
    const middle = (first + last) >> 1;
    const border = inSeconds((pieces[middle] as Piece).from.start);
    return `if(lt(${x},${border}),${tree(first, middle)},${tree(middle, last)})`;
  };
  return `st(0,${time}*${unit});(${tree(0, map.pieces.length)})/(${unit})`;
}
/** Borders lie on whole milliseconds. */
const inSeconds = (micros: number) => `${micros / 1_000_000}`;

/** How far apart pictures' errors may be: a tick of the original's container, and one of the new one's. */
const APART = ms(3);
/** How far off all of them may be: a container begins with what its codecs of sound need before the first sample. */
const OFF = ms(20);
/** How many pictures at the end are looked at: everything that is wrong adds up there. */
const LOOKED_AT = 50;

/** Whether the pictures of `out` are where `times` puts those of the original. */
export async function inPlace(
  times: TimeMap,
  files: { readonly original: string; readonly found: Contents; readonly out: string },
  scope: Scope,
): Promise<boolean> {
  const { video, duration } = files.found;
  const longer = duration === null ? null : between(at(0), times.at(later(at(0), duration)));
  const [before, after] = await Promise.all([
    lastPictures(files.original, String(video?.index ?? 0), duration, scope),
    lastPictures(files.out, 'v:0', longer, scope),
  ]);
  const off = before.map((t, n) => (after[n] ?? Infinity) - times.at(t));
  const [low, high] = [Math.min(...off), Math.max(...off)];
  return high - low <= APART && low + OFF >= 0 && high <= OFF;
}

/** Where the last pictures of a file are, counted from its start, the last first. */
async function lastPictures(path: string, stream: string, duration: Span | null, scope: Scope): Promise<MediaTime[]> {
  const from = duration === null ? 0 : Math.max(0, duration / 1_000_000 - 10);
  const args = ['-read_intervals', `${from}%`, '-show_entries', 'packet=pts_time:format=start_time'];
  const { packets, format } = (await ffprobe(path, ['-select_streams', stream, ...args], scope)) as {
    readonly packets?: readonly { readonly pts_time?: string }[];
    readonly format?: { readonly start_time?: string };
  };
  const times = (packets ?? []).map(({ pts_time }) => Number(pts_time)).filter(Number.isFinite);
  const start = Number(format?.start_time ?? 0);
  return times
    .sort((a, b) => b - a)
    .slice(0, LOOKED_AT)
    .map((time) => at(seconds(time - start)));
}
