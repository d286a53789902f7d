import { Device, type types } from 'mediasoup-client';
import type { Method, Methods, TrackId } from '../gateway/protocol.ts';

/** Sends a request over the signalling socket. */
export type Ask = <M extends Method>(method: M, data: Methods[M]['in']) => Promise<Methods[M]['out']>;

export type TransportState = 'new' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

/**
 * What a receiver holds back at first, ms. The programme is seconds late anyway, so a steady buffer costs nothing and hides
 * the network's jitter; and since the gateway sends all tracks of one media time at one moment, an equal hold brings picture
 * and sound together, whichever track is heard. What is left between them `lip-sync.ts` takes away.
 */
export const LEAST_HOLD = 80;

/** One track as it arrives. Paused at the gateway until {@link resume}. */
export interface Incoming {
  readonly trackId: TrackId;
  readonly consumerId: string;
  readonly kind: 'audio' | 'video';
  readonly track: MediaStreamTrack;
  readonly receiver: RTCRtpReceiver | undefined;
  resume(): Promise<void>;
  pause(): Promise<void>;
  /** Plays what arrives that many ms later, where the browser can (Chromium 124, Firefox 127). */
  hold(ms: number): void;
  stats(): Promise<RTCStatsReport>;
  close(): void;
}

export interface Receiving {
  consume(trackId: TrackId): Promise<Incoming>;
  /** New ICE candidates on the same transport: media goes on where it was. */
  restartIce(): Promise<void>;
  close(): void;
}

export interface Outgoing {
  readonly kind: 'audio' | 'video';
  readonly producerId: string;
  stats(): Promise<RTCStatsReport>;
  close(): void;
}

export interface Sending {
  produce(track: MediaStreamTrack): Promise<Outgoing>;
  restartIce(): Promise<void>;
  close(): void;
}

/** Loads the browser's media engine against the gateway's router. One per join: a router that died takes its device along. */
export async function openDevice(
  routerRtpCapabilities: Methods['join']['out']['routerRtpCapabilities'],
): Promise<Device> {
  const device = await Device.factory();
  await device.load({ routerRtpCapabilities: routerRtpCapabilities });
  return device;
}

/** Opens the viewer's side. `onState` hears of the connection until it is closed. */
export async function openReceiving(
  device: Device,
  ask: Ask,
  onState: (state: TransportState) => void,
): Promise<Receiving> {
  const answer = await ask('createTransport', { direction: 'recv' });
  const transport = device.createRecvTransport(optionsOf(answer));
  wire(transport, ask, onState);
  return {
    async consume(trackId) {
      const rtpCapabilities = device.recvRtpCapabilities as unknown as Methods['consume']['in']['rtpCapabilities'];
      const { consumerId, producerId, kind, rtpParameters } = await ask('consume', {
        transportId: transport.id,
        trackId,
        rtpCapabilities,
      });
      const consumer = await transport.consume({
        id: consumerId,
        producerId,
        kind,
        rtpParameters: rtpParameters as unknown as types.RtpParameters,
        // A stream of its own per track. Chromium aligns a stream's picture with one sound of it, the one that came first,
        // which after a switch of language is a sound that no longer plays; so the page aligns what is really heard.
        streamId: trackId,
      });
      const receiver = consumer.rtpReceiver;
      const hold = (ms: number) => {
        if (receiver && 'jitterBufferTarget' in receiver) receiver.jitterBufferTarget = ms;
      };
      hold(LEAST_HOLD);
      return {
        trackId,
        consumerId,
        kind,
        track: consumer.track,
        receiver,
        resume: async () => void (await ask('resume', { consumerId })),
        pause: async () => void (await ask('pause', { consumerId })),
        hold,
        stats: () => consumer.getStats(),
        close: () => consumer.close(),
      };
    },
    restartIce: () => restartIce(transport, ask),
    close: () => transport.close(),
  };
}

/** Bits a second a publisher's picture may take. The gateway passes it on as it is, to every viewer. */
const VIDEO_BITRATE = 2_500_000;
const AUDIO_BITRATE = 64_000;

/** Opens the publisher's side. One picture layer (no simulcast: the session process passes it on untouched), Opus with FEC. */
export async function openSending(
  device: Device,
  ask: Ask,
  onState: (state: TransportState) => void,
): Promise<Sending> {
  const answer = await ask('createTransport', { direction: 'send' });
  const transport = device.createSendTransport(optionsOf(answer));
  wire(transport, ask, onState);
  transport.on('produce', ({ kind, rtpParameters }, done, failed) => {
    ask('produce', {
      transportId: transport.id,
      kind,
      rtpParameters: rtpParameters,
    })
      .then(({ producerId }) => done({ id: producerId }))
      .catch(failed);
  });
  return {
    async produce(track) {
      const kind = track.kind === 'video' ? 'video' : 'audio';
      const producer = await transport.produce({
        track,
        streamId: 'programme',
        stopTracks: false,
        encodings: [{ maxBitrate: kind === 'video' ? VIDEO_BITRATE : AUDIO_BITRATE }],
        codecOptions:
          kind === 'video' ? { videoGoogleStartBitrate: 1000 } : { opusFec: true, opusDtx: false, opusStereo: false },
      });
      return {
        kind,
        producerId: producer.id,
        stats: () => producer.getStats(),
        close: () => producer.close(),
      };
    },
    restartIce: () => restartIce(transport, ask),
    close: () => transport.close(),
  };
}

// The gateway's answer is mediasoup's own, which protocol.ts passes through without looking.
function optionsOf(answer: Methods['createTransport']['out']): types.TransportOptions {
  return answer as unknown as types.TransportOptions;
}

function wire(transport: types.Transport, ask: Ask, onState: (state: TransportState) => void): void {
  transport.on('connect', ({ dtlsParameters }, done, failed) => {
    ask('connectTransport', {
      transportId: transport.id,
      dtlsParameters: dtlsParameters,
    }).then(done, failed);
  });
  transport.on('connectionstatechange', onState);
}

async function restartIce(transport: types.Transport, ask: Ask): Promise<void> {
  const { iceParameters } = await ask('restartIce', { transportId: transport.id });
  await transport.restartIce({ iceParameters: iceParameters as unknown as types.IceParameters });
}
