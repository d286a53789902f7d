import { whoSpeaks } from './pyannote-powerset.ts';
import { type Network, floats } from '../runtime/tensor.ts';

/** The network hears 16 kHz and says who speaks every 270 samples (16.875 ms): the product of its strides 10, 3, 3, 3. */
export const FRAME = 270;
/** Samples that the network's first frame is made of; the middle of frame `n` of a window lies at `495 + 270 n`. */
const FIELD = 991;
/** Where a window's first frame begins, when a frame is taken as the 270 samples around its middle. */
export const FIRST = (FIELD - FRAME) / 2;
/** A window of ten seconds, which is what it was trained on, as whole frames. */
export const WINDOW = 592 * FRAME;
export const FRAMES = Math.floor((WINDOW - FIELD) / FRAME) + 1;

/**
 * pyannote's segmentation-3.0: who of up to three people speaks when within ten seconds.
 *
 * The three are told apart within one window only: the first of one window may be the second of the next.
 *
 * @see https://huggingface.co/pyannote/segmentation-3.0
 */
export class Segmentation {
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
  }

  /** Who speaks in each of `FRAMES` frames of a window of `WINDOW` samples, as bits. */
  async of(window: Float32Array): Promise<Uint8Array> {
    const { y } = await this.#network.run({ x: floats(window, [1, 1, window.length]) });
    if (!(y?.data instanceof Float32Array) || y.dims.at(-1) !== 7) {
      throw new TypeError('Cannot use this segmentation model: it has no output y of seven classes a frame');
    }
    return whoSpeaks(y.data);
  }
}
