import { int16From } from '../../media/bytes.ts';
import { keepNewest } from '../../media/newest.ts';
import { type ClockTime, type MediaTime, type Span, between, earlier, later, ms } from '../../media/time.ts';
import { type Coding, matrixOf, packedRgb, planesOfRgb } from '../../media/colour.ts';
import { type Patch, type Planes, cutOut } from '../../media/video-frame.ts';
import type { Driven, FaceId, Shot, Take } from '../../pipeline/face.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import type { HttpClient } from '../service/http.ts';
import { CropPath, type Mask, feathered, mouthMask } from './remote-crop.ts';
import { DriverLink } from './remote-link.ts';
import {
  type Answered,
  type ClientWord,
  type PictureFormat,
  type ServerWord,
  audioMessage,
  pictureMessage,
  planeBytes,
  planesOf,
} from './remote-protocol.ts';

export interface RemoteDriver {
  readonly engine: string;
  readonly client: HttpClient;
  /** How much programme may be at the server. */
  readonly lookahead: Span;
  /** How long an answer is waited for. */
  readonly patience: Span;
  /** What is cut out around a face on each side, in parts of its longer edge. */
  readonly margin: number;
}

/** What has been lost on the way, since the engine was loaded. */
export interface RemoteCounts {
  /** Answers that did not come in time. */
  late: number;
  /** Pictures that the server did not drive. */
  undriven: number;
}

/** Pictures at the server at most, whatever it says it takes. */
const MOST = 512;
/** Samples of sound a message. */
const SOUND = 16_000;
/** A server that misses so many answers, and says nothing for half of the patience, hangs. */
const HUNG = 2;
/** A take of which no picture came for so long is over. */
const GONE = ms(200);

/** A shot that was taken in and not yet given out. */
interface Waiting {
  readonly start: MediaTime;
  readonly face: FaceId;
  readonly due: ClockTime;
  key?: string;
  /** What the answer is laid on. */
  onto?: {
    readonly original: Patch;
    readonly mask: Mask;
    readonly weight: number;
    readonly colour: Coding;
  };
  driven?: Driven;
}
/** A take as the server knows it. */
interface Open {
  readonly number: number;
  readonly take: Take;
  readonly face: FaceId;
  readonly path: CropPath;
  readonly format: PictureFormat;
  pictures: number;
  latest: MediaTime;
}

const keyFor = ({ utterance, language }: Take, face: FaceId) => `${utterance} ${language} ${face}`;
const keyOf = (take: number, picture: number) => `${take}/${picture}`;

/** The take's sounds, from its first sample on. */
function phonemesOf({ phonemes, clip }: Take) {
  return phonemes?.map(({ text, start, end }) => ({
    text,
    start: between(clip.start, start),
    end: between(clip.start, end),
  }));
}

/**
 * Drives faces by a server: shots in, driven pictures out, in order, none missing.
 *
 * A picture whose answer is late, refused or lost stays as it was. When the conversation fails, what was at the server
 * stays as it was too, and then the fault is thrown. Nothing is sent for shots without a take, or unfit to be driven.
 */
