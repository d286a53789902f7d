import type { AudioChunk } from './audio.ts';
import { type AvcConfiguration, annexB, avcConfiguration } from './avc.ts';
import { Gapless } from './gapless.ts';
import { MatroskaReader } from './matroska.ts';
import { type Passage, videoArguments } from './passage.ts';
import type { AudioStream, VideoStream } from './probe.ts';
import type { PassedCodec, ProgrammeItem } from './programme.ts';
import { type MediaTime, type Span, at, earlier, ms, sampleIndex, seconds } from './time.ts';

export const RATE = 48_000;
/** How far FFmpeg lets pictures run before sound when it interleaves them: a packet of sound, and a margin. */
const INTERLEAVE = ms(200);
/** Added to FFmpeg's time stamps, which may lie before 0 after a seek, and taken away again. */
const SHIFT = seconds(30);

/**
 * The arguments after ffmpeg's input: the chosen sound and pictures to a pipe, as {@link Demuxer} takes them.
 *
 * @param more for the muxer, e.g. how long it waits for a track that stays away
 */
export function demuxedArguments(
  audio: AudioStream | null,
  video: VideoStream | null,
  passage: Passage | null,
  more: readonly string[] = [],
): string[] {
  const args: string[] = [];
  if (video && passage) args.push('-map', `0:${video.index}`, ...videoArguments(video, passage));
  if (audio) args.push('-map', `0:${audio.index}`, '-ac', '1', '-ar', String(RATE), '-c:a', 'pcm_f32le');
  const timing = ['-avoid_negative_ts', 'disabled', '-output_ts_offset', String(SHIFT / 1_000_000)];
  // Clusters are written at once and small, so that nothing waits inside FFmpeg for the rest of a second.
  const muxer = ['-f', 'matroska', '-live', '1', '-flush_packets', '1'];
  return [...args, '-sn', '-dn', '-map_metadata', '-1', ...timing, ...more, ...muxer, 'pipe:1'];
}

/** What is in the pipe. */
export interface Demuxing {
  readonly sound: boolean;
  /** What the pictures are; `null`: there are none. */
  readonly codec: PassedCodec | null;
  /** Where it ends, exactly: sound is cut or goes on as silence. `undefined`: where the pipe ends. */
  readonly length?: Span | undefined;
  /** Puts the time of a packet right before it is used; `track` is one name for each track. */
  readonly place?: (track: 'audio' | 'video', t: MediaTime) => MediaTime;
}

/** Bytes that ffmpeg writes for {@link demuxedArguments} in, items of a programme out, as soon as they are complete. */
export class Demuxer {
  readonly #wanted: Demuxing;
  readonly #reader = new MatroskaReader();
  readonly #sound: Gapless;
  #avc: AvcConfiguration | undefined;
  #running = false;

  constructor(wanted: Demuxing) {
    this.#wanted = wanted;
    const { length } = wanted;
    this.#sound = new Gapless(length === undefined ? Number.POSITIVE_INFINITY : sampleIndex(length, RATE));
  }

  *push(bytes: Uint8Array): Generator<ProgrammeItem, void, void> {
    const { sound, codec, length, place = (_, t) => t } = this.#wanted;
    for (const { track, start: stamp, keyFrame, data } of this.#reader.push(bytes)) {
      if (track.kind === 'other') continue;
      const start = place(track.kind, at(stamp - SHIFT));
      if (track.kind === 'audio') yield* heard(this.#sound.push(start, data));
      if (track.kind !== 'video' || codec === null || start < 0 || start >= (length ?? Infinity)) continue;
      // Sound that is not there by now is not in the source.
      if (sound) yield* heard(this.#sound.until(earlier(start, INTERLEAVE)));
      // After a seek pictures come from the key frame before; only the next one begins a picture that is on time.
      this.#running ||= keyFrame;
      if (!this.#running) continue;
      if (codec === 'H264') this.#avc ??= avcConfiguration(track.header);
      const picture = this.#avc ? annexB(data, keyFrame, this.#avc) : data;
      yield { kind: 'video', start, keyFrame, codec, data: picture };
    }
  }

  *end(): Generator<ProgrammeItem, void, void> {
    if (this.#wanted.sound) yield* heard(this.#sound.end());
  }
}

function* heard(chunks: Iterable<AudioChunk>): Generator<ProgrammeItem, void, void> {
  for (const { start, pcm } of chunks) yield { kind: 'audio', start, rate: RATE, pcm };
}
