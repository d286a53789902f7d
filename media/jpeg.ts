import { NativeCodec } from './avcodec.ts';
import { packedRgb, planesOfRgb } from './colour.ts';
import type { Colour, Planes } from './video-frame.ts';

/** What JPEG files are made of (JFIF, ITU-T T.871 §7): BT.601 in full range. */
const JFIF: Colour = { range: 'full', primaries: 2, transfer: 2, matrix: 5 };
/** libavcodec's scale for it: 2 is the best, 31 the worst. */
const QUANTIZER = 4;
/** More than a picture at that quantizer takes, bit/s: it alone decides. */
const RATE = 1_000_000_000;

/**
 * A picture in the numbers of JPEG files; its sides are even.
 *
 * @param rows of the picture that it was made from, where it says no matrix
 */
export const jfif = (picture: Planes, colour: Colour, rows = picture.height): Planes =>
  planesOfRgb(packedRgb(picture, colour, rows), picture.width, picture.height, JFIF);

/** A JPEG file (ITU-T T.81, baseline) of planes as {@link jfif} makes them. @throws MissingLibrary */
export function jpegFile(picture: Planes): Uint8Array {
  const { width, height } = picture;
  using encoder = new NativeCodec('encoder', 'mjpeg', {
    video_size: `${width}x${height}`,
    pixel_format: 'yuv420p',
    time_base: '1/1',
    color_range: 2,
    // 4:2:0 in full range goes by another name there; under its own it counts as unofficial.
    strict: -1,
    threads: 1,
    qmin: QUANTIZER,
    qmax: QUANTIZER,
    b: RATE,
  });
  encoder.sendFrame({ ...picture, pts: 0, keyFrame: true, colour: JFIF });
  const made = encoder.receivePacket();
  if (!made) throw new TypeError(`Cannot write JPEG of ${width} × ${height}: the encoder kept it`);
  return made.data;
}
