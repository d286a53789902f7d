import { VideoDecoder } from './video-decoder.ts';
import { type Encodable, VideoEncoder } from './video-encoder.ts';
import type { VideoFrame } from './video-frame.ts';
import { type MediaTime, type Span, at, later, seconds } from './time.ts';
import type { EncodedPicture } from './video.ts';

/** How much of the contrast, and of the colour, is left. */
const DIMMED = 0.35;
const PALE = 0.5;
const BLACK = 16;
const SIGN = 200;
/** Of the shorter side: the ring's outer and inner radius, the bars' height, width, and distance from the middle. */
const RING = { outer: 0.14, inner: 0.12 };
const BARS = { height: 0.06, inner: 0.02, outer: 0.045 };
/** Bit/s for each of its pixels, a key frame a second: a still picture needs little more than that key frame. */
const BITS_PER_PIXEL = 1.5;
const LEAST_BITRATE = 200_000;

/** The picture dimmed, with two bars in a ring on it: it will go on. */
export function slatePicture(frame: VideoFrame): VideoFrame {
  const { width, height } = frame;
  const y = frame.y.map((luma) => BLACK + Math.max(0, luma - BLACK) * DIMMED);
  const pale = (plane: Uint8Array) => plane.map((chroma) => 128 + (chroma - 128) * PALE);
  const [u, v] = [pale(frame.u), pale(frame.v)];
  const side = Math.min(width, height);
  const [cx, cy] = [(width - 1) / 2, (height - 1) / 2];
  const reach = Math.ceil(RING.outer * side);
  for (let row = Math.max(0, Math.floor(cy - reach)); row <= Math.min(height - 1, Math.ceil(cy + reach)); row += 1) {
    for (let x = Math.max(0, Math.floor(cx - reach)); x <= Math.min(width - 1, Math.ceil(cx + reach)); x += 1) {
      if (!isSign(Math.abs(x - cx) / side, Math.abs(row - cy) / side)) continue;
      y[row * width + x] = SIGN;
      const chroma = (row >> 1) * ((width + 1) >> 1) + (x >> 1);
      u[chroma] = v[chroma] = 128;
    }
  }
  return { ...frame, y, u, v };
}

function isSign(dx: number, dy: number): boolean {
  const distance = Math.hypot(dx, dy);
  if (distance <= RING.outer && distance >= RING.inner) return true;
  return dy <= BARS.height && dx >= BARS.inner && dx <= BARS.outer;
}

/**
 * The slate that follows the picture in `keyFrame`, in its codec and size: `count` pictures `every` so often, the first a
 * key frame, whose times begin at 0. They can be shown again and again. Takes as long as one picture takes to decode and
 * a few to encode, in the calling thread.
 *
 * @returns `undefined` when the picture cannot be decoded
 * @throws MissingLibrary, UnsupportedPixels
 */
export function encodeSlate(
  codec: Encodable,
  keyFrame: Uint8Array,
  { count, every }: { readonly count: number; readonly every: Span },
): EncodedPicture[] | undefined {
  const frame = decoded(codec, keyFrame);
  if (!frame) return undefined;
  const picture = slatePicture(frame);
  const { width, height, colour } = picture;
  const bitrate = Math.max(LEAST_BITRATE, width * height * BITS_PER_PIXEL);
  const fps = seconds(1) / every;
  using encoder = new VideoEncoder({
    ...{ codec, width, height, fps, bitrate, colour },
    keyEvery: (count * every) as Span,
    live: true,
  });
  return Array.from({ length: count }, (_, n) => later(at(0), (n * every) as Span)).flatMap((start: MediaTime) =>
    encoder.encode({ ...picture, start }),
  );
}

function decoded(codec: Encodable, data: Uint8Array): VideoFrame | undefined {
  using decoder = new VideoDecoder({ codec });
  return [...decoder.decode(data, at(0)), ...decoder.flush()].at(-1);
}
