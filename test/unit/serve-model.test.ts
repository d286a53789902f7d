import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { later, ms, seconds } from '../../media/time.ts';
import type { LoadedNetwork } from '../../models/runtime/onnx.ts';
import { type Tensors, floats } from '../../models/runtime/tensor.ts';
import { InferenceServer, sweep, troubleOf } from '../../models/serve/inference-server.ts';
import { itemsOf } from '../../models/serve/items.ts';
import { type ServedOptions, ServedModel, nextRun } from '../../models/serve/served-model.ts';
import { Fault } from '../../pipeline/fault.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const one = (...values: number[]): Tensors => ({ x: floats(Float32Array.from(values), [values.length, 1]) });

/** Doubles, after waiting to be let go; says what it was given. */
class Doubler implements LoadedNetwork {
  readonly inputs = [{ name: 'x', element: 'float32', shape: ['N', 1] }] as const;
  readonly outputs = [{ name: 'y', element: 'float32', shape: ['N', 1] }] as const;
  readonly device = 'cpu';
  readonly runs: number[][] = [];
  readonly #gates: (() => void)[] = [];
  refuses: (items: readonly number[]) => boolean = () => false;

  async run({ x }: Tensors): Promise<Tensors> {
    const items = Array.from(x!.data, Number);
    this.runs.push(items);
    await new Promise<void>((go) => this.#gates.push(go));
    if (this.refuses(items)) throw new Fault('lipDriver', 'rejected', 'not these');
    return {
      y: floats(
        Float32Array.from(items, (item) => item * 2),
        x!.dims,
      ),
    };
  }
  async finish(): Promise<void> {
    while (this.#gates.length === 0) await turn();
    this.#gates.shift()!();
    await turn();
  }
  report(): never {
    throw new Error('nobody asks');
  }
}

function setUp(options: Partial<ServedOptions> = {}) {
  const clock = new ManualClock();
  const network = new Doubler();
  const model = new ServedModel(network, { name: 'doubler', clock, max: 4, ...options });
  const ask = (session: string, value: number, more: { within?: number; signal?: AbortSignal } = {}) =>
    model
      .run(one(value), {
        session,
        ...(more.within !== undefined && { deadline: later(clock.now(), ms(more.within)) }),
        ...(more.signal && { signal: more.signal }),
      })
      .then(
        ({ y }) => Number(y!.data[0]),
        (thrown: unknown) => (thrown instanceof Fault ? thrown.kind : thrown),
      );
  return { clock, network, model, ask };
}

describe('when a run begins', () => {
  const policy = { max: 8, preferred: [2, 4], delay: ms(3) };
  test.for([
    [1, 0, { wait: ms(3) }],
    [1, 1, { wait: ms(2) }],
    [1, 3, { room: 8 }],
    [2, 0, { room: 2 }],
    [3, 0, { room: 2 }],
    [5, 0, { room: 4 }],
    [8, 0, { room: 8 }],
    [20, 0, { room: 8 }],
  ] as const)('with %i items, the first of which waited %i ms', ([items, waited, plan]) => {
    expect(nextRun(items, ms(waited), policy)).toEqual(plan);
  });
});

describe('a served model', () => {
  test('computes calls of several sessions together, and gives each its own answer', async () => {
    const { clock, network, model, ask } = setUp();
    const answers = [ask('a', 1), ask('b', 2)];
    await clock.advance(ms(2));
    await network.finish();
    expect(await Promise.all(answers)).toEqual([2, 4]);
    expect(network.runs).toEqual([[1, 2]]);
    expect(model.report()).toMatchObject({ calls: 2, items: 2, batches: { 2: 1 }, queued: 0, sessions: 0 });
  });

  test('a hog starves nobody: who asks for one while it has many waiting is in the next run', async () => {
    const { network, ask } = setUp({ capacity: 64 });
    const hog = Array.from({ length: 39 }, (_, n) => ask('hog', n));
    await turn();
    const modest = ask('modest', 100);
    await network.finish();
    await network.finish();
    expect(network.runs[1]).toContain(100);
    expect(await modest).toBe(200);
    for (let run = 2; run < 10; run += 1) await network.finish();
    expect(await Promise.all(hog)).toEqual(Array.from({ length: 39 }, (_, n) => 2 * n));
  });

  test('a queue that is full costs the hog, who hears of it at once', async () => {
    const { network, model, ask } = setUp({ capacity: 8 });
    const hog = Array.from({ length: 12 }, (_, n) => ask('hog', n));
    const modest = ask('modest', 100);
    expect(await Promise.all(hog.slice(8))).toEqual(Array(4).fill('overloaded'));
    expect(await hog[7]).toBe('overloaded');
    await network.finish();
    await network.finish();
    expect(await modest).toBe(200);
    expect(model.report().lost.overflow).toBe(5);
  });

  test('a call that waits past its deadline is answered then, and never computed', async () => {
    const { clock, network, model, ask } = setUp({ max: 1 });
    const first = ask('a', 1);
    await turn();
    const late = ask('b', 2, { within: 20 });
    const patient = ask('c', 3);
    await clock.advance(ms(20));
    expect(await late).toBe('timeout');
    await network.finish();
    await network.finish();
    expect([await first, await patient]).toEqual([2, 6]);
    expect(network.runs).toEqual([[1], [3]]);
    expect(model.report().lost).toMatchObject({ expired: 1, failed: 0 });
    expect(await ask('a', 1, { within: 0 })).toBe('timeout');
  });

  test('a call that cannot be done in time at the measured throughput is refused at once', async () => {
    const { network, model, ask } = setUp({ max: 1 });
    model.throughput.note(1, ms(10));
    const waiting = [ask('a', 1), ask('a', 2), ask('a', 3), ask('a', 4)];
    await turn();
    // Three wait. Of session a, all three are ahead: 40 ms. Of another, one in turn: 20 ms.
    expect(await ask('a', 5, { within: 39 })).toBe('overloaded');
    const other = ask('b', 6, { within: 21 });
    expect(model.report().lost.hopeless).toBe(1);
    for (let run = 0; run < 5; run += 1) await network.finish();
    expect(await other).toBe(12);
    expect(await Promise.all(waiting)).toEqual([2, 4, 6, 8]);
  });

  test('a call whose client leaves makes room', async () => {
    const { network, model, ask } = setUp({ max: 1 });
    const first = ask('a', 1);
    await turn();
    const gone = new AbortController();
    const left = ask('b', 2, { signal: gone.signal });
    gone.abort('left');
    expect(await left).toBe('left');
    await network.finish();
    await first;
    expect([network.runs, model.report().lost.left]).toEqual([[[1]], 1]);
  });

  test('a run that is rejected costs only those that cannot be computed', async () => {
    const { clock, network, ask } = setUp();
    network.refuses = (items) => items.includes(2);
    const answers = [ask('a', 1), ask('b', 2), ask('c', 3)];
    await clock.advance(ms(2));
    for (let run = 0; run < 4; run += 1) await network.finish();
    expect(await Promise.all(answers)).toEqual([2, 'rejected', 6]);
  });

  test('refuses more in one call than a run takes, and what the network does not take', async () => {
    const { model } = setUp();
    const options = { session: 'a' };
    await expect(model.run(one(1, 2, 3, 4, 5), options)).rejects.toThrow('5 items in one call, at most 4');
    await expect(model.run({}, options)).rejects.toThrow("input 'x' must be float32 [N, 1]");
  });

  test('that closes refuses what waits, and ends when its run has', async () => {
    const { network, model, ask } = setUp({ max: 1 });
    const running = ask('a', 1);
    await turn();
    const waiting = ask('a', 2);
    let closed = false;
    const closing = model.close().then(() => (closed = true));
    expect(await waiting).toBe('unavailable');
    expect([await ask('a', 3), closed]).toEqual(['unavailable', false]);
    await network.finish();
    await closing;
    expect(await running).toBe(2);
  });
});

describe('whether items may be computed together', () => {
  /** A network whose numbers `compute` makes. */
  const network = (
    compute: (items: readonly number[]) => number[],
    shape: readonly (number | string)[] = ['N', 1],
  ): LoadedNetwork => ({
    inputs: [{ name: 'x', element: 'float32', shape }],
    outputs: [{ name: 'y', element: 'float32', shape }],
    device: 'cpu',
    report: () => expect.unreachable(),
    run: async ({ x }) => ({ y: floats(Float32Array.from(compute(Array.from(x!.data, Number))), x!.dims) }),
  });

  test('is tried out: each item must come out as it does alone', async () => {
    const apart = await itemsOf(
      network((items) => items.map((item) => 3 * item)),
      'n',
    );
    expect(apart.alone).toBeUndefined();
    expect(apart.zeros!(3)['x']!.dims).toEqual([3, 1]);
    const mixed = await itemsOf(
      network((items) => items.map((item) => item / Math.max(...items))),
      'n',
    );
    expect(mixed.alone).toBe("'y' [N, 1] of an item depends on the items beside it");
  });

  test('cannot be said where sizes are not known, and is not so where there is no axis for it', async () => {
    const double = (items: readonly number[]) => items.map((item) => 2 * item);
    const open = network(double, ['N', 3, 'height']);
    expect(await itemsOf(open, 'n')).toEqual({ zeros: undefined, alone: "sizes of 'x' [N, 3, height] are not known" });
    const known = await itemsOf(open, 'n', { x: [1, 3, 5] });
    expect([known.alone, known.zeros!(2)['x']!.dims]).toEqual([undefined, [2, 3, 5]]);
    expect((await itemsOf(network(double, [1, 4]), 'n')).alone).toBe("'x' [1, 4] has no axis of items");
  });
});

test('sizes that are tried double up to the most', () => {
  expect([sweep(1), sweep(6), sweep(16)]).toEqual([[1], [1, 2, 4, 6], [1, 2, 4, 8, 16]]);
});

describe('a server', () => {
  function served() {
    const { clock, network, model } = setUp();
    model.throughput.note(1, ms(4));
    const server = new InferenceServer([model], { version: '0', clock });
    const ask = (parameters: Readonly<Record<string, string | number | boolean>>, connection = 'c') =>
      server
        .infer({
          model: 'doubler',
          version: '',
          inputs: one(1),
          outputs: [],
          parameters,
          connection,
          deadline: undefined,
        })
        .then(
          () => 'done',
          (thrown: unknown) => troubleOf(thrown).code,
        );
    return { clock, network, server, ask };
  }

  test('promises faces as they are asked for, and refuses those who come too late', async () => {
    const { clock, network, server, ask } = served();
    // 250 a second, of which four fifths are promised: 8 faces at 25.
    expect(server.capacity().models[0]).toMatchObject({ maxFaces: 8, freeFaces: 8, itemsPerSecond: 250 });
    const first = ask({ session: 'a', faces: 6 });
    const others = [ask({ session: 'b', faces: 3 }), ask({ session: 'b', faces: 2 }), ask({}, 'guest')];
    expect([await others[0], await others[2]]).toEqual(['RESOURCE_EXHAUSTED', 'RESOURCE_EXHAUSTED']);
    expect(server.capacity()).toMatchObject({
      load: 0.8,
      sessions: [
        { session: 'a', faces: 6 },
        { session: 'b', faces: 2 },
      ],
    });
    expect(server.refused).toBe(2);
    await clock.advance(ms(2));
    // As quick as it was measured.
    await clock.advance(ms(8));
    await network.finish();
    expect([await first, await others[1]]).toEqual(['done', 'done']);
    await clock.advance(seconds(6));
    expect(server.capacity().load).toBe(0);
    server.claim('c', 'doubler', 8);
    expect(() => server.claim('d', 'doubler', 1)).toThrow('room for 0 more faces');
    server.release('c');
    server.claim('d', 'doubler', 1);
  });

  test('refuses what it does not know, and takes nothing any more once it is stopped', async () => {
    const { server, ask } = served();
    expect(await ask({ faces: 1.5 })).toBe('INVALID_ARGUMENT');
    expect(await ask({ session: '' })).toBe('INVALID_ARGUMENT');
    expect(await ask({ fps: 0 })).toBe('INVALID_ARGUMENT');
    expect(() => server.metadata('tripler', '')).toThrow("There is no model 'tripler'; there is doubler");
    expect(() => server.metadata('doubler', '2')).toThrow("has no version '2'");
    server.stop();
    expect([await ask({}), server.ready]).toEqual(['UNAVAILABLE', false]);
  });
});
