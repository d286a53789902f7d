import { rename, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { ffmpeg, inputFile, outputFile } from './ffmpeg.ts';
import { iso639 } from './iso639.ts';
import { inPlace, timesExpression } from './picture-times.ts';
import { probe } from './probe.ts';
import { Refusal } from './refusal.ts';
import type { Scope } from './scope.ts';
import type { TimeMap } from './time-map.ts';
import type { Span } from './time.ts';
import { createWav } from './wav.ts';

/** One audio track of the file to be written. */
export interface MuxAudio {
  /** A WAV file, or 48 kHz mono PCM from media time 0 on without a gap, read once. */
  readonly from: { readonly wav: string } | { readonly pcm: AsyncIterable<Float32Array> };
  /** BCP 47. */
  readonly language: string;
  readonly title: string;
}
export interface MuxSubtitles {
  /** A WebVTT or SubRip file. */
  readonly path: string;
  readonly language: string;
  readonly title: string;
}

export interface MuxOptions {
  /** Where pictures come from: their first video stream, bit for bit where the container takes it. */
  readonly original: string;
  /** The file to write; what is there is replaced when all went well. Its extension says which container. */
  readonly out: string;
  /** In order; the first is the one that players pick. */
  readonly audio: readonly MuxAudio[];
  readonly subtitles?: readonly MuxSubtitles[];
  /**
   * Where the original's pictures are shown; as in the original unless given. Sound and captions are in their places
   * already. Pictures that are copied stay the very same: only their times are written anew.
   */
  readonly times?: TimeMap;
  /** Called with how much of the file has been written. */
  readonly onProgress?: (written: Span) => void;
}

export interface Muxed {
  readonly path: string;
  /** Whether there are any. */
  readonly pictures: boolean;
  /** Why pictures were transcoded to H.264 or VP9; `null` when they were copied or there are none. */
  readonly why: string | null;
  /** What was left out, and why: sentences for the report. */
  readonly leftOut: readonly string[];
}

/** What a container holds, in FFmpeg's names: codecs of pictures it takes, and what sound and captions become. */
interface Container {
  readonly format: string;
  readonly video: RegExp | null;
  readonly encoder: readonly string[];
  readonly sound: readonly string[];
  readonly text: string | null;
}
const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '20', '-pix_fmt', 'yuv420p'];
const AAC = ['-c:a', 'aac', '-b:a', '128k'];
const OPUS = ['-c:a', 'libopus', '-b:a', '64k'];
const MP4: Container = {
  format: 'mp4',
  // MP4 has places for VP9, AV1 and more, but what plays .mp4 everywhere is H.264 and HEVC.
  video: /^(h264|hevc|mpeg4)$/,
  encoder: H264,
  sound: AAC,
  text: 'mov_text',
};
const CONTAINERS: Readonly<Record<string, Container>> = {
  '.mp4': MP4,
  '.m4v': MP4,
  '.mov': { ...MP4, format: 'mov' },
  '.mkv': { format: 'matroska', video: /./, encoder: H264, sound: OPUS, text: 'srt' },
  '.webm': {
    format: 'webm',
    video: /^(vp8|vp9|av1)$/,
    encoder: ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '6', '-b:v', '2M', '-pix_fmt', 'yuv420p'],
    sound: OPUS,
    text: 'webvtt',
  },
  '.m4a': { ...MP4, format: 'ipod', video: null, text: null },
  '.mka': { format: 'matroska', video: null, encoder: [], sound: OPUS, text: 'srt' },
  '.ogg': { format: 'ogg', video: null, encoder: [], sound: OPUS, text: null },
  '.wav': { format: 'wav', video: null, encoder: [], sound: ['-c:a', 'pcm_s16le'], text: null },
  '.mp3': { format: 'mp3', video: null, encoder: [], sound: ['-c:a', 'libmp3lame', '-b:a', '128k'], text: null },
};
/** Containers with room for one track. */
const SINGLE = new Set(['.wav', '.mp3', '.ogg']);

/** Extensions that {@link mux} writes. */
export const WRITABLE = Object.keys(CONTAINERS);

/**
 * Whether a file of this name can be written; asked before any work is done.
 *
 * @throws Refusal when it cannot
 */
export function checkOutput(path: string, field = 'out'): void {
  containerOf(path, field);
}

/** Whether a file of this name, which {@link checkOutput} has let pass, holds pictures. */
export const holdsPictures = (path: string): boolean => containerOf(path, 'out').video !== null;

function containerOf(path: string, field: string): Container {
  const extension = extname(path).toLowerCase();
  const container = CONTAINERS[extension];
  if (container) return container;
  throw new Refusal({
    code: 'unsupported',
    field,
    message: `Cannot write ${basename(path)}: ${extension || 'a name without extension'} is no container that livedub knows`,
    fix: `Use one of ${WRITABLE.join(', ')}.`,
  });
}

/**
 * Writes a file with the original's pictures and any number of audio tracks and captions.
 *
 * Sound that comes as samples is first written to a temporary WAV file beside `out`, all tracks at once. The file gets
 * its name when it is complete: whoever sees it sees all of it.
 */
