import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type AudioChunk, endOf, isAudio } from '../../media/audio.ts';
import { type Clock, MonotonicClock } from '../../media/clock.ts';
import { type Interval, type MediaTime, earlier } from '../../media/time.ts';
import type { Speech, SpeechChunk, Spoken, Stems } from '../../pipeline/domain.ts';
import type { Stage, StageKind, StageMap } from '../../pipeline/stage.ts';

type In<K extends StageKind> = StageMap[K]['in'];
type Out<K extends StageKind> = StageMap[K]['out'];
type AnyOut = Out<StageKind>;

/** How long a stage may take to notice that it is not wanted any more. */
const PROMPT_MS = 2_000;

const isSpeech = (out: object): out is Speech => 'chunk' in out && 'line' in out;
const isSegmented = (item: object): item is SpeechChunk => 'segment' in item && 'last' in item;

const isSpoken = (item: object): item is Spoken => 'utterance' in item && 'pcm' in item;
const isStems = (out: object): out is Stems => 'speech' in out && 'rest' in out;

/** The stretch of programme an item or an output is about. */
function placeOf(item: object): Interval {
  if (isSpeech(item)) return item.line;
  if (isStems(item)) return { start: item.start, end: endOf({ ...item, pcm: item.speech }) };
  if (isAudio(item)) return { start: item.start, end: endOf(item) };
  const { start, end = start } = item as { start: MediaTime; end?: MediaTime };
  return { start, end };
}
/** An output is about no more of the programme than this; half a line of speech is about none of it yet. */
const reachOf = (out: AnyOut): MediaTime => (isSpeech(out) && !out.last ? out.line.start : placeOf(out).end);

/** Up to where outputs must have come before a stage may ask for the item after `item`. */
function due(stage: Stage, item: object): MediaTime {
  const { start, end } = placeOf(item);
  switch (stage.kind) {
    case 'vad':
    case 'enhancer':
    case 'separator':
      return earlier(end, stage.caps.lookahead);
    case 'diarizer':
      return isSegmented(item) && item.last ? end : earlier(end, stage.caps.lookahead);
    case 'recognizer':
      return isSegmented(item) && item.last ? end : (-Infinity as MediaTime);
    case 'aligner':
      return isSpoken(item) && item.last ? end : (-Infinity as MediaTime);
    case 'translator':
    case 'synthesizer':
      return end;
    case 'activeSpeaker':
      return end;
    case 'faceTracker':
    case 'lipDriver':
    case 'restorer':
    case 'interpolator':
      return earlier(start, stage.caps.lookahead);
  }
}

/** One sample at the coarsest rate in use: positions that differ by less were only rounded differently. */
const ROUNDING = 125;

