import type { Anchor } from './clock.ts';
import type { NtpTime } from './rtcp.ts';
import { type ClockTime, type MediaTime, type Span, at, ms, seconds } from './time.ts';
import { Unwrapper } from './unwrap.ts';

/** An unwrapped RTP time stamp of one track and its place on media time, µs. What a restarted process goes on from. */
export interface TrackPosition {
  readonly ssrc: number;
  readonly rtp: number;
  readonly media: number;
}

export interface ProgrammeClockOptions {
  /** Media time of the first packet of the first track; 0 unless said otherwise. */
  readonly start?: MediaTime;
  /**
   * The programme as it ran before: a track that has no other track to go by is placed where it arrives on this, in
   * place of `start`. Given by a process that takes over.
   */
  readonly anchor?: Anchor;
  /** Tracks of the process that this one takes over from. They go on exactly where they were. */
  readonly resume?: readonly TrackPosition[];
  /** How fast a track that is found misplaced is moved, per second of programme. */
  readonly slew?: Span;
}

const MAX_SLEW = ms(5);
/** An error smaller than this is left alone: it is within the jitter of what it was taken from, and nobody sees it. */
const TOLERATED = ms(5);
/** Over how much the lowest transit is taken: short against the drift of clocks (100 ppm: 1 ms in 10 s). */
const ARRIVALS = seconds(5);
const REPORTS = seconds(15);
/** A time stamp that much ahead of its arrival, or behind it, belongs to a new count. Stalls make packets late. */
const AHEAD = seconds(1);
const BEHIND = seconds(10);
/** A sender whose reports are off by so much from one to the next has set his clock, be it by a leap second. */
const SET = ms(500);
/** Reports that place a track this much elsewhere than its arrival does are not believed. */
const IMPLAUSIBLE = seconds(2);

/**
 * Puts RTP time stamps of several tracks on one media time.
 *
 * Audio is the master: its media time is its ticks, counted from the first packet, and is never estimated again, so that
 * audio is exact to the sample however long it runs. Every other track is placed relative to it:
 *
 * - by arrival, until both tracks have a sender report: what takes the shortest way from the sender takes equally long
 *   in both;
 * - by sender reports from then on: both say which tick belongs to which NTP time (RFC 3550 §6.4.1).
 *
 * Whatever is known counts in full when a track's first time stamp is placed. What is learned later moves the track by
 * at most `slew` per second of programme, so that its time never steps and never runs backwards.
 *
 * What the reports are worth depends on who makes them. Those that a mediasoup consumer sends (RtpStreamSend.cpp,
 * `GetRtcpSenderReport`) do not pass on the publisher's: their NTP time is the worker's monotonic clock in whole
 * milliseconds, and the tick they give it is the highest time stamp so far plus the time since it *arrived at the SFU*.
 * They relate tracks by arrival, too, only before our own hop. What is left is the difference of the tracks' shortest
 * ways from capture to the SFU (encoder and pacer: video usually comes some 10 ms later than audio, and is shown that
 * much late) plus the jitter that the lowest of 15 s does not remove. The publisher's own reports, which the SFU
 * hands out as a producer's `sr` trace events, are exact to its capture clocks; feed one kind or the other to a track.
 */
export class ProgrammeClock {
  readonly slew: Span;
  readonly #start: MediaTime;
  readonly #resume: Map<number, TrackPosition>;
  readonly #tracks = new Map<number, TrackClock>();
  #anchor: Anchor | undefined;

  constructor(options: ProgrammeClockOptions = {}) {
    this.#start = options.start ?? at(0);
    this.#anchor = options.anchor;
    this.#resume = new Map(options.resume?.map((position) => [position.ssrc, position]));
    this.slew = options.slew ?? MAX_SLEW;
  }

