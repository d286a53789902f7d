import { bitrateFor } from './bitrate.ts';
import type { PassedCodec, ProgrammeInfo } from './programme.ts';
import type { VideoStream } from './probe.ts';
import { type Span, ms, seconds, toMs } from './time.ts';

/** A late joiner waits for a key frame; none may wait longer. The slack is what a 2 s interval measures as. */
const KEY_FRAMES = seconds(2);
const KEY_FRAMES_SLACK = ms(100);
/** The most picture that is transcoded: 1280 × 720 at 30 a second, which takes a sixth of a 2.5 GHz core as VP8. */
const AREA = 1_280 * 720;
const FPS = 30;

export interface PassageOptions {
  /** What pictures are transcoded to where they cannot pass as they are. */
  readonly transcodeTo?: 'VP8' | 'H264';
  /** Codecs that may pass as they are. */
  readonly accept?: readonly ('VP8' | 'VP9' | 'H264')[];
  /**
   * Who gets the pictures: viewers of a live stream (unless told), or somebody who decodes them all, from the first on, to make
   * new ones of them. The latter takes B-frames and rare key frames; what has to be transcoded all the same keeps its size,
   * and loses nothing that is seen.
   */
  readonly purpose?: 'viewers' | 'editing';
  /** The longest that a late joiner may wait for a key frame; 2 s unless told. */
  readonly keyFrames?: Span;
  /** Why pictures are transcoded whatever they look like; it becomes {@link Passage.why}. */
  readonly transcode?: string;
}

/** How the pictures travel: as they are, or transcoded. */
export interface Passage {
  readonly codec: PassedCodec;
  readonly why: string | null;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** Nothing that is seen is lost when they are transcoded. */
  readonly lossless?: boolean;
}

const CODECS: Readonly<Record<string, PassedCodec>> = { vp8: 'VP8', vp9: 'VP9', h264: 'H264' };
/** What WebRTC's decoders take: 8 bit, 4:2:0. */
const PIXELS = new Set(['yuv420p', 'yuvj420p']);

/** Decides whether pictures can pass as they are. */
export function passageOf(video: VideoStream, options: PassageOptions = {}): Passage {
  const codec = CODECS[video.codec];
  const live = options.purpose !== 'editing';
  const accepted = options.accept ?? ['VP8', 'VP9', 'H264'];
  const keyFrames = options.keyFrames ?? KEY_FRAMES;
  let why: string | null = options.transcode ?? null;
  if (why !== null) {
    // Somebody has tried.
  } else if (!codec || !accepted.includes(codec)) why = `viewers do not take ${video.codec}`;
  else if (!PIXELS.has(video.pixels)) why = `its pixels are ${video.pixels}, not 8 bit 4:2:0`;
  else if (live && video.reordered) why = 'it has B-frames, which a live stream cannot carry';
  else if (live && video.keyFrameEvery > keyFrames + KEY_FRAMES_SLACK) {
    why = `a late joiner would wait ${(toMs(video.keyFrameEvery) / 1_000).toFixed(1)} s for a key frame`;
  } else if (video.rotation !== 0) why = `it is to be turned by ${video.rotation}°`;
  else if (video.interlaced) why = 'it is interlaced';
  const { width, height, fps } = video;
  if (codec && why === null) return { codec, why, width, height, fps };
  const turned = video.rotation % 180 !== 0;
  const shrink = live ? Math.min(1, Math.sqrt(AREA / (width * height))) : 1;
  const even = (size: number) => Math.max(2, Math.round((size * shrink) / 2) * 2);
  return {
    codec: live ? (options.transcodeTo ?? 'VP8') : 'H264',
    why,
    width: even(turned ? height : width),
    height: even(turned ? width : height),
    fps: live ? Math.min(FPS, fps || FPS) : fps || FPS,
    lossless: !live,
  };
}

/** What a programme says of its pictures. */
export const infoOf = (
  video: VideoStream,
  { codec, why, width, height, fps }: Passage,
): NonNullable<ProgrammeInfo['video']> => ({
  source: video.codec,
  codec,
  why,
  width,
  height,
  fps,
});

/** The arguments for pictures, after `-map`. */
export function videoArguments(video: VideoStream, passage: Passage): string[] {
  if (passage.why === null) return ['-c:v', 'copy'];
  const filters = [
    ...(video.interlaced ? ['yadif'] : []),
    ...(video.fps > passage.fps + 1 ? [`fps=${passage.fps}`] : []),
    `scale=${passage.width}:${passage.height}`,
    'format=yuv420p',
  ];
  if (passage.lossless === true) {
    return ['-vf', filters.join(','), '-c:v', 'libx264', '-preset', 'superfast', '-crf', '8', '-bf', '0', '-g', '60'];
  }
  const bitrate = Math.round(bitrateFor(passage.width, passage.height, passage.fps) / 1_000);
  const encoder =
    passage.codec === 'H264'
      ? ['libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-forced-idr', '1']
      : ['libvpx', '-deadline', 'realtime', '-cpu-used', '16', '-lag-in-frames', '0', '-auto-alt-ref', '0'];
  // One thread: libvpx's threads wait for each other by spinning, and took five times the processor time of one.
  const keyFrames = ['-force_key_frames', `expr:gte(t,n_forced*${KEY_FRAMES / 1_000_000})`];
  // Times stay as they are; unless told, the encoder rounds them to whole pictures, half a picture beside the sound.
  const rate = ['-enc_time_base:v', '1:1000', '-b:v', `${bitrate}k`, '-g', '600', ...keyFrames];
  return ['-vf', filters.join(','), '-c:v', ...encoder, ...rate, '-threads:v', '1'];
}
