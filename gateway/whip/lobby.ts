import { randomInt } from 'node:crypto';
import type { TrackId } from '../protocol.ts';
import { refuse } from '../refusal.ts';
import { type Room, plain } from '../room.ts';
import type { Consumer, DirectTransport, Producer, Router, Sfu } from '../sfu.ts';
import { Splice } from './splice.ts';

/** A viewer names the payload types that it is sent (RFC 3264 §6.1). A browser's version has one set; each has a router. */
const MOST_LAYOUTS = 32;
/** Sounds that are carried by hand: each is 50 packets a second through this process. */
export const MOST_SWITCHED = 100;

type PayloadTypes = ReadonlyMap<string, number>;
/** A router whose consumers get the payload types that some viewers asked for. */
export interface Layout {
  readonly router: Router;
  readonly direct: DirectTransport;
  /** Tracks that are in it, by the id of what they are copies of. */
  readonly copies: Map<string, Promise<Producer>>;
}
interface Shelf {
  readonly layout: Promise<Layout>;
  users: number;
}
/** A track whose packets come through this process. */
interface Tap {
  readonly consumer: Promise<Consumer>;
  readonly listeners: Set<(packet: Buffer) => void>;
  users: number;
}

/** A sound that can become another one while it is played. */
export interface SwitchedSound {
  readonly producer: Producer;
  /** @throws Refusal `not_found` when there is no such track */
  play(id: TrackId, base: number): Promise<void>;
  close(): void;
}

/**
 * What viewers with an offer of their own need of a room besides what it has: payload types as they ask for, and sound
 * that changes its language without a new offer. Gone when the room is.
 */
export class Lobby {
  readonly #room: Room;
  readonly #sfu: Sfu;
  readonly #layouts = new Map<string, Shelf>();
  readonly #taps = new Map<TrackId, Tap>();
  #direct: Promise<DirectTransport> | undefined;
  #switched = 0;

  constructor(room: Room, sfu: Sfu) {
    this.#room = room;
    this.#sfu = sfu;
  }