  /** The clock of one track; made on first use. The audio track made last is the master. */
  track(ssrc: number, kind: 'audio' | 'video', rate: number): TrackClock {
    let track = this.#tracks.get(ssrc);
    if (!track) {
      track = new TrackClock(this, { ssrc, kind, rate, resume: this.#resume.get(ssrc) });
      this.#resume.delete(ssrc);
      this.#tracks.set(ssrc, track);
    }
    return track;
  }

  /** Ends a track. What comes next goes on where it arrives relative to it. */
  forget(ssrc: number): void {
    this.#anchor = this.anchor;
    this.#tracks.delete(ssrc);
  }

  get master(): TrackClock | undefined {
    const tracks = [...this.#tracks.values()].reverse().filter((track) => track.placed);
    return tracks.find((track) => track.kind === 'audio') ?? tracks.at(-1);
  }

  /**
   * Which place of the programme arrives when, by the master's shortest way. It moves with the publisher's clock error;
   * before anything has come it is the one given at the start.
   */
  get anchor(): Anchor | undefined {
    return this.master?.anchor ?? this.#anchor;
  }

  /** All placed tracks, for a process that takes over. */
  snapshot(): TrackPosition[] {
    return [...this.#tracks.values()].flatMap((track) => track.position ?? []);
  }

  /** Where a time stamp of a track that has no place yet belongs. For {@link TrackClock}. */
  placeFirst(track: TrackClock, ticks: number): MediaTime {
    const other = this.master;
    const origin = other && relate(track, other);
    if (origin !== undefined) return at(origin + track.micros(ticks));
    const arrival = track.arrival;
    if (this.#anchor && arrival !== undefined) {
      return at(this.#anchor.media + (arrival + track.micros(ticks) - this.#anchor.clock));
    }
    return this.#anchor?.media ?? this.#start;
  }

  /** Forgets what was reported of every track: the clock that it was read from has been set. For {@link TrackClock}. */
  clockSet(): void {
    for (const track of this.#tracks.values()) track.forgetReports();
  }

  /** How far a track should move, µs; 0 for the master. For {@link TrackClock}. */
  error(track: TrackClock): number {
    const master = this.master;
    const origin = master && master !== track ? relate(track, master) : undefined;
    if (origin === undefined || track.origin === undefined) return 0;
    const error = origin - track.origin;
    return Math.sign(error) * Math.max(0, Math.abs(error) - TOLERATED);
  }
}

/** Media time (µs) of `track`'s tick 0, as `other`'s place and what both have in common say. */
function relate(track: TrackClock, other: TrackClock): number | undefined {
  if (other.origin === undefined) return undefined;
  const byArrival = difference(track.arrival, other.arrival);
  const byReport = difference(track.reported, other.reported);
  const trusted =
    byReport !== undefined && (byArrival === undefined || Math.abs(byReport - byArrival) < IMPLAUSIBLE)
      ? byReport
      : byArrival;
  return trusted === undefined ? undefined : other.origin + trusted;
}

const difference = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? undefined : a - b;

interface Pin {
  readonly ticks: number;
  readonly media: number;
}

/** One track's part of a {@link ProgrammeClock}. Ticks are its RTP time stamps, unwrapped. */
export class TrackClock {
  readonly ssrc: number;
  readonly kind: 'audio' | 'video';
  /** Ticks per second. */
  readonly rate: number;
  readonly #programme: ProgrammeClock;
  readonly #unwrapper: Unwrapper;
  readonly #arrivals = new Floor(ARRIVALS);
  readonly #reports = new Floor(REPORTS);
  #pin: Pin | undefined;
  /** How far the track has been moved since it was pinned, µs. */
  #moved = 0;
  #last: number | undefined;

  constructor(
    programme: ProgrammeClock,
    options: { ssrc: number; kind: 'audio' | 'video'; rate: number; resume: TrackPosition | undefined },
  ) {
    this.#programme = programme;
    this.ssrc = options.ssrc;
    this.kind = options.kind;
    this.rate = options.rate;
    this.#unwrapper = new Unwrapper(32, options.resume?.rtp);
    this.#pin = options.resume && { ticks: options.resume.rtp, media: options.resume.media };
    this.#last = options.resume?.rtp;
  }

  /** Unwraps a packet's time stamp. */
  ticks(timestamp: number): number {
    return this.#unwrapper.unwrap(timestamp);
  }

  /** Notes when a packet came. Call it for each, before placing it; its order does not matter. */
  arrived(ticks: number, now: ClockTime): void {
    this.#arrivals.push(now, now - this.micros(ticks));
  }

  /** Notes a sender report: the 32 bit time stamp `rtp` belongs to `ntp`. Before the first packet it is ignored. */
  report(rtp: number, ntp: NtpTime): void {
    if (this.#unwrapper.highest === undefined) return;
    const transit = ntp - this.micros(this.#unwrapper.peek(rtp));
    // A sender whose clock was set, or another sender. What others said by the old clock must not be compared with it.
    if (Math.abs(transit - (this.#reports.value ?? transit)) > SET) this.#programme.clockSet();
    this.#reports.push(ntp, transit);
  }
  /** For {@link ProgrammeClock}. */
  forgetReports(): void {
    this.#reports.clear();
  }

  /** The media time of a time stamp. The first one placed pins the track. Never runs backwards while ticks go on. */
  place(ticks: number): MediaTime {
    this.#pin ??= { ticks, media: this.#programme.placeFirst(this, ticks) };
    if (this.#last !== undefined && ticks > this.#last && this.kind !== 'audio') {
      const most = (this.micros(ticks - this.#last) * this.#programme.slew) / 1_000_000;
      this.#moved += Math.max(-most, Math.min(most, this.#programme.error(this)));
    }
    this.#last = Math.max(this.#last ?? ticks, ticks);
    return this.#mediaOf(this.#pin, ticks);
  }

  /** Whether a time stamp fits its arrival so badly that the sender must have begun a new count. */
  jumped(ticks: number, now: ClockTime): boolean {
    const usual = this.#arrivals.value;
    if (usual === undefined) return false;
    const behind = now - this.micros(ticks) - usual;
    return behind + AHEAD < 0 || behind > BEHIND;
  }

  /** Where the programme is that arrives at `now` by the shortest way; `undefined` before the first packet. */
  expected(now: ClockTime): MediaTime | undefined {
    const arrival = this.arrival;
    return this.origin === undefined || arrival === undefined ? undefined : at(this.origin + (now - arrival));
  }

  /** Goes on with a new count: `timestamp` (32 bit) is at `media`. What was known about the old count is forgotten. */
  rebase(timestamp: number, media: MediaTime): number {
    this.#unwrapper.restart(timestamp);
    this.#arrivals.clear();
    this.#reports.clear();
    this.#pin = { ticks: timestamp, media };
    this.#moved = 0;
    this.#last = timestamp;
    return timestamp;
  }

  get placed(): boolean {
    return this.#pin !== undefined;
  }
  /** The latest placed time stamp. */
  get position(): TrackPosition | undefined {
    if (!this.#pin || this.#last === undefined) return undefined;
    return { ssrc: this.ssrc, rtp: this.#last, media: this.#mediaOf(this.#pin, this.#last) };
  }
  get anchor(): Anchor | undefined {
    const arrival = this.arrival;
    if (!this.#pin || this.#last === undefined || arrival === undefined) return undefined;
    return {
      media: this.#mediaOf(this.#pin, this.#last),
      clock: Math.round(arrival + this.micros(this.#last)) as ClockTime,
    };
  }

  /** Media time of tick 0, µs, not rounded. */
  get origin(): number | undefined {
    return this.#pin && this.#pin.media + this.#moved - this.micros(this.#pin.ticks);
  }
  /** Clock time at which tick 0 would have come by the shortest way, µs. */
  get arrival(): number | undefined {
    return this.#arrivals.value;
  }
  /** NTP time of tick 0 by the sender's reports, µs. */
  get reported(): number | undefined {
    return this.#reports.value;
  }
  micros(ticks: number): number {
    return (ticks * 1_000_000) / this.rate;
  }

  #mediaOf(pin: Pin, ticks: number): MediaTime {
    return at(pin.media + this.#moved + this.micros(ticks - pin.ticks));
  }
}

/** The lowest of the values of the last one to two `window`s; both in one unit, µs. */
export class Floor {
  readonly window: number;
  #since = 0;
  #current = Infinity;
  #previous = Infinity;

  constructor(window: number) {
    this.window = window;
  }
  get value(): number | undefined {
    const lowest = Math.min(this.#current, this.#previous);
    return lowest === Infinity ? undefined : lowest;
  }
  push(when: number, value: number): void {
    if (when - this.#since >= this.window) {
      this.#previous = when - this.#since < 2 * this.window ? this.#current : Infinity;
      this.#current = Infinity;
      this.#since = when;
    }
    this.#current = Math.min(this.#current, value);
  }
  clear(): void {
    this.#since = 0;
    this.#current = this.#previous = Infinity;
  }
}
