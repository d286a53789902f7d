import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { FfmpegError, ffprobe } from './ffmpeg.ts';
import { Refusal } from './refusal.ts';
import type { Scope } from './scope.ts';
import { type Span, seconds } from './time.ts';

/** What is in a media file, as ffprobe finds it. */
export interface Contents {
  /** FFmpeg's names of the container, e.g. `mov,mp4,m4a,3gp,3g2,mj2`. */
  readonly container: string;
  /** `null` where the file does not say. */
  readonly duration: Span | null;
  readonly audio: AudioStream | null;
  readonly video: VideoStream | null;
}
export interface AudioStream {
  readonly index: number;
  readonly codec: string;
  readonly rate: number;
  readonly channels: number;
}
export interface VideoStream {
  readonly index: number;
  /** FFmpeg's name: `h264`, `vp8`, … */
  readonly codec: string;
  readonly pixels: string;
  readonly width: number;
  readonly height: number;
  /** Pictures a second, on average; 0 where nobody knows. */
  readonly fps: number;
  /** Degrees that a player must turn the picture. */
  readonly rotation: number;
  readonly interlaced: boolean;
  /** Pictures come in another order than they are shown. */
  readonly reordered: boolean;
  /** The longest time without a key frame in the first 30 s. */
  readonly keyFrameEvery: Span;
}

/** Formats that FFmpeg opens and that are no programme: text drawn as pictures, lists of other files, stills. */
export const NO_PROGRAMME = /^(tty|hls|dash|concat|sdp|rtsp|image2|image2pipe|.*_pipe|ass|srt|webvtt|lrc|ffmetadata)$/;
/** How far into the file pictures are looked at. */
const LOOK = 30;

// What we read of ffprobe's JSON. It is our own tool's output; what is missing is `undefined`.
export interface Probed {
  readonly format?: { readonly format_name?: string; readonly duration?: string };
  readonly programs?: readonly { readonly streams?: readonly ProbedStream[] }[];
  readonly streams?: readonly ProbedStream[];
  readonly packets?: readonly {
    readonly stream_index?: number;
    readonly pts_time?: string;
    readonly duration_time?: string;
    readonly flags?: string;
  }[];
}
interface ProbedStream {
  readonly index: number;
  readonly codec_type?: string;
  readonly codec_name?: string;
  readonly pix_fmt?: string;
  readonly width?: number;
  readonly height?: number;
  readonly avg_frame_rate?: string;
  readonly r_frame_rate?: string;
  readonly field_order?: string;
  readonly has_b_frames?: number;
  readonly sample_rate?: string;
  readonly channels?: number;
  readonly duration?: string;
  readonly disposition?: { readonly attached_pic?: number; readonly default?: number };
  readonly side_data_list?: readonly { readonly rotation?: number }[];
}

/**
 * Looks into a file.
 *
 * @param field whose fault it is, for the refusal, e.g. `source.path`
 * @throws Refusal when it is not there, or not something that can be played
 */
export async function probe(path: string, field: string, scope: Scope): Promise<Contents> {
  const name = basename(path);
  const found = await stat(path).catch((cause: unknown) => {
    const message = `Cannot open ${name}: ${(cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : 'it cannot be read'}`;
    throw new Refusal(
      { code: 'not_found', field, message, fix: 'Give the path of a media file that the server can read.' },
      { cause },
    );
  });
  const noMedia = (why: string, cause?: unknown) =>
    new Refusal(
      {
        code: 'unsupported',
        field,
        message: `Cannot play ${name}: ${why}`,
        fix: 'Give a file with sound or moving pictures that FFmpeg reads, e.g. MP4, WebM, Matroska, MP3, FLAC or WAV.',
      },
      { cause },
    );
  if (!found.isFile()) throw noMedia('it is not a file');
  if (found.size === 0) throw noMedia('it is empty');

  const ask = async (...args: string[]) => {
    try {
      return (await ffprobe(path, args, scope)) as Probed;
    } catch (cause) {
      if (cause instanceof FfmpegError && !cause.missing) throw noMedia('it is not media that FFmpeg reads', cause);
      throw cause;
    }
  };
  const probed = await ask('-show_format', '-show_streams');
  const container = probed.format?.format_name ?? '';
  if (container.split(',').some((one) => NO_PROGRAMME.test(one))) throw noMedia(`it is ${container}, not a programme`);

  const { audio, video } = tracksOf(probed);
  if (!audio && !video) throw noMedia('it has neither sound nor moving pictures');
  const pictures = video
    ? await ask('-select_streams', String(video.index), '-read_intervals', `%+${LOOK}`, '-show_packets')
    : {};
  return contentsOf({ ...probed, ...pictures });
}

