import type { Scope } from '../media/scope.ts';
import type { Config } from './config.ts';
import type { TrackId } from './protocol.ts';
import { type Refusal, refuse } from './refusal.ts';
import type { InputTrack, OutputTrack, SenderReport } from './session/ipc.ts';
import {
  type Consumer,
  type PlainTransport,
  type Producer,
  type Router,
  type RtpCapabilities,
  type RtpParameters,
  type Sfu,
  type WebRtcTransport,
  senderReport,
} from './sfu.ts';

const LOOPBACK = '127.0.0.1';
/** Where the sender's estimate of a viewer's downlink starts, bit/s: enough for sound and a small picture at once. */
const FIRST_ESTIMATE = 1_000_000;

/** What the system may hold for the worker while it is busy, bytes; less where the system allows less. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;

export interface RoomOptions {
  readonly sfu: Sfu;
  readonly rtc: Config['rtc'];
  /** The relay's port; left out when the programme is no publisher's. */
  readonly relay?: number | undefined;
  /** The port to receive the session process's output on, if it can be had. */
  readonly output?: number | undefined;
  /** The publisher's tracks, whole list, whenever it changes. */
  readonly onInput: (tracks: readonly InputTrack[]) => void;
  /** The publisher's own sender reports, under the SSRCs of the input tracks. */
  readonly onReport: (report: SenderReport) => void;
  /** The worker has died: this room is of no more use. Not called after the scope was closed. */
  readonly onLost: () => void;
}

/**
 * One session's place in the SFU, for as long as its worker lives.
 *
 * Publisher → WebRTC → input transport → relay → session process → output transport → WebRTC → viewers.
 */
export class Room {
  readonly #router: Router;
  readonly #rtc: Config['rtc'];
  readonly #input: PlainTransport | undefined;
  readonly #output: PlainTransport;
  readonly #onInput: RoomOptions['onInput'];
  readonly #onReport: RoomOptions['onReport'];
  readonly #published = new Map<string, { readonly track: InputTrack; readonly consumer: Consumer }>();
  readonly #offered = new Map<TrackId, Producer>();
  #connected: number | undefined;

  private constructor(router: Router, input: PlainTransport | undefined, output: PlainTransport, options: RoomOptions) {
    this.#router = router;
    this.#input = input;
    this.#output = output;
    this.#rtc = options.rtc;
    this.#onInput = options.onInput;
    this.#onReport = options.onReport;
  }

  static async open(options: RoomOptions, scope: Scope): Promise<Room> {
    const router = await options.sfu.router();
    scope.defer(() => router.close());
    router.once('workerclose', () => {
      if (!scope.signal.aborted) options.onLost();
    });
    const portRange = options.rtc.ports;
    const plain = (port?: number) =>
      router.createPlainTransport({
        listenInfo: {
          protocol: 'udp',
          ip: LOOPBACK,
          recvBufferSize: RECEIVE_BUFFER,
          ...(port === undefined ? { portRange } : { port }),
        },
        rtcpMux: true,
        comedia: false,
      });
    const output = await (options.output === undefined ? plain() : plain(options.output).catch(() => plain()));
    const input = options.relay === undefined ? undefined : await plain();
    await input?.connect({ ip: LOOPBACK, port: options.relay as number });
    return new Room(router, input, output, options);
  }

