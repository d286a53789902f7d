import { setTimeout as sleep } from 'node:timers/promises';
import { mkdir } from 'node:fs/promises';
import { SessionSpec } from '../../gateway/config.ts';
import { becomesLive } from '../../gateway/screening.ts';
import type { Gateway } from '../../gateway/serve.ts';
import type { Scope } from '../../media/scope.ts';
import { type Journey, journey } from './delays.ts';
import { listen } from './ear.ts';
import { type House, IN_DOORS, NotHere } from './in-doors.ts';
import { carrying } from './measure-in.ts';
import { type Measured, measured, unmeasured } from './measured.ts';
import { type OutDoor, type Showing, listeners } from './out-doors.ts';
import { now } from './paced.ts';
import { RATE } from './reel.ts';

/** What a client does to catch up when it begins is over by then, ms. */
const SETTLED = 3_000;

export interface OutOptions {
  readonly house: House;
  readonly gateway: Gateway;
  readonly seconds: number;
  readonly recordings: string;
  readonly tell: (door: string) => void;
}

interface Watched {
  readonly door: OutDoor;
  /** Read afterwards: the reference is decoded when everything is over. */
  readonly outcome: { readonly way: (reference: readonly Seen[]) => Journey } | { readonly failure: unknown };
}
type Seen = Parameters<typeof journey>[0][number];

/** Measures ways out of one session that gets plain RTP: those by programs all at once, then browsers one by one. */
export async function measureOut(doors: readonly OutDoor[], options: OutOptions, scope: Scope): Promise<Measured[]> {
  const { house, recordings, tell } = options;
  const there = doors.filter((door) => door.lacking(house) === undefined);
  if (there.length === 0) return doors.map((door) => lacking(door, house));
  const own = scope.child('out');
  try {
    await mkdir(recordings, { recursive: true });
    const { showing, ear } = await open(there, options, own);
    const together = there.filter(({ alone }) => !alone);
    if (together.length > 0) tell(together.map(({ name }) => name).join(', '));
    const watched = await Promise.all(together.map((door) => one(door, showing, options, own)));
    for (const door of there.filter(({ alone }) => alone)) {
      tell(door.name);
      watched.push(await one(door, showing, options, own));
    }
    const reference = await ear.pictures();
    return doors.map((door) => {
      const outcome = watched.find((each) => each.door === door)?.outcome;
      return outcome ? rowOf(door, outcome, reference, options.seconds * RATE) : lacking(door, house);
    });
  } finally {
    await own.close();
  }
}

const lacking = (door: OutDoor, house: House): Measured =>
  unmeasured({ side: 'out', drawn: door.alone, ...door }, 'lacking', door.lacking(house) ?? 'it was not tried');

function rowOf(door: OutDoor, outcome: Watched['outcome'], reference: readonly Seen[], sent: number): Measured {
  const description = { side: 'out' as const, drawn: door.alone, ...door };
  if ('way' in outcome) return measured(description, outcome.way(reference), 0, sent, undefined, door.note);
  const { failure } = outcome;
  const why = failure instanceof Error ? failure.message : String(failure);
  return unmeasured(description, failure instanceof NotHere ? 'not in this build' : 'failed', why);
}

/** A live session with everything that the doors need, and the reference. */
async function open(doors: readonly OutDoor[], { house, gateway, recordings }: OutOptions, scope: Scope) {
  const rtp = IN_DOORS.find((door) => door.kind === 'waits' && door.name === 'rtp');
  if (rtp?.kind !== 'waits') throw new TypeError('There is no plain RTP to feed the session with');
  const { source } = await rtp.wait(house, scope);
  const { pushed, push } = await listeners(doors, house, scope);
  const record = doors.some(({ name }) => name === 'recording') ? { record: { name: 'reel.mkv', format: 'mkv' } } : {};
  const outputs = { hls: { enabled: 'on', segment: 2 }, push, ...record };
  const session = await gateway.sessions.create(SessionSpec.parse(carrying(source, outputs)));
  scope.defer(() => gateway.sessions.remove(session.id));
  if (!(await becomesLive(session, 40, scope.signal)))
    throw new Error(`The session is ${session.state}${session.view.reason ? `: ${session.view.reason}` : ''}`);
  const showing: Showing = { ...house, session, recordings, pushed };
  return { showing, ear: await listen(session, scope) };
}

async function one(door: OutDoor, showing: Showing, { seconds }: OutOptions, scope: Scope): Promise<Watched> {
  const own = scope.child(door.name);
  try {
    const pictures = await door.watch(showing, own);
    const since = now() + SETTLED;
    await sleep(SETTLED + seconds * 1_000, undefined, { signal: own.signal });
    const seen = [...(await pictures())];
    return { door, outcome: { way: (reference) => journey(reference, seen, since) } };
  } catch (failure) {
    if (scope.signal.aborted) throw failure;
    return { door, outcome: { failure } };
  } finally {
    await own.close();
  }
}
