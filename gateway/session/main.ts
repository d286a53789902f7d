import { MonotonicClock } from '../../media/clock.ts';
import { Refusal } from '../../media/refusal.ts';
import { Scope } from '../../media/scope.ts';
import type { FromSession, ToSession } from './ipc.ts';
import { Session } from './session.ts';

/**
 * The session process: speaks `ipc.ts` with the gateway that forked it, and ends when told to or when the gateway is gone.
 */
const scope = new Scope('session');
const tell = (message: FromSession): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};

let session: Promise<Session> | undefined;
/** Messages are acted on in order, each when the one before is done. */
let last: Promise<unknown> = Promise.resolve();

async function hear(message: ToSession): Promise<void> {
  switch (message.type) {
    case 'start':
      session = Session.open(message, new MonotonicClock(), tell, scope);
      await session;
      return;
    case 'input':
      (await session)?.input(message.tracks);
      return tell({ type: 'listening' });
    case 'report':
      return (await session)?.report(message.report);
    case 'add-language':
      return (await session)?.addLanguage(message.tracks);
    case 'remove-language':
      return (await session)?.removeLanguage(message.language);
    case 'stop':
      return end(0);
  }
}

/** Closes everything, then exits: an engine whose thread hangs must not keep the process. */
async function end(code: number): Promise<void> {
  await scope.close().catch(() => {});
  process.removeAllListeners('disconnect');
  if (process.connected) process.disconnect();
  process.exit(code);
}

/** What cannot be served is said once; the gateway does not start such a session again. */
async function failed(failure: unknown): Promise<void> {
  if (scope.signal.aborted) return;
  if (!(failure instanceof Refusal)) throw failure;
  const { code, field, message, fix } = failure;
  await new Promise<void>((sent) => {
    const refusal: FromSession = { type: 'failed', code, field, message, fix };
    process.send?.(refusal, undefined, undefined, () => sent());
  });
  await end(1);
}

process.on('message', (message: ToSession) => {
  // `stop` does not wait its turn: what it would wait for may be what hangs.
  if (message.type === 'stop') void end(0);
  else last = last.then(() => hear(message)).catch(failed);
});
// Nobody is left to kill us should an exit wait for a network that computes for ever (onnxruntime's threads cannot be ended).
process.on('disconnect', () => {
  void scope
    .close()
    .catch(() => {})
    .then(() => process.kill(process.pid, 'SIGKILL'));
});
// A terminal's Ctrl-C reaches the whole process group; the gateway decides when a session ends.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => void end(0));
