import { bilinear } from '../../media/bilinear.ts';
import type { Patch, VideoFrame } from '../../media/video-frame.ts';
import type { Interior, Skin } from './mouth-bank.ts';
import { type LowerFace, RIM } from './lower-face.ts';

const half = (size: number) => (size + 1) >> 1;
const byte = (x: number) => (x < 0 ? 0 : x > 255 ? 255 : (x + 0.5) | 0);

/** An interior, and how much of it is seen. */
export interface Shown {
  readonly interior: Interior;
  readonly share: number;
}

/** Colours of an interior in the present light. */
interface Toned extends Shown {
  readonly gain: number;
  readonly u: number;
  readonly v: number;
}
const toned = ({ interior, share }: Shown, skin: Skin): Toned => ({
  interior,
  share,
  gain: Math.min(1.6, Math.max(0.6, (skin.y - 16) / Math.max(10, interior.skin.y - 16))),
  u: skin.u - interior.skin.u,
  v: skin.v - interior.skin.v,
});

/** The region of a picture with its pixels moved, and interiors between the lips. What did not move is as it was. */
export function mouthPatch(
  frame: VideoFrame,
  face: LowerFace,
  interiors: readonly Shown[],
  skin: Skin,
  grain: number,
): Patch {
  const { box, dx, dy, across, down, cover } = face;
  const { left, top, width, height } = box;
  const y = new Uint8Array(width * height);
  const shown = interiors.map((each) => toned(each, skin));
  for (let row = 0, i = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1, i += 1) {
      const mx = dx[i]!;
      const my = dy[i]!;
      const px = left + column;
      const py = top + row;
      let value = mx === 0 && my === 0 ? frame.y[py * frame.width + px]! : cubic(frame.y, frame.width, frame.height, px + mx, py + my); // prettier-ignore
      if (cover[i]! > 0) {
        for (const { interior, share, gain } of shown) {
          const seen =
            16 +
            (texel(interior.y, interior.columns, interior.rows, across[i]!, down[i]!) - 16) * gain +
            grain * noise(px, py);
          value += (seen - value) * cover[i]! * share;
        }
      }
      y[i] = byte(value);
    }
  }
  const [cw, ch] = [width >> 1, height >> 1];
  const [u, v] = [new Uint8Array(cw * ch), new Uint8Array(cw * ch)];
  const [fw, fh] = [half(frame.width), half(frame.height)];
  for (let row = 0, i = 0; row < ch; row += 1) {
    for (let column = 0; column < cw; column += 1, i += 1) {
      const at = 2 * row * width + 2 * column;
      const mx = (dx[at]! + dx[at + 1]! + dx[at + width]! + dx[at + width + 1]!) / 8;
      const my = (dy[at]! + dy[at + 1]! + dy[at + width]! + dy[at + width + 1]!) / 8;
      const px = (left >> 1) + column;
      const py = (top >> 1) + row;
      let cb = frame.u[py * fw + px]!;
      let cr = frame.v[py * fw + px]!;
      if (mx !== 0 || my !== 0) {
        cb = bilinear(frame.u, fw, fh, px + mx, py + my);
        cr = bilinear(frame.v, fw, fh, px + mx, py + my);
      }
      let covered = 0;
      let x = 0;
      let t = 0;
      let inside = 0;
      for (let n = 0; n < 4; n += 1) {
        const k = at + (n & 1) + (n >> 1) * width;
        if (cover[k] === 0) continue;
        covered += cover[k]! / 4;
        x += across[k]!;
        t += down[k]!;
        inside += 1;
      }
      if (covered > 0) {
        for (const { interior, share, u: du, v: dv } of shown) {
          cb +=
            (texel(interior.u, interior.columns >> 1, interior.rows >> 1, x / inside, t / inside) + du - cb) *
            covered *
            share;
          cr +=
            (texel(interior.v, interior.columns >> 1, interior.rows >> 1, x / inside, t / inside) + dv - cr) *
            covered *
            share;
        }
      }
      u[i] = byte(cb);
      v[i] = byte(cr);
    }
  }
  return { left, top, width, height, y, u, v };
}

/** A texel, bilinear. */
function texel(plane: Float32Array, w: number, h: number, across: number, down: number): number {
  return bilinear(plane, w, h, ((across + 1) / 2) * w - 0.5, ((down + RIM) / (1 + 2 * RIM)) * h - 0.5);
}

/** Catmull-Rom, which keeps skin as sharp as it is; bilinear sampling would soften whatever moves. */
function cubic(plane: Uint8Array, width: number, height: number, px: number, py: number): number {
  const column = Math.floor(px);
  const row = Math.floor(py);
  if (column < 1 || row < 1 || column > width - 3 || row > height - 3) return bilinear(plane, width, height, px, py);
  const s = px - column;
  const t = py - row;
  const a = s * (-0.5 + s * (1 - 0.5 * s));
  const b = 1 + s * s * (1.5 * s - 2.5);
  const c = s * (0.5 + s * (2 - 1.5 * s));
  const d = s * s * (0.5 * s - 0.5);
  let at = (row - 1) * width + column - 1;
  const p = plane[at]! * a + plane[at + 1]! * b + plane[at + 2]! * c + plane[at + 3]! * d;
  at += width;
  const q = plane[at]! * a + plane[at + 1]! * b + plane[at + 2]! * c + plane[at + 3]! * d;
  at += width;
  const r = plane[at]! * a + plane[at + 1]! * b + plane[at + 2]! * c + plane[at + 3]! * d;
  at += width;
  const z = plane[at]! * a + plane[at + 1]! * b + plane[at + 2]! * c + plane[at + 3]! * d;
  return (
    p * (t * (-0.5 + t * (1 - 0.5 * t))) +
    q * (1 + t * t * (1.5 * t - 2.5)) +
    r * (t * (0.5 + t * (2 - 1.5 * t))) +
    z * (t * t * (0.5 * t - 0.5))
  );
}

/** −1 … 1, the same for a place every time. */
function noise(x: number, y: number): number {
  let h = (Math.imul(x, 374_761_393) + Math.imul(y, 668_265_263)) | 0;
  h = Math.imul(h ^ (h >>> 13), 1_274_126_177);
  return ((h ^ (h >>> 16)) & 0xff_ff) / 32_768 - 1;
}