  /** The mediasoup router, for whoever wants to attach something the room does not know. */
  get router(): Router {
    return this.#router;
  }
  get capabilities(): RtpCapabilities {
    return this.#router.rtpCapabilities;
  }
  /** Where the session process sends its output. */
  get outputPort(): number {
    return this.#output.tuple.localPort;
  }
  /** Where the publisher's RTP comes from, as the relay sees it. */
  get inputPort(): number | undefined {
    return this.#input?.tuple.localPort;
  }
  get inputs(): readonly InputTrack[] {
    return [...this.#published.values()].map(({ track }) => track);
  }

  /**
   * Tells the SFU where output comes from. Packets from elsewhere are ignored.
   *
   * @returns `false` when it was told another port before: an SFU transport cannot change its mind.
   */
  async connect(port: number): Promise<boolean> {
    if (this.#connected === undefined) {
      this.#connected = port;
      await this.#output.connect({ ip: LOOPBACK, port });
    }
    return this.#connected === port;
  }

  /** Makes a track of the session process consumable. Replaces the track with the same id. */
  async offer(track: OutputTrack): Promise<void> {
    this.withdraw(track.id);
    const { mimeType, payloadType, clockRate, channels, kind, parameters, ssrc } = track;
    const codec = {
      mimeType,
      payloadType,
      clockRate,
      parameters: { ...parameters },
      ...(kind === 'audio' ? { channels } : {}),
    };
    // No rtcpFeedback: a viewer's wish for a key frame would reach a process that can only send what was published
    // seconds ago. The publisher is asked for key frames regularly instead.
    const rtpParameters: RtpParameters = { codecs: [{ ...codec, rtcpFeedback: [] }], encodings: [{ ssrc }] };
    this.#offered.set(track.id, await this.#output.produce({ kind, rtpParameters }));
  }

  /** Takes a track away; its consumers close. */
  withdraw(id: TrackId): void {
    this.#offered.get(id)?.close();
    this.#offered.delete(id);
  }

  /** What stands for a track in the SFU, if the track is offered. */
  offered(id: TrackId): Producer | undefined {
    return this.#offered.get(id);
  }

  /** A track in another router of the same worker. Gone when the track or the router is. */
  async copy({ id: producerId }: Producer, router: Router): Promise<Producer> {
    const listenInfo = { protocol: 'udp', ip: LOOPBACK, recvBufferSize: RECEIVE_BUFFER } as const;
    // Ids are of a worker, not of a router.
    const { pipeProducer } = await this.#router.pipeToRouter({ producerId, router, keepId: false, listenInfo });
    if (!pipeProducer) throw new TypeError('Cannot copy track: mediasoup made no producer');
    return pipeProducer;
  }

  /**
   * A browser's way in or out. Closes with the room; its owner closes it earlier.
   *
   * @param router of the same worker
   * @param consent seconds without ICE checks after which the client counts as gone (RFC 7675); 0 for never
   */
  async transport({ router = this.#router, consent = 30 } = {}): Promise<WebRtcTransport> {
    const { listen, announced, ports } = this.#rtc;
    const address = {
      ip: listen,
      portRange: ports,
      ...(announced === undefined ? {} : { announcedAddress: announced }),
    };
    return router.createWebRtcTransport({
      listenInfos: [
        { protocol: 'udp', ...address },
        { protocol: 'tcp', ...address },
      ],
      enableUdp: true,
      enableTcp: true,
      preferUdp: true,
      initialAvailableOutgoingBitrate: FIRST_ESTIMATE,
      iceConsentTimeout: consent,
    });
  }

  /** A way out for somebody on this machine who receives plain RTP at `port`. Closes with the room; its owner closes it earlier. */
  async receiver(port: number): Promise<PlainTransport> {
    const transport = await this.#router.createPlainTransport({
      listenInfo: { protocol: 'udp', ip: LOOPBACK },
      rtcpMux: true,
      comedia: false,
    });
    await transport.connect({ ip: LOOPBACK, port });
    return transport;
  }

  /** Takes a track of the publisher in and hands it to the session process. One of each kind. */
  async publish(
    transport: Pick<WebRtcTransport, 'produce'>,
    kind: 'audio' | 'video',
    rtpParameters: RtpParameters,
  ): Promise<Producer> {
    if (!this.#input)
      throw refuse(
        'conflict',
        'This session has another source; nothing can be published to it.',
        null,
        'Create a session with source.kind "webrtc".',
      );
    if (this.inputs.some((track) => track.kind === kind)) {
      throw refuse(
        'conflict',
        `There is already a published ${kind} track.`,
        'kind',
        'Close it first with closeProducer.',
      );
    }
    const producer = await transport.produce({ kind, rtpParameters }).catch((cause: unknown) => {
      throw wrongCodec(kind, rtpParameters, cause);
    });
    let consumer: Consumer;
    try {
      consumer = await this.#input.consume({
        producerId: producer.id,
        rtpCapabilities: plain(this.capabilities),
        paused: false,
      });
    } catch (cause) {
      producer.close();
      throw cause;
    }
    const track = streamOf(consumer);
    this.#published.set(producer.id, { track, consumer });
    // What the SFU reports about the track says when packets came to the SFU; the publisher's reports say when they were
    // captured, which is what lips are synchronised by. The SFU leaves time stamps as they are.
    producer.on('trace', (event) => {
      const report = senderReport(event);
      if (report) this.#onReport({ ...report, ssrc: track.ssrc });
    });
    await producer.enableTraceEvent(['sr']);
    producer.observer.once('close', () => {
      this.#published.delete(producer.id);
      // With a dead router there is nobody left to tell: the session tells the process itself.
      if (!this.#router.closed) this.#onInput(this.inputs);
    });
    this.#onInput(this.inputs);
    return producer;
  }