export async function mux(options: MuxOptions, scope: Scope): Promise<Muxed> {
  const container = containerOf(options.out, 'out');
  if (options.audio.length === 0) throw new RangeError('Cannot write a file: it needs an audio track');
  const { times, onProgress } = options;
  const found = await probe(options.original, 'original', scope);
  const { video } = found;
  const own = scope.child(`mux ${basename(options.out)}`);
  const beside = (name: string) => join(dirname(options.out), `.${basename(options.out)}.${process.pid}.${name}`);
  try {
    const leftOut: string[] = [];
    const single = SINGLE.has(extname(options.out).toLowerCase());
    const tracks = single ? options.audio.slice(0, 1) : options.audio;
    for (const track of options.audio.slice(tracks.length))
      leftOut.push(`audio track ${track.title}: the container holds one`);
    const subtitles = container.text ? (options.subtitles ?? []) : [];
    if (!container.text) {
      for (const track of options.subtitles ?? []) leftOut.push(`captions ${track.title}: the container holds none`);
    }
    if (video && !container.video) leftOut.push('pictures: the container holds sound only');

    const wavs = await Promise.all(
      tracks.map(async ({ from }, i) => ('wav' in from ? from.wav : written(from.pcm, beside(`${i}.wav`), own))),
    );
    const pictures = video && container.video ? { video, takes: container.video } : undefined;
    const taken = pictures?.takes.test(pictures.video.codec) ?? false;
    const retimed = pictures && times && times.slowed.length > 0 ? { ...pictures, times } : undefined;
    const first = pictures ? 1 : 0;
    const part = beside('part');
    own.defer(() => rm(part, { force: true }));

    const write = async (copied: boolean, tick?: string) => {
      const { done, stdout } = ffmpeg(
        [
          '-y',
          ...(onProgress ? ['-progress', 'pipe:1'] : []),
          ...(pictures ? inputFile(options.original) : []),
          ...wavs.flatMap(inputFile),
          ...subtitles.flatMap((track) => inputFile(track.path)),
          ...(pictures ? ['-map', `0:${pictures.video.index}`] : []),
          ...[...wavs, ...subtitles].flatMap((_, i) => ['-map', `${first + i}`]),
          ...(pictures ? ['-disposition:v:0', 'default', ...(copied ? ['-c:v', 'copy'] : container.encoder)] : []),
          ...(retimed ? newTimes(retimed.times, tick, container) : []),
          ...container.sound,
          ...(container.text && subtitles.length > 0 ? ['-c:s', container.text] : []),
          ...tracks.flatMap((track, i) => labels('a', i, track)),
          ...subtitles.flatMap((track, i) => labels('s', i, track)),
          ...['-map_metadata', '-1', '-map_chapters', '-1'],
          ...(container.format === 'mp4' || container.format === 'mov' ? ['-movflags', '+faststart'] : []),
          ...['-f', container.format, outputFile(part)],
        ],
        own,
      );
      if (onProgress) await told(stdout, onProgress);
      await done;
      scope.signal.throwIfAborted();
    };

    let why = pictures && !taken ? `${extname(options.out)} does not take ${pictures.video.codec}` : null;
    if (retimed && taken) {
      const placed = async (tick: string) => {
        await write(true, tick);
        return inPlace(retimed.times, { original: options.original, found, out: part }, own);
      };
      // What FFmpeg counts in there is the container's tick in some versions, and in others what it says itself.
      if (!(await placed(`1/${ticksIn(container)}`)) && !(await placed('TB'))) {
        why = 'this FFmpeg cannot write the times of these as they are';
        await write(false);
      }
    } else await write(why === null);
    await rename(part, options.out);
    return { path: options.out, pictures: pictures !== undefined, why, leftOut };
  } finally {
    await own.close();
  }
}

/** Ticks a second of an MP4's or QuickTime file's pictures: finer than any they come with, and what players know. */
const TICKS = 90_000;
const ticksIn = ({ format }: Container) => (format === 'matroska' || format === 'webm' ? 1_000 : TICKS);

/**
 * Pictures that are copied get new times on the way to the container, in ticks of `tick`; others on the way to the
 * encoder.
 */
function newTimes(times: TimeMap, tick: string | undefined, container: Container): string[] {
  const ticks = ticksIn(container);
  const scale = ticks === TICKS ? ['-video_track_timescale', `${ticks}`] : [];
  if (tick !== undefined) {
    const [pts, dts] = ['PTS', 'DTS'].map((time) => timesExpression(times, time, tick));
    return [...scale, '-bsf:v', `setts=pts='${pts}':dts='${dts}'`];
  }
  const filter = `setpts='${timesExpression(times, 'PTS', 'TB')}'`;
  return [...scale, '-vf', filter, '-vsync', 'vfr', '-enc_time_base', `1:${ticks}`];
}

/** What FFmpeg says while it works (`-progress`), until it is done. */
async function told(stdout: Readable, onProgress: (written: Span) => void): Promise<void> {
  let rest = '';
  try {
    for await (const text of stdout.setEncoding('utf8')) {
      const lines = (rest + (text as string)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const [name, value] = line.split('=');
        if (name === 'out_time_us' && Number(value) > 0) onProgress(Number(value) as Span);
      }
    }
  } catch {
    // Closing the scope tears the pipe; how FFmpeg ended says what became of the file.
  }
}

/** FFmpeg's arguments that name a stream of the output; the first sound is what a player picks. */
export const labels = (
  kind: 'a' | 's',
  index: number,
  { language, title }: { language: string; title: string },
): string[] => [
  ...[`-metadata:s:${kind}:${index}`, `language=${iso639(language)}`],
  ...[`-metadata:s:${kind}:${index}`, `title=${title}`],
  ...[`-metadata:s:${kind}:${index}`, `handler_name=${title}`],
  ...[`-disposition:${kind}:${index}`, index === 0 && kind === 'a' ? 'default' : '0'],
];

async function written(pcm: AsyncIterable<Float32Array>, path: string, scope: Scope): Promise<string> {
  scope.defer(() => rm(path, { force: true }));
  const file = await createWav(path, 48_000, scope);
  for await (const part of pcm) {
    scope.signal.throwIfAborted();
    await file.write(part);
  }
  await file.close();
  return path;
}
