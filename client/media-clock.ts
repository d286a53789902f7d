/** RTP time stamp of media time 0 and ticks per second, as `TrackView.rtp` says it. */
export interface RtpBase {
  readonly base: number;
  readonly rate: number;
}

const WRAP = 2 ** 32;

/**
 * Media time (µs) of an RTP time stamp. The 32-bit stamp comes round every 13 h at 90 kHz and every 25 h at 48 kHz;
 * `near` (media µs, what was last seen) picks the round, so that a programme may run longer than that.
 */
export function mediaAt(rtp: number, { base, rate }: RtpBase, near = 0): number {
  const ticks = (((rtp - base) % WRAP) + WRAP) % WRAP;
  const round = Math.round(((near / 1e6) * rate - ticks) / WRAP);
  return Math.round(((ticks + Math.max(0, round) * WRAP) / rate) * 1e6);
}

/** One reading of what a receiver played: `rtp` came out at `at` (ms on the page's clock). */
export interface Reading {
  readonly rtp: number;
  readonly at: number;
}

/** A reading older than this (ms) says nothing of now: the track stands still. */
const STALE = 500;

/**
 * Turns readings of the track that is heard into "the programme is at t now".
 *
 * Between readings it runs with the page's clock, it never runs more than half a second past the last one, and it does
 * not step back by the few milliseconds that readings jitter; a real jump (another track, a restart) it follows at once.
 */
export class MediaClock {
  #last: { media: number; at: number } | undefined;

  /** `base` is the track's that was read. */
  read(reading: Reading, base: RtpBase): void {
    const media = mediaAt(reading.rtp, base, this.#last?.media);
    const expected = this.#last && this.#last.media + (reading.at - this.#last.at) * 1000;
    // Within 60 ms it is jitter: follow it slowly, so that captions and the lip-sync figure do not tremble.
    const settled =
      expected !== undefined && Math.abs(media - expected) < 60_000 ? expected + (media - expected) * 0.2 : media;
    this.#last = { media: settled, at: reading.at };
  }

  /** Media µs at page time `at` (ms), or `null` when nothing has been heard lately. */
  now(at: number): number | null {
    const last = this.#last;
    if (!last || at - last.at > STALE) return null;
    return Math.round(last.media + (at - last.at) * 1000);
  }

  /** The last position known, whether it still moves or not. */
  get position(): number | null {
    return this.#last ? Math.round(this.#last.media) : null;
  }

  forget(): void {
    this.#last = undefined;
  }
}
