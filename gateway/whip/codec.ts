import type { RtpCapabilities } from '../sfu.ts';
import { type Section, malformed, valuesOf } from './sdp.ts';

type Parameters = Record<string, string | number>;
export interface Feedback {
  readonly type: string;
  readonly parameter: string;
}
/** A payload type of an offer. */
export interface Codec {
  readonly payloadType: number;
  readonly mimeType: string;
  readonly clockRate: number;
  /** Audio only. */
  readonly channels: number | undefined;
  readonly parameters: Parameters;
  /** H.264 whose profile was written as Baseline; `parameters` have it as the constrained one. */
  readonly baseline: boolean;
  /** The format parameters as they stood. */
  readonly fmtp: string | undefined;
  readonly feedback: readonly Feedback[];
}
type Known = NonNullable<RtpCapabilities['codecs']>[number];

/** RFC 5761 §4: with RTP and RTCP on one port, 64 to 95 would be taken for RTCP. */
const usable = (payloadType: number) => payloadType < 64 || (payloadType >= 96 && payloadType <= 127);

/** The payload types of a section that have an rtpmap (RFC 8866 §6.6), in the order of preference. */
export function codecsOf(section: Section): Codec[] {
  const maps = new Map<string, string>();
  for (const [format, codec] of valuesOf(section, 'rtpmap').map((each) => split(each))) {
    if ((maps.get(format) ?? codec) !== codec)
      throw malformed(`a=rtpmap:${format.slice(0, 8)} is there twice, with different codecs`);
    maps.set(format, codec);
  }
  const formats = new Map(valuesOf(section, 'fmtp').map((each) => split(each)));
  const feedback = valuesOf(section, 'rtcp-fb').map((each) => split(each));
  return [...new Set(section.formats)].flatMap((format) => {
    const [, name, rate, channels] = /^([\w.-]+)\/(\d{1,6})(?:\/(\d{1,2}))?$/.exec(maps.get(format) ?? '') ?? [];
    if (name === undefined || !/^\d{1,3}$/.test(format) || !usable(Number(format))) return [];
    const fmtp = formats.get(format);
    const written = parametersOf(fmtp ?? '');
    const parameters = /^h264$/i.test(name) ? constrained(written) : written;
    const codec: Codec = {
      payloadType: Number(format),
      mimeType: `${section.media}/${name}`,
      clockRate: Number(rate),
      channels: section.media === 'audio' ? Number(channels ?? 1) : undefined,
      parameters,
      baseline: parameters !== written,
      fmtp,
      feedback: feedback
        .filter(([of]) => of === format || of === '*')
        .map(([, what]) => {
          const [type, parameter] = split(what);
          return { type, parameter };
        }),
    };
    return [codec];
  });
}

/** `"96 VP8/90000"` → `["96", "VP8/90000"]`. */
function split(text: string): [string, string] {
  const space = text.indexOf(' ');
  return space < 0 ? [text, ''] : [text.slice(0, space), text.slice(space + 1).trim()];
}

/** Numbers are numbers, as mediasoup wants them; a profile is text even where it has digits only. */
function parametersOf(fmtp: string): Parameters {
  const pairs = fmtp.split(';').flatMap((pair): [string, string | number][] => {
    const at = pair.indexOf('=');
    const [key, value] = [pair.slice(0, Math.max(0, at)).trim(), pair.slice(at + 1).trim()];
    if (!/^[\w-]+$/.test(key) || key === '__proto__') return [];
    return [[key, /^\d{1,9}$/.test(value) && key !== 'profile-level-id' ? Number(value) : value]];
  });
  return Object.fromEntries(pairs);
}

/**
 * What Baseline has and constrained baseline has not (slice groups, redundant slices: H.264 §A.2.1) no encoder makes that
 * sends to the web: FFmpeg writes 42001f whatever it is, as it leaves out the flags. mediasoup takes the constrained one.
 */
function constrained(parameters: Parameters): Parameters {
  const [, level] = /^42[0-389ab]0([\da-f]{2})$/i.exec(String(parameters['profile-level-id'])) ?? [];
  return level === undefined ? parameters : { ...parameters, 'profile-level-id': `42e0${level}` };
}

/** Whether an offered codec is the one that is known here: what mediasoup asks before it takes or gives one. */
export function matches(codec: Codec, known: Known): boolean {
  const mimeType = known.mimeType.toLowerCase();
  if (codec.mimeType.toLowerCase() !== mimeType || codec.clockRate !== known.clockRate) return false;
  if (known.kind === 'audio' && codec.channels !== (known.channels ?? 1)) return false;
  const { parameters } = codec;
  switch (mimeType) {
    case 'video/h264':
      return (
        (parameters['packetization-mode'] ?? 0) === 1 &&
        constrainedBaseline(String(parameters['profile-level-id'] ?? '42e01f'))
      );
    case 'video/vp9':
      return Number(parameters['profile-id'] ?? 0) === Number(known.parameters?.['profile-id'] ?? 0);
    case 'video/av1':
      return Number(parameters['profile'] ?? 0) === 0;
    default:
      return true;
  }
}

/** RFC 6184 §8.1, table 5: the ways to write it. */
function constrainedBaseline(profileLevelId: string): boolean {
  if (!/^[\da-f]{6}$/i.test(profileLevelId)) return false;
  const [profile, flags] = [parseInt(profileLevelId.slice(0, 2), 16), parseInt(profileLevelId.slice(2, 4), 16)];
  if ((flags & 0x0f) !== 0) return false;
  if (profile === 0x42) return (flags & 0x40) !== 0;
  if (profile === 0x4d) return (flags & 0x80) !== 0;
  return profile === 0x58 && (flags & 0xc0) === 0xc0;
}

/** The retransmission format of a payload type (RFC 4588 §8.1). */
export const retransmissionOf = (codecs: readonly Codec[], { payloadType }: Codec): Codec | undefined =>
  codecs.find(({ mimeType, parameters }) => /\/rtx$/i.test(mimeType) && parameters['apt'] === payloadType);

const isRtx = ({ mimeType }: { readonly mimeType: string }) => /\/rtx$/i.test(mimeType);
/** The first of the offered codecs that is known; Baseline when there is nothing else. */
export function chosen(codecs: readonly Codec[], known: readonly Known[]): Codec | undefined {
  const fit = codecs.filter((codec) => known.some((each) => !isRtx(each) && matches(codec, each)));
  return fit.find(({ baseline }) => !baseline) ?? fit[0];
}
