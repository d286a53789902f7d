import type { Readable } from 'node:stream';
import { Readable as Source } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ContinuousTimes } from './continuous-times.ts';
import { Demuxer, demuxedArguments } from './demuxed.ts';
import { FfmpegError, type Running, ffmpeg, ffprobeInput } from './ffmpeg.ts';
import { FlvTimes } from './flv-times.ts';
import { Intake, within } from './intake.ts';
import { type Passage, infoOf, passageOf } from './passage.ts';
import { PictureWatch } from './picture-watch.ts';
import { type Contents, NO_PROGRAMME, type Probed, contentsOf } from './probe.ts';
import type { Programme, ProgrammeInfo, ProgrammeItem } from './programme.ts';
import type { Scope } from './scope.ts';
import { type FfmpegInput, inputOf } from './stream-input.ts';
import { PicturesUnfit, StreamAway, brokeOff, notMedia, troubleOf } from './stream-trouble.ts';
import { type MediaTime, type Span, earlier, seconds } from './time.ts';

export { PicturesUnfit, StreamAway };

/** What FFmpeg takes a live programme from. */
export type StreamInput =
  /** HLS, anything over HTTP, RTSP. */
  | { readonly kind: 'url'; readonly url: string; readonly transport?: 'tcp' | 'udp' }
  /** Plain RTP to the ports of a session description (RFC 8866). */
  | { readonly kind: 'sdp'; readonly sdp: string }
  /** A container as it comes in. Ends where the sender ends. */
  | { readonly kind: 'bytes'; readonly format: 'flv' | 'mpegts'; readonly bytes: AsyncIterable<Uint8Array> };

export interface StreamOptions {
  /** Named in refusals, e.g. `source.url`. */
  readonly field: string;
  /** What pictures become that cannot pass as they are; H.264 unless told, which every output takes. */
  readonly transcodeTo?: 'VP8' | 'H264';
  /** Why pictures are transcoded whatever they look like: what {@link PicturesUnfit} said. */
  readonly transcode?: string;
  /** How long the source may be silent before it is {@link StreamAway}; 10 s unless told. */
  readonly patience?: Span;
}

const PATIENCE = seconds(10);
/** Lists of other streams that a live source may be. */
const LISTS = /^(hls|rtsp|sdp|dash)$/;
/** What says nowhere how long it is. */
const GOES_ON = /^(mpegts|flv|live_flv|rtsp|sdp)$/;
/** What is looked at of bytes before they are handed on, and how much where that did not tell all. */
const HEADS = [
  { bytes: 4_000_000, time: seconds(2.5) },
  { bytes: 8_000_000, time: seconds(5) },
] as const;
/** Bytes that a sender which breaks off at once has sent at most; no container tells anything in less. */
const LEAST = 400;
/** What looking takes beyond the source's silence: some seconds of packets. */
const LOOKING = seconds(5);
/** How many seconds of packets are looked at for pictures out of order and key frames. */
const PACKETS = 2;
/** A late joiner of a live stream waits for a key frame at most so long. */
const KEY_FRAMES = seconds(4);
/** How long the muxer waits for a track that stays away, µs. */
const APART = 2_000_000;
/** A programme that begins this near to 0 begins where FFmpeg says. */
const NEAR = seconds(1);

/**
 * Opens a live programme: looks what is in it, and begins to read. It is to be consumed from then on; what nobody takes stops
 * the sender, or, of RTP, is lost.
 *
 * @throws Refusal what cannot ever work; StreamAway what may come back. The programme itself throws StreamAway where the
 * source breaks off or is silent, and PicturesUnfit where it must be opened again with `transcode`
 */
export async function openStream(input: StreamInput, options: StreamOptions, scope: Scope): Promise<Programme> {
  const own = scope.child('stream');
  const intake = input.kind === 'bytes' ? new Intake(timed(input)) : undefined;
  own.defer(() => intake?.leave());
  try {
    const patience = options.patience ?? PATIENCE;
    const from = inputOf(input, options.field, patience);
    const contents = await lookInto(from, intake, { ...options, patience }, own);
    const passage =
      contents.video && passageOf(contents.video, { transcodeTo: 'H264', keyFrames: KEY_FRAMES, ...options });
    const more = ['-max_interleave_delta', String(APART)];
    const running = ffmpeg([...from.args, ...demuxedArguments(contents.audio, contents.video, passage, more)], own);
    if (from.stdin) running.stdin.end(from.stdin);
    const fed = intake && feed(intake, running, own.signal);
    let read = false;
    return {
      info: infoFrom(contents, passage),
      [Symbol.asyncIterator]() {
        if (read) throw new TypeError('Cannot read a live programme twice');
        read = true;
        return reading({ from, contents, passage, running, fed, patience, field: options.field }, own, scope);
      },
    };
  } catch (failure) {
    await own.close();
    scope.signal.throwIfAborted();
    throw failure;
  }
}

/** The bytes with a clock that does not jump; of MPEG-TS FFmpeg sees to it. */
async function* timed({ format, bytes }: Extract<StreamInput, { kind: 'bytes' }>): AsyncGenerator<Uint8Array, void> {
  if (format === 'mpegts') {
    yield* bytes;
    return;
  }
  const times = new FlvTimes();
  for await (const some of bytes) {
    const passed = times.push(some);
    if (passed.length > 0) yield passed;
  }
  yield times.end();
}

