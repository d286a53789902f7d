import { setTimeout as sleep } from 'node:timers/promises';
import { SessionSpec } from '../../gateway/config.ts';
import { ingestOf } from '../../gateway/ingest.ts';
import { becomesLive } from '../../gateway/screening.ts';
import type { Gateway } from '../../gateway/serve.ts';
import type { Scope } from '../../media/scope.ts';
import { type Figure, figureOf, journey } from './delays.ts';
import { type Ear, listen } from './ear.ts';
import { CHROMIUM_PAGE, type House, type InDoor, NotHere, type Pictures } from './in-doors.ts';
import { type Measured, measured, unmeasured } from './measured.ts';
import { now } from './paced.ts';
import { type Viewer, freeTcp, watch } from './programs.ts';
import { RATE } from './reel.ts';

/** The programme's delay in these sessions, seconds: the least there is. */
export const DELAY = 2;
/** What a reading does to find its place is over by then, ms. */
const SETTLED = 2_000;
const OPENS = 40;
/** The peer is only compared with: it has less time, so that all doors together take no more than five minutes. */
const PEER = { settled: 1_000, seconds: 3 };

export interface InOptions {
  readonly house: House;
  readonly gateway: Gateway;
  readonly seconds: number;
}

/** The body of `POST /v1/sessions` for a session that only carries: no language, and a delay that stays where it is. */
export const carrying = (source: object, outputs: object = {}): object => ({
  ...{ name: 'Doors', source, outputs, to: [], lips: 'off' },
  ...{ delay: DELAY, delayMost: DELAY, mix: { loudness: 'off' } },
});

/** Measures one way in: with a session, then with FFmpeg in the session's place. */
export async function measureIn(door: InDoor, options: InOptions, scope: Scope): Promise<Measured> {
  const description = { side: 'in' as const, drawn: door.client === CHROMIUM_PAGE, ...door };
  const lacks = door.lacking(options.house);
  if (lacks !== undefined) return unmeasured(description, 'lacking', lacks);
  const own = scope.child(door.name);
  try {
    const way = await throughSession(door, options, own);
    await own.close();
    const direct = await peerOf(door, options, scope.child(`${door.name} peer`));
    return measured(description, way, DELAY * 1_000, options.seconds * RATE, direct);
  } catch (failure) {
    if (scope.signal.aborted) throw failure;
    const why = failure instanceof Error ? failure.message : String(failure);
    return unmeasured(description, failure instanceof NotHere ? 'not in this build' : 'failed', why);
  } finally {
    await own.close();
  }
}

async function throughSession(door: InDoor, { house, gateway, seconds }: InOptions, scope: Scope) {
  const waiting = door.kind === 'waits' ? await door.wait(house, scope) : undefined;
  const source = door.kind === 'calls' ? door.source(house) : waiting!.source;
  const spec = SessionSpec.safeParse(carrying(source));
  if (!spec.success) throw new NotHere('a session refuses this source');
  const session = await gateway.sessions.create(spec.data);
  scope.defer(() => gateway.sessions.remove(session.id));
  const ingest = ingestOf(session.spec.source, gateway.url, session.rtmpPort);
  const address = ingest ? [ingest.url, ingest.key].filter(Boolean).join('/') : '';
  let sent: Pictures = waiting?.sent ?? (() => []);
  if (door.kind === 'calls') sent = await door.send(house, { id: session.id, address }, scope);
  if (!(await becomesLive(session, OPENS, scope.signal)))
    throw new Error(`The session is ${session.state}${session.view.reason ? `: ${session.view.reason}` : ''}`);
  const ear = await listen(session, scope);
  await packets(ear, scope);
  const since = now() + SETTLED;
  await sleep(SETTLED + seconds * 1_000, undefined, { signal: scope.signal });
  return journey(await sent(), await ear.pictures(), since);
}

async function packets(ear: Ear, scope: Scope): Promise<void> {
  for (let tries = 0; ear.packets === 0; tries += 1) {
    if (tries > 200) throw new Error(`Nothing leaves the SFU; ${ear.said()}`);
    await sleep(50, undefined, { signal: scope.signal });
  }
}

/** The same sender to FFmpeg. */
async function peerOf(door: InDoor, options: InOptions, scope: Scope): Promise<Figure | undefined> {
  try {
    const { house } = options;
    let sent: Pictures;
    let viewer: Viewer;
    if (door.kind === 'waits') {
      const waiting = await door.wait(house, scope);
      viewer = watch(waiting.input, scope);
      sent = waiting.sent;
    } else {
      if (!door.peer) return undefined;
      const { input, address } = door.peer(await freeTcp());
      viewer = watch(input, scope);
      // It needs a moment before it can be called, and does not say when.
      await sleep(1_000, undefined, { signal: scope.signal });
      sent = await door.send(house, { id: '', address }, scope);
    }
    for (let tries = 0; viewer.seen.length === 0; tries += 1) {
      if (tries > 300) throw new Error(`FFmpeg shows nothing: ${viewer.said()}`);
      await sleep(50, undefined, { signal: scope.signal });
    }
    const since = now() + PEER.settled;
    await sleep(PEER.settled + Math.min(options.seconds, PEER.seconds) * 1_000, undefined, { signal: scope.signal });
    return figureOf(journey(await sent(), viewer.seen, since));
  } finally {
    await scope.close();
  }
}
