import { setTimeout as sleep } from 'node:timers/promises';
import type { Scope } from '../../media/scope.ts';
import type { Seen } from './delays.ts';
import type { Unit } from './reel.ts';

/** ms since 1970 on this machine's clock, as pages read it too. */
export const now = (): number => performance.timeOrigin + performance.now();

/** A programme that is being sent. */
export interface Sent {
  /** Pictures so far, each with the moment its last byte was given away. Grows. */
  readonly seen: readonly Seen[];
  readonly done: Promise<void>;
}

/** Something with a time, ms from the beginning; with a number where it ends a picture. */
export interface Due {
  readonly at: number;
  readonly number?: number;
}

/** Gives away each of `due` at its time, or later where this process was busy; the moment it was given is what is noted. */
export function pace<T extends Due>(due: readonly T[], give: (each: T) => void, scope: Scope): Sent {
  const seen: Seen[] = [];
  const began = performance.now();
  const run = async () => {
    for (const each of due) {
      const { at, number } = each;
      const early = at - (performance.now() - began);
      if (early > 0) await sleep(early, undefined, { signal: scope.signal });
      scope.signal.throwIfAborted();
      if (number !== undefined) seen.push({ number, at: now() });
      give(each);
    }
  };
  const done = run();
  done.catch(() => {});
  return { seen, done };
}

/** Units of the same time in one, so that what leaves together is given away together. */
export function joined(units: readonly Unit[]): Unit[] {
  const runs: Unit[][] = [];
  for (const unit of units) {
    const run = runs.at(-1);
    // A picture ends its run: a unit has one number.
    if (run?.[0]?.at === unit.at && run.at(-1)?.number === undefined) run.push(unit);
    else runs.push([unit]);
  }
  return runs.map((run) => {
    const [last] = run.slice(-1);
    const bytes = run.length === 1 ? last!.bytes : Buffer.concat(run.map((unit) => unit.bytes));
    return { at: last!.at, bytes, ...(last!.number !== undefined && { number: last!.number }) };
  });
}
