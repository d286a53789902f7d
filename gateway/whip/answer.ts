import type { DtlsParameters, IceCandidate, IceParameters } from '../sfu.ts';
import type { Codec, Feedback } from './codec.ts';
import type { Extension, Offer } from './offer.ts';

/** What the gateway says to one section of an offer. */
export interface AnsweredTrack {
  readonly direction: 'sendonly' | 'recvonly';
  readonly codecs: readonly (Codec & { readonly answered: readonly Feedback[] })[];
  readonly extensions: readonly Extension[];
  /** The one layer that is taken of a simulcast. */
  readonly layer?: string | undefined;
  /** What the gateway sends. */
  readonly source?: { readonly ssrc: number; readonly cname: string; readonly stream: string };
}
/** The gateway's end of the transport. */
export interface Transport {
  readonly iceParameters: IceParameters;
  readonly iceCandidates: readonly IceCandidate[];
  readonly dtlsParameters: DtlsParameters;
}

/**
 * The answer to an offer (RFC 8829 §5.3), one section for each of the offer's. ICE is lite and complete (RFC 8445 §2.5).
 *
 * @param answers one per section; a section without is turned down
 */
export function writeAnswer(
  offer: Offer,
  answers: readonly (AnsweredTrack | undefined)[],
  transport: Transport,
  id: string,
): string {
  const taken = offer.bundle?.filter((mid) => offer.tracks.some((track, i) => answers[i] && track?.mid === mid)) ?? [];
  const lines = [
    'v=0',
    `o=- ${id} 1 IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    ...(taken.length > 0 ? [`a=group:BUNDLE ${taken.join(' ')}`] : []),
    'a=ice-lite',
    ...(offer.mixedExtensions ? ['a=extmap-allow-mixed'] : []),
    'a=msid-semantic: WMS *',
  ];
  for (const [i, section] of offer.sections.entries()) {
    const [track, answer] = [offer.tracks[i], answers[i]];
    const mid = track?.mid ?? section.attributes.find(({ name }) => name === 'mid')?.value;
    if (!track || !answer) {
      lines.push(`m=${section.media} 0 ${section.protocol} ${section.formats.join(' ')}`, 'c=IN IP4 0.0.0.0');
      if (mid !== undefined) lines.push(`a=mid:${mid}`);
      lines.push('a=inactive');
      continue;
    }
    const formats = answer.codecs.map(({ payloadType }) => payloadType).join(' ');
    lines.push(`m=${section.media} 9 ${section.protocol} ${formats}`, 'c=IN IP4 0.0.0.0');
    if (mid !== undefined) lines.push(`a=mid:${mid}`);
    const reduced = section.attributes.some(({ name }) => name === 'rtcp-rsize');
    lines.push(...transportLines(transport, offer), `a=${answer.direction}`, 'a=rtcp-mux');
    if (reduced) lines.push('a=rtcp-rsize');
    for (const { id: number, uri, oneWay } of answer.extensions)
      lines.push(`a=extmap:${number}${oneWay ? '/recvonly' : ''} ${uri}`);
    for (const codec of answer.codecs) lines.push(...codecLines(codec));
    if (answer.layer !== undefined) {
      lines.push(`a=rid:${answer.layer} recv`);
      if (track.layers.length > 1) lines.push(`a=simulcast:recv ${answer.layer}`);
    }
    if (answer.source) {
      const { ssrc, cname, stream } = answer.source;
      lines.push(
        `a=msid:${stream} ${track.kind}`,
        `a=ssrc:${ssrc} cname:${cname}`,
        `a=ssrc:${ssrc} msid:${stream} ${track.kind}`,
      );
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

function transportLines({ iceParameters, iceCandidates, dtlsParameters }: Transport, offer: Offer): string[] {
  // RFC 9725 §4.4.3: passive, unless the client is.
  const setup = offer.dtls.role === 'server' ? 'active' : 'passive';
  return [
    ...credentialLines({ iceParameters, iceCandidates }),
    ...(offer.trickles ? ['a=ice-options:trickle'] : []),
    ...dtlsParameters.fingerprints
      .filter(({ algorithm }) => algorithm === 'sha-256')
      .map(({ algorithm, value }) => `a=fingerprint:${algorithm} ${value}`),
    `a=setup:${setup}`,
  ];
}

/** How the gateway is reached: RFC 8839 §5.1 and §5.4, RFC 6544 for TCP. */
export const credentialLines = ({
  iceParameters,
  iceCandidates,
}: Pick<Transport, 'iceParameters' | 'iceCandidates'>): string[] => [
  `a=ice-ufrag:${iceParameters.usernameFragment}`,
  `a=ice-pwd:${iceParameters.password}`,
  ...iceCandidates.map(({ foundation, protocol, priority, address, port, tcpType }) => {
    const tcp = protocol === 'tcp' && tcpType ? ` tcptype ${tcpType}` : '';
    return `a=candidate:${foundation} 1 ${protocol} ${priority} ${address} ${port} typ host${tcp}`;
  }),
  'a=end-of-candidates',
];

function codecLines({ payloadType, mimeType, clockRate, channels, fmtp, answered }: AnsweredTrack['codecs'][number]) {
  const [, name = ''] = mimeType.split('/');
  // What the client says of its own stream is not said back to it.
  const format = fmtp?.split(';').filter((parameter) => !/^\s*sprop-/i.test(parameter));
  return [
    `a=rtpmap:${payloadType} ${name}/${clockRate}${channels === undefined || channels === 1 ? '' : `/${channels}`}`,
    ...(format?.some(Boolean) ? [`a=fmtp:${payloadType} ${format.join(';').trim()}`] : []),
    ...answered.map(({ type, parameter }) => `a=rtcp-fb:${payloadType} ${`${type} ${parameter}`.trim()}`),
  ];
}
