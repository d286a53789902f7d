import { refuse } from '../refusal.ts';
import type { Room } from '../room.ts';
import type { RtpCapabilities, RtpParameters } from '../sfu.ts';
import { type AnsweredTrack, writeAnswer } from './answer.ts';
import { chosen, matches, retransmissionOf } from './codec.ts';
import type { Offer, OfferedTrack } from './offer.ts';
import type { Resource } from './resource.ts';

const TRANSPORT_CC = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
const ABS_SEND_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time';
const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';
const STREAM_ID = 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id';

interface Taken {
  readonly answer: AnsweredTrack;
  readonly rtpParameters: RtpParameters;
}

/** What is taken of a publisher's track, in the words of SDP and of mediasoup; nothing when there is no known codec. */
export function take(track: OfferedTrack, capabilities: RtpCapabilities): Taken | undefined {
  const known = (capabilities.codecs ?? []).filter(({ kind }) => kind === track.kind);
  const codec = chosen(track.codecs, known);
  if (!codec || track.direction === 'recvonly' || track.direction === 'inactive') return undefined;
  const extensions = track.extensions.filter(({ uri }) =>
    (capabilities.headerExtensions ?? []).some(
      (each) => each.kind === track.kind && each.uri === uri && each.direction !== 'sendonly',
    ),
  );
  const has = (uri: string) => extensions.some((each) => each.uri === uri);
  // One way of estimating bandwidth: the better one that both have.
  const estimate = has(TRANSPORT_CC) ? 'transport-cc' : has(ABS_SEND_TIME) ? 'goog-remb' : undefined;
  const own = known.find((each) => matches(codec, each))?.rtcpFeedback ?? [];
  const answered = codec.feedback.filter(
    ({ type, parameter }) =>
      own.some((each) => each.type === type && (each.parameter ?? '') === parameter) &&
      ((type !== 'transport-cc' && type !== 'goog-remb') || type === estimate),
  );
  const rtx = retransmissionOf(track.codecs, codec);
  const [layer] = track.layers;
  if (!track.source && !(layer === undefined ? has(MID) : has(STREAM_ID))) {
    throw refuse(
      'unsupported',
      `Nothing tells the ${track.kind} packets: no a=ssrc, no mid extension.`,
      'body',
      'Offer a=ssrc, or the header extension urn:ietf:params:rtp-hdrext:sdes:mid.',
    );
  }
  const codecs = rtx ? [codec, rtx] : [codec];
  return {
    answer: {
      direction: 'recvonly',
      codecs: codecs.map((each) => ({ ...each, answered: each === codec ? answered : [] })),
      extensions,
      layer,
    },
    rtpParameters: {
      ...(track.mid === undefined ? {} : { mid: track.mid }),
      codecs: codecs.map(({ mimeType, payloadType, clockRate, channels, parameters }, i) => ({
        mimeType,
        payloadType,
        clockRate,
        ...(channels === undefined ? {} : { channels }),
        parameters: { ...parameters },
        rtcpFeedback: i === 0 ? answered.map((each) => ({ ...each })) : [],
      })),
      headerExtensions: extensions.map(({ uri, id }) => ({
        uri: uri as NonNullable<RtpParameters['headerExtensions']>[number]['uri'],
        id,
        encrypt: false,
        parameters: {},
      })),
      encodings: [
        layer === undefined
          ? {
              ...(track.source && {
                ssrc: track.source.ssrc,
                ...(track.source.rtx && { rtx: { ssrc: track.source.rtx } }),
              }),
            }
          : { rid: layer },
      ],
      rtcp: { reducedSize: true, ...(track.source?.cname ? { cname: track.source.cname } : {}) },
    },
  };
}

/** Lets a client publish, the first sound and the first picture it offers. @returns the answer */
export async function publish(offer: Offer, room: Room, resource: Resource): Promise<string> {
  const taken = offer.tracks.map((track, i) => {
    const first =
      track && offer.tracks.findIndex((each) => each && each.kind === track.kind && willing(each, room)) === i;
    return track && first ? take(track, room.capabilities) : undefined;
  });
  if (!taken.some(Boolean)) {
    const offered = [...new Set(offer.tracks.flatMap((track) => track?.codecs.map(({ mimeType }) => mimeType) ?? []))];
    throw refuse(
      'unsupported',
      `The offer sends nothing that this gateway takes${offered.length > 0 ? `; it has ${offered.join(', ').slice(0, 200)}` : ''}.`,
      'body',
      'Offer sendonly Opus, and VP8, VP9 (profile 0), H.264 (constrained baseline, packetization-mode 1) or AV1.',
    );
  }
  await resource.use(await room.transport({ consent: 0 }), offer.dtls);
  for (const [i, each] of taken.entries()) {
    const kind = offer.tracks[i]?.kind;
    if (each && kind) await room.publish(resource.transport, kind, each.rtpParameters);
  }
  resource.standing();
  return writeAnswer(
    offer,
    taken.map((each) => each?.answer),
    resource.transport,
    sdpId(),
  );
}

const willing = (track: OfferedTrack, room: Room) =>
  (track.direction === 'sendonly' || track.direction === 'sendrecv') &&
  chosen(
    track.codecs,
    (room.capabilities.codecs ?? []).filter(({ kind }) => kind === track.kind),
  ) !== undefined;

/** RFC 8866 §5.2: numeric. */
export const sdpId = () => String(Date.now());
