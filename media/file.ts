import type { AudioChunk } from './audio.ts';
import { type AvcConfiguration, annexB, avcConfiguration } from './avc.ts';
import { ffmpeg, inputFile } from './ffmpeg.ts';
import { CHUNK, Gapless } from './gapless.ts';
import { MatroskaReader } from './matroska.ts';
import type { Programme, ProgrammeInfo, ProgrammeItem } from './programme.ts';
import { type AudioStream, type VideoStream, probe } from './probe.ts';
import type { Scope } from './scope.ts';
import { type MediaTime, type Span, at, earlier, later, ms, sampleIndex, samples, seconds, toMs } from './time.ts';

const RATE = 48_000;
/** A late joiner waits for a key frame; none may wait longer. The slack is what a 2 s interval measures as. */
const KEY_FRAMES = seconds(2);
const KEY_FRAMES_SLACK = ms(100);
/** How far FFmpeg lets pictures run before sound when it interleaves them: a packet of sound, and a margin. */
const INTERLEAVE = ms(200);
/** Added to FFmpeg's time stamps, which may lie before 0 after a seek, and taken away again. */
const SHIFT = seconds(30);
/** The most picture that is transcoded: 1280 × 720 at 30 a second, which takes a sixth of a 2.5 GHz core as VP8. */
const AREA = 1_280 * 720;
const FPS = 30;

export interface FileOptions {
  /** Where in the programme to begin; beyond the end of a looped file it is in a later round. */
  readonly start?: MediaTime;
  /** Begin again at the end, on continuing media time. */
  readonly loop?: boolean;
  /** What pictures are transcoded to where they cannot pass as they are. */
  readonly transcodeTo?: 'VP8' | 'H264';
  /** Codecs that may pass as they are. */
  readonly accept?: readonly ('VP8' | 'VP9' | 'H264')[];
  /** `false` leaves pictures out. */
  readonly pictures?: boolean;
  /**
   * Who gets the pictures: viewers of a live stream (unless told), or somebody who decodes them all, from the first on, to make
   * new ones of them. The latter takes B-frames and rare key frames; what has to be transcoded all the same keeps its size,
   * and loses nothing that is seen.
   */
  readonly purpose?: 'viewers' | 'editing';
  /** Named in refusals. */
  readonly field?: string;
}

/** How the pictures travel: as they are, or transcoded. */
export interface Passage {
  readonly codec: 'VP8' | 'VP9' | 'H264';
  readonly why: string | null;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** Nothing that is seen is lost when they are transcoded. */
  readonly lossless?: boolean;
}

const CODECS: Readonly<Record<string, Passage['codec']>> = { vp8: 'VP8', vp9: 'VP9', h264: 'H264' };
/** What WebRTC's decoders take: 8 bit, 4:2:0. */
const PIXELS = new Set(['yuv420p', 'yuvj420p']);

