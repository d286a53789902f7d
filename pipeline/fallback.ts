import { endOf, isAudio } from '../media/audio.ts';
import type { Clock } from '../media/clock.ts';
import { type ClockTime, type MediaTime, type Span, later, seconds } from '../media/time.ts';
import { Fault } from './fault.ts';
import { backOff } from './rx.ts';
import { slice } from './slice.ts';
import type { Stage, StageKind, StageMap, StageScope } from './stage.ts';

export interface Fallback {
  /** A chosen engine that sits on an item for this long is taken to be gone. */
  readonly patience?: Span;
  /** How long the stand-in works before the chosen engine is tried again; `undefined` gives it up. */
  readonly retryAfter?: (fault: Fault, failures: number) => Span | undefined;
  readonly onFault?: (fault: Fault) => void;
}

type In = StageMap[StageKind]['in'];
type Out = StageMap[StageKind]['out'];

/** Items remembered until they are answered: half a minute of audio in 20 ms chunks, and a bound for the rest. */
const KEPT = 1_536;
/** Kinds that answer every item once, in order. */
const ONE_EACH: ReadonlySet<StageKind> = new Set(['faceTracker', 'activeSpeaker', 'lipDriver', 'restorer']);
const FOREVER = Number.POSITIVE_INFINITY as MediaTime;

/** Between this item and the next one engine may take over from another without cutting anything in two. */
const ends = (item: object) => !('last' in item) || item.last === true;

/**
 * What the chosen engine was given and has not answered yet, so that nothing is lost when another takes over.
 *
 * Samples are copied: the buffers are borrowed.
 */
class Unanswered {
  readonly #kind: StageKind;
  #items: In[] = [];
  #until = Number.NEGATIVE_INFINITY as MediaTime;

  constructor(kind: StageKind) {
    this.#kind = kind;
  }