export async function* drive(
  driver: RemoteDriver,
  counts: RemoteCounts,
  input: AsyncIterable<Shot>,
  scope: StageScope,
): AsyncGenerator<Driven, void, void> {
  const { client, lookahead, patience } = driver;
  const { clock, signal } = scope;
  const own = new AbortController();
  const abort = () => own.abort(signal.reason);
  if (signal.aborted) return;
  signal.addEventListener('abort', abort, { once: true });

  const queue: Waiting[] = [];
  const asked = new Map<string, Waiting>();
  /** Of answers that were given up: they may still come, once. */
  const forgone = new Set<string>();
  const open = new Map<string, Open>();
  let takes = 0;
  let credits = 0;
  let given: MediaTime | undefined;
  let ended = false;
  let heardAt = clock.now();
  /** Answers that were late since anything was heard. */
  let missed = 0;
  let fault: Error | undefined;
  let inputFailed: { readonly error: unknown } | undefined;
  let link: DriverLink | undefined;
  let wakers: (() => void)[] = [];
  const wake = () => {
    const all = wakers;
    wakers = [];
    for (const each of all) each();
  };
  own.signal.addEventListener('abort', wake, { once: true });
  const change = () => new Promise<void>((resolve) => wakers.push(resolve));
  const over = () => own.signal.aborted || fault !== undefined;

  const undriven = (waiting: Waiting) => {
    waiting.driven = { start: waiting.start, face: waiting.face, patches: [] };
    if (waiting.key !== undefined) asked.delete(waiting.key);
  };
  const fail = (thrown: unknown) => {
    fault ??= thrown instanceof Error ? thrown : new Error(String(thrown));
    wake();
  };
  const wrong = (what: string) => client.fault('rejected', `${client.base.host} ${what}`);

  const listen = async (to: DriverLink) => {
    try {
      for (;;) {
        const said = await to.next();
        if (over()) return;
        heardAt = clock.now();
        missed = 0;
        if (said === undefined) {
          // Closing is polite only after everything was answered.
          if (asked.size > 0 || !ended)
            throw client.fault('unavailable', `${client.base.host} left in the middle of a take`);
          return;
        }
        hear(said);
        wake();
      }
    } catch (thrown) {
      if (!own.signal.aborted) fail(thrown);
    }
  };
  const hear = (said: ServerWord | Answered) => {
    if ('bytes' in said) {
      const waiting = expected(said.take, said.number);
      if (waiting?.onto) {
        const { original, mask, weight, colour } = waiting.onto;
        if (said.width !== original.width || said.height !== original.height) {
          throw wrong(
            `answered with ${said.width} × ${said.height} where ${original.width} × ${original.height} was sent`,
          );
        }
        const driven: Planes =
          said.format === 'i420'
            ? planesOf(said.bytes, said.width, said.height)
            : planesOfRgb(said.bytes, said.width, said.height, colour);
        const patch = feathered(original, driven, mask, weight);
        waiting.driven = { start: waiting.start, face: waiting.face, patches: patch ? [patch] : [] };
        asked.delete(waiting.key!);
      }
      return;
    }
    switch (said.type) {
      case 'none': {
        const waiting = expected(said.take, said.number);
        if (waiting) {
          counts.undriven += 1;
          undriven(waiting);
        }
        return;
      }
      case 'credit':
        credits = Math.min(MOST, credits + said.count);
        return;
      case 'hello':
        throw wrong('said hello twice');
      case 'ended':
      case 'working':
      case 'error':
    }
  };
  const expected = (take: number, picture: number): Waiting | undefined => {
    const key = keyOf(take, picture);
    const waiting = asked.get(key);
    if (waiting) return waiting;
    if (forgone.delete(key)) return undefined;
    throw wrong(`answered for picture ${picture} of take ${take}, which it was not asked for`);
  };

  const finish = async (key: string, take: Open) => {
    open.delete(key);
    await link!.send({ type: 'end', take: take.number });
  };
  const takeFor = async (shot: Shot, take: Take): Promise<Open> => {
    const key = keyFor(take, shot.face.id);
    const before = open.get(key);
    if (before) return before;
    const { frame } = shot;
    const { formats, phonemes } = link!.hello;
    const format = formats.includes('i420') ? 'i420' : 'rgb24';
    const path = new CropPath(shot.face, driver.margin, frame);
    const opened: Open = { number: takes, take, face: shot.face.id, path, format, pictures: 0, latest: shot.start };
    takes += 1;
    open.set(key, opened);
    const sounds = phonemes ? phonemesOf(take) : undefined;
    const begin: ClientWord = {
      type: 'begin',
      take: opened.number,
      width: path.side,
      height: path.side,
      format,
      matrix: matrixOf(frame.colour, frame.height),
      range: frame.colour.range,
      samples: take.pcm.length,
      soundAt: take.clip.start,
      language: take.language,
      ...(sounds && { phonemes: sounds }),
    };
    await link!.send(begin);
    const pcm = int16From(take.pcm);
    for (let from = 0; from < pcm.length; from += SOUND) {
      await link!.send(audioMessage(opened.number, from, pcm.subarray(from, from + SOUND)));
    }
    return opened;
  };

  const linked = async () => {
    if (link) return;
    link = await DriverLink.open(client, driver.engine, { clock, signal: own.signal });
    const { formats, chunk } = link.hello;
    credits = Math.min(MOST, link.hello.credits);
    heardAt = clock.now();
    if (!formats.some((each) => each === 'i420' || each === 'rgb24')) {
      throw client.fault(
        'broken',
        `${client.base.host} takes ${formats.join(', ').slice(0, 80)}; i420 or rgb24 is needed`,
      );
    }
    if (chunk > Math.min(MOST, link.hello.credits)) {
      throw client.fault('broken', `${client.base.host} waits for ${chunk} pictures and takes ${link.hello.credits}`);
    }
    void listen(link);
  };

  const put = async (shot: Shot) => {
    const { take, face, start, weight } = shot;
    if (!take || face.unfit !== undefined || weight <= 0) {
      const why = face.unfit === undefined ? {} : { unfit: face.unfit };
      queue.push({ start, face: face.id, due: clock.now(), driven: { start, face: face.id, patches: [], ...why } });
      wake();
      return;
    }
    const waiting: Waiting = { start, face: face.id, due: later(clock.now(), patience) };
    queue.push(waiting);
    wake();
    await linked();
    const stale = () => over() || waiting.driven !== undefined;
    if (stale()) return;
    const opened = await takeFor(shot, take);
    opened.latest = start;
    while (credits === 0 && !stale()) await change();
    if (!stale()) await ask(shot, opened, waiting);
    if (!over() && shot.end >= take.end) await finish(keyFor(take, face.id), opened);
  };
  const ask = async ({ face, frame, start, weight }: Shot, opened: Open, waiting: Waiting) => {
    const box = opened.path.at(face, frame);
    const original = cutOut(frame, box);
    const colour = { matrix: matrixOf(frame.colour, frame.height), range: frame.colour.range };
    const number = opened.pictures;
    opened.pictures += 1;
    credits -= 1;
    waiting.onto = { original, mask: mouthMask(face.landmarks, box), weight, colour };
    waiting.key = keyOf(opened.number, number);
    asked.set(waiting.key, waiting);
    await link!.send(
      pictureMessage({
        take: opened.number,
        number,
        width: box.width,
        height: box.height,
        format: opened.format,
        start,
        within: patience,
        face: { ...face.box, left: face.box.left - box.left, top: face.box.top - box.top },
        landmarks: face.landmarks.map((value, n) => value - (n % 2 === 0 ? box.left : box.top)),
        bytes: opened.format === 'i420' ? planeBytes(original) : packedRgb(original, colour),
      }),
    );
  };

  const send = async () => {
    const shots = until(input, own.signal)[Symbol.asyncIterator]();
    try {
      for (;;) {
        while (!over() && queue.length >= MOST) await change();
        let next: IteratorResult<Shot, void>;
        try {
          next = await shots.next();
        } catch (error) {
          inputFailed = { error };
          return;
        }
        if (next.done || over()) return;
        const shot = next.value;
        given ??= shot.start;
        for (const [key, each] of open) {
          if (shot.start >= each.take.end || between(each.latest, shot.start) > GONE) await finish(key, each);
        }
        await put(shot);
        // No more may be asked for before what is due has been taken.
        const due = earlier(shot.start, lookahead);
        while (!over() && queue.length > 0 && given < due) await change();
      }
    } catch (thrown) {
      if (!own.signal.aborted) fail(thrown);
    } finally {
      try {
        if (!over() && link) for (const [key, each] of open) await finish(key, each);
      } catch (thrown) {
        fail(thrown);
      }
      ended = true;
      await shots.return?.();
      wake();
    }
  };

  const hungry = () => {
    const { chunk } = link!.hello;
    const seconds = lookahead / 1e6;
    return client.fault(
      'broken',
      `${client.base.host} waits for ${chunk} pictures, and there are fewer in ${seconds} s: raise 'lookahead', or have it wait for fewer`,
    );
  };

  const sending = send();
  sending.catch(() => {});
  try {
    for (;;) {
      if (own.signal.aborted) return;
      if (inputFailed) throw inputFailed.error;
      if (fault) for (const each of queue) if (!each.driven) undriven(each);
      const head = queue[0];
      if (head?.driven) {
        queue.shift();
        yield head.driven;
        given = head.start;
        wake();
        continue;
      }
      if (!head && fault) throw fault;
      if (!head && ended) return;
      if (head && clock.now() >= head.due) {
        counts.late += 1;
        missed += link ? 1 : 0;
        // Asked for fewer pictures than it wants at once, it waits for more, and we for it.
        const starved = link !== undefined && open.size > 0 && asked.size < link.hello.chunk;
        const hung = missed >= HUNG && 2 * between(heardAt, clock.now()) >= patience;
        if (head.key !== undefined && asked.has(head.key)) remember(forgone, head.key);
        undriven(head);
        if (hung)
          fail(starved ? hungry() : client.fault('timeout', `${client.base.host} said nothing for a long time`));
        continue;
      }
      if (!head) {
        await change();
        continue;
      }
      const off = new AbortController();
      const bell = clock.until(head.due, off.signal).catch(() => {});
      await Promise.race([change(), bell]);
      off.abort();
    }
  } finally {
    const went = own.signal.aborted
      ? 'left'
      : fault
        ? isSlow(fault)
          ? 'failed'
          : 'left'
        : ended
          ? 'succeeded'
          : 'left';
    signal.removeEventListener('abort', abort);
    if (went === 'succeeded') await link?.close(went);
    own.abort(new DOMException('The run is over.', 'AbortError'));
    await link?.close(went);
    if (!signal.aborted) await sending.catch(() => {});
  }
}

const isSlow = (thrown: Error) =>
  thrown instanceof Fault && (thrown.kind === 'unavailable' || thrown.kind === 'timeout');

/** Keeps the newest few. */
function remember(set: Set<string>, key: string): void {
  set.add(key);
  keepNewest(set, MOST);
}