/** Decides whether pictures can pass as they are. */
export function passageOf(video: VideoStream, options: FileOptions = {}): Passage {
  const codec = CODECS[video.codec];
  const live = options.purpose !== 'editing';
  const accepted = options.accept ?? ['VP8', 'VP9', 'H264'];
  let why: string | null = null;
  if (!codec || !accepted.includes(codec)) why = `viewers do not take ${video.codec}`;
  else if (!PIXELS.has(video.pixels)) why = `its pixels are ${video.pixels}, not 8 bit 4:2:0`;
  else if (live && video.reordered) why = 'it has B-frames, which a live stream cannot carry';
  else if (live && video.keyFrameEvery > KEY_FRAMES + KEY_FRAMES_SLACK) {
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

/**
 * Opens a media file of any container that FFmpeg reads.
 *
 * @throws Refusal when it is not there or not media
 */
export async function openFile(path: string, options: FileOptions, scope: Scope): Promise<Programme> {
  const found = await probe(path, options.field ?? 'source.path', scope);
  const contents = options.pictures === false ? { ...found, video: null } : found;
  const passage = contents.video && passageOf(contents.video, options);
  const info: ProgrammeInfo = {
    container: contents.container,
    duration: contents.duration,
    audio: contents.audio && {
      codec: contents.audio.codec,
      rate: contents.audio.rate,
      channels: contents.audio.channels,
    },
    video: contents.video && passage && infoOf(contents.video, passage),
  };
  // Rounds are whole chunks long, so that each begins on the grid of the first.
  const length = contents.duration === null ? undefined : ((Math.ceil(contents.duration / CHUNK) * CHUNK) as Span);
  const round = (offset: Span, limit: Span | undefined) =>
    readRound({ path, audio: contents.audio, video: contents.video, passage, offset, limit }, scope);
  return {
    info,
    async *[Symbol.asyncIterator]() {
      const start = (options.start ?? 0) as Span;
      if (!options.loop) {
        for await (const item of round(start, undefined)) yield shifted(item, start);
        return;
      }
      let begin = length === undefined ? 0 : Math.floor(start / length) * length;
      let offset = (start - begin) as Span;
      for (;;) {
        let end = begin + offset;
        let items = 0;
        for await (const item of round(offset, length)) {
          items += 1;
          const moved = shifted(item, (begin + offset) as Span);
          end = Math.max(end, endOf(moved));
          yield moved;
        }
        // Of a file that does not say how long it is, a round is as long as it was.
        begin = length === undefined ? Math.ceil(end / CHUNK) * CHUNK : begin + length;
        offset = 0 as Span;
        if (items === 0) return;
      }
    },
  };
}

const infoOf = (
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

const shifted = <T extends ProgrammeItem>(item: T, by: Span): T => ({ ...item, start: later(item.start, by) });
const endOf = (item: ProgrammeItem) =>
  later(item.start, item.kind === 'audio' ? samples(item.pcm.length, RATE) : (0 as Span));

interface Round {
  readonly path: string;
  readonly audio: AudioStream | null;
  readonly video: VideoStream | null;
  readonly passage: Passage | null;
  /** How far into the file it begins; items count from there. */
  readonly offset: Span;
  /** Where in the file it ends, exactly: sound is cut or goes on as silence. `undefined`: where the file ends. */
  readonly limit: Span | undefined;
}

/** The file from `offset` to its end, once. */
async function* readRound(round: Round, scope: Scope): AsyncGenerator<ProgrammeItem, void, void> {
  const own = scope.child(`file at ${toMs(round.offset) / 1_000} s`);
  try {
    const { stdout, done } = ffmpeg(argumentsFor(round), own);
    const reader = new MatroskaReader();
    const length = round.limit === undefined ? undefined : ((round.limit - round.offset) as Span);
    const sound = new Gapless(length === undefined ? Number.POSITIVE_INFINITY : sampleIndex(length, RATE));
    let avc: AvcConfiguration | undefined;
    let running = false;
    for await (const bytes of stdout as AsyncIterable<Uint8Array>) {
      for (const { track, start: stamp, keyFrame, data } of reader.push(bytes)) {
        const start = at(stamp - SHIFT);
        if (track.kind === 'audio') yield* heard(sound.push(start, data));
        if (track.kind !== 'video' || !round.passage || start < 0 || start >= (length ?? Infinity)) continue;
        // Sound that is not there by now is not in the file.
        if (round.audio) yield* heard(sound.until(earlier(start, INTERLEAVE)));
        // After a seek pictures come from the key frame before; only the next one begins a picture that is on time.
        running ||= keyFrame;
        if (!running) continue;
        const { codec } = round.passage;
        if (codec === 'H264') avc ??= avcConfiguration(track.header);
        yield { kind: 'video', start, keyFrame, codec, data: avc ? annexB(data, keyFrame, avc) : data };
      }
    }
    await done;
    scope.signal.throwIfAborted();
    if (round.audio) yield* heard(sound.end());
  } catch (failure) {
    // Closing the scope tears the pipe: that is no failure of the file.
    scope.signal.throwIfAborted();
    throw failure;
  } finally {
    await own.close();
  }
}

function* heard(chunks: Iterable<AudioChunk>): Generator<ProgrammeItem, void, void> {
  for (const { start, pcm } of chunks) yield { kind: 'audio', start, rate: RATE, pcm };
}

function argumentsFor({ path, audio, video, passage, offset }: Round): string[] {
  const seek = offset > 0 ? ['-ss', (offset / 1_000_000).toFixed(6)] : [];
  const args = [...seek, ...inputFile(path)];
  if (video && passage) args.push('-map', `0:${video.index}`, ...videoArguments(video, passage));
  if (audio) args.push('-map', `0:${audio.index}`, '-ac', '1', '-ar', String(RATE), '-c:a', 'pcm_f32le');
  // Clusters are written at once and small, so that nothing waits inside FFmpeg for the rest of a second.
  const timing = ['-avoid_negative_ts', 'disabled', '-output_ts_offset', String(SHIFT / 1_000_000)];
  return [
    ...args,
    '-sn',
    '-dn',
    '-map_metadata',
    '-1',
    ...timing,
    '-f',
    'matroska',
    '-live',
    '1',
    '-flush_packets',
    '1',
    'pipe:1',
  ];
}

function videoArguments(video: VideoStream, passage: Passage): string[] {
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
  const bitrate = Math.round((passage.width * passage.height * passage.fps * 0.07) / 1_000) + 200;
  const encoder =
    passage.codec === 'H264'
      ? ['libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-forced-idr', '1']
      : ['libvpx', '-deadline', 'realtime', '-cpu-used', '16', '-lag-in-frames', '0', '-auto-alt-ref', '0'];
  // One thread: libvpx's threads wait for each other by spinning, and took five times the processor time of one.
  const keyFrames = ['-force_key_frames', `expr:gte(t,n_forced*${KEY_FRAMES / 1_000_000})`];
  const rate = ['-b:v', `${bitrate}k`, '-g', '600', ...keyFrames];
  return ['-vf', filters.join(','), '-c:v', ...encoder, ...rate, '-threads:v', '1'];
}
