import { type Clock, MonotonicClock } from './clock.ts';
import { Mailbox } from './mailbox.ts';
import type { Scope } from './scope.ts';
import type { SocketAddress } from './sockaddr.ts';
import { SrtError } from './srt-error.ts';
import {
  type LinkStats,
  PAYLOAD,
  type SrtSocket,
  closeSocket,
  connectionState,
  latencyOf,
  linkStats,
  peerLatencyOf,
  peerOf,
  readAll,
  receive,
  send,
  sentAll,
} from './srt-library.ts';
import { type ClockTime, type Span, between, later, ms } from './time.ts';

/**
 * How often a connection is looked at. A timer and calls that never block rather than `srt_epoll_wait` in libuv's pool:
 * that would keep one of its four threads, which names and files need too, for each connection. It costs half of this in
 * delay on the average, which is little beside any latency.
 */
const TICK = ms(5);
/** Messages read in one tick: 67 MB/s, far above any programme, and a bound for what a tick may take. */
const READ = 256;
/** Messages that wait for their reader: 5.4 MB, 4 s of 10 Mbit/s. */
const QUEUE = 4_096;
const LOOK = ms(500);
/** libsrt gives up a peer that is silent for 5 s (`SRTO_PEERIDLETIMEO`); whoever was heard since then has said goodbye. */
const SILENCE = ms(4_000);
/** What is still to be given out after the other end has gone may be this much later than the latency. */
const GRACE = ms(100);
/** How long the end of what was written may take to be acknowledged. */
const FLUSH = ms(1_000);

export interface SrtStats extends LinkStats {
  /** Messages lost, the oldest first, because our reader was too slow. */
  readonly unread: number;
  /** Messages that {@link SrtConnection.write} could not send. */
  readonly unsent: number;
}

const NOTHING: LinkStats = { rtt: 0, bandwidth: 0, sent: 0, received: 0, lost: 0, retransmitted: 0, dropped: 0 };

/**
 * One end of a connection in live mode; both ends can send.
 *
 * Read it once, with `for await`: one message at a time, in order, each in a buffer of its own, `latency` after it was sent.
 * A reader that is too slow loses the oldest messages. Reading ends when the other end or we close it, and throws
 * {@link SrtError} `lost` when the other end falls silent. One that was silent for four seconds and then closes counts as
 * lost too: libsrt does not tell these apart. Leaving the loop closes the connection.
 */
export class SrtConnection implements AsyncIterable<Uint8Array> {
  readonly peer: SocketAddress;
  readonly #socket: SrtSocket;
  readonly #scope: Scope;
  readonly #clock: Clock;
  readonly #messages = new Mailbox<Uint8Array>(QUEUE, 'drop-oldest');
  readonly #latency: Span;
  #link = NOTHING;
  #signs = 0;
  #heard: ClockTime;
  #looked: ClockTime;
  #drainUntil: ClockTime | undefined;
  #failure: SrtError | undefined;
  #open = true;
  #unsent = 0;

  /** Takes over a connected socket, which closes with `scope`; `scope` closes with the connection. */
  constructor(socket: SrtSocket, scope: Scope, clock: Clock = new MonotonicClock()) {
    this.#socket = socket;
    this.#scope = scope;
    this.#clock = clock;
    this.peer = peerOf(socket) ?? { address: '', port: 0 };
    this.#latency = ms(latencyOf(socket));
    this.#heard = this.#looked = clock.now();
    const timer = setInterval(() => this.#tick(), TICK / 1_000);
    scope.defer(() => {
      clearInterval(timer);
      this.#look();
      this.#open = false;
      closeSocket(socket);
      this.#messages.end();
    });
  }

  /** Whether it is up: the other end has neither closed nor fallen silent. */
  get connected(): boolean {
    return this.#open && this.#drainUntil === undefined;
  }

  get stats(): SrtStats {
    this.#look();
    return { ...this.#link, unread: this.#messages.dropped, unsent: this.#unsent };
  }

  /**
   * Sends `bytes` in messages of 1316; `false` when some of it was dropped, because libsrt's buffer is full or the
   * connection is down. Give it whole MPEG-TS packets, for some receivers want each message to begin with one.
   */
  write(bytes: Uint8Array): boolean {
    const count = Math.ceil(bytes.length / PAYLOAD);
    for (let n = 0; n < count; n += 1) {
      if (this.#open && send(this.#socket, bytes.subarray(n * PAYLOAD, (n + 1) * PAYLOAD)) === 'sent') continue;
      this.#unsent += count - n;
      return false;
    }
    return true;
  }

  /** Closes it once the other end has what was written, and has had the time to play it; never takes longer than a second over that. */
  async end(): Promise<void> {
    const { signal } = this.#scope;
    const give = later(this.#clock.now(), FLUSH);
    const pause = () => this.#clock.until(later(this.#clock.now(), TICK), signal);
    try {
      while (this.connected && !sentAll(this.#socket) && this.#clock.now() < give) await pause();
      const played = later(this.#clock.now(), ms(peerLatencyOf(this.#socket)));
      while (this.connected && this.#clock.now() < played) await pause();
    } catch {
      // Closed meanwhile.
    }
    await this.close();
  }

  /** At once: what the other end has not played yet, it may never play. */
  close(): Promise<void> {
    return this.#scope.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* this.#messages;
      if (this.#failure) throw this.#failure;
    } finally {
      await this.close();
    }
  }

  #tick(): void {
    const now = this.#clock.now();
    // Before reading: what comes between the two is read at the next tick.
    const up = connectionState(this.#socket) === 'connected';
    let got: ReturnType<typeof receive> = 'empty';
    for (let n = 0; n < READ; n += 1) {
      got = receive(this.#socket);
      if (typeof got === 'string') break;
      this.#messages.put(got);
    }
    if (up) {
      if (between(this.#looked, now) >= LOOK) this.#look();
      return;
    }
    if (this.#drainUntil === undefined) {
      this.#drainUntil = later(now, (this.#latency + GRACE) as Span);
      if (between(this.#heard, now) >= SILENCE) this.#failure = new SrtError('lost', 'The other end fell silent');
    }
    // What was sent last becomes readable only when it is due.
    if (typeof got !== 'string') return;
    if (readAll(this.#socket) || now >= this.#drainUntil) void this.close();
  }

  #look(): void {
    if (!this.#open) return;
    const seen = linkStats(this.#socket);
    if (!seen) return;
    this.#looked = this.#clock.now();
    if (seen.signs !== this.#signs) this.#heard = this.#looked;
    this.#signs = seen.signs;
    this.#link = seen.link;
  }
}
