import { setTimeout as sleep } from 'node:timers/promises';
import { MonotonicClock } from '../media/clock.ts';
import type { Scope } from '../media/scope.ts';
import { at } from '../media/time.ts';
import { delayOf, levelUnder } from './config.ts';
import type { HostedSession } from './hosted-session.ts';
import { Recorder } from './recorder.ts';
import { type Report, Witness } from './report.ts';

/** Whether there is something to be seen within so many seconds. `false` also when the session or `signal` ends first. */
export async function becomesLive(session: HostedSession, within: number, signal: AbortSignal): Promise<boolean> {
  for (let waited = 0; waited < within && !signal.aborted && !session.over; waited += 0.1) {
    if (session.state === 'live' && session.tracks.length > 0) return true;
    await sleep(100, undefined, { signal }).catch(() => {});
  }
  return false;
}

/** A live session watched by a viewer without a screen: recorded as it is received, and listened to. */
export class Screening {
  readonly session: HostedSession;
  readonly recorder: Recorder;
  readonly witness: Witness;
  readonly #path: string;

  private constructor(session: HostedSession, recorder: Recorder, witness: Witness, path: string) {
    this.session = session;
    this.recorder = recorder;
    this.witness = witness;
    this.#path = path;
  }

  /** @param path the file to write, named as {@link Recorder} takes it */
  static async open(session: HostedSession, path: string, scope: Scope): Promise<Screening> {
    const witness = new Witness();
    scope.defer(() => witness.close());
    const recorder = await Recorder.open(
      {
        session,
        path,
        clock: new MonotonicClock(),
        onReceived: (packet) => witness.received(packet),
        onAudio: (track, media, payload) => witness.audio(track, media, payload),
      },
      scope,
    );
    return new Screening(session, recorder, witness, path);
  }

  /** Finishes the file and sums up what was received; `undefined` when nothing was. */
  async close(programme: string): Promise<Report | undefined> {
    const { origin, recorded } = this.recorder;
    const { pictures } = await this.recorder.close();
    if (origin === undefined) return undefined;
    const { spec, stats } = this.session;
    // The dub of what was said last is decided by now: the programme runs `delay` ahead of the recording.
    return this.witness.sum({
      programme,
      from: spec.from,
      to: spec.to,
      delay: stats?.delay.measured ?? delayOf(spec).start,
      underDub: levelUnder(spec.mix),
      loudness: stats?.loudness ?? null,
      lips: stats?.lips ?? null,
      lines: this.session.archive.lines,
      recorded: { file: this.#path, seconds: recorded / 1e6, pictures, packetsLost: this.recorder.lost },
      span: { start: origin, end: at(origin + recorded) },
    });
  }
}
