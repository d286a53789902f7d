import type { Audience, HostedSession } from './hosted-session.ts';
import type { Asked } from './messages.ts';
import type { Event, Method, Methods, TrackId } from './protocol.ts';
import { refuse } from './refusal.ts';
import type { Room } from './room.ts';
import type { Consumer, DtlsParameters, Producer, RtpParameters, WebRtcTransport } from './sfu.ts';

export interface PeerOptions {
  readonly session: HostedSession;
  /** Whether a token lets its bearer publish. */
  readonly permitted: (token: string | undefined) => boolean;
  readonly mostViewers: number;
  readonly iceServers: readonly object[];
  readonly tell: (event: Event) => void;
  readonly over: (reason: string) => void;
}

/** A page has one transport each way; a few more while it replaces one. */
const MOST_TRANSPORTS = 4;
/** Every track of eight languages twice over. */
const MOST_CONSUMERS = 32;

type Opaque = Record<string, unknown>;
type Role = 'viewer' | 'publisher';

/** What a page has made in a room. It is gone when the room is. */
interface Belongings {
  readonly role: Role;
  readonly room: Room;
  readonly transports: Map<string, { readonly transport: WebRtcTransport; readonly direction: 'send' | 'recv' }>;
  readonly producers: Map<string, Producer>;
  readonly consumers: Map<string, Consumer>;
  readonly leave: () => void;
}

/** One page's side of the signalling, without the socket: what it may ask, and what it owns in the SFU. */
export class Peer implements Audience {
  readonly #options: PeerOptions;
  #belongings: Belongings | undefined;
  #closed = false;

  constructor(options: PeerOptions) {
    this.#options = options;
  }

  /** Whether it has joined. */
  get joined(): boolean {
    return this.#belongings !== undefined;
  }

