import { Subject, concat, firstValueFrom, from, throwError, toArray } from 'rxjs';
import { expect, test } from 'vitest';
import { ManualClock, MonotonicClock } from '../../media/clock.ts';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { type ClockTime, at, later, ms, samples } from '../../media/time.ts';
import { Fault } from '../../pipeline/fault.ts';
import { backOff, through } from '../../pipeline/rx.ts';
import type { Stage } from '../../pipeline/stage.ts';
import type { Activity } from '../../pipeline/domain.ts';
import { Load, type Loss } from '../../pipeline/load.ts';

const clock = new MonotonicClock();
const chunksOf = (total: number, size: number): AudioChunk[] =>
  Array.from({ length: total / size }, (_, i) => ({
    start: later(at(0), samples(i * size, 16_000)),
    rate: 16_000,
    pcm: Float32Array.from({ length: size }, (_, j) => i * size + j),
  }));

const said = (chunk: AudioChunk): Activity => ({ start: chunk.start, end: endOf(chunk), probability: 1 });

/** A VAD that hears speech in every chunk and fails where told to. */
const vad = (failOn: (run: number, n: number) => Fault | undefined): Stage<'vad'> => {
  let run = 0;
  return {
    kind: 'vad',
    engine: 'scripted',
    caps: { rate: 16_000, lookahead: ms(0) },
    async *run(input): AsyncGenerator<Activity> {
      run += 1;
      let n = 0;
      for await (const chunk of input) {
        n += 1;
        const fault = failOn(run, n);
        if (fault) throw fault;
        yield said(chunk);
      }
    },
  };
};

test('a healthy stage sees everything', async () => {
  const out = await firstValueFrom(
    from(chunksOf(1_600, 160)).pipe(
      through(
        vad(() => undefined),
        { clock, capacity: 16 },
      ),
      toArray(),
    ),
  );
  expect(out).toHaveLength(10);
});

test('a broken stage goes quiet; it does not error the stream', async () => {
  const faults: string[] = [];
  const out = await firstValueFrom(
    from(chunksOf(1_600, 160)).pipe(
      through(
        vad((_, n) => (n === 4 ? new Fault('vad', 'broken', 'wrong shape') : undefined)),
        {
          clock,
          capacity: 16,
          onFault: (f) => faults.push(f.kind),
          retryAfter: () => ms(1),
        },
      ),
      toArray(),
    ),
  );
  expect(out).toHaveLength(3);
  expect(faults).toEqual(['broken']);
});

test('a retryable fault restarts the stage on live input', async () => {
  const source = new Subject<AudioChunk>();
  const seen: Activity[] = [];
  const sub = source
    .pipe(
      through(
        vad((run, n) => (run === 1 && n === 2 ? new Fault('vad', 'unavailable', 'gone') : undefined)),
        {
          clock,
          capacity: 16,
          retryAfter: () => ms(1),
        },
      ),
    )
    .subscribe((activity) => seen.push(activity));
  for (const chunk of chunksOf(1_600, 160)) {
    source.next(chunk);
    await new Promise((r) => setTimeout(r, 3));
  }
  sub.unsubscribe();
  expect(seen.length).toBeGreaterThanOrEqual(8);
});

test('a refused item costs that item and nothing queued behind it', async () => {
  const out = await firstValueFrom(
    from(chunksOf(1_600, 160)).pipe(
      through(
        vad((run, n) => (run === 1 && n === 4 ? new Fault('vad', 'rejected', 'no') : undefined)),
        { clock, capacity: 16 },
      ),
      toArray(),
    ),
  );
  expect(out).toHaveLength(9);
});

test('a source that errors is reported and ends; it does not error the stream', async () => {
  const faults: string[] = [];
  const source = concat(
    from(chunksOf(1_600, 160)),
    throwError(() => new Error('ingest gone')),
  );
  const out = await firstValueFrom(
    source.pipe(
      through(
        vad(() => undefined),
        { clock, capacity: 16, retryAfter: () => ms(1), onFault: (f) => faults.push(f.message) },
      ),
      toArray(),
    ),
  );
  expect(out).toHaveLength(10);
  expect(faults).toEqual(['ingest gone']);
});

