import type { Clock } from '../../media/clock.ts';
import { type ClockTime, type Span, later, ms, seconds } from '../../media/time.ts';

/** How much a new measurement changes an old one: what is known of a size is forgotten within some twenty runs. */
const WEIGHT = 0.1;

/**
 * How many items a network computes in a second, by how many are computed together.
 *
 * Measured when it is opened, and again with every run.
 */
export class Throughput {
  /** Seconds of a run, by the items in it. */
  readonly #took = new Map<number, number>();
  readonly #longest: number;

  /** @param longest runs that take longer make no live picture; 250 ms unless told */
  constructor(longest: Span = ms(250)) {
    this.#longest = longest / 1e6;
  }

  note(items: number, took: Span): void {
    const now = Math.max(1, took) / 1e6;
    const before = this.#took.get(items);
    this.#took.set(items, before === undefined ? now : before + WEIGHT * (now - before));
  }

  /** The best of the sizes that do not take too long, or one at a time; nothing while nothing was measured. */
  get best(): { readonly items: number; readonly perSecond: number } | undefined {
    const known = [...this.#took].map(([items, took]) => ({ items, took, perSecond: items / took }));
    const quick = known.filter(({ took }) => took <= this.#longest);
    const among = quick.length > 0 ? quick : known.sort((a, b) => a.items - b.items).slice(0, 1);
    return among.reduce<(typeof known)[number] | undefined>(
      (best, each) => (best && best.perSecond >= each.perSecond ? best : each),
      undefined,
    );
  }
  /** Items a second; nothing while nothing was measured. */
  get perSecond(): number | undefined {
    return this.best?.perSecond;
  }
}

/** Pictures of a face in a second unless told. */
export const FPS = 25;

interface Lease {
  readonly session: string;
  readonly model: string;
  readonly faces: number;
  readonly fps: number;
  readonly until: ClockTime;
}

export interface FacesOptions {
  readonly clock: Clock;
  /** The part of the device's time that is given away; 0.8 unless told: the rest is for bursts. */
  readonly share?: number;
  /** How long a session keeps its faces without asking for anything; 5 s unless told. */
  readonly keep?: Span;
}

/**
 * Who may have how many faces driven: the models of a device share its time, and a face on a model takes as much of it as
 * its pictures need at the model's measured throughput.
 */
export class Faces {
  readonly #models: ReadonlyMap<string, Throughput>;
  readonly #clock: Clock;
  readonly #share: number;
  readonly #keep: Span;
  #leases: Lease[] = [];

  constructor(models: ReadonlyMap<string, Throughput>, { clock, share = 0.8, keep = seconds(5) }: FacesOptions) {
    this.#models = models;
    this.#clock = clock;
    this.#share = share;
    this.#keep = keep;
  }

  /** How many faces the model could drive if nobody else used the device; nothing while nothing was measured. */
  most(model: string, fps = FPS): number | undefined {
    return this.#fitting(model, fps, this.#share);
  }
  /** How many more than those that are given away; nothing while nothing was measured. */
  free(model: string, fps = FPS): number | undefined {
    return this.#fitting(model, fps, this.#share - this.load());
  }
  /** The part of the device's time that is given away. */
  load(): number {
    return this.#live().reduce((sum, lease) => sum + this.#cost(lease), 0);
  }
  leases(): readonly {
    readonly session: string;
    readonly model: string;
    readonly faces: number;
    readonly fps: number;
  }[] {
    return this.#live().map(({ session, model, faces, fps }) => ({ session, model, faces, fps }));
  }

  /**
   * Gives a session faces on a model, in place of those that it has there, or refuses and leaves it what it has.
   *
   * Those that it has are kept for as long as it goes on asking, even where the model has become slower since.
   */
  ask(session: string, model: string, faces: number, fps = FPS): boolean {
    const own = this.#live().find((lease) => lease.session === session && lease.model === model);
    const until = later(this.#clock.now(), this.#keep);
    const wanted = { session, model, faces, fps, until };
    const more = this.#cost(wanted) - (own ? this.#cost(own) : 0);
    // Sums of fractions are compared.
    if (more > 0 && this.load() + more > this.#share + 1e-9) {
      if (own) this.#put(own, { ...own, until });
      return false;
    }
    this.#put(own, wanted);
    return true;
  }

  /** A session that does not say how many faces it has asks: it keeps what it has, or takes what is promised to nobody. */
  touch(session: string, model: string): boolean {
    const own = this.#live().find((lease) => lease.session === session && lease.model === model);
    if (own) this.#put(own, { ...own, until: later(this.#clock.now(), this.#keep) });
    return own !== undefined || this.load() === 0 || (this.free(model) ?? 1) >= 1;
  }

  release(session: string): void {
    this.#leases = this.#leases.filter((lease) => lease.session !== session);
  }

  #put(own: Lease | undefined, lease: Lease): void {
    this.#leases = [...this.#leases.filter((each) => each !== own), lease];
  }
  #live(): readonly Lease[] {
    const now = this.#clock.now();
    return (this.#leases = this.#leases.filter(({ until }) => until > now));
  }
  /** The part of the device's time that a lease takes; nothing is known of what was not measured. */
  #cost({ model, faces, fps }: Pick<Lease, 'model' | 'faces' | 'fps'>): number {
    const rate = this.#models.get(model)?.perSecond;
    return rate === undefined ? 0 : (faces * fps) / rate;
  }
  #fitting(model: string, fps: number, share: number): number | undefined {
    const one = this.#cost({ model, faces: 1, fps });
    return one === 0 ? undefined : Math.max(0, Math.floor((share + 1e-9) / one));
  }
}