  took(item: In): void {
    this.#items.push(isAudio(item) ? { ...item, pcm: item.pcm.slice() } : item);
    if (this.#items.length > KEPT) this.#items.shift();
  }

  answered(out: Out): void {
    if (ONE_EACH.has(this.#kind)) {
      this.#items.shift();
      return;
    }
    if ('line' in out || ('utterance' in out && !('words' in out))) {
      // One line, one answer: the items up to it are done with.
      const id = 'line' in out ? out.line.utterance : out.utterance;
      if ('last' in out && !out.last) return;
      const index = this.#items.findIndex(
        (item) => ('id' in item ? item.id : 'utterance' in item && item.utterance) === id,
      );
      this.#items.splice(0, index + 1);
      return;
    }
    this.#until = Math.max(this.#until, reach(out)) as MediaTime;
    this.#items = this.#items.filter((item) => !isAudio(item) || endOf(item) > this.#until);
  }

  /** The items that are still to be answered, without what was said about their beginnings. */
  take(): In[] {
    const interval = { start: this.#until, end: FOREVER };
    const whole = this.#kind === 'aligner';
    const items = this.#items.map((item) => (isAudio(item) && !whole ? { ...item, ...slice(item, interval) } : item));
    this.#items = [];
    return items;
  }
}

/** Up to where an answer settles the audio it is about. */
function reach(out: Out): MediaTime {
  const nothing = Number.NEGATIVE_INFINITY as MediaTime;
  if ('stable' in out) return out.final ? out.end : (out.stable.at(-1)?.end ?? nothing);
  if ('phones' in out) return out.final ? out.end : nothing;
  if ('pcm' in out) return endOf(out);
  if ('rest' in out) return endOf({ ...out, pcm: out.speech });
  if ('line' in out) return nothing;
  return 'end' in out ? out.end : out.start;
}

/** What both can do. */
function capsOf<K extends StageKind>(primary: Stage<K>, spare: Stage<K>): StageMap[K]['caps'] {
  const [a, b] = [primary.caps, spare.caps] as unknown as readonly [Record<string, unknown>, Record<string, unknown>];
  if (a['rate'] !== b['rate']) {
    throw new RangeError(
      `Cannot let ${spare.engine} stand in for ${primary.engine}: it hears ${String(b['rate'])} Hz, not ${String(a['rate'])} Hz`,
    );
  }
  const both = Object.entries(a).map(([name, value]) => {
    const other = b[name];
    if (name === 'lookahead') return [name, Math.max(Number(value), Number(other))];
    if (name === 'maxSpeakers' || name === 'voices') return [name, Math.min(Number(value), Number(other))];
    if (name === 'marks') return [name, (value as unknown[]).filter((mark) => (other as unknown[]).includes(mark))];
    if (name !== 'clonesVoice' && name !== 'guides' && typeof value === 'boolean')
      return [name, value && other === true];
    return [name, value];
  });
  return Object.fromEntries(both) as StageMap[K]['caps'];
}

/**
 * A stage made of two: `spare` works while `primary` cannot.
 *
 * When `primary` throws, ends early or sits on an item for longer than `patience`, `spare` gets what `primary` was given
 * and has not answered, and then the rest. `primary` is tried again after `retryAfter`, at the next place where no
 * segment or utterance is cut in two. A `rejected` item goes to `spare` alone. When `spare` throws, so does the stage.
 */
export function fallback<K extends StageKind>(
  primary: Stage<K>,
  spare: Stage<K>,
  { patience = seconds(3), retryAfter = backOff(seconds(5), seconds(60)), onFault }: Fallback = {},
): Stage<K> {
  const watchers = new Set<() => void>();
  let working: string | undefined;
  const stand = (engine: string | undefined) => {
    if (working === engine) return;
    working = engine;
    for (const changed of watchers) changed();
  };
  // They outlast a run: a primary that failed a second ago is not new to us.
  let failures = 0;
  let retryAt = Number.NEGATIVE_INFINITY as ClockTime;

  return {
    kind: primary.kind,
    engine: primary.engine,
    caps: capsOf(primary, spare),
    standIn: {
      get engine() {
        return working;
      },
      watch: (changed) => void watchers.add(changed),
    },
    async *run(input, scope) {
      const { clock, signal } = scope;
      const source = new Source<StageMap[K]['in']>(input);
      const unanswered = new Unanswered(primary.kind);
      try {
        while (!signal.aborted) {
          const chosen = clock.now() >= retryAt;
          const tried = once(chosen ? primary : spare, source, unanswered, scope, {
            ...(chosen ? { patience } : { until: () => clock.now() >= retryAt }),
          });
          try {
            for await (const out of tried) {
              if (chosen) failures = 0;
              stand(chosen ? undefined : spare.engine);
              yield out;
            }
            if (source.ended || signal.aborted) return;
            if (chosen) throw new Fault(primary.kind, 'unavailable', `${primary.engine} ended while its input goes on`);
          } catch (thrown) {
            if (signal.aborted) return;
            if (!chosen || source.failed) throw thrown;
            const fault = Fault.from(primary.kind, thrown);
            onFault?.(fault);
            source.again(unanswered.take());
            if (fault.response === 'skip') {
              retryAt = clock.now();
              yield* once(spare, source, unanswered, scope, { until: () => true }) as AsyncIterable<StageMap[K]['out']>;
              if (source.ended) return;
              continue;
            }
            const wait = fault.response === 'stop' ? undefined : retryAfter(fault, (failures += 1));
            retryAt = wait === undefined ? (Number.POSITIVE_INFINITY as ClockTime) : later(clock.now(), wait);
            stand(spare.engine);
          }
        }
      } finally {
        source.release(signal);
      }
    },
  };
}

/** The input of several runs in turn: an item that was asked for by a run that is over goes to the next. */
class Source<T> {
  readonly #items: AsyncIterator<T>;
  #again: T[] = [];
  #pending: Promise<IteratorResult<T>> | undefined;
  ended = false;
  failed = false;

  constructor(input: AsyncIterable<T>) {
    this.#items = input[Symbol.asyncIterator]();
  }
  /** These come first. */
  again(items: readonly T[]): void {
    this.#again.unshift(...items);
  }
  async next(over: () => boolean): Promise<{ readonly item: T } | undefined> {
    if (over()) return undefined;
    const first = this.#again.shift();
    if (first !== undefined) return { item: first };
    if (this.ended) return undefined;
    this.#pending ??= this.#items.next();
    const pending = this.#pending;
    let next: IteratorResult<T>;
    try {
      next = await pending;
    } catch (failure) {
      this.failed = true;
      throw failure;
    }
    // Left where it is for the run that comes after this one.
    if (over() || this.#pending !== pending) return undefined;
    this.#pending = undefined;
    if (next.done) {
      this.ended = true;
      return undefined;
    }
    return { item: next.value };
  }
  release(signal: AbortSignal): void {
    if (this.ended && !signal.aborted) return;
    void Promise.resolve(this.#items.return?.()).catch(() => {});
  }
}

interface Turn {
  /** How long an item may be in hand. */
  readonly patience?: Span;
  /** Asked between two items that may be parted: no more of them then. */
  readonly until?: () => boolean;
}

/** One run of one of the two. */
async function* once<K extends StageKind>(
  stage: Stage<K>,
  source: Source<StageMap[K]['in']>,
  unanswered: Unanswered,
  { clock, signal }: StageScope,
  { patience, until = () => false }: Turn,
): AsyncGenerator<StageMap[K]['out'], void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  let over = false;
  let inHand = false;
  let moved = clock.now();
  let given = 0;
  const items = async function* (): AsyncGenerator<StageMap[K]['in'], void> {
    let parted = true;
    for (;;) {
      inHand = false;
      if (given > 0 && parted && until()) return;
      const next = await source.next(() => over);
      if (!next) return;
      parted = ends(next.item);
      unanswered.took(next.item);
      given += 1;
      [inHand, moved] = [true, clock.now()];
      yield next.item;
    }
  };
  const outputs = stage.run(items(), { clock, signal: both })[Symbol.asyncIterator]();
  let interrupt: (reason: unknown) => void = () => {};
  let leave = () => {};
  signal.addEventListener('abort', () => leave(), { once: true, signal: stop.signal });
  if (patience !== undefined) {
    const impatient = () =>
      interrupt(new Fault(stage.kind, 'timeout', `${stage.engine} was silent for ${patience / 1_000} ms`));
    void watch(clock, both, patience, () => (inHand ? moved : clock.now()), impatient);
  }
  try {
    for (;;) {
      const next = await new Promise<IteratorResult<StageMap[K]['out']> | undefined>((resolve, reject) => {
        interrupt = reject;
        leave = () => resolve(undefined);
        if (signal.aborted) return leave();
        outputs.next().then(resolve, reject);
      });
      if (!next || next.done) return;
      moved = clock.now();
      unanswered.answered(next.value);
      yield next.value;
    }
  } finally {
    over = true;
    stop.abort();
    // Not awaited: a generator that hangs never returns.
    void Promise.resolve(outputs.return?.()).catch(() => {});
  }
}

/** Calls `tell` once `since` is `limit` ago. */
async function watch(clock: Clock, signal: AbortSignal, limit: Span, since: () => ClockTime, tell: () => void) {
  try {
    for (;;) {
      const due = later(since(), limit);
      await clock.until(due, signal);
      if (later(since(), limit) <= clock.now()) return tell();
    }
  } catch {
    // The run is over.
  }
}
