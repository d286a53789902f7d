/**
 * A runtime for the test of `models/runtime/network.ts`, in a language that a Node 20 worker thread reads as it stands.
 *
 * Its network says which thread it runs in, after doing what its input `does` asks for: 0 nothing, 1 ends the thread,
 * 2 throws where nobody catches, 3 does not come back before the environment's LIVEDUB_TEST_RELEASE is set, 4 fails, 5 answers with something that cannot be sent.
 */
import { threadId } from 'node:worker_threads';

const RELEASE = 'LIVEDUB_TEST_RELEASE';

export async function openOnnx(file, scope) {
  if (file === 'refusing') throw new Error('weights are missing');
  if (file === 'ending') process.exit(7);
  scope.defer(() => {});
  const port = (name) => ({ name, element: 'int32', shape: ['N'] });
  return {
    inputs: [port('does')],
    outputs: [port('thread')],
    device: 'cpu',
    async run({ does }) {
      switch (does.data[0]) {
        case 1:
          process.exit(3);
        case 2:
          setImmediate(() => {
            throw new Error('nobody catches this');
          });
          return new Promise(() => {});
        case 3:
          while (process.env[RELEASE] === undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
          break;
        case 4:
          throw new Error('out of memory');
        case 5:
          return { thread: { data: new Int32Array(1), dims: [1], why: () => {} } };
      }
      return { thread: { data: Int32Array.of(threadId), dims: [1] } };
    },
  };
}