const infoFrom = ({ container, duration, audio, video }: Contents, passage: Passage | null): ProgrammeInfo => ({
  container,
  // Of what goes on FFmpeg says how long the part is that it has looked at.
  duration: GOES_ON.test(container) ? null : duration,
  audio: audio && { codec: audio.codec, rate: audio.rate, channels: audio.channels },
  video: video && passage && infoOf(video, passage),
});

type Look = StreamOptions & { readonly patience: Span };

async function lookInto(from: FfmpegInput, intake: Intake | undefined, look: Look, scope: Scope): Promise<Contents> {
  const ask = async (stdin: Uint8Array | undefined): Promise<Probed> => {
    const what = ['-show_format', '-show_streams', '-show_programs', '-show_packets'];
    const some = intake ? [] : ['-read_intervals', `%+${PACKETS}`];
    const asked = ffprobeInput(from.args, [...what, ...some], stdin, scope) as Promise<Probed>;
    try {
      return await (intake ? asked : within(asked, (look.patience + LOOKING) as Span, from.what));
    } catch (failure) {
      if (!(failure instanceof FfmpegError)) throw failure;
      const trouble = troubleOf(failure, from.what, look.field);
      // Bytes that are there cannot come back as others.
      const never = intake !== undefined && trouble instanceof StreamAway;
      throw never ? notMedia(from.what, look.field, 'it is not media that FFmpeg reads', trouble.cause) : trouble;
    }
  };
  let found: Probed = {};
  if (!intake) found = await ask(from.stdin);
  for (const { bytes, time } of intake ? HEADS : []) {
    const head = await intake!.collect(bytes, time, look.patience, scope.signal);
    if (head.length < LEAST) throw new StreamAway(`Cannot open ${from.what}: it ended before it began`);
    found = await ask(head);
    if (isTold(found) || intake!.ended) break;
  }
  const contents = contentsOf(found);
  const { container } = contents;
  if (container.split(',').some((one) => NO_PROGRAMME.test(one) && !LISTS.test(one))) {
    throw notMedia(from.what, look.field, `it is ${container}, not a programme`);
  }
  if (!contents.audio && !contents.video) {
    throw notMedia(from.what, look.field, 'it has neither sound nor moving pictures');
  }
  return contents;
}

/** Whether everything in it showed its size or rate. */
const isTold = ({ streams = [] }: Probed) =>
  streams.length > 0 &&
  streams.every((stream) => {
    if (stream.codec_type === 'video') return (stream.width ?? 0) > 0;
    return stream.codec_type !== 'audio' || Number(stream.sample_rate) > 0;
  });

/** Hands the bytes to FFmpeg as it takes them. */
async function feed(intake: Intake, { stdin }: Running, signal: AbortSignal): Promise<unknown> {
  try {
    await pipeline(Source.from(intake.all(), { objectMode: true, highWaterMark: 1 }), stdin, { signal });
    return undefined;
  } catch (failure) {
    // What the sender threw. That FFmpeg takes no more is told by how it ends.
    return (failure as NodeJS.ErrnoException).code === 'EPIPE' ? undefined : failure;
  }
}

interface Reading {
  readonly from: FfmpegInput;
  readonly contents: Contents;
  readonly passage: Passage | null;
  readonly running: Running;
  readonly fed: Promise<unknown> | undefined;
  readonly patience: Span;
  readonly field: string;
}

async function* reading(of: Reading, own: Scope, scope: Scope): AsyncGenerator<ProgrammeItem, void, void> {
  const { from, contents, passage, running, fed, patience, field } = of;
  try {
    const times = new ContinuousTimes();
    let origin: Span | undefined;
    const place = (track: string, t: MediaTime) => {
      origin ??= (Math.abs(t) < NEAR ? 0 : t) as Span;
      return times.place(track, earlier(t, origin));
    };
    const demuxer = new Demuxer({ sound: contents.audio !== null, codec: passage?.codec ?? null, place });
    const watch = new PictureWatch(passage?.why === null ? KEY_FRAMES : (Infinity as Span));
    for await (const bytes of patiently(running.stdout, patience, from.what)) {
      for (const item of demuxer.push(bytes)) {
        const shown = item.kind === 'video' ? watch.see(item) : item;
        if (shown) yield shown;
      }
    }
    await running.done;
    scope.signal.throwIfAborted();
    const cause = await fed;
    if (cause !== undefined) throw new StreamAway(`${from.what} broke off`, { cause });
    yield* demuxer.end();
    if (brokeOff(running.lines())) throw new StreamAway(`${from.what} broke off`);
  } catch (failure) {
    // Closing the scope tears the pipe: that is no failure of the source.
    scope.signal.throwIfAborted();
    throw failure instanceof FfmpegError ? troubleOf(failure, from.what, field) : failure;
  } finally {
    await own.close();
  }
}

/** What comes in, as long as it comes: only waiting for it takes patience, not what the consumer takes. */
async function* patiently(stdout: Readable, patience: Span, what: string): AsyncGenerator<Uint8Array, void, void> {
  const parts = (stdout as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  for (;;) {
    const next = parts.next();
    next.catch(() => {});
    const came = await within(next, patience, what);
    if (came.done) return;
    yield came.value;
  }
}
