import { Demuxer, RATE, demuxedArguments } from './demuxed.ts';
import { ffmpeg, inputFile } from './ffmpeg.ts';
import { CHUNK } from './gapless.ts';
import { type Passage, type PassageOptions, infoOf, passageOf } from './passage.ts';
import type { Programme, ProgrammeInfo, ProgrammeItem } from './programme.ts';
import { type AudioStream, type VideoStream, probe } from './probe.ts';
import type { Scope } from './scope.ts';
import { type MediaTime, type Span, later, samples, toMs } from './time.ts';

export interface FileOptions extends PassageOptions {
  /** Where in the programme to begin; beyond the end of a looped file it is in a later round. */
  readonly start?: MediaTime;
  /** Begin again at the end, on continuing media time. */
  readonly loop?: boolean;
  /** `false` leaves pictures out. */
  readonly pictures?: boolean;
  /** Named in refusals. */
  readonly field?: string;
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
    const length = round.limit === undefined ? undefined : ((round.limit - round.offset) as Span);
    const demuxer = new Demuxer({ sound: round.audio !== null, codec: round.passage?.codec ?? null, length });
    for await (const bytes of stdout as AsyncIterable<Uint8Array>) yield* demuxer.push(bytes);
    await done;
    scope.signal.throwIfAborted();
    yield* demuxer.end();
  } catch (failure) {
    // Closing the scope tears the pipe: that is no failure of the file.
    scope.signal.throwIfAborted();
    throw failure;
  } finally {
    await own.close();
  }
}

function argumentsFor({ path, audio, video, passage, offset }: Round): string[] {
  const seek = offset > 0 ? ['-ss', (offset / 1_000_000).toFixed(6)] : [];
  return [...seek, ...inputFile(path), ...demuxedArguments(audio, video, passage)];
}
