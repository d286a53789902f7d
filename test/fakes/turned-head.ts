import type { Box, VideoFrame } from '../../media/video-frame.ts';

/** A head turned to the picture's right about its axis, as if it were a cylinder a little wider than the face. */
export function turnedHead(frame: VideoFrame, face: Box, degrees: number): VideoFrame {
  const middle = face.left + face.width / 2;
  const [radius, angle] = [0.62 * face.width, (degrees * Math.PI) / 180];
  const turn = (from: Uint8Array, width: number, height: number, scale: number) => {
    const to = from.slice();
    for (let row = 0; row < height; row += 1) {
      const y = row * scale;
      if (y < face.top - 0.5 * face.height || y > face.top + 1.15 * face.height) continue;
      for (let column = 0; column < width; column += 1) {
        const u = ((column + 0.5) * scale - middle) / radius;
        if (Math.abs(u) >= 1) continue;
        const theta = Math.asin(u) - angle;
        const sine =
          Math.abs(theta) < Math.PI / 2 ? Math.sin(theta) : Math.sign(theta) * (2 - Math.abs(Math.sin(theta)));
        const source = Math.floor((middle + radius * sine) / scale);
        to[row * width + column] = from[row * width + Math.max(0, Math.min(width - 1, source))]!;
      }
    }
    return to;
  };
  const [w, h] = [(frame.width + 1) >> 1, (frame.height + 1) >> 1];
  return {
    ...frame,
    y: turn(frame.y, frame.width, frame.height, 1),
    u: turn(frame.u, w, h, 2),
    v: turn(frame.v, w, h, 2),
  };
}
