import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { seconds } from '../../media/time.ts';
import { batched } from '../../models/runtime/batch.ts';
import { openNetwork } from '../../models/runtime/network.ts';
import {
  type Network,
  type Tensor,
  type Tensors,
  floats,
  floatsOf,
  integers,
  sizeOf,
} from '../../models/runtime/tensor.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';
import { lacking, weights } from '../weights.ts';

const scope = new Scope('test');
afterAll(() => scope.close());
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/runtime/${name}.onnx`, import.meta.url));

/** How far apart two tensors' numbers are, at most. */
function distance(a: Tensor, b: Tensor): number {
  expect(a.dims).toEqual(b.dims);
  const [x, y] = [floatsOf(a, 'a'), floatsOf(b, 'b')];
  return x.reduce((most, value, n) => Math.max(most, Math.abs(value - y[n]!)), 0);
}
/** The share of rows whose largest number is in another column. */
function disagreement(a: Tensor, b: Tensor): number {
  const columns = a.dims.at(-1)!;
  const classes = (tensor: Tensor) => {
    const all = floatsOf(tensor, 'y');
    return Array.from({ length: all.length / columns }, (_, row) => {
      const values = all.subarray(row * columns, (row + 1) * columns);
      return values.indexOf(Math.max(...values));
    });
  };
  const [x, y] = [classes(a), classes(b)];
  return x.filter((each, n) => each !== y[n]).length / x.length;
}
/** Counts a network's runs and how many items each had. */
function counted(network: Network, input: string): { network: Network; items: number[] } {
  const items: number[] = [];
  return {
    items,
    network: {
      run: (inputs, options) => {
        items.push(inputs[input]!.dims[0]!);
        return network.run(inputs, options);
      },
    },
  };
}

describe('batching over a network in a thread', () => {
  test('an item that cannot be computed costs its own caller, not the others', async () => {
    const picky = await openNetwork(fixture('picky'), scope, { stage: 'recognizer' });
    const network = batched(picky, { stage: 'recognizer', max: 3 });
    const ids = (id: number) => network.run({ ids: integers([id], [1]) });
    const [first, second, third] = await Promise.allSettled([ids(1), ids(99), ids(3)]);
    expect([first.status, second.status, third.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect([...(third as PromiseFulfilledResult<Tensors>).value['rows']!.data]).toEqual([6, 7]);
  });

  test('a state is joined along its own axis, and comes back to whom it belongs', async () => {
    const memory = await openNetwork(fixture('memory'), scope, { stage: 'vad' });
    const network = batched(memory, { stage: 'vad', max: 2, axis: { state: 1, stateN: 1 } });
    const step = (value: number, state: Tensor) => network.run({ x: floats(Float32Array.of(value, 0), [1, 2]), state });
    let states = [0, 0].map(() => floats(new Float32Array(2), [1, 1, 2]));
    for (let n = 0; n < 3; n += 1) {
      const answers = await Promise.all([step(1, states[0]!), step(10, states[1]!)]);
      states = answers.map(({ stateN }) => stateN!);
    }
    expect(states.map(({ data }) => Number(data[0]))).toEqual([3, 30]);
  });

  const sample = 'diar/pyannote_sample/sample.wav';
  /** The recording from `second` on, `length` samples of it. */
  const piece = (pcm: Float32Array, second: number, length: number) =>
    pcm.slice(second * 16_000, second * 16_000 + length);
  const models = [
    ['diar/pyannote-seg-3.0-int8/model.int8.onnx', [1, 1, 160_000], 0.02],
    ['pitch/crepe_tiny/crepe_tiny.onnx', [1, 1_024], 0],
    ['spk/wq2012/saved_model.bilstm.mean.all.gpu100000.onnx', [1, 100, 40], 0],
    ['mos/dnsmos/sig_bak_ovr.onnx', [1, 144_160], 0],
  ] as const;
  for (const [model, dims, share] of models) {
    const absent = [lacking(model), missing(sample)].filter(Boolean).join('; ');
    test.skipIf(absent)(`${model}: one to four items together are items one by one ${absent}`, async () => {
      const pcm = decode(recording(sample), 16_000);
      const loaded = await openNetwork(weights(model), scope, { stage: 'diarizer' });
      const [input, output] = [loaded.inputs[0]!.name, loaded.outputs[0]!.name];
      const items = [7, 9, 12, 15].map((second) => floats(piece(pcm, second, sizeOf(dims)), dims));
      const alone: Tensor[] = [];
      for (const item of items) alone.push((await loaded.run({ [input]: item }))[output]!);
      for (const count of [1, 2, 4]) {
        const { network, items: runs } = counted(loaded, input);
        const together = batched(network, { stage: 'diarizer', max: count, wait: seconds(1) });
        const answers = await Promise.all(items.slice(0, count).map((item) => together.run({ [input]: item })));
        expect(runs).toEqual([count]);
        for (const [n, answer] of answers.entries()) {
          const [one, other] = [answer[output]!, alone[n]!];
          // Weights that are quantised as they run share one scale among a run's items, and so are not for batching:
          // here one frame in a hundred is judged another class.
          if (share > 0 && count > 1) expect(disagreement(one, other)).toBeLessThan(share);
          else expect(distance(one, other)).toBeLessThan(1e-5);
        }
      }
    });
  }

  const silero = 'vad/silero/silero_vad.onnx';
  const noSilero = [lacking(silero), missing(sample)].filter(Boolean).join('; ');
  test.skipIf(noSilero)(`Silero: four streams together are four streams one by one ${noSilero}`, async () => {
    const pcm = decode(recording(sample), 16_000);
    const loaded = await openNetwork(weights(silero), scope, { stage: 'vad' });
    const { network, items } = counted(loaded, 'input');
    const together = batched(network, { stage: 'vad', max: 4, wait: seconds(1), axis: { state: 1, stateN: 1 } });
    const listen = async (via: Network, from: number) => {
      let state = floats(new Float32Array(256), [2, 1, 128]);
      const heard: number[] = [];
      for (let n = 0; n < 20; n += 1) {
        const at = from * 16_000 + n * 512;
        const input = floats(pcm.slice(at, at + 576), [1, 576]);
        const { output, stateN } = await via.run({ input, state, sr: integers([16_000], []) });
        state = stateN!;
        heard.push(Number(output!.data[0]));
      }
      return Float32Array.from(heard);
    };
    const streams = [7, 9, 12, 20];
    const joint = await Promise.all(streams.map((from) => listen(together, from)));
    expect(new Set(items)).toEqual(new Set([4]));
    for (const [n, from] of streams.entries()) {
      const alone = await listen(loaded, from);
      expect(distance(floats(joint[n]!, [20]), floats(alone, [20]))).toBeLessThan(1e-5);
      expect(Math.max(...alone) - Math.min(...alone)).toBeGreaterThan(0.01);
    }
  });
});
