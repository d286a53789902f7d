import type { MediaTime } from '../../media/time.ts';
import type { VideoFrame } from '../../media/video-frame.ts';
import type { Face } from '../../pipeline/face.ts';
import { recording } from './recordings.ts';
import { facesIn } from './tracked-faces.ts';
import { videoFrames } from './video-frames.ts';

/** A recording of one person who talks, or listens. */
export interface TalkingClip {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}
const clip = (file: string, width: number, height: number, fps: number): TalkingClip => ({
  file: `talking/${file}.mp4`,
  width,
  height,
  fps,
});
export const FACE1 = clip('video-retalking/face1', 700, 700, 30);
export const FACE2 = clip('video-retalking/face2', 844, 844, 25);
export const WEBCAM = clip('open-dubbing/englishvideo', 1080, 720, 30);
/** A woman who listens with her mouth closed. */
export const LISTENER = clip('dh_live/000001', 720, 974, 30);
export const PORTRAIT = clip('dh_live/000002', 720, 1080, 25);

/** The clip's pictures as they are, `count` of them from number `from` on. */
export const pictures = ({ file, width, height, fps }: TalkingClip, count: number, from = 0): VideoFrame[] =>
  videoFrames(recording(file), { width, height, rate: fps, count: from + count, filters: null }).slice(from);

/** The first `count` pictures of a clip with the face in them. */
export async function followed(
  of: TalkingClip,
  count: number,
): Promise<readonly { readonly start: MediaTime; readonly frame: VideoFrame; readonly face: Face }[]> {
  const frames = pictures(of, count);
  const faces = await facesIn(frames);
  return frames.map((frame, n) => {
    const face = faces[n];
    if (!face) throw new TypeError(`There is no face in picture ${n} of ${of.file}`);
    return { start: frame.start, frame, face };
  });
}