test('work done in between starts the count of failures again', async () => {
  const source = new Subject<AudioChunk>();
  const failures: number[] = [];
  const sub = source
    .pipe(
      through(
        vad((_, n) => (n === 2 ? new Fault('vad', 'overloaded', 'busy') : undefined)),
        {
          clock,
          capacity: 16,
          retryAfter: (_, count) => (failures.push(count), ms(0)),
        },
      ),
    )
    .subscribe();
  for (const chunk of chunksOf(1_600, 160)) {
    source.next(chunk);
    await new Promise((r) => setTimeout(r, 2));
  }
  sub.unsubscribe();
  expect(failures.length).toBeGreaterThan(2);
  expect(new Set(failures)).toEqual(new Set([1]));
});

test('a slow stage loses the oldest input and says so', async () => {
  const source = new Subject<AudioChunk>();
  let dropped = 0;
  const slow: Stage<'vad'> = {
    ...vad(() => undefined),
    async *run(input) {
      for await (const chunk of input) {
        await new Promise((r) => setTimeout(r, 20));
        yield said(chunk);
      }
    },
  };
  const sub = source.pipe(through(slow, { clock, capacity: 4, onDrop: (n) => (dropped = n) })).subscribe();
  for (const chunk of chunksOf(16_000, 160)) source.next(chunk);
  await new Promise((r) => setTimeout(r, 30));
  sub.unsubscribe();
  expect(dropped).toBe(96);
});

test('what would come out too late is not started', async () => {
  let dropped = 0;
  const out = await firstValueFrom(
    from(chunksOf(1_600, 160)).pipe(
      through(
        vad(() => undefined),
        {
          clock: new ManualClock(),
          capacity: 16,
          onDrop: (n) => (dropped = n),
          expires: ({ start }) => (start < 50_000 ? 0 : 1) as ClockTime,
        },
      ),
      toArray(),
    ),
  );
  expect([out.length, dropped]).toEqual([5, 5]);
});

/** A stage made of a function over its input. */
const stageOf = (run: Stage<'vad'>['run']): Stage<'vad'> => ({ ...vad(() => undefined), run });
const turn = () => new Promise((r) => setImmediate(r));

test('a stage that ends while its input goes on has failed and is started again', async () => {
  const faults: string[] = [];
  const states: string[] = [];
  const once = stageOf(async function* (input) {
    for await (const chunk of input) {
      yield said(chunk);
      return;
    }
  });
  const out = await firstValueFrom(
    from(chunksOf(480, 160)).pipe(
      through(once, {
        clock,
        capacity: 16,
        retryAfter: () => ms(0),
        onFault: (f) => faults.push(f.kind),
        onState: (s) => states.push(s),
      }),
      toArray(),
    ),
  );
  expect(out.map(({ start }) => start)).toEqual([0, 10_000, 20_000]);
  expect(faults).toEqual(['unavailable', 'unavailable', 'unavailable']);
  expect(states).toEqual(['down', 'up', 'down', 'up', 'down']);
});

test('an item that a finished run was waiting for goes to the next run', async () => {
  const source = new Subject<AudioChunk>();
  const seen: Activity[] = [];
  const manual = new ManualClock();
  let run = 0;
  // The first run asks for more and fails before it gets any.
  const hasty = stageOf(async function* (input) {
    run += 1;
    const inputs = input[Symbol.asyncIterator]();
    if (run === 1) {
      void inputs.next();
      throw new Fault('vad', 'unavailable', 'gone');
    }
    for (let next = await inputs.next(); !next.done; next = await inputs.next()) yield said(next.value);
  });
  source.pipe(through(hasty, { clock: manual, capacity: 16, retryAfter: () => ms(5) })).subscribe((a) => seen.push(a));
  await turn();
  for (const chunk of chunksOf(480, 160)) {
    source.next(chunk);
    await turn();
  }
  await manual.advance(ms(10));
  await turn();
  expect(seen.map(({ start }) => start)).toEqual([0, 10_000, 20_000]);
});

