import { BitWriter, escaped } from '../../media/avc-bits.ts';
import { frameOf } from '../../media/h264.ts';

const nal = (head: number, bits: BitWriter) => escaped(Uint8Array.of(head, ...bits.bytes));
const stop = (bits: BitWriter) => bits.put(1, 1);

/** Pictures whose headers can be read, and hold nothing: constrained baseline, eight bits of frame_num, Annex B. */
export function avcPictures() {
  let frameNum = 0;
  return {
    next(keyFrame: boolean, { width, height }: { readonly width: number; readonly height: number }): Uint8Array {
      frameNum = keyFrame ? 0 : (frameNum + 1) % 256;
      const slice = new BitWriter().ue(0).ue(keyFrame ? 7 : 5).ue(0).put(frameNum, 8); // prettier-ignore
      if (keyFrame) slice.ue(0);
      const picture = nal(keyFrame ? 0x65 : 0x61, stop(slice.put(0x155, 12)));
      if (!keyFrame) return frameOf([picture], 'annex-b');
      const sps = new BitWriter().put(66, 8).put(0xc0, 8).put(30, 8).ue(0).ue(4).ue(2).ue(1).put(0, 1);
      sps.ue(Math.ceil(width / 16) - 1).ue(Math.ceil(height / 16) - 1).put(0b1100, 4); // prettier-ignore
      const pps = new BitWriter().ue(0).ue(0).put(0, 2).ue(0).ue(0).ue(0).put(0, 3).se(0).se(0).se(0).put(0, 3);
      return frameOf([nal(0x67, stop(sps)), nal(0x68, stop(pps)), picture], 'annex-b');
    },
  };
}
