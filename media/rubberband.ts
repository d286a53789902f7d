import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import rubber, { type RubberBandInterface, type RubberBandState } from 'rubberband-wasm';
import { type Stretcher, checkSpeed, stretchedLength } from './stretch.ts';
import type { SampleRate } from './time.ts';

const {
  RubberBandOptionProcessRealTime: REAL_TIME,
  RubberBandOptionEngineFiner: R3,
  RubberBandOptionWindowShort: SHORT_WINDOW,
} = rubber.RubberBandOption;

// Node has it; the types of neither Node 20 nor plain ECMAScript say so.
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<never> };

/** Samples per call into the library; four of them are a slice, after which the event loop has its turn. */
const BLOCK = 512;
const BLOCKS_PER_SLICE = 4;
/** Samples per call out of it. */
const OUTPUT = 4_096;

let instance: Promise<RubberBandInterface> | undefined;

/**
 * Rubber Band (GPL-2.0-or-later), compiled to wasm: the finer engine (R3) in real-time mode with the short window.
 *
 * Of its modes this is the best for its price: nearer to the original's spectrum than R2 or WSOLA, and three to four
 * times cheaper than R3 with the standard window, which is a little nearer still. Formants need no option of their own:
 * they only move where pitch does, and the option changed no figure.
 *
 * The module is compiled once per process; every call has a state of its own in its memory and frees it, so calls may
 * overlap.
 */
export async function rubberband(): Promise<Stretcher> {
  const library = await (instance ??= load());
  return { name: 'rubberband', stretch: (...call) => stretch(library, ...call) };
}

async function load(): Promise<RubberBandInterface> {
  const wasm = createRequire(import.meta.url).resolve('rubberband-wasm/dist/rubberband.wasm');
  return rubber.RubberBandInterface.initialize(await WebAssembly.compile(await readFile(wasm)));
}

async function stretch(
  library: RubberBandInterface,
  pcm: Float32Array,
  rate: SampleRate,
  speed: number,
  signal: AbortSignal,
): Promise<Float32Array> {
  checkSpeed(speed);
  signal.throwIfAborted();
  if (speed === 1) return pcm.slice();
  const output = new Float32Array(stretchedLength(pcm.length, speed));
  using band = new Band(library, rate, speed);
  const input = new Float32Array(band.pad + pcm.length);
  input.set(pcm, band.pad);
  let skip = band.delay;
  let made = 0;
  for (let block = 0; made < output.length; block += 1) {
    if (block > 0 && block % BLOCKS_PER_SLICE === 0) {
      await turn();
      signal.throwIfAborted();
    }
    // Past its end the input is silence, for as long as it takes to push the last sample out.
    const heard = band.process(input.subarray(block * BLOCK, (block + 1) * BLOCK));
    const late = Math.min(skip, heard.length);
    skip -= late;
    const wanted = heard.subarray(late, late + output.length - made);
    output.set(wanted, made);
    made += wanted.length;
  }
  return output;
}

/** One signal's state inside the library, and its buffers in the library's memory. */
class Band implements Disposable {
  readonly #library: RubberBandInterface;
  readonly #state: RubberBandState;
  readonly #input: number;
  readonly #output: number;
  /** The library takes an array of channels: pointers to these. */
  readonly #inputs: number;
  readonly #outputs: number;

  constructor(library: RubberBandInterface, rate: SampleRate, speed: number) {
    this.#library = library;
    this.#state = library.rubberband_new(rate, 1, REAL_TIME | R3 | SHORT_WINDOW, 1 / speed, 1);
    library.rubberband_set_max_process_size(this.#state, BLOCK);
    this.#input = library.malloc(BLOCK * 4);
    this.#output = library.malloc(OUTPUT * 4);
    this.#inputs = library.malloc(4);
    this.#outputs = library.malloc(4);
    library.memWritePtr(this.#inputs, this.#input);
    library.memWritePtr(this.#outputs, this.#output);
  }

  /** Samples of silence that the library wants before the first one. */
  get pad(): number {
    return this.#library.rubberband_get_preferred_start_pad(this.#state);
  }
  /** Samples it gives before its picture of the first one. */
  get delay(): number {
    return this.#library.rubberband_get_start_delay(this.#state);
  }

  /** @param pcm up to {@link BLOCK} samples, followed by silence up to that many */
  process(pcm: Float32Array): Float32Array {
    const block = new Float32Array(BLOCK);
    block.set(pcm);
    this.#library.memWrite(this.#input, block);
    this.#library.rubberband_process(this.#state, this.#inputs, BLOCK, 0);
    const heard = new Float32Array(Math.max(0, this.#library.rubberband_available(this.#state)));
    for (let at = 0; at < heard.length;) {
      const count = this.#library.rubberband_retrieve(this.#state, this.#outputs, Math.min(OUTPUT, heard.length - at));
      if (count === 0) break;
      heard.set(this.#library.memReadF32(this.#output, count), at);
      at += count;
    }
    return heard;
  }

  [Symbol.dispose](): void {
    this.#library.rubberband_delete(this.#state);
    for (const memory of [this.#input, this.#output, this.#inputs, this.#outputs]) this.#library.free(memory);
  }
}
