import { afterAll, describe, expect, test } from 'vitest';
import { fileURLToPath } from 'node:url';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { entry } from '../../media/entry.ts';
import { Scope } from '../../media/scope.ts';
import { at, later, samples } from '../../media/time.ts';
import { networkReports } from '../../models/runtime/network-report.ts';
import { pack, threaded } from '../../models/thread.ts';
import { conforms } from '../conformance/stage.ts';

const scope = new Scope('test');
afterAll(() => scope.close());

const module = fileURLToPath(new URL('../fakes/thread-engines.mjs', import.meta.url));
const fault = new URL(`file://${entry('../pipeline/fault.ts', new URL('../../models/x.ts', import.meta.url).href)}`)
  .href;
const load = (id: string, within = scope, config: object = {}) =>
  threaded({ module, kind: 'enhancer', id, config: { fault, ...config } }, within);
const chunkOf = (n: number, first = n): AudioChunk => {
  const pcm = new Float32Array(160).fill(n);
  pcm[0] = first;
  return { start: later(at(0), samples(n * 160, 16_000)), rate: 16_000, pcm };
};
const chunks = (count = 5) => Array.from({ length: count }, (_, n) => chunkOf(n + 1));
const feed = async function* <T>(items: readonly T[]) {
  yield* items;
};
const clock = new MonotonicClock();
const signal = new AbortController().signal;
const collect = async (stage: Awaited<ReturnType<typeof load>>, items: readonly AudioChunk[]) => {
  const output: AudioChunk[] = [];
  for await (const chunk of stage.run(feed(items), { signal, clock })) output.push(chunk);
  return output;
};

conforms('an engine in a thread', () => load('echo'), chunks);

describe('a threaded engine', () => {
  test('gives what it would give beside us, and leaves the samples it was lent alone', async () => {
    const stage = await load('echo');
    const items = chunks();
    const output = await collect(stage, items);
    expect(output.map(({ pcm }) => pcm[0])).toEqual([2, 4, 6, 8, 10]);
    expect(items.map(({ pcm }) => pcm.length)).toEqual([160, 160, 160, 160, 160]);
    expect(endOf(output.at(-1)!)).toBe(endOf(items.at(-1)!));
  });

  test('takes an item only when it asks for one, and works only when it is asked', async () => {
    const stage = await load('echo');
    let taken = 0;
    const counted = async function* () {
      for (const item of chunks(20)) {
        taken += 1;
        yield item;
      }
    };
    const output = stage.run(counted(), { signal, clock })[Symbol.asyncIterator]();
    await output.next();
    await output.next();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(taken).toBe(2);
    await output.return?.();
  });

  test('serves several runs at once without mixing them', async () => {
    const stage = await load('echo');
    const runs = await Promise.all([1, 2, 3].map((n) => collect(stage, chunks(n * 3))));
    expect(runs.map((run) => run.length)).toEqual([3, 6, 9]);
  });

  test('keeps the kind of a fault, and what waits in the input behind the item that failed', async () => {
    const stage = await load('echo');
    const items = [chunkOf(1), chunkOf(2, -2), chunkOf(3)][Symbol.iterator]();
    const rest = { [Symbol.asyncIterator]: () => ({ next: async () => items.next() }) };
    const all = async () => {
      for await (const _ of stage.run(rest, { signal, clock }));
    };
    await expect(all()).rejects.toMatchObject({
      name: 'Fault',
      kind: 'rejected',
      stage: 'enhancer',
      message: 'not this one',
    });
    expect(items.next().value).toMatchObject({ start: chunkOf(3).start });
  });

  test.for([
    ['throws where nobody catches', -1],
    ['ends', -3],
  ] as const)(
    'a thread that %s costs its runs an unavailable fault, and the next run gets a fresh one',
    async ([, order]) => {
      const stage = await load('echo');
      const held = stage.run(feed(chunks()), { signal, clock })[Symbol.asyncIterator]();
      await held.next();
      await expect(collect(stage, [chunkOf(1, order)])).rejects.toMatchObject({ name: 'Fault', kind: 'unavailable' });
      await expect(held.next()).rejects.toMatchObject({ kind: 'unavailable' });
      await expect(collect(stage, chunks())).resolves.toHaveLength(5);
    },
  );

  test('closes its engine when its scope closes, and cannot be run any more', async () => {
    const own = new Scope('own');
    const closed = new SharedArrayBuffer(4);
    const stage = await load('echo', own, { closed });
    const held = stage.run(feed(chunks()), { signal, clock })[Symbol.asyncIterator]();
    await held.next();
    await own.close();
    expect(new Int32Array(closed)[0]).toBe(1);
    await expect(collect(stage, chunks())).rejects.toMatchObject({ kind: 'broken' });
  });

  test('is ended after a grace period when it does not stop by itself', async () => {
    const own = new Scope('own');
    const stage = await load('stubborn', own);
    const abort = new AbortController();
    const run = (async () => {
      for await (const _ of stage.run(feed(chunks()), { signal: abort.signal, clock }));
    })();
    await new Promise((resolve) => setTimeout(resolve, 50));
    abort.abort();
    await run;
    const from = performance.now();
    await own.close();
    expect(performance.now() - from).toBeGreaterThan(2_900);
    expect(performance.now() - from).toBeLessThan(5_000);
  });

  test('that computes a network for longer than the grace period is left to end by itself', async () => {
    const own = new Scope('own');
    const dist = (path: string) => entry(`../${path}`, new URL('../../models/x.ts', import.meta.url).href);
    const onnx = new URL(`file://${dist('models/runtime/onnx.ts')}`).href;
    const file = fileURLToPath(new URL('../fixtures/runtime/busy.onnx', import.meta.url));
    const stage = await load('computing', own, { onnx, file, rounds: 250_000 });
    const abort = new AbortController();
    const run = (async () => {
      for await (const _ of stage.run(feed(chunks()), { signal: abort.signal, clock }));
    })();
    // Listed once it is loaded, gone from the list once its thread is.
    const isThere = () => networkReports().some(({ name, stage: kind }) => name === 'busy' && kind === 'enhancer');
    expect(isThere()).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 200));
    abort.abort();
    await run;
    await own.close();
    // Ended from outside while it computes, it would take this process with it.
    await expect.poll(isThere, { timeout: 30_000 }).toBe(false);
  });

  test.for([
    ['refusing', 'weights are missing'],
    ['ending', 'its thread ended (exit code 7)'],
    ['unheard-of', "has no enhancer engine called 'unheard-of'"],
  ] as const)('that cannot load (%s) says why', async ([id, message]) => {
    await expect(load(id)).rejects.toMatchObject({
      name: 'Fault',
      message: expect.stringContaining(message) as string,
    });
  });
});

test('a short view of a long buffer costs its own length on the way to a thread', () => {
  const long = new Float32Array(48_000).map((_, n) => n);
  const { item, transfer } = pack({ start: 5, pcm: long.subarray(10, 12), words: [{ text: 'a' }] });
  expect(item).toEqual({ start: 5, pcm: new Float32Array([10, 11]), words: [{ text: 'a' }] });
  expect(transfer.map((buffer) => buffer.byteLength)).toEqual([8]);
  expect(long.length).toBe(48_000);
});