/** What each kind promises about its outputs as a whole, beyond order and place. */
const promises: { [K in StageKind]: (input: readonly In<K>[], output: readonly Out<K>[]) => void } = {
  enhancer: (input, output) => {
    const count = (chunks: readonly AudioChunk[]) => chunks.reduce((sum, { pcm }) => sum + pcm.length, 0);
    expect(count(output)).toBe(count(input));
    expectTiled(output.map(placeOf), placeOf(input[0]!).start, placeOf(input.at(-1)!).end);
  },
  separator: (input, output) => {
    const whole = input.flatMap(({ pcm }) => [...pcm]);
    const again = output.flatMap(({ speech, rest }) => [...speech].map((sample, n) => sample + rest[n]!));
    expect(again.length).toBe(whole.length);
    expect(again.every((sample, n) => Math.abs(sample - whole[n]!) < 1e-4)).toBe(true);
    expectTiled(output.map(placeOf), placeOf(input[0]!).start, placeOf(input.at(-1)!).end);
  },
  vad: (input, output) => {
    expectTiled(output, placeOf(input[0]!).start);
    for (const { probability } of output) expect(probability >= 0 && probability <= 1).toBe(true);
  },
  diarizer: (input, output) => {
    for (const [start, end] of segmentsOf(input)) {
      const turns = output.filter((turn) => turn.start >= start && turn.end <= end);
      expectTiled(turns, start, end);
    }
  },
  recognizer: (input, output) => {
    for (const segment of new Set(input.map((chunk) => chunk.segment))) {
      const beliefs = output.filter((each) => each.segment === segment);
      expect(beliefs.filter(({ final }) => final)).toEqual(beliefs.slice(-1));
      expect(beliefs.at(-1)?.draft).toBe('');
      beliefs.reduce((before, now) => {
        expect(now.stable.slice(0, before.stable.length)).toEqual(before.stable);
        return now;
      });
      for (const { stable } of beliefs) expectOrdered(stable);
    }
  },
  aligner: (input, output) => {
    for (const utterance of new Set(input.map((piece) => piece.utterance))) {
      const pieces = input.filter((piece) => piece.utterance === utterance);
      const said = pieces.flatMap(({ text }) => text.split(/\s+/).filter(Boolean));
      const beliefs = output.filter((each) => each.utterance === utterance);
      expect(beliefs.filter(({ final }) => final)).toEqual(beliefs.slice(-1));
      beliefs.reduce((before, now) => {
        expect(now.words.slice(0, before.words.length)).toEqual(before.words);
        return now;
      });
      const { words, phones } = beliefs.at(-1)!;
      if (words.length > 0) expect(words.map(({ text }) => text)).toEqual(said);
      expectOrdered(words);
      expectOrdered(phones);
      for (const { word, start, end } of phones) {
        expect(start >= words[word]!.start - ROUNDING && end <= words[word]!.end + ROUNDING).toBe(true);
      }
    }
  },
  translator: (input, output) => {
    const ids = input.map(({ id }) => id);
    const answered = output.map(({ utterance }) => utterance);
    expect(answered).toEqual(ids.filter((id) => answered.includes(id)));
  },
  synthesizer: (input, output) => {
    for (const line of input) {
      const parts = output.filter((part) => part.line.utterance === line.utterance);
      expect(parts.map(({ last }) => last)).toEqual(parts.map((_, n) => n === parts.length - 1));
      expect(parts.length).toBeGreaterThan(0);
      expectTiled(
        parts.map(({ chunk }) => placeOf(chunk)),
        0 as MediaTime,
      );
      const length = placeOf(parts.at(-1)!.chunk).end;
      const offsets = parts.flatMap(({ marks }) => marks.map(({ offset }) => offset));
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
      for (const offset of offsets) expect(offset >= 0 && offset <= length).toBe(true);
    }
  },
  faceTracker: (input, output) => {
    expect(output.map(({ start }) => start)).toEqual(input.map(({ start }) => start));
    for (const { faces } of output) for (const { landmarks } of faces) expect(landmarks).toHaveLength(136);
  },
  activeSpeaker: (input, output) => {
    expect(output.map(placeOf)).toEqual(input.map(placeOf));
    for (const [n, { faces }] of output.entries()) {
      expect(faces.map(({ id }) => id)).toEqual(input[n]!.faces.map(({ id }) => id));
    }
  },
  lipDriver: (input, output) => {
    const shots = (all: readonly { start: MediaTime; face: unknown }[]) =>
      all.map(({ start, face }) => [start, typeof face === 'object' ? (face as { id: string }).id : face]);
    expect(shots(output)).toEqual(shots(input));
    for (const [n, { patches }] of output.entries()) if (!input[n]!.take) expect(patches).toEqual([]);
  },
  restorer: (input, output) => {
    expect(output.map(({ start }) => start)).toEqual(input.map(({ start }) => start));
  },
  interpolator: (input, output) => {
    expect(output.length).toBe(input.reduce((sum, { count }) => sum + count, 0));
  },
};
function segmentsOf(input: readonly SpeechChunk[]): [MediaTime, MediaTime][] {
  const segments = new Map<number, [MediaTime, MediaTime]>();
  for (const chunk of input) {
    segments.set(chunk.segment, [segments.get(chunk.segment)?.[0] ?? chunk.start, endOf(chunk)]);
  }
  return [...segments.values()];
}
function expectOrdered(places: readonly Interval[]): void {
  for (const [n, { start, end }] of places.entries()) {
    expect(end).toBeGreaterThanOrEqual(start);
    if (n > 0) expect(start).toBeGreaterThanOrEqual(places[n - 1]!.start);
  }
}
function expectTiled(places: readonly Interval[], start: MediaTime, end?: MediaTime): void {
  let edge = start;
  for (const place of places) {
    expect(Math.abs(place.start - edge)).toBeLessThanOrEqual(ROUNDING);
    edge = place.end;
  }
  if (end !== undefined) expect(Math.abs(edge - end)).toBeLessThanOrEqual(ROUNDING);
}

/** How much was said, where. */
const gistOf = (output: readonly AnyOut[]) =>
  output
    .filter((out) => !('final' in out) || out.final)
    .map((out) => [placeOf(out).start, 'stable' in out ? Math.round(out.stable.length / 4) : 0]);

/** Fills what was borrowed with noise, as a producer that uses its buffer again does. */
const spoil = (item: object) => {
  if (isAudio(item)) item.pcm.fill(0.7);
};

export interface Conditions {
  /** What the stage is given; real time unless told. */
  readonly clock?: Clock;
  /** The stage adapts to what it hears, so that a run's output may depend on the runs before it. */
  readonly remembers?: boolean;
}

