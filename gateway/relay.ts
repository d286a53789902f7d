import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Clock } from '../media/clock.ts';
import type { Scope } from '../media/scope.ts';
import type { Span } from '../media/time.ts';
import { PacketRing } from './packet-ring.ts';
import { ON_THE_WAY, readReceipt } from './session/receipt.ts';

const LOOPBACK = '127.0.0.1';
/** What the kernel may hold for us while JavaScript is busy, bytes: a second of 25 Mbit/s. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;
/** A receipt that has not come by then, ms, never will: what it was for is given up as lost. */
const RECEIPT_WITHIN = 1_000;

export interface RelayOptions {
  /** How far back a new session process is told what came in. */
  readonly span: Span;
  /** What that may take in memory, bytes. */
  readonly bytes: number;
}
export interface RelayCounts {
  readonly packets: number;
  readonly bytes: number;
  /** Left the ring before they could be handed on. */
  readonly dropped: number;
  /** Came from neither of the two sides. */
  readonly strangers: number;
  /** Refused by the system on sending. */
  readonly failed: number;
}

/**
 * One UDP port on loopback between the SFU and a session process.
 *
 * RTP and RTCP of the publisher come in from the SFU, are kept for a while and handed on in order; RTCP of the session
 * process (requests for key frames) goes back to the SFU. When the process is replaced, {@link rewind} hands the new one
 * what is kept, as fast as it takes it (`session/receipt.ts`), and then goes on live: that is what lets it resume in
 * mid-programme.
 */
export class Relay {
  readonly port: number;
  readonly #socket: Socket;
  readonly #ring: PacketRing;
  #sfu = 0;
  #process = 0;
  #flowing = false;
  /** Number of the next datagram to hand on. */
  #cursor = 0;
  /** Since the process was named: handed on, covered by a receipt, given up. */
  #sent = 0;
  #received = 0;
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;
  #counts = { packets: 0, bytes: 0, dropped: 0, strangers: 0, failed: 0 };

  private constructor(socket: Socket, options: RelayOptions, clock: Clock) {
    this.#socket = socket;
    this.port = socket.address().port;
    this.#ring = new PacketRing(options);
    socket.on('message', (data, from) => this.#receive(data, from, clock));
    socket.on('error', () => (this.#counts.failed += 1));
  }

  static async open(options: RelayOptions, clock: Clock, scope: Scope): Promise<Relay> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER });
    socket.bind(0, LOOPBACK);
    await once(socket, 'listening');
    const relay = new Relay(socket, options, clock);
    scope.defer(() => {
      relay.pause();
      return new Promise<void>((closed) => socket.close(closed));
    });
    return relay;
  }

  get counts(): RelayCounts {
    return this.#counts;
  }
  /** Datagrams and bytes kept for a successor. */
  get kept(): { readonly packets: number; readonly bytes: number } {
    return { packets: this.#ring.end - this.#ring.first, bytes: this.#ring.bytes };
  }

  /** The SFU's port. Datagrams from elsewhere are not taken. */
  from(port: number): void {
    this.#sfu = port;
  }
  /** The session process's port. Nothing flows until {@link resume}. */
  to(port: number): void {
    this.#process = port;
    this.#sent = this.#received = this.#lost = 0;
  }
  /** Keeps what comes in and hands nothing on. */
  pause(): void {
    this.#flowing = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
  /** Hands on from where it paused. */
  resume(): void {
    if (this.#process === 0) throw new TypeError('Cannot resume relay: it was not told where to');
    this.#flowing = true;
    this.#pump();
  }
  /** The next datagram to hand on is the oldest that is kept. */
  rewind(): void {
    this.#cursor = this.#ring.first;
  }

  #receive(data: Buffer, from: RemoteInfo, clock: Clock): void {
    if (from.port === this.#process && this.#sfu !== 0) return this.#answered(data, this.#sfu);
    if (from.port !== this.#sfu) {
      this.#counts.strangers += 1;
      return;
    }
    this.#counts.packets += 1;
    this.#counts.bytes += data.byteLength;
    this.#ring.push(data, clock.now());
    if (this.#flowing && this.#timer === undefined) this.#pump();
  }

  #pump(): void {
    this.#timer = undefined;
    if (this.#cursor < this.#ring.first) {
      this.#counts.dropped += this.#ring.first - this.#cursor;
      this.#cursor = this.#ring.first;
    }
    while (this.#sent - this.#received - this.#lost < ON_THE_WAY) {
      const data = this.#ring.at(this.#cursor);
      if (!data) return;
      this.#cursor += 1;
      this.#sent += 1;
      this.#send(data, this.#process);
    }
    this.#timer = setTimeout(() => {
      this.#lost = this.#sent - this.#received;
      this.#pump();
    }, RECEIPT_WITHIN);
  }

  /** What comes from the session process: a receipt for us, or RTCP for the SFU. */
  #answered(data: Buffer, sfu: number): void {
    const count = readReceipt(data);
    if (count === undefined) return this.#send(data, sfu);
    // What was given up may have been slow only.
    this.#received = count;
    this.#lost = Math.max(0, Math.min(this.#lost, this.#sent - count));
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#pump();
  }

  #send(data: Uint8Array, port: number): void {
    this.#socket.send(data, port, LOOPBACK, (failure) => {
      if (failure) this.#counts.failed += 1;
    });
  }
}