/** What was found, in our words; `packets` are those of the pictures, and maybe others. */
export function contentsOf(probed: Probed): Contents {
  const { format, packets = [] } = probed;
  const { audio, video } = tracksOf(probed);
  const length = Number(format?.duration ?? Math.max(...[audio, video].map((stream) => Number(stream?.duration ?? 0))));
  return {
    container: format?.format_name ?? '',
    duration: length > 0 ? seconds(length) : null,
    audio: audio
      ? {
          index: audio.index,
          codec: audio.codec_name ?? 'unknown',
          rate: Number(audio.sample_rate),
          channels: audio.channels ?? 1,
        }
      : null,
    video: video
      ? videoOf(
          video,
          packets.filter(({ stream_index }) => stream_index === video.index),
        )
      : null,
  };
}

/** The sound and the pictures that are played: of several programmes (MPEG-TS, HLS in several sizes), those with the largest picture. */
function tracksOf({ streams = [], programs = [] }: Probed) {
  const among = (all: readonly ProbedStream[]) => ({
    audio: best(all.filter((stream) => stream.codec_type === 'audio' && Number(stream.sample_rate) > 0)),
    video: best(
      all.filter((stream) => stream.codec_type === 'video' && !stream.disposition?.attached_pic && stream.width),
    ),
  });
  const all = among(streams);
  if (programs.length < 2) return all;
  const each = programs.map((program) => {
    const indices = new Set(program.streams?.map(({ index }) => index));
    return among(streams.filter(({ index }) => indices.has(index)));
  });
  const area = ({ video }: typeof all) => (video?.width ?? 0) * (video?.height ?? 0);
  const [largest] = each.sort((a, b) => area(b) - area(a));
  return { audio: largest?.audio ?? all.audio, video: largest?.video ?? all.video };
}

/** The stream that a player picks: the first that is marked as default, else the first. */
const best = (streams: readonly ProbedStream[]) => streams.find((s) => s.disposition?.default) ?? streams[0];

function videoOf(stream: ProbedStream, packets: NonNullable<Probed['packets']>): VideoStream {
  const times = packets.map((packet) => Number(packet.pts_time ?? Number.NaN));
  const keys = times.filter((_, i) => packets[i]?.flags?.startsWith('K'));
  const edges = [...keys, times.length > 0 ? Math.max(...times) : 0];
  const gaps = edges.slice(1).map((time, i) => time - (edges[i] ?? 0));
  const rotation = stream.side_data_list?.find((side) => side.rotation !== undefined)?.rotation ?? 0;
  return {
    index: stream.index,
    codec: stream.codec_name ?? 'unknown',
    pixels: stream.pix_fmt ?? 'unknown',
    width: stream.width ?? 0,
    height: stream.height ?? 0,
    fps: ratio(stream.avg_frame_rate) || ratio(stream.r_frame_rate),
    rotation: ((rotation % 360) + 360) % 360,
    interlaced: /^(tt|bb|tb|bt)$/.test(stream.field_order ?? ''),
    reordered: (stream.has_b_frames ?? 0) > 0 || times.some((time, i) => i > 0 && time < (times[i - 1] ?? 0)),
    keyFrameEvery: seconds(Math.max(0, ...gaps.filter(Number.isFinite))),
  };
}

const ratio = (text = '0/1') => {
  const [over = 0, under = 1] = text.split('/').map(Number);
  return under > 0 ? over / under : 0;
};