test('a stage that refuses before it has taken anything is not asked for ever', async () => {
  let runs = 0;
  const refusing = stageOf(async function* () {
    runs += 1;
    if (runs > 1_000) return;
    throw new Fault('vad', 'rejected', 'no');
    yield said(chunksOf(160, 160)[0]!);
  });
  const out = await firstValueFrom(
    from(chunksOf(480, 160)).pipe(
      through(refusing, { clock, capacity: 4, retryAfter: (_, n) => (n > 2 ? undefined : ms(0)) }),
      toArray(),
    ),
  );
  expect(out).toEqual([]);
  expect(runs).toBe(3);
});

test('a stage that hangs on an item is started again, and only that item is lost', async () => {
  const manual = new ManualClock();
  const source = new Subject<AudioChunk>();
  const seen: Activity[] = [];
  const faults: string[] = [];
  const lost: [number, Loss][] = [];
  const hanging = stageOf(async function* (input) {
    for await (const chunk of input) {
      if (chunk.start === 10_000) await new Promise(() => {});
      yield said(chunk);
    }
  });
  source
    .pipe(
      through(hanging, {
        clock: manual,
        capacity: 16,
        stall: ms(100),
        retryAfter: () => ms(0),
        onFault: (f) => faults.push(f.kind),
        onLost: (item, why) => lost.push([item.start, why]),
      }),
    )
    .subscribe((a) => seen.push(a));
  for (const chunk of chunksOf(480, 160)) source.next(chunk);
  await turn();
  await manual.advance(ms(99));
  expect(faults).toEqual([]);
  await manual.advance(ms(150));
  await turn();
  expect(faults).toEqual(['timeout']);
  expect(lost).toEqual([[10_000, 'failed']]);
  expect(seen.map(({ start }) => start)).toEqual([0, 20_000]);
});

test('after unsubscribing nothing comes out and nothing more is taken', async () => {
  const taken: number[] = [];
  const seen: Activity[] = [];
  let release = () => {};
  const slow = stageOf(async function* (input) {
    for await (const chunk of input) {
      taken.push(chunk.start);
      await new Promise<void>((r) => (release = r));
      yield said(chunk);
    }
  });
  const source = new Subject<AudioChunk>();
  const sub = source.pipe(through(slow, { clock, capacity: 16 })).subscribe((a) => seen.push(a));
  for (const chunk of chunksOf(480, 160)) source.next(chunk);
  await turn();
  sub.unsubscribe();
  release();
  await turn();
  expect([taken, seen]).toEqual([[0], []]);
});

test('the gauge knows what waits, and why things were lost', async () => {
  const load = new Load();
  const gauge = load.gauge('vad');
  const source = new Subject<AudioChunk>();
  let release = () => {};
  const slow = stageOf(async function* (input) {
    for await (const chunk of input) {
      await new Promise<void>((r) => (release = r));
      yield said(chunk);
    }
  });
  source.pipe(through(slow, { clock, capacity: 2, gauge })).subscribe();
  await turn();
  const [first, ...rest] = chunksOf(640, 160);
  source.next(first!);
  await turn();
  for (const chunk of rest) source.next(chunk);
  expect([gauge.queued, gauge.pending, gauge.lost.overflow]).toEqual([2, 3, 1]);
  const room = load.below(0);
  source.complete();
  for (let i = 0; i < 3; i += 1) {
    release();
    await turn();
  }
  await room;
  expect(load.pending).toBe(0);
});

test('what a stage that is given up leaves behind is counted as lost', async () => {
  const gauge = new Load().gauge('vad');
  const lost: number[] = [];
  await firstValueFrom(
    from(chunksOf(800, 160)).pipe(
      through(
        vad(() => new Fault('vad', 'broken', 'no')),
        { clock, capacity: 16, gauge, onLost: ({ start }) => lost.push(start) },
      ),
      toArray(),
    ),
  );
  expect(lost).toEqual([0, 10_000, 20_000, 30_000, 40_000]);
  expect(gauge.lost).toEqual({ overflow: 0, expired: 0, failed: 5 });
});

test('waiting doubles with each failure, up to a limit and a number of attempts', () => {
  const wait = backOff(ms(100), ms(1_000), 6);
  const fault = new Fault('vad', 'unavailable', '');
  expect([1, 2, 3, 4, 5, 6, 7].map((n) => wait(fault, n))).toEqual([
    100_000,
    200_000,
    400_000,
    800_000,
    1_000_000,
    1_000_000,
    undefined,
  ]);
});
