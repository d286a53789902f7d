/**
 * Engines for the test of `models/thread.ts`, in a language that a Node 20 worker thread reads as it stands.
 *
 * Each is an enhancer that passes audio on and can be told to misbehave.
 */
const config = { parse: (value) => value };
const stage = (run) => ({ kind: 'enhancer', engine: 'test', caps: { rate: 16_000, lookahead: 0 }, run });
const engine = (id, load) => ({ kind: 'enhancer', id, host: 'thread', config, needs: [], load });

/** What the first chunk's first sample asks for: -1 an exception nobody catches, -2 a fault, -3 the end of the thread. */
const obey = (chunk, { Fault }) => {
  if (chunk.pcm[0] === -1)
    setImmediate(() => {
      throw new Error('nobody catches this');
    });
  if (chunk.pcm[0] === -2) throw new Fault('enhancer', 'rejected', 'not this one');
  if (chunk.pcm[0] === -3) process.exit(3);
};

export const engines = [
  engine('echo', async ({ fault, closed }, scope) => {
    const { Fault } = await import(fault);
    const flag = closed && new Int32Array(closed);
    scope.defer(() => flag && Atomics.add(flag, 0, 1));
    return stage(async function* (input) {
      for await (const chunk of input) {
        obey(chunk, { Fault });
        if (chunk.pcm[0] === -1) await new Promise(() => {});
        yield { ...chunk, pcm: chunk.pcm.map((x) => x * 2) };
      }
    });
  }),
  engine('stubborn', async () =>
    stage(async function* (input) {
      for await (const _ of input) for (;;);
    }),
  ),
  engine('computing', async ({ onnx, file, rounds }, scope) => {
    const { openOnnx } = await import(onnx);
    const network = await openOnnx(file, scope);
    return stage(async function* (input) {
      for await (const chunk of input) {
        await network.run({
          rounds: { data: BigInt64Array.of(BigInt(rounds)), dims: [] },
          x: { data: new Float32Array(4_096), dims: [4_096] },
        });
        yield chunk;
      }
    });
  }),
  engine('refusing', async () => {
    throw new Error('weights are missing');
  }),
  engine('ending', async () => process.exit(7)),
];
