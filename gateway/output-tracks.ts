import { randomInt } from 'node:crypto';
import type { SessionSpec } from './config.ts';
import type { TrackId } from './protocol.ts';
import type { OutputTrack } from './session/ipc.ts';

/** Payload types on the way from the session process to the SFU, which gives viewers its own. */
const OPUS = 111;
const VIDEO = 96;

/** RFC 3550 §5.1: SSRCs and the first time stamp are random. Not 0, which mediasoup takes for none. */
const random32 = () => randomInt(1, 2 ** 32);

/** The sound of the original, of one dub, or of one dub's voices. */
export const audioTrack = (id: TrackId, language: string): OutputTrack => ({
  id,
  kind: 'audio',
  language,
  ssrc: random32(),
  payloadType: OPUS,
  mimeType: 'audio/opus',
  clockRate: 48_000,
  channels: 2, // RFC 7587 §7: always 2 in signalling, whatever is inside.
  parameters: { useinbandfec: 1, minptime: 10 },
  rtpBase: random32(),
});
/** What a language sounds as: the dub as the session mixes it, and its voices alone for viewers who mix it themselves. */
export function languageTracks(language: string, { overlap }: Pick<SessionSpec['mix'], 'overlap'>): OutputTrack[] {
  const dub = audioTrack(`dub:${language}`, language);
  // RFC 7587 §7.1: a receiver may decode in mono unless it is told.
  const stereo = overlap === 'pan' ? { ...dub, parameters: { ...dub.parameters, 'sprop-stereo': 1 } } : dub;
  return [stereo, audioTrack(`voice:${language}`, language)];
}

/**
 * The picture, as it is or with mouths that speak `language`. The codec is a placeholder until the process says what it
 * sends.
 */
export const videoTrack = (language: string | null = null): OutputTrack => ({
  id: language === null ? 'video' : `video:${language}`,
  kind: 'video',
  language,
  ssrc: random32(),
  payloadType: VIDEO,
  mimeType: 'video/VP8',
  clockRate: 90_000,
  channels: 1,
  parameters: {},
  rtpBase: random32(),
});

/** Whether viewers of one can go on with the other. */
export const sameCodec = (a: OutputTrack, b: OutputTrack): boolean => codecOf(a) === codecOf(b);
const codecOf = ({ mimeType, payloadType, clockRate, parameters }: OutputTrack) =>
  JSON.stringify([mimeType, payloadType, clockRate, parameters]);
