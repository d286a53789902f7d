import { type MediaTime, at, ms } from '../../media/time.ts';
import { type Box, UNSPECIFIED, type VideoFrame, blank } from '../../media/video-frame.ts';
import type { Face, FaceId, Seen, Take, Unfit } from '../../pipeline/face.ts';
import type { Language, SpeakerId, UtteranceId } from '../../pipeline/domain.ts';

/** The start of the nth picture, 25 a second. */
export const picture = (n: number): MediaTime => at(n * ms(40));

/** A small grey picture. */
export const frameAt = (n: number, size = 32): VideoFrame => ({
  ...blank(size, size),
  start: picture(n),
  colour: UNSPECIFIED,
});

/** A face of which only the place is known; its landmarks are all in the middle. */
export const faceAt = (id: string, box: Box, more: Partial<Face> = {}): Face => ({
  id: id as FaceId,
  box,
  landmarks: Float32Array.from({ length: 136 }, (_, n) =>
    n % 2 === 0 ? box.left + box.width / 2 : box.top + box.height / 2,
  ),
  pose: { yaw: 0, pitch: 0, roll: 0 },
  opening: 0,
  score: 1,
  ...more,
});
/** A face of no particular shape in a {@link frameAt}. */
export const faceCalled = (id: string, unfit?: Unfit): Face =>
  faceAt(id, { left: 4, top: 4, width: 16, height: 16 }, unfit && { unfit });
/** What is seen in the nth picture: faces by name, `a:profile` for one that is unfit. */
export const seenAt = (n: number, faces: readonly string[] = ['a'], cut = false): Seen => ({
  start: picture(n),
  cut,
  faces: faces.map((each) => {
    const [id = '', unfit] = each.split(':');
    return faceCalled(id, unfit as Unfit | undefined);
  }),
});

/** A take over pictures `from` … `to`. */
export const takeOver = (from: number, to: number, utterance = 'u0', language = 'es'): Take => ({
  start: picture(from),
  end: picture(to),
  utterance: utterance as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: language as Language,
  clip: { start: picture(from), end: picture(to) },
  pcm: new Float32Array(((to - from) * 16_000) / 25),
});
