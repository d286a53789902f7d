import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { later, ms } from '../../media/time.ts';
import { type BatchOptions, batched } from '../../models/runtime/batch.ts';
import { type Network, type RunOptions, type Tensors, floats, integers, sizeOf } from '../../models/runtime/tensor.ts';
import { Fault } from '../../pipeline/fault.ts';

/** Doubles `x` item by item, after waiting to be let go; says what it was given. */
class Doubler implements Network {
  readonly runs: { readonly items: number[]; readonly options: RunOptions | undefined }[] = [];
  readonly #gates: (() => void)[] = [];
  #failure: ((items: readonly number[]) => Error | undefined) | undefined;

  async run({ x }: Tensors, options?: RunOptions): Promise<Tensors> {
    const items = Array.from(x!.data, Number);
    this.runs.push({ items, options });
    await new Promise<void>((go) => this.#gates.push(go));
    const failure = this.#failure?.(items);
    if (failure) throw failure;
    return {
      y: floats(
        Float32Array.from(items, (item) => item * 2),
        x!.dims,
      ),
    };
  }
  failWhen(failure: (items: readonly number[]) => Error | undefined): void {
    this.#failure = failure;
  }
  /** Lets the run go that has waited longest, once there is one. */
  async finish(): Promise<void> {
    while (this.#gates.length === 0) await turn();
    this.#gates.shift()!();
    await turn();
  }
}
const turn = () => new Promise((resolve) => setImmediate(resolve));
const one = (value: number): Tensors => ({ x: floats(Float32Array.of(value), [1, 1]) });

function setUp(options: Partial<BatchOptions> = {}) {
  const clock = new ManualClock();
  const inner = new Doubler();
  const network = batched(inner, { stage: 'diarizer', max: 3, wait: ms(2), clock, ...options });
  const ask = (value: number, asked?: RunOptions) =>
    network.run(one(value), asked).then(
      ({ y }) => Number(y!.data[0]),
      (thrown: unknown) => thrown,
    );
  const given = () => inner.runs.map(({ items }) => items);
  return { clock, inner, network, ask, given };
}
const kindOf = (thrown: unknown) => (thrown instanceof Fault ? thrown.kind : thrown);

describe('a batched network', () => {
  test('computes calls together that come within the wait, and gives each its own answer', async () => {
    const { clock, inner, ask, given } = setUp();
    const answers = [ask(1), ask(2)];
    await clock.advance(ms(2));
    await inner.finish();
    expect(await Promise.all(answers)).toEqual([2, 4]);
    expect(given()).toEqual([[1, 2]]);
  });

  test('waits for nobody once a run is full, and takes what came meanwhile into the next', async () => {
    const { inner, ask, given } = setUp();
    const answers = [ask(1), ask(2), ask(3)];
    await turn();
    answers.push(ask(4), ask(5));
    await inner.finish();
    await inner.finish();
    expect(await Promise.all(answers)).toEqual([2, 4, 6, 8, 10]);
    expect(given()).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  test('joins only what is alike, and counts items rather than calls', async () => {
    const { clock, inner, network, given } = setUp();
    const wide = network.run({ x: floats(Float32Array.of(1, 2), [1, 2]) });
    const pair = network.run({ x: floats(Float32Array.of(3, 4), [2, 1]) });
    const single = network.run({ x: floats(Float32Array.of(5), [1, 1]) });
    await clock.advance(ms(2));
    await inner.finish();
    await inner.finish();
    expect(given()).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
    const answers = await Promise.all([wide, pair, single]);
    expect(answers.map(({ y }) => [[...y!.data], y!.dims])).toEqual([
      [
        [2, 4],
        [1, 2],
      ],
      [
        [6, 8],
        [2, 1],
      ],
      [[10], [1, 1]],
    ]);
  });

  test('joins along the axis of each tensor by its name, and shares what has no axes', async () => {
    const seen: Tensors[] = [];
    const inner: Network = {
      async run(inputs) {
        seen.push(inputs);
        return { y: inputs['x']!, stateN: inputs['state']! };
      },
    };
    const clock = new ManualClock();
    const network = batched(inner, { stage: 'vad', max: 8, axis: { state: 1, stateN: 1 }, clock });
    const ask = (n: number, rate: number) =>
      network.run({
        x: floats(Float32Array.of(n), [1, 1]),
        // Two rows of each item: its number, and its number and a half.
        state: floats(Float32Array.of(n, n + 0.5), [2, 1]),
        rate: integers([rate], []),
      });
    const answers = Promise.all([ask(1, 16_000), ask(2, 16_000), ask(3, 8_000)]);
    await clock.advance(ms(2));
    expect((await answers).map(({ y, stateN }) => [...y!.data, ...stateN!.data])).toEqual([
      [1, 1, 1.5],
      [2, 2, 2.5],
      [3, 3, 3.5],
    ]);
    expect(seen.map(({ state, rate }) => [[...state!.data], state!.dims, Number(rate!.data[0])])).toEqual([
      [[1, 2, 1.5, 2.5], [2, 2], 16_000],
      [[3, 3.5], [2, 1], 8_000],
    ]);
  });

  test('gives away what it joined, and nothing that is a caller’s', async () => {
    const { clock, inner, ask } = setUp();
    const alone = ask(1);
    await clock.advance(ms(2));
    const joined = [ask(2), ask(3)];
    await inner.finish();
    await inner.finish();
    await Promise.all([alone, ...joined]);
    expect(inner.runs.map(({ options }) => options?.give)).toEqual([[], ['x']]);
  });

  test('a call that expires or is aborted fails alone', async () => {
    const { clock, inner, ask } = setUp();
    const abort = new AbortController();
    const answers = [
      ask(1, { deadline: later(clock.now(), ms(5)) }),
      ask(2, { signal: abort.signal }),
      ask(3, { deadline: later(clock.now(), ms(50)) }),
    ];
    await turn();
    abort.abort('gone');
    await clock.advance(ms(6));
    await inner.finish();
    expect((await Promise.all(answers)).map(kindOf)).toEqual(['timeout', 'gone', 6]);
    expect(kindOf(await ask(4, { deadline: clock.now() }))).toBe('timeout');
  });

  test('does not compute what nobody waits for any more, and is late only when all its callers are', async () => {
    const { clock, inner, ask, given } = setUp();
    const first = ask(0);
    await clock.advance(ms(2));
    const abort = new AbortController();
    const [soon, late] = [later(clock.now(), ms(10)), later(clock.now(), ms(20))];
    const answers = [ask(1, { signal: abort.signal }), ask(2, { deadline: soon }), ask(3, { deadline: late })];
    abort.abort('gone');
    await inner.finish();
    await inner.finish();
    expect((await Promise.all([first, ...answers])).map(kindOf)).toEqual([0, 'gone', 4, 6]);
    expect(given()).toEqual([[0], [2, 3]]);
    expect(inner.runs.map(({ options }) => options?.deadline)).toEqual([undefined, late]);
  });

  test('a run that is rejected is run call by call, so that only the one to blame fails', async () => {
    const { inner, ask, given } = setUp();
    inner.failWhen((items) => (items.includes(2) ? new Fault('diarizer', 'rejected', 'not this one') : undefined));
    const answers = [ask(1), ask(2), ask(3)];
    for (let run = 0; run < 4; run += 1) await inner.finish();
    expect((await Promise.all(answers)).map(kindOf)).toEqual([2, 'rejected', 6]);
    expect(given()).toEqual([[1, 2, 3], [1], [2], [3]]);
  });

  test('any other fault of a run is every caller’s in it, and the next run goes on', async () => {
    const { clock, inner, ask } = setUp();
    inner.failWhen((items) => (items.includes(2) ? new Fault('diarizer', 'unavailable', 'died') : undefined));
    const answers = [ask(1), ask(2), ask(3)];
    await inner.finish();
    expect((await Promise.all(answers)).map(kindOf)).toEqual(['unavailable', 'unavailable', 'unavailable']);
    const next = ask(4);
    await clock.advance(ms(2));
    await inner.finish();
    expect(await next).toBe(8);
  });

  test('refuses more than its queue holds', async () => {
    const { clock, inner, ask } = setUp({ capacity: 2 });
    const answers = [ask(1), ask(2), ask(3)];
    await clock.advance(ms(2));
    await inner.finish();
    expect((await Promise.all(answers)).map(kindOf)).toEqual([2, 4, 'overloaded']);
  });

  test('says so when items cannot be told apart', async () => {
    const total: Network = { run: async ({ x }) => ({ sum: floats(new Float32Array(sizeOf(x!.dims)), [1]) }) };
    const clock = new ManualClock();
    const network = batched(total, { stage: 'vad', max: 2, clock });
    const answers = Promise.allSettled([network.run(one(1)), network.run(one(2))]);
    for (const answer of await answers) {
      expect(String((answer as PromiseRejectedResult).reason)).toContain(
        "Cannot split output 'sum' of shape [1]: axis 0 does not have 2 items",
      );
    }
    await expect(
      network.run({ x: floats(new Float32Array(2), [2]), z: floats(new Float32Array(3), [3]) }),
    ).rejects.toThrow("Cannot batch: input 'z' has 3 items where others have 2");
    expect(() => batched(total, { stage: 'vad', max: 0 })).toThrow('max must be a positive integer, received 0');
  });
});
