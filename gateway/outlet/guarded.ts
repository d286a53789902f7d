import type { ClockTime, MediaTime } from '../../media/time.ts';
import type { CueView } from '../protocol.ts';
import type { OutPicture, OutSound, OutTrack, Outlet, Wants } from './outlet.ts';

const NOTHING: Wants = { pictures: 'none', sound: 'none' };

/** An outlet whose mistakes cost nobody else anything: after the first it is told nothing more, and wants nothing. */
export class Guarded implements Outlet {
  readonly #outlet: Outlet;
  readonly #onBroken: (failure: unknown) => void;
  #broken = false;

  /** @param onBroken is told what was thrown, once */
  constructor(outlet: Outlet, onBroken: (failure: unknown) => void) {
    this.#outlet = outlet;
    this.#onBroken = onBroken;
  }
  get broken(): boolean {
    return this.#broken;
  }
  get wants(): Wants {
    return this.#broken ? NOTHING : this.#outlet.wants;
  }
  get counts(): Readonly<Record<string, number>> {
    return { ...this.#outlet.counts, broken: this.#broken ? 1 : 0 };
  }
  tracks(tracks: readonly OutTrack[]): void {
    this.#tell((outlet) => outlet.tracks(tracks));
  }
  picture(picture: OutPicture): void {
    this.#tell((outlet) => outlet.picture(picture));
  }
  sound(sound: OutSound): void {
    this.#tell((outlet) => outlet.sound(sound));
  }
  cue(cue: CueView): void {
    this.#tell((outlet) => outlet.cue(cue));
  }
  tick(now: ClockTime, position: MediaTime): void {
    this.#tell((outlet) => outlet.tick(now, position));
  }
  async close(): Promise<void> {
    await this.#outlet.close();
  }

  #tell(work: (outlet: Outlet) => void): void {
    if (this.#broken) return;
    try {
      work(this.#outlet);
    } catch (failure) {
      this.#broken = true;
      this.#onBroken(failure);
    }
  }
}
