import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { pathToFileURL } from 'node:url';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { type Span, between } from '../../media/time.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import type { LoadedNetwork, OnnxOptions, openOnnx } from './onnx.ts';
import type { Port } from './ports.ts';
import type { Tensors } from './tensor.ts';
import { type FaultNote, noteOf } from '../thread.ts';

/** The entry of a network's worker thread: loads one network, runs it when it is asked to, and ends when it is told to. */

/** What a thread loads. */
export interface NetworkOrder {
  /** The built file whose `openOnnx` opens the network. */
  readonly runtime: string;
  readonly file: string;
  readonly stage: StageKind;
  readonly options: OnnxOptions & { readonly name: string };
}

export type ToNetwork = { readonly type: 'run'; readonly inputs: Tensors } | { readonly type: 'close' };

export type FromNetwork =
  | {
      readonly type: 'ready';
      readonly inputs: readonly Port[];
      readonly outputs: readonly Port[];
      readonly device: LoadedNetwork['device'];
    }
  | { readonly type: 'refused'; readonly fault: FaultNote }
  | { readonly type: 'answer'; readonly outputs: Tensors; readonly took: Span }
  | { readonly type: 'failed'; readonly fault: FaultNote };

/** The memory of tensors that nobody else holds. */
export function memoryOf(tensors: Iterable<{ readonly data: ArrayBufferView }>): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of tensors) if (data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  return [...buffers];
}

async function serve(port: MessagePort, { runtime, file, stage, options }: NetworkOrder): Promise<void> {
  const clock = new MonotonicClock();
  const scope = new Scope(`network ${file}`);
  const send = (message: FromNetwork, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  const note = (thrown: unknown) => noteOf(Fault.from(stage, thrown));
  try {
    const { openOnnx: open } = (await import(pathToFileURL(runtime).href)) as { openOnnx: typeof openOnnx };
    const network = await open(file, scope, options);
    port.on('message', (message: ToNetwork) => {
      if (message.type === 'close') {
        // Nothing listens any more, so the thread ends by itself.
        void scope.close().finally(() => port.close());
        return;
      }
      const begun = clock.now();
      network.run(message.inputs).then(
        (outputs) => {
          const took = between(begun, clock.now());
          send({ type: 'answer', outputs, took }, memoryOf(Object.values(outputs)));
        },
        (thrown: unknown) => send({ type: 'failed', fault: note(thrown) }),
      );
    });
    const { inputs, outputs, device } = network;
    send({ type: 'ready', inputs, outputs, device });
  } catch (thrown) {
    await scope.close();
    send({ type: 'refused', fault: note(thrown) });
    port.close();
  }
}

// An engine's thread imports this file as well: it is an entry only where the thread was given a network to load.
const order = workerData as Partial<NetworkOrder> | undefined;
if (parentPort && order?.runtime !== undefined) await serve(parentPort, order as NetworkOrder);
