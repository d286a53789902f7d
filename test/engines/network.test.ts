import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { later, ms, seconds } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import { type NetworkOptions, openNetwork } from '../../models/runtime/network.ts';
import { networkReports } from '../../models/runtime/network-report.ts';
import { type OnnxOptions, openOnnx } from '../../models/runtime/onnx.ts';
import { networkSettings } from '../../models/runtime/runtime-settings.ts';
import {
  type Tensor,
  type Tensors,
  booleans,
  floats,
  floatsOf,
  halves,
  integers,
} from '../../models/runtime/tensor.ts';
import { Fault } from '../../pipeline/fault.ts';
import { lacking, weights } from '../weights.ts';

const scope = new Scope('test');
afterAll(async () => {
  process.env['LIVEDUB_TEST_RELEASE'] = '1';
  await scope.close();
  delete process.env['LIVEDUB_TEST_RELEASE'];
});

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/runtime/${name}.onnx`, import.meta.url));
const openFile = (name: string, options: Partial<NetworkOptions> = {}, within = scope) =>
  openNetwork(fixture(name), within, { stage: 'vad', ...options });

const runtime = fileURLToPath(new URL('../fakes/thread-networks.mjs', import.meta.url));
const openFake = (options: Partial<NetworkOptions> = {}, within = scope, file = 'obeying') =>
  openNetwork(file, within, { stage: 'translator', runtime, ...options });
const does = (what: 'nothing' | 'exit' | 'throw' | 'hang' | 'fail' | 'lie'): Tensors => ({
  does: { data: Int32Array.of(['nothing', 'exit', 'throw', 'hang', 'fail', 'lie'].indexOf(what)), dims: [1] },
});
/** Computes in native code, about 20 µs a round. */
const busy = (rounds: number): Tensors => ({
  rounds: integers([rounds], []),
  x: floats(new Float32Array(4_096).fill(1), [4_096]),
});
const numbersOf = ({ data }: Tensor) => Array.from(data, Number);
const faultOf = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable(),
    (thrown: unknown) => {
      if (!(thrown instanceof Fault)) throw thrown;
      return thrown;
    },
  );
/** Lets what is on its way between threads arrive. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

const both = [
  ['on our thread', (name: string, options: OnnxOptions = {}) => openOnnx(fixture(name), scope, options)],
  ['in a thread of its own', (name: string, options: OnnxOptions = {}) => openFile(name, options)],
] as const;

describe.for(both)('a network %s', ([, open]) => {
  test('takes and gives every element there is', async () => {
    const network = await open('elements');
    expect(network.inputs.map(({ name, element }) => [name, element])).toEqual([
      ['floats', 'float32'],
      ['halves', 'float16'],
      ['longs', 'int64'],
      ['ints', 'int32'],
      ['bytes', 'uint8'],
      ['flags', 'bool'],
    ]);
    const answer = await network.run({
      floats: floats(Float32Array.of(0.1, -2), [2]),
      halves: halves(Float32Array.of(0.5, -3), [2]),
      longs: integers([2 ** 40, -1], [2]),
      ints: { data: Int32Array.of(7, -8), dims: [2] },
      bytes: { data: Uint8Array.of(255, 1), dims: [2] },
      flags: booleans([true, false], [2]),
    });
    expect(numbersOf(answer['floats_out']!)).toEqual([Math.fround(0.2), -4]);
    expect(answer['halves_out']!.as).toBe('float16');
    expect([...floatsOf(answer['halves_out'], 'halves_out')]).toEqual([1, -6]);
    expect(numbersOf(answer['longs_out']!)).toEqual([2 ** 40, -1]);
    expect(numbersOf(answer['ints_out']!)).toEqual([7, -8]);
    expect(numbersOf(answer['bytes_out']!)).toEqual([255, 1]);
    expect(answer['flags_out']!.as).toBe('bool');
    expect(numbersOf(answer['flags_out']!)).toEqual([0, 1]);
  });

  test('borrows its inputs and leaves them as they were, and its outputs are the caller’s', async () => {
    const network = await open('scale');
    const shelf = Float32Array.of(9, 1, 2, 3, 9);
    const x = floats(shelf.subarray(1, 4), [1, 3]);
    const { y: first } = await network.run({ x });
    const { y: second } = await network.run({ x });
    (first!.data as Float32Array).fill(0);
    expect([...shelf]).toEqual([9, 1, 2, 3, 9]);
    expect(numbersOf(second!)).toEqual([2, 4, 6]);
  });

  test.for([
    [{}, "input 'x' must be float32 [N, 3], received nothing"],
    [{ x: integers([1, 2, 3], [1, 3]) }, "input 'x' must be float32 [N, 3], received int64 [1, 3]"],
    [{ x: floats(new Float32Array(4), [1, 4]) }, "input 'x' must be float32 [N, 3], received float32 [1, 4]"],
    [{ x: floats(new Float32Array(5), [2, 3]) }, "input 'x' of 6 numbers has 5"],
    [
      { x: floats(new Float32Array(3), [1, 3]), z: floats(new Float32Array(1), []) },
      "it has no input 'z'; its inputs are x",
    ],
  ] as const)('refuses inputs that are not what it asks for: %#', async ([inputs, sentence]) => {
    const network = await open('scale', { name: 'scaler' });
    const refusal = await network.run(inputs as Tensors).catch((thrown: unknown) => thrown);
    expect(refusal).toBeInstanceOf(TypeError);
    expect(String(refusal)).toContain(`Cannot run scaler: ${sentence}`);
  });

  test('fails with what the runtime says of inputs that it cannot compute, and goes on', async () => {
    const network = await open('picky', { stage: 'recognizer' });
    const failure = await faultOf(network.run({ ids: integers([9], [1]) }));
    expect([failure.stage, failure.kind]).toEqual(['recognizer', 'rejected']);
    expect(failure.message).toMatch(/^Network picky could not compute its inputs: .*idx=9/);
    expect(numbersOf((await network.run({ ids: integers([3], [1]) }))['rows']!)).toEqual([6, 7]);
  });

  test('says plainly what it cannot load', async () => {
    const missing = await faultOf(open('nowhere', { stage: 'vad' }));
    expect([missing.kind, missing.message]).toEqual([
      'unavailable',
      `Cannot load network nowhere: there is no ${fixture('nowhere')}`,
    ]);
    const other = await faultOf(
      open('../silero/v6.json/../x', { stage: 'vad' }).catch((thrown) => Promise.reject(thrown as Error)),
    );
    expect(other.kind).toBe('unavailable');
    const device = await faultOf(open('scale', { stage: 'vad', settings: { device: 'tensorrt' } }));
    expect(device.kind).toBe('broken');
    expect(device.message).toMatch(
      /^Cannot run network scale on 'tensorrt': .*set 'device' to cpu or 'fallback' to true/,
    );
  });

  test('computes on the CPU where its device is not to be had, when it is told so', async () => {
    const network = await open('scale', { settings: { device: 'cuda', fallback: true } });
    expect([network.device, network.report().device]).toEqual(['cpu', 'cpu']);
    expect(numbersOf((await network.run({ x: floats(Float32Array.of(1, 2, 3), [1, 3]) }))['y']!)).toEqual([2, 4, 6]);
  });

  test('loads the half-precision file beside it, and rounds the floats it is given', async () => {
    const network = await open('scale', { settings: { fp16: true } });
    expect(network.inputs[0]!.element).toBe('float16');
    const { y } = await network.run({ x: floats(Float32Array.of(1, 2.0001, 3), [1, 3]) });
    expect([...floatsOf(y, 'y')]).toEqual([2, 4, 6]);
    const without = await faultOf(open('picky', { stage: 'vad', settings: { fp16: true } }));
    expect(without.message).toContain(`there is no ${fixture('picky_fp16')}`);
    expect((await open('picky', { settings: { fp16: true, fallback: true } })).inputs[0]!.name).toBe('ids');
  });

  test('is warm when it is open, and does not count what warmed it up', async () => {
    const network = await open('scale', { warm: [{ x: [4, 3] }] });
    expect(network.report().running.count).toBe(0);
    await expect(open('scale', { warm: [{}] })).rejects.toThrow("the shape of 'x', float32 [N, 3], must be given");
    await expect(open('picky', { warm: [{ ids: [0] }] })).resolves.toBeDefined();
  });

  test('is listed with how long its runs took, until it is closed', async () => {
    const within = scope.child('listed');
    const network = await (open === both[0][1]
      ? openOnnx(fixture('busy'), within, { stage: 'vad', name: 'listed' })
      : openFile('busy', { name: 'listed' }, within));
    await network.run(busy(1_000));
    await network.run(busy(1_000));
    const report = networkReports().find(({ name }) => name === 'listed')!;
    expect(report).toEqual(network.report());
    expect([report.stage, report.device, report.running.count]).toEqual(['vad', 'cpu', 2]);
    // A thousand rounds of 4096 sines take milliseconds on any machine.
    expect(report.running.p50).toBeGreaterThan(1);
    await within.close();
    expect(networkReports().some(({ name }) => name === 'listed')).toBe(false);
  });
});

describe('a network in a thread of its own', () => {
  test('does not hold its caller up while it computes', async () => {
    const network = await openFile('busy');
    let turns = 0;
    const answer = network.run(busy(20_000)).then(() => 'computed');
    while ((await Promise.race([answer, turn()])) === undefined) turns += 1;
    expect(turns).toBeGreaterThan(20);
  });

  test('takes what is given away without copying it, and copies what is only part of something', async () => {
    const network = await openFile('scale');
    const whole = Float32Array.of(1, 2, 3);
    const part = Float32Array.of(1, 2, 3, 4).subarray(1);
    expect(numbersOf((await network.run({ x: floats(whole, [1, 3]) }, { give: 'all' }))['y']!)).toEqual([2, 4, 6]);
    expect(numbersOf((await network.run({ x: floats(part, [1, 3]) }, { give: ['x'] }))['y']!)).toEqual([4, 6, 8]);
    expect([whole.length, part.length]).toEqual([0, 3]);
    await expect(network.run({ x: floats(whole, [1, 3]) })).rejects.toThrow('given away in an earlier run');
  });

  test('lets the caller use its buffer again as soon as `run` has returned', async () => {
    const network = await openFile('scale');
    const buffer = Float32Array.of(1, 2, 3);
    const answer = network.run({ x: floats(buffer, [1, 3]) });
    buffer.fill(7);
    expect(numbersOf((await answer)['y']!)).toEqual([2, 4, 6]);
  });

  test('answers calls in order, refuses more than its queue holds, and counts them', async () => {
    const network = await openFile('busy', { capacity: 2, name: 'short queue' });
    const order: number[] = [];
    const calls = [1, 2, 3].map((n) => network.run(busy(2_000)).then(() => order.push(n)));
    const refusal = await faultOf(network.run(busy(1)));
    expect([refusal.stage, refusal.kind, refusal.message]).toEqual([
      'vad',
      'overloaded',
      'Network short queue: 2 calls wait already',
    ]);
    expect(network.report().queued).toBe(2);
    await Promise.all(calls);
    expect(order).toEqual([1, 2, 3]);
    const { lost, waiting, running, queued } = network.report();
    expect([lost.overflow, waiting.count, running.count, queued]).toEqual([1, 3, 3, 0]);
    // The third waited for two runs.
    expect(waiting.p95!).toBeGreaterThan(running.p50! * 1.2);
  });

  test('fails a call at its deadline, waiting or running, and computes the next one', async () => {
    const clock = new ManualClock();
    const network = await openFile('busy', { clock });
    const deadline = later(clock.now(), ms(100));
    const running = faultOf(network.run(busy(10_000), { deadline }));
    await turn();
    const waiting = faultOf(network.run(busy(10), { deadline }));
    const patient = network.run(busy(10));
    await clock.advance(ms(101));
    expect([(await running).kind, (await waiting).kind]).toEqual(['timeout', 'timeout']);
    expect((await patient)['y']!.dims).toEqual([4_096]);
    expect((await faultOf(network.run(busy(10), { deadline }))).kind).toBe('timeout');
    const { lost, running: took } = network.report();
    // The one that ran was computed to its end for nobody; the other two never ran.
    expect([lost.expired, took.count]).toEqual([3, 2]);
  });

  test('lets go of a call whose signal aborts', async () => {
    const network = await openFile('busy');
    const abort = new AbortController();
    const { signal } = abort;
    const calls = [network.run(busy(5_000), { signal }), network.run(busy(5_000), { signal })];
    await turn();
    const next = network.run(busy(10));
    abort.abort(new Error('the viewer left'));
    for (const call of calls) await expect(call).rejects.toThrow('the viewer left');
    await expect(network.run(busy(10), { signal })).rejects.toThrow('the viewer left');
    await next;
    const { lost, running } = network.report();
    expect([lost, running.count]).toEqual([{ overflow: 0, expired: 0, failed: 0 }, 2]);
  });

  test.for(['exit', 'throw'] as const)(
    '%s: a thread that dies costs the call it computed; the next one runs in a fresh thread',
    async (how) => {
      const network = await openFake({ name: 'mortal' });
      const { thread: before } = await network.run(does('nothing'));
      const dying = faultOf(network.run(does(how)));
      const waiting = network.run(does('nothing'));
      const death = await dying;
      expect([death.stage, death.kind]).toEqual(['translator', 'unavailable']);
      expect(death.message).toContain('The thread of network mortal ended: ');
      expect(numbersOf((await waiting)['thread']!)).not.toEqual(numbersOf(before!));
      const { restarts, lost } = network.report();
      expect([restarts, lost.failed]).toEqual([1, 1]);
    },
  );

  test('a run that does not end is a timeout, and its thread is replaced', async () => {
    const clock = new ManualClock();
    const network = await openFake({ clock, limit: seconds(5), name: 'hanging' });
    const { thread: before } = await network.run(does('nothing'));
    const hung = faultOf(network.run(does('hang')));
    const waiting = network.run(does('nothing'));
    while (network.report().waiting.count < 2) await turn();
    await clock.advance(seconds(5));
    const { kind, message } = await hung;
    expect([kind, message]).toEqual([
      'timeout',
      'Network hanging did not answer within 5000 ms; its thread is replaced',
    ]);
    expect(numbersOf((await waiting)['thread']!)).not.toEqual(numbersOf(before!));
    expect(network.report().restarts).toBe(1);
  });

  test('a run that hangs in native code is left to itself, and the next one runs in a fresh thread', async () => {
    const clock = new ManualClock();
    const network = await openFile('busy', { clock, limit: seconds(5) });
    const hung = faultOf(network.run(busy(50_000)));
    const waiting = network.run(busy(10));
    while (network.report().waiting.count < 1) await turn();
    await clock.advance(seconds(5));
    expect((await hung).kind).toBe('timeout');
    await waiting;
    expect(network.report().restarts).toBe(1);
  });

  test('when two threads hang, nothing runs until one of them has ended', async () => {
    const clock = new ManualClock();
    const network = await openFake({ clock, limit: seconds(5), name: 'hanging' });
    for (const begun of [1, 2]) {
      const hung = faultOf(network.run(does('hang')));
      while (network.report().waiting.count < begun) await turn();
      await clock.advance(seconds(5));
      expect((await hung).kind).toBe('timeout');
    }
    const refusal = await faultOf(network.run(does('nothing')));
    expect([refusal.kind, refusal.message]).toEqual([
      'unavailable',
      'Network hanging hangs in 2 threads; it is tried again when one of them has ended',
    ]);
    process.env['LIVEDUB_TEST_RELEASE'] = '1';
    await expect.poll(() => network.run(does('nothing')).then(() => 'computed', String)).toBe('computed');
    delete process.env['LIVEDUB_TEST_RELEASE'];
  });

  test('an answer that cannot be sent is a failure of that call alone', async () => {
    const network = await openFake();
    expect((await faultOf(network.run(does('lie')))).kind).toBe('unavailable');
    expect((await faultOf(network.run(does('fail')))).message).toBe('out of memory');
    await network.run(does('nothing'));
  });

  test('a network that cannot be loaded says why; a thread that ends while it loads does, too', async () => {
    const refusal = await faultOf(openFake({}, scope, 'refusing'));
    expect([refusal.stage, refusal.message]).toEqual(['translator', 'weights are missing']);
    const ended = await faultOf(openFake({}, scope, 'ending'));
    expect([ended.kind, ended.message]).toEqual(['unavailable', 'The thread of network ending ended: exit code 7']);
  });

  test('a network that is gone when its thread is replaced fails each call, until it is back', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'livedub-network-'));
    const file = join(folder, 'busy.onnx');
    cpSync(fixture('busy'), file);
    const clock = new ManualClock();
    const network = await openNetwork(file, scope, { stage: 'vad', clock, limit: seconds(5) });
    const hung = faultOf(network.run(busy(20_000)));
    while (network.report().waiting.count < 1) await turn();
    rmSync(file);
    await clock.advance(seconds(5));
    await hung;
    for (const _ of [1, 2]) expect((await faultOf(network.run(busy(1)))).message).toContain(`there is no ${file}`);
    cpSync(fixture('busy'), file);
    await network.run(busy(1));
    rmSync(folder, { recursive: true });
  });

  test('closing fails what waits and what runs, and ends the thread', async () => {
    const within = scope.child('closing');
    const network = await openFile('busy', {}, within);
    const calls = [faultOf(network.run(busy(5_000))), faultOf(network.run(busy(5_000)))];
    await within.close();
    for (const call of calls) expect((await call).message).toBe('Network busy is closed');
    expect((await faultOf(network.run(busy(1)))).kind).toBe('broken');
  });

  test('a queue without room is a mistake of ours', async () => {
    await expect(openFile('busy', { capacity: 0 })).rejects.toThrow('capacity must be a positive integer, received 0');
  });
});

describe('the settings of the runtime', () => {
  test('are one CPU thread unless told', () => {
    expect(networkSettings.parse({})).toEqual({ device: 'cpu', gpu: 0, threads: 1, fp16: false, fallback: false });
  });
  test.for([{ threads: 0 }, { device: 'tpu' }, { gpu: -1 }, { cores: 2 }])('refuse %o', (settings) => {
    expect(networkSettings.safeParse(settings).success).toBe(false);
  });
});

test('the networks of engines in threads are listed with those of this thread', async () => {
  const within = scope.child('engine');
  const vad = await registry().load('vad', 'silero', {}, within);
  expect(vad.kind).toBe('vad');
  const report = networkReports().find(({ name }) => name.startsWith('silero'));
  expect([report?.stage, report?.running.count]).toEqual(['vad', 0]);
  await within.close();
  expect(networkReports().some(({ name }) => name.startsWith('silero'))).toBe(false);
});

const segmentation = 'diar/pyannote-seg-3.0-int8/model.int8.onnx';
const absent = lacking(segmentation);
test.skipIf(absent)(`real weights compute the same in a thread of their own as on ours ${absent ?? ''}`, async () => {
  const x = floats(
    Float32Array.from({ length: 160_000 }, (_, n) => Math.sin(n * n * 1e-6)),
    [1, 1, 160_000],
  );
  const ours = await openOnnx(weights(segmentation), scope);
  const theirs = await openNetwork(weights(segmentation), scope, { stage: 'diarizer', settings: { threads: 2 } });
  const [one, two] = [(await ours.run({ x }))['y']!, (await theirs.run({ x }))['y']!];
  expect(one.dims).toEqual([1, 589, 7]);
  expect(two.dims).toEqual(one.dims);
  const [a, b] = [floatsOf(one, 'y'), floatsOf(two, 'y')];
  expect(Math.max(...a.map((value, n) => Math.abs(value - b[n]!)))).toBeLessThan(1e-5);
});
