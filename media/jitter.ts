import { type ClockTime, type Span, later, ms } from './time.ts';
import { Unwrapper, distance } from './unwrap.ts';

/** What comes out, in order of sequence numbers. */
export type Released<P> =
  | { readonly type: 'packet'; readonly packet: P; readonly arrived: ClockTime }
  /** So many packets before the next one are given up. */
  | { readonly type: 'lost'; readonly count: number }
  /** The sender began counting anew; how many packets lie between is not known. */
  | { readonly type: 'restart' };

export interface JitterOptions {
  /** How long a missing packet is waited for, from the moment a later one came. */
  readonly hold?: Span;
  /** Packets held at most; when a gap makes it full, the gap is given up at once. */
  readonly capacity?: number;
}

export interface JitterCounts {
  readonly received: number;
  readonly lost: number;
  /** Came after they had been given up. */
  readonly late: number;
  readonly duplicate: number;
  readonly restarts: number;
}

/** A jump larger than these is a new count, if the next packet goes on from it (as RFC 3550 appendix A.1 does it). */
const DROPOUT = 3_000;
const MISORDER = 500;
/** Of how many given-up packets it is remembered that they were never seen. */
const REMEMBERED = 1_024;

/**
 * Puts the packets of one SSRC in order by sequence number.
 *
 * A packet is released as soon as all before it are. One that is missing holds up the others for `hold`; then it is
 * reported as lost and the rest goes on. Time is what the caller says it is. After every `push`, and when `due` has come,
 * call `pop` until it has no more.
 */
export class JitterBuffer<P extends { readonly sequence: number }> {
  readonly hold: Span;
  readonly capacity: number;
  readonly #held = new Map<number, { readonly packet: P; readonly arrived: ClockTime }>();
  readonly #unwrapper = new Unwrapper(16);
  readonly #missed = new Set<number>();
  #next: number | undefined;
  /** The first packet of what may be a new count, and what must follow it. */
  #suspect: { readonly packet: P; readonly arrived: ClockTime } | undefined;
  #restarted = false;
  #received = 0;
  #lost = 0;
  #late = 0;
  #duplicate = 0;
  #restarts = 0;

  constructor(options: JitterOptions = {}) {
    this.hold = options.hold ?? ms(80);
    this.capacity = options.capacity ?? 512;
    if (!Number.isInteger(this.capacity) || this.capacity < 1) {
      throw new RangeError(
        `Cannot create jitter buffer: capacity must be a positive integer, received ${this.capacity}`,
      );
    }
  }

  get counts(): JitterCounts {
    return {
      received: this.#received,
      lost: this.#lost,
      late: this.#late,
      duplicate: this.#duplicate,
      restarts: this.#restarts,
    };
  }
  get size(): number {
    return this.#held.size;
  }

  push(packet: P, now: ClockTime): void {
    this.#received += 1;
    const highest = this.#unwrapper.highest;
    const jump = highest === undefined ? 0 : distance(highest & 0xffff, packet.sequence, 16);
    if (jump > DROPOUT || jump < -MISORDER) return this.#suspicious(packet, now);
    this.#suspect = undefined;
    this.#insert(packet, now);
  }

  /** The next in order, if it is there or no longer waited for. */
  pop(now: ClockTime): Released<P> | undefined {
    if (this.#restarted) {
      this.#restarted = false;
      return { type: 'restart' };
    }
    if (this.#next === undefined) return undefined;
    const item = this.#held.get(this.#next);
    if (item) {
      this.#held.delete(this.#next);
      this.#next += 1;
      return { type: 'packet', ...item };
    }
    const due = this.due;
    if (due === undefined || (now < due && this.#held.size < this.capacity)) return undefined;
    return { type: 'lost', count: this.#giveUp(this.#next) };
  }

  /** When the missing packet will have been waited for long enough; `undefined` while none is. */
  get due(): ClockTime | undefined {
    let noticed: ClockTime | undefined;
    for (const { arrived } of this.#held.values()) if (noticed === undefined || arrived < noticed) noticed = arrived;
    return noticed === undefined ? undefined : later(noticed, this.hold);
  }

  #insert(packet: P, arrived: ClockTime): void {
    const sequence = this.#unwrapper.unwrap(packet.sequence);
    this.#next ??= sequence;
    if (sequence < this.#next) {
      if (this.#missed.delete(sequence)) this.#late += 1;
      else this.#duplicate += 1;
    } else if (this.#held.has(sequence)) this.#duplicate += 1;
    else this.#held.set(sequence, { packet, arrived });
  }

  #giveUp(next: number): number {
    const first = Math.min(...this.#held.keys());
    for (let sequence = Math.max(next, first - REMEMBERED); sequence < first; sequence += 1) this.#missed.add(sequence);
    for (const sequence of this.#missed) {
      if (this.#missed.size <= REMEMBERED) break;
      this.#missed.delete(sequence);
    }
    this.#lost += first - next;
    this.#next = first;
    return first - next;
  }

  #suspicious(packet: P, now: ClockTime): void {
    const before = this.#suspect;
    if (!before || packet.sequence !== ((before.packet.sequence + 1) & 0xffff)) {
      this.#suspect = { packet, arrived: now };
      return;
    }
    this.#suspect = undefined;
    this.#held.clear();
    this.#missed.clear();
    this.#restarts += 1;
    this.#restarted = true;
    this.#next = before.packet.sequence;
    this.#unwrapper.restart(before.packet.sequence);
    this.#insert(before.packet, before.arrived);
    this.#insert(packet, now);
  }
}
