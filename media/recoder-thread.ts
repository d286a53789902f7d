import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Answer, RunOptions } from './recoder.ts';
import { Recoding, type Work } from './recoding.ts';

/** The entry of a recoder's worker thread: does the work of one run after the other, in the order it comes. */

export type ToRecoder =
  | ({ readonly type: 'begin'; readonly run: number } & RunOptions)
  | ({ readonly type: 'unit'; readonly run: number } & Work)
  | { readonly type: 'prepare'; readonly run: number }
  | { readonly type: 'finish'; readonly run: number }
  | { readonly type: 'close' };

export type FromRecoder = Answer | { readonly kind: 'finished'; readonly run: number };

function serve(port: MessagePort, current: Int32Array): void {
  let recoding: Recoding | undefined;
  const end = () => {
    recoding?.[Symbol.dispose]();
    recoding = undefined;
  };
  const send = (message: FromRecoder) => {
    const buffers = message.kind === 'picture' ? message.unit.payloads.map(({ buffer }) => buffer) : [];
    port.postMessage(message, [...new Set(buffers)] as ArrayBuffer[]);
  };
  port.on('message', (message: ToRecoder) => {
    if (message.type === 'close') {
      end();
      return port.close();
    }
    const { run } = message;
    if (run !== Atomics.load(current, 0)) return end();
    try {
      switch (message.type) {
        case 'begin':
          end();
          recoding = new Recoding(run, message);
          return;
        case 'unit':
          recoding?.push(message).forEach(send);
          return;
        case 'prepare':
          if (recoding) send({ kind: 'prepared', run });
          return;
        case 'finish':
          recoding?.finish().forEach(send);
          send({ kind: 'finished', run });
          return end();
      }
    } catch (thrown) {
      end();
      send({ kind: 'died', run, why: thrown instanceof Error ? thrown.message : String(thrown) });
    }
  });
}

if (parentPort) serve(parentPort, workerData as Int32Array);