  /** Lets a viewer have a track, paused. */
  async consume(
    transport: Pick<WebRtcTransport, 'consume'>,
    id: TrackId,
    rtpCapabilities: RtpCapabilities,
  ): Promise<Consumer> {
    const producer = this.#offered.get(id);
    if (!producer)
      throw refuse(
        'not_found',
        `There is no track '${id}'.`,
        'trackId',
        `Choose one of ${[...this.#offered.keys()].join(', ')}.`,
      );
    if (!this.#router.canConsume({ producerId: producer.id, rtpCapabilities })) {
      throw refuse(
        'unsupported',
        `This browser cannot play '${id}'.`,
        'rtpCapabilities',
        'Use a browser with Opus and the programme’s video codec.',
      );
    }
    try {
      return await transport.consume({ producerId: producer.id, rtpCapabilities, paused: true });
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      throw refuse(
        'invalid',
        "'rtpCapabilities' are not RTP capabilities.",
        'rtpCapabilities',
        'Send what the mediasoup-client device says.',
        cause,
      );
    }
  }

  /** Asks the publisher for a key frame of everything it sends. */
  async requestKeyFrames(): Promise<void> {
    const videos = [...this.#published.values()].filter(
      ({ track, consumer }) => track.kind === 'video' && !consumer.closed,
    );
    await Promise.all(videos.map(({ consumer }) => consumer.requestKeyFrame().catch(() => {})));
  }
}

/**
 * What a plain RTP receiver on loopback can do: the codecs, requests for key frames, nothing else. With the rest the
 * worker would probe for bandwidth and retransmit, which nobody here answers.
 */
export const plain = ({ codecs = [] }: RtpCapabilities): RtpCapabilities => ({
  codecs: codecs
    .filter((codec) => !codec.mimeType.toLowerCase().endsWith('/rtx'))
    .map((codec) => ({
      ...codec,
      rtcpFeedback: (codec.rtcpFeedback ?? []).filter(({ parameter }) => parameter === 'pli' || parameter === 'fir'),
    })),
  headerExtensions: [],
});

/** The RTP stream that a consumer sends. */
export function streamOf({ kind, rtpParameters }: Consumer): InputTrack {
  const [codec] = rtpParameters.codecs;
  const ssrc = rtpParameters.encodings?.[0]?.ssrc;
  if (!codec || ssrc === undefined) throw new TypeError(`Cannot receive ${kind}: it has no codec or no SSRC`);
  const { payloadType, mimeType, clockRate, channels = 1 } = codec;
  return { kind, ssrc, payloadType, mimeType, clockRate, channels };
}

function wrongCodec(kind: string, { codecs }: RtpParameters, cause: unknown): Refusal {
  const name = cause instanceof Error ? cause.name : '';
  if (name === 'UnsupportedError') {
    const sent = Array.isArray(codecs) ? codecs.map(({ mimeType }) => mimeType).join(', ') : 'an unknown codec';
    const fix =
      kind === 'audio' ? 'Publish Opus.' : 'Publish VP8, VP9 (profile 0), H.264 (constrained baseline) or AV1.';
    return refuse('unsupported', `This gateway does not take ${sent} as ${kind}.`, 'rtpParameters.codecs', fix, cause);
  }
  if (name !== 'TypeError') throw cause;
  return refuse(
    'invalid',
    "'rtpParameters' are not RTP parameters.",
    'rtpParameters',
    'Send what mediasoup-client hands to its "produce" event.',
    cause,
  );
}