  /** Whether one more switched sound can be had. */
  get canSwitch(): boolean {
    return this.#switched < MOST_SWITCHED;
  }
  /** What there is now: for tests and for whoever wonders. */
  get counts(): { readonly layouts: number; readonly taps: number; readonly switched: number } {
    return { layouts: this.#layouts.size, taps: this.#taps.size, switched: this.#switched };
  }

  /** A layout with these payload types, by MIME type in small letters; the last to leave closes it. */
  async enter(payloadTypes: PayloadTypes): Promise<Layout & { readonly leave: () => void }> {
    const key = JSON.stringify([...payloadTypes].sort());
    let shelf = this.#layouts.get(key);
    if (!shelf) {
      if (this.#layouts.size >= MOST_LAYOUTS)
        throw refuse('unavailable', 'Too many different sets of payload types are in use.', 'body', 'Try again later.');
      shelf = { layout: this.#open(payloadTypes), users: 0 };
      this.#layouts.set(key, shelf);
    }
    const mine = shelf;
    mine.users += 1;
    let here = true;
    const leave = () => {
      if (!here) return;
      here = false;
      mine.users -= 1;
      if (mine.users > 0) return;
      this.#layouts.delete(key);
      void mine.layout.then(
        ({ router }) => router.close(),
        () => {},
      );
    };
    try {
      return { ...(await mine.layout), leave };
    } catch (cause) {
      leave();
      throw cause;
    }
  }

  async #open(payloadTypes: PayloadTypes): Promise<Layout> {
    const router = await this.#sfu.beside(this.#room.router, payloadTypes);
    // The room's router takes this one with it: its worker may live on when a room is given up.
    this.#room.router.observer.once('close', () => router.close());
    if (this.#room.router.closed) router.close();
    return { router, direct: await router.createDirectTransport(), copies: new Map() };
  }

  /** A track as it is, in a layout; once, however many watch. */
  async carry(id: TrackId, { router, copies }: Layout): Promise<Producer> {
    const original = this.#track(id);
    const before = copies.get(original.id);
    if (before) return before;
    const copy = this.#room.copy(original, router);
    copies.set(original.id, copy);
    const forget = () => copies.delete(original.id);
    original.observer.once('close', forget);
    copy.catch(forget);
    return copy;
  }

  /**
   * A sound in a layout that plays what it is told to.
   *
   * @param id the first that it will play
   * @param onGone the track that is played was taken away
   */
  async switched({ direct }: Layout, id: TrackId, onGone: () => void): Promise<SwitchedSound> {
    const { codecs, rtcp } = this.#track(id).rtpParameters;
    const out = { ssrc: randomInt(1, 2 ** 32), payloadType: 111, base: randomInt(1, 2 ** 32) };
    const producer = await direct.produce({
      kind: 'audio',
      rtpParameters: {
        codecs: [
          {
            mimeType: 'audio/opus',
            payloadType: out.payloadType,
            clockRate: 48_000,
            channels: 2,
            parameters: { ...codecs[0]?.parameters },
          },
        ],
        encodings: [{ ssrc: out.ssrc }],
        // Receivers synchronise what has one name (RFC 3550 §6.5.1).
        ...(rtcp?.cname !== undefined && { rtcp: { cname: rtcp.cname } }),
      },
    });
    this.#switched += 1;
    producer.observer.once('close', () => (this.#switched -= 1));
    const splice = new Splice(out);
    let stop = () => {};
    let stopNext = () => {};
    let turn = 0;
    return {
      producer,
      play: async (next, base) => {
        const mine = (turn += 1);
        let heard = false;
        const hear = (packet: Buffer) => {
          // What was played goes on until there is something else.
          if (!heard) {
            stop();
            [stop, stopNext] = [stopNext, () => {}];
            splice.cut(base);
          }
          heard = true;
          const joined = splice.push(packet);
          if (joined && !producer.closed) producer.send(joined);
        };
        const leave = await this.#listen(next, hear, onGone);
        if (mine !== turn) return leave();
        stopNext();
        stopNext = leave;
      },
      close: () => {
        turn += 1;
        stop();
        stopNext();
        producer.close();
      },
    };
  }

  /** Hears a track's packets, each listener with a copy of its own. @returns how to stop */
  async #listen(id: TrackId, hear: (packet: Buffer) => void, onGone: () => void): Promise<() => void> {
    const tap = this.#taps.get(id) ?? this.#tap(id);
    tap.users += 1;
    let consumer: Consumer | undefined;
    let here = true;
    const leave = () => {
      if (!here) return;
      here = false;
      consumer?.off('producerclose', onGone);
      tap.listeners.delete(hear);
      tap.users -= 1;
      if (tap.users > 0) return;
      if (this.#taps.get(id) === tap) this.#taps.delete(id);
      void tap.consumer.then(
        (one) => one.close(),
        () => {},
      );
    };
    try {
      consumer = await tap.consumer;
    } catch (cause) {
      leave();
      throw cause;
    }
    tap.listeners.add(hear);
    consumer.once('producerclose', onGone);
    return leave;
  }

  #tap(id: TrackId): Tap {
    const listeners = new Set<(packet: Buffer) => void>();
    const open = async () => {
      const track = this.#track(id);
      const direct = await (this.#direct ??= this.#room.router.createDirectTransport());
      const consumer = await direct.consume({
        producerId: track.id,
        rtpCapabilities: plain(this.#room.capabilities),
        paused: false,
      });
      consumer.on('rtp', (packet) => {
        for (const hear of listeners) hear(Buffer.from(packet));
      });
      consumer.observer.once('close', () => this.#taps.get(id) === tap && this.#taps.delete(id));
      return consumer;
    };
    const tap: Tap = { consumer: open(), listeners, users: 0 };
    this.#taps.set(id, tap);
    return tap;
  }

  #track(id: TrackId): Producer {
    const track = this.#room.offered(id);
    if (!track)
      throw refuse('not_found', `There is no track '${id}' any more.`, 'language', 'Choose another language.');
    return track;
  }
}
