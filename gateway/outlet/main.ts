import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import type { FromOutlets, ToOutlets } from './ipc.ts';
import { OPENERS } from './kinds.ts';
import { Outlets } from './outlets.ts';

/** The outlet process: speaks `ipc.ts` with the gateway that forked it, and ends when told to or when the gateway is gone. */
const scope = new Scope('outlets');
const tell = (message: FromOutlets): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};

let outlets: Promise<Outlets> | undefined;
/** Messages are acted on in order, each when the one before is done. */
let last: Promise<unknown> = Promise.resolve();
let ending: Promise<void> | undefined;

async function hear(message: Exclude<ToOutlets, { type: 'stop' }>): Promise<void> {
  if (message.type === 'start') {
    outlets = Outlets.open(message, OPENERS, new MonotonicClock(), tell, scope);
    await outlets;
  } else (await outlets)?.hear(message);
}

/** A recording is finished even when the gateway is gone. */
const end = (): Promise<void> =>
  (ending ??= (async () => {
    await last.catch(() => {});
    await (await outlets?.catch(() => undefined))?.close();
    await scope.close().catch(() => {});
    process.exit(0);
  })());

process.on('message', (message: ToOutlets) => {
  if (message.type === 'stop') void end();
  else last = last.then(() => hear(message));
});
process.on('disconnect', () => void end());
// A terminal's Ctrl-C reaches the whole process group; the gateway decides when outlets end.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => void end());