/**
 * The contract of `Stage.run` as tests; every engine and every fake passes them.
 *
 * @param make the stage, loaded; called once, and what it opens is the caller's to close
 * @param sample fresh input items of a few seconds of programme, in order
 */
export function conforms<K extends StageKind>(
  name: string,
  make: () => Stage<K> | Promise<Stage<K>>,
  sample: () => readonly In<K>[],
  { clock = new MonotonicClock(), remembers = false }: Conditions = {},
): void {
  describe(`${name} is a stage`, () => {
    let stage: Stage<K>;
    beforeAll(async () => {
      stage = await make();
    });
    const run = (input: AsyncIterable<In<K>>, signal = new AbortController().signal) =>
      stage.run(input, { signal, clock });
    const collect = async (input: AsyncIterable<In<K>>) => {
      const output: Out<K>[] = [];
      for await (const out of run(input)) output.push(structuredClone(out));
      return output;
    };
    const feed = async function* (items: readonly In<K>[]) {
      yield* items;
    };

    test('ends when its input ends, with nothing to say about nothing', async () => {
      await expect(collect(feed([]))).resolves.toEqual([]);
    });

    test('says what it has to say in order, inside the programme, and keeps what its kind promises', async () => {
      const input = sample();
      const output = await collect(feed(sample()));
      expect(output.length).toBeGreaterThan(0);
      const places = output.map((out) => placeOf(out));
      expectOrdered(places);
      expect(places[0]!.start).toBeGreaterThanOrEqual(placeOf(input[0]!).start);
      for (const { end } of places) expect(end).toBeLessThanOrEqual(placeOf(input.at(-1)!).end + ROUNDING);
      promises[stage.kind](input, output);
    });

    test('holds back no more of its input than its lookahead', async () => {
      let reach: number = placeOf(sample()[0]!).start;
      let segment: number | undefined;
      const late: string[] = [];
      const watched = async function* () {
        for (const item of sample()) {
          const until = due(stage, item);
          // What lies between two segments is nobody's to tell.
          if (isSegmented(item) && item.segment !== segment) {
            segment = item.segment;
            reach = Math.max(reach, item.start);
          }
          yield item;
          if (reach < until - ROUNDING) late.push(`${until} µs were due, ${reach} µs had come`);
        }
      };
      for await (const out of run(watched())) reach = Math.max(reach, reachOf(out));
      expect(late).toEqual([]);
    });

    test('copies the samples it keeps, and leaves its input as it was', async () => {
      const clean = await collect(feed(sample()));
      const touched: string[] = [];
      const borrowing = async function* () {
        for (const item of sample()) {
          const before = structuredClone(item);
          yield item;
          if (JSON.stringify(before) !== JSON.stringify(item)) touched.push(`the item at ${placeOf(item).start} µs`);
          spoil(item);
        }
      };
      const borrowed = await collect(borrowing());
      expect(touched).toEqual([]);
      // A line has no samples to borrow, and no voice says it twice alike to the sample.
      if (stage.kind === 'synthesizer') return;
      // Spoiled samples would leave nothing of what was said.
      if (remembers) expect(gistOf(borrowed)).toEqual(gistOf(clean));
      else expect(borrowed).toEqual(clean);
    });

    test('ends promptly when it is aborted, though its input goes on, and runs again', async () => {
      const abort = new AbortController();
      let fed = () => {};
      const waiting = new Promise<void>((resolve) => (fed = resolve));
      const endless = async function* () {
        yield* sample();
        fed();
        await new Promise(() => {});
      };
      const ended = (async () => {
        for await (const _ of run(endless(), abort.signal));
        return 'ended';
      })();
      await waiting;
      await sleep(20);
      abort.abort();
      await expect(Promise.race([ended, sleep(PROMPT_MS, 'still running')])).resolves.toBe('ended');
      expect((await collect(feed(sample()))).length).toBeGreaterThan(0);
    });

    test('says nothing when it is aborted before it starts', async () => {
      const output: unknown[] = [];
      for await (const out of run(feed(sample()), AbortSignal.abort())) output.push(out);
      expect(output).toEqual([]);
    });

    test('passes on that its input failed, and runs again', async () => {
      const failing = async function* () {
        yield* sample().slice(0, Math.ceil(sample().length / 2));
        throw new Error('the line went dead');
      };
      await expect(collect(failing())).rejects.toThrow('the line went dead');
      expect((await collect(feed(sample()))).length).toBeGreaterThan(0);
    });

    test('lets go when its consumer leaves, and runs again', async () => {
      for await (const _ of run(feed(sample()))) break;
      expect((await collect(feed(sample()))).length).toBeGreaterThan(0);
    });
  });
}
