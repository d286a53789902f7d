import type { RnnoiseModule } from '@echogarden/rnnoise-wasm';
import { z } from 'zod';
import type { AudioChunk } from '../../media/audio.ts';
import { type MediaTime, samples } from '../../media/time.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { type Frame, Frames } from '../dsp/frames.ts';

const RATE = 48_000;
/** Samples the network works on at a time, and also how far its output trails its input. */
const FRAME = 480;
/** RNNoise counts samples as 16-bit integers do. */
const SCALE = 32_768;

/** One stream's state in the module's memory, with room for a frame. */
class Denoiser implements Disposable {
  readonly #module: RnnoiseModule;
  readonly #state: number;
  readonly #frame: number;

  constructor(module: RnnoiseModule) {
    this.#module = module;
    this.#state = module._rnnoise_create(0);
    this.#frame = module._malloc(FRAME * Float32Array.BYTES_PER_ELEMENT);
  }

  /** The frame before this one, cleaned. */
  process(pcm: Float32Array): Float32Array<ArrayBuffer> {
    const at = this.#frame / Float32Array.BYTES_PER_ELEMENT;
    for (let i = 0, memory = this.#module.HEAPF32; i < FRAME; i += 1) memory[at + i] = (pcm[i] ?? 0) * SCALE;
    this.#module._rnnoise_process_frame(this.#state, this.#frame, this.#frame);
    return this.#module.HEAPF32.slice(at, at + FRAME).map((x) => x / SCALE);
  }

  [Symbol.dispose](): void {
    this.#module._rnnoise_destroy(this.#state);
    this.#module._free(this.#frame);
  }
}

/**
 * RNNoise: takes steady noise out of speech, by a recurrent network over 10 ms frames.
 *
 * @see J.-M. Valin, "A Hybrid DSP/Deep Learning Approach to Real-Time Full-Band Speech Enhancement", MMSP 2018
 */
export const rnnoise = defineEngine({
  kind: 'enhancer',
  id: 'rnnoise',
  host: 'thread',
  summary: 'RNNoise noise suppression: a recurrent network, 10 ms frames, full band.',
  licence: 'BSD-3-Clause',
  needs: [],
  config: z.strictObject({}),
  async load() {
    const { default: create } = await import('@echogarden/rnnoise-wasm');
    const module = await create();
    return {
      kind: 'enhancer',
      engine: 'rnnoise',
      // Up to a frame waits to be filled, and the output of a full one is the frame before it.
      caps: { rate: RATE, lookahead: samples(2 * FRAME, RATE) },
      async *run(input, { signal }) {
        const frames = new Frames(FRAME, RATE);
        const silence = new Float32Array(FRAME);
        let denoiser: Denoiser | undefined;
        /** The frame that has gone in and not yet come out. */
        let inside: { start: MediaTime; count: number } | undefined;
        const clean = function* (pcm: Float32Array): Generator<AudioChunk> {
          const cleaned = denoiser?.process(pcm);
          if (cleaned && inside) yield { start: inside.start, rate: RATE, pcm: cleaned.subarray(0, inside.count) };
          inside = undefined;
        };
        const cleanAll = function* (some: Iterable<Frame>): Generator<AudioChunk> {
          for (const { start, count, pcm, fresh } of some) {
            if (fresh) {
              yield* clean(silence);
              denoiser?.[Symbol.dispose]();
              denoiser = new Denoiser(module);
            }
            yield* clean(pcm);
            inside = { start, count };
          }
        };
        try {
          for await (const chunk of until(input, signal)) yield* cleanAll(frames.push(chunk));
          if (signal.aborted) return;
          yield* cleanAll(frames.end());
          yield* clean(silence);
        } finally {
          denoiser?.[Symbol.dispose]();
        }
      },
    };
  },
});
