import type { HostedSession } from '../hosted-session.ts';
import type { TrackId } from '../protocol.ts';
import { refuse } from '../refusal.ts';
import { type Room, streamOf } from '../room.ts';
import type { Consumer, Producer, RtpCapabilities } from '../sfu.ts';
import { type AnsweredTrack, writeAnswer } from './answer.ts';
import { type Codec, chosen } from './codec.ts';
import type { Lobby } from './lobby.ts';
import type { Offer, OfferedTrack } from './offer.ts';
import { sdpId } from './publish.ts';
import type { Resource } from './resource.ts';
import { malformed } from './sdp.ts';

/** What a viewer asks for. */
export interface Wish {
  /** BCP 47, or "original"; the first dub unless told. */
  readonly language?: string | undefined;
  /** "alone": the dub's voices without the programme's sound. */
  readonly voice?: 'mixed' | 'alone' | undefined;
}

/** The track that is heard. @throws Refusal `not_found` with the languages there are */
export function soundOf(session: HostedSession, { language = session.spec.to[0] ?? 'original', voice }: Wish): TrackId {
  const { from, to } = session.spec;
  if (language === 'original' || language === from) return 'original';
  if (!to.includes(language)) {
    const there = ['original', ...to].join(', ');
    throw refuse(
      'not_found',
      `This session is not dubbed into '${language.slice(0, 35)}'.`,
      'language',
      `Choose one of ${there}.`,
    );
  }
  return voice === 'alone' ? `voice:${language}` : `dub:${language}`;
}

/** The picture with mouths that speak the language, else the picture. */
function pictureOf(session: HostedSession, sound: TrackId): TrackId | undefined {
  const driven = `video:${sound.split(':')[1]}` as TrackId;
  return [driven, 'video' as const].find((id) => session.tracks.some((track) => track.id === id));
}

/** Lets a client watch: the first sound and the first picture it wants. @returns the answer */
export async function view(offer: Offer, room: Room, lobby: Lobby, resource: Resource, wish: Wish): Promise<string> {
  const { session } = resource;
  const sound = soundOf(session, wish);
  const picture = pictureOf(session, sound);
  const known = room.capabilities.codecs ?? [];
  const wanted = (kind: 'audio' | 'video', id: TrackId | undefined) => {
    const mimeType = id && room.offered(id)?.rtpParameters.codecs[0]?.mimeType.toLowerCase();
    const codecs = known.filter((codec) => codec.mimeType.toLowerCase() === mimeType);
    for (const [i, track] of offer.tracks.entries()) {
      if (track?.kind !== kind || track.direction === 'sendonly' || track.direction === 'inactive') continue;
      const codec = chosen(track.codecs, codecs);
      if (codec && id) return { i, track, codec, id };
    }
    return undefined;
  };
  const parts = [wanted('audio', sound), wanted('video', picture)].filter((part) => part !== undefined);
  if (parts.length === 0)
    throw refuse(
      'unsupported',
      'The offer receives nothing that this session sends.',
      'body',
      `Offer recvonly Opus${picture ? ` and ${room.offered(picture)?.rtpParameters.codecs[0]?.mimeType ?? 'video'}` : ''}.`,
    );
  if (parts[0] && parts[0].codec.payloadType === parts[1]?.codec.payloadType)
    throw malformed('sound and pictures have the same payload type');
  // Mouths speak one language.
  const switching = lobby.canSwitch && !parts.some((part) => part.id.startsWith('video:'));
  const layout = await lobby.enter(
    new Map(parts.map(({ codec }) => [codec.mimeType.toLowerCase(), codec.payloadType])),
  );
  resource.defer(layout.leave);
  resource.standing();
  await resource.use(await room.transport({ router: layout.router, consent: 0 }), offer.dtls);
  const gone = () => resource.close();
  const base = (id: TrackId) => session.tracks.find((track) => track.id === id)?.rtp.base ?? 0;
  const answers: (AnsweredTrack | undefined)[] = offer.sections.map(() => undefined);
  const consumers: Consumer[] = [];
  for (const { i, track, codec, id } of parts) {
    let producer: Producer;
    if (track.kind === 'audio' && switching) {
      const switched = await lobby.switched(layout, id, gone);
      resource.defer(() => switched.close());
      await switched.play(id, base(id));
      resource.switchTo = async (language) => {
        const next = soundOf(session, { ...wish, language });
        await switched.play(next, base(next));
        return { language, track: next };
      };
      producer = switched.producer;
    } else producer = await lobby.carry(id, layout);
    const consumer = await resource.transport.consume({
      producerId: producer.id,
      rtpCapabilities: capabilitiesOf(track, codec),
      paused: true,
      ...(track.mid === undefined ? {} : { mid: track.mid }),
    });
    consumer.once('producerclose', gone);
    consumers.push(consumer);
    answers[i] = answerOf(consumer, codec);
  }
  await Promise.all(consumers.map((consumer) => consumer.resume()));
  resource.standing();
  return writeAnswer(offer, answers, resource.transport, sdpId());
}

/** What a viewer's section can take, in mediasoup's words. Lost packets are sent again as they were, without RTX. */
function capabilitiesOf(track: OfferedTrack, codec: Codec): RtpCapabilities {
  const { mimeType, payloadType, clockRate, channels, parameters } = codec;
  return {
    codecs: [
      {
        kind: track.kind,
        mimeType,
        preferredPayloadType: payloadType,
        clockRate,
        ...(channels === undefined ? {} : { channels }),
        parameters: { ...parameters },
        rtcpFeedback: codec.feedback
          .filter(({ type }) => type === 'nack' || type === 'ccm')
          .map((each) => ({ ...each })),
      },
    ],
    headerExtensions: [],
  };
}

function answerOf(consumer: Consumer, codec: Codec): AnsweredTrack {
  const { payloadType, ssrc } = streamOf(consumer);
  const { codecs, rtcp } = consumer.rtpParameters;
  if (payloadType !== codec.payloadType) throw new TypeError('Cannot answer: the payload type is not the viewer’s');
  const answered = (codecs[0]?.rtcpFeedback ?? []).map(({ type, parameter = '' }) => ({ type, parameter }));
  return {
    direction: 'sendonly',
    codecs: [{ ...codec, answered }],
    extensions: [],
    source: { ssrc, cname: rtcp?.cname ?? 'livedub', stream: 'livedub' },
  };
}
