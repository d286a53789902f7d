import { setImmediate as turn } from 'node:timers/promises';
import { type Stretcher, checkSpeed, stretchedLength } from './stretch.ts';
import { type SampleRate, ms, sampleIndex } from './time.ts';

/** Long enough for two periods of a low voice (70 Hz), short enough to keep syllables apart. */
const WINDOW = ms(30);
/** How far from its place a piece may be taken so that it continues the one before: more than half a period at 70 Hz. */
const SEARCH = ms(8);
/** Pieces per slice, after which the event loop has its turn. */
const PIECES_PER_SLICE = 16;

/**
 * Waveform-similarity overlap-add (Verhelst and Roelands, ICASSP 1993): pieces of 30 ms are laid half over each other,
 * each taken from where it best continues the one before. Needs nothing but this file; the spare of Rubber Band.
 */
export const wsola: Stretcher = { name: 'wsola', stretch };

async function stretch(pcm: Float32Array, rate: SampleRate, speed: number, signal: AbortSignal): Promise<Float32Array> {
  checkSpeed(speed);
  signal.throwIfAborted();
  if (speed === 1) return pcm.slice();
  const output = new Float32Array(stretchedLength(pcm.length, speed));
  const half = sampleIndex(WINDOW, rate) >> 1;
  const search = sampleIndex(SEARCH, rate);
  // The input between two stretches of silence, so that no piece reaches over an edge.
  const input = new Float32Array(search + pcm.length + search + 3 * half);
  input.set(pcm, search);

  // The first piece is the input as it is; `next` is where the input itself would go on.
  output.set(pcm.subarray(0, Math.min(half, output.length)));
  let next = search + half;
  for (let made = half, piece = 1; made < output.length; made += half, piece += 1) {
    if (piece % PIECES_PER_SLICE === 0) {
      await turn();
      signal.throwIfAborted();
    }
    const wanted = Math.min(search + Math.round(made * speed), input.length - search - 2 * half);
    const found = mostAlike(input, next, wanted, search, half);
    const count = Math.min(half, output.length - made);
    for (let i = 0; i < count; i += 1) {
      const weight = 0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / half);
      output[made + i] = (input[next + i] as number) * (1 - weight) + (input[found + i] as number) * weight;
    }
    next = found + half;
  }
  return output;
}

/** Where within `search` of `wanted` the input looks most like it does at `next`: coarsely, then sample by sample. */
function mostAlike(input: Float32Array, next: number, wanted: number, search: number, length: number): number {
  const step = Math.max(1, Math.round(search / 64));
  let best = wanted;
  let score = likeness(input, next, wanted, length);
  const look = (from: number, until: number, by: number) => {
    for (let at = Math.max(0, from); at <= until; at += by) {
      const other = likeness(input, next, at, length);
      if (other > score) [best, score] = [at, other];
    }
  };
  look(wanted - search, wanted + search, step);
  look(best - step + 1, best + step - 1, 1);
  return best;
}

/** Normalised cross-correlation, on every fourth sample at 48 kHz: a voice's shape is in its low frequencies. */
function likeness(input: Float32Array, a: number, b: number, length: number): number {
  let product = 0;
  let energy = 1e-9;
  const step = length > 400 ? 4 : 2;
  for (let i = 0; i < length; i += step) {
    const sample = input[b + i] as number;
    product += sample * (input[a + i] as number);
    energy += sample * sample;
  }
  return product / Math.sqrt(energy);
}