  /** Does what is asked. @throws Refusal */
  async answer(asked: Asked): Promise<Methods[Method]['out']> {
    switch (asked.method) {
      case 'join':
        return this.#join(asked.data);
      case 'createTransport':
        return this.#createTransport(asked.data.direction);
      case 'connectTransport': {
        const { transport } = this.#transport(asked.data.transportId);
        await given(
          transport.connect({ dtlsParameters: asked.data.dtlsParameters as unknown as DtlsParameters }),
          'dtlsParameters',
        );
        return {};
      }
      case 'restartIce': {
        const { transport } = this.#transport(asked.data.transportId);
        return { iceParameters: (await transport.restartIce()) as unknown as Opaque };
      }
      case 'produce':
        return this.#produce(asked.data);
      case 'closeProducer': {
        const producer = owned(this.#here('publisher').producers, asked.data.producerId, 'producerId');
        producer.close();
        return {};
      }
      case 'consume':
        return this.#consume(asked.data);
      case 'pause':
        await owned(this.#here('viewer').consumers, asked.data.consumerId, 'consumerId').pause();
        return {};
      case 'resume':
        await owned(this.#here('viewer').consumers, asked.data.consumerId, 'consumerId').resume();
        return {};
    }
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  event(event: Event): void {
    this.#options.tell(event);
  }
  lost(reason: string): void {
    this.#drop();
    this.#options.tell({ event: 'rejoin', data: { reason } });
  }
  over(reason: string): void {
    this.#drop();
    this.#options.over(reason);
  }

  async #join({ role, token }: Methods['join']['in']): Promise<Methods['join']['out']> {
    const { session, permitted, mostViewers } = this.#options;
    if (this.#belongings)
      throw refuse(
        'conflict',
        `This socket has joined already, as ${this.#belongings.role}.`,
        'method',
        'Open another socket for another role.',
      );
    if (session.over) throw refuse('conflict', 'The session is over.');
    if (role === 'publisher' && !permitted(token))
      throw refuse('unauthorized', 'Publishing needs the gateway’s token.', 'data.token', 'Send the token in "join".');
    if (role === 'viewer' && session.viewers >= mostViewers) {
      throw refuse('limit', `This session has its ${mostViewers} viewers.`, null, 'Try again later.');
    }
    const leave = session.attend(this, role);
    let room: Room;
    try {
      room = await session.room;
    } catch (cause) {
      leave();
      throw refuse('unavailable', 'The media server is not there.', null, 'Try again in a moment.', cause);
    }
    // The socket may have closed while the room was being opened.
    if (this.#closed) {
      leave();
      throw refuse('conflict', 'The socket is closed.');
    }
    this.#belongings = { role, room, leave, transports: new Map(), producers: new Map(), consumers: new Map() };
    return {
      session: session.view,
      routerRtpCapabilities: room.capabilities as unknown as Opaque,
      cues: session.archive.recent(),
    };
  }

  async #createTransport(direction: 'send' | 'recv'): Promise<Methods['createTransport']['out']> {
    const { room, role, transports } = this.#here();
    if (direction === 'send' && role !== 'publisher')
      throw refuse('conflict', 'A viewer has nothing to send.', 'data.direction', 'Join as publisher.');
    if (transports.size >= MOST_TRANSPORTS)
      throw refuse('limit', `This socket has ${MOST_TRANSPORTS} transports already.`);
    const transport = await room.transport();
    if (this.#belongings?.room !== room) {
      transport.close();
      throw refuse('conflict', 'The media server was restarted.', null, 'Join again.');
    }
    transports.set(transport.id, { transport, direction });
    transport.observer.once('close', () => transports.delete(transport.id));
    return {
      id: transport.id,
      iceParameters: transport.iceParameters as unknown as Opaque,
      iceCandidates: transport.iceCandidates as unknown as Opaque[],
      dtlsParameters: transport.dtlsParameters as unknown as Opaque,
      iceServers: this.#options.iceServers as Opaque[],
    };
  }

  async #produce({ transportId, kind, rtpParameters }: Methods['produce']['in']): Promise<Methods['produce']['out']> {
    const { room, producers } = this.#here('publisher');
    const { transport } = this.#transport(transportId, 'send');
    const producer = await room.publish(transport, kind, rtpParameters as unknown as RtpParameters);
    producers.set(producer.id, producer);
    producer.observer.once('close', () => producers.delete(producer.id));
    return { producerId: producer.id };
  }

  async #consume({
    transportId,
    trackId,
    rtpCapabilities,
  }: Methods['consume']['in']): Promise<Methods['consume']['out']> {
    const { room, consumers } = this.#here('viewer');
    if (consumers.size >= MOST_CONSUMERS)
      throw refuse(
        'limit',
        `This socket has ${MOST_CONSUMERS} consumers already.`,
        null,
        'Close the transport and start afresh.',
      );
    const { transport } = this.#transport(transportId, 'recv');
    const consumer = await room.consume(transport, trackId, rtpCapabilities);
    consumers.set(consumer.id, consumer);
    consumer.observer.once('close', () => consumers.delete(consumer.id));
    consumer.once('producerclose', () => this.#gone(consumer.id, trackId));
    const { id: consumerId, producerId, kind, rtpParameters } = consumer;
    return { consumerId, producerId, trackId, kind, rtpParameters: rtpParameters as unknown as Opaque };
  }

  #gone(consumerId: string, trackId: TrackId): void {
    this.#options.tell({ event: 'consumerClosed', data: { consumerId, trackId } });
  }

  #here(role?: Role): Belongings {
    const here = this.#belongings;
    if (!here) throw refuse('conflict', 'This socket has not joined the session.', 'method', 'Send "join" first.');
    if (role && here.role !== role)
      throw refuse('conflict', `Only a ${role} can do this.`, 'method', `Join as ${role}.`);
    return here;
  }

  #transport(id: string, direction?: 'send' | 'recv') {
    const mine = owned(this.#here().transports, id, 'transportId');
    if (direction && mine.direction !== direction)
      throw refuse(
        'conflict',
        `This transport does not ${direction === 'send' ? 'send' : 'receive'}.`,
        'data.transportId',
        `Create one with direction "${direction}".`,
      );
    return mine;
  }

  /** Leaves the session and closes what is in the room, if that is still there. */
  #drop(): void {
    const here = this.#belongings;
    this.#belongings = undefined;
    if (!here) return;
    here.leave();
    for (const { transport } of [...here.transports.values()]) transport.close();
  }
}

function owned<T>(things: ReadonlyMap<string, T>, id: string, field: string): T {
  const thing = things.get(id);
  if (thing === undefined)
    throw refuse(
      'not_found',
      `'${field}' names nothing of this socket's.`,
      `data.${field}`,
      'It may have been closed; make a new one.',
    );
  return thing;
}

/** What mediasoup does not take is the page's mistake, not the gateway's. */
async function given(work: Promise<unknown>, field: string): Promise<void> {
  try {
    await work;
  } catch (cause) {
    throw refuse(
      'invalid',
      `'data.${field}' was not accepted.`,
      `data.${field}`,
      'Send what mediasoup-client hands to its event.',
      cause,
    );
  }
}
