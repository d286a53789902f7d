import { RealFft, spectrumOf } from '../dsp/real-fft.ts';
import { energy, slaneyBands } from '../speakers/embedding-mel.ts';

const RATE = 16_000;
const WINDOW = 800;
const HOP = 200;
export const BANDS = 80;
/** Mel frames that one picture's mouth depends on: 0.2 s. */
export const SEEN = 16;
const FRAMES_PER_SECOND = RATE / HOP;
const PREEMPHASIS = 0.97;
/** Decibels: what is taken off, and over how many below that the numbers spread from 4 to -4. */
const REFERENCE = 20;
const RANGE = 100;

/** Frame by frame, `BANDS` numbers each. */
export interface Mel {
  readonly frames: number;
  readonly data: Float32Array;
}

/**
 * The spectrogram that Wav2Lip hears: every 12.5 ms, -4 … 4.
 *
 * @see https://github.com/Rudrabha/Wav2Lip/blob/master/audio.py (`melspectrogram`) and hparams.py
 */
export function melOf(pcm: Float32Array): Mel {
  const bands = slaneyBands(BANDS, WINDOW, RATE, 55, 7_600);
  const taper = Float64Array.from({ length: WINDOW }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / WINDOW));
  const sharp = Float64Array.from(pcm, (sample, n) => sample - PREEMPHASIS * (pcm[n - 1] ?? 0));
  const frames = 1 + Math.floor(pcm.length / HOP);
  const data = new Float32Array(frames * BANDS);
  const fft = new RealFft(WINDOW);
  const spectrum = spectrumOf(WINDOW);
  const magnitude = new Float64Array(WINDOW / 2 + 1);
  const cut = new Float64Array(WINDOW);
  const turn = Math.max(1, 2 * (sharp.length - 1));
  for (let frame = 0; frame < frames; frame += 1) {
    for (let n = 0; n < WINDOW; n += 1) {
      // At both ends the sound is mirrored.
      const at = Math.abs(frame * HOP - WINDOW / 2 + n) % turn;
      cut[n] = taper[n]! * (sharp[at < sharp.length ? at : turn - at] ?? 0);
    }
    fft.forward(cut, spectrum);
    for (let k = 0; k < magnitude.length; k += 1) magnitude[k] = Math.hypot(spectrum.re[k]!, spectrum.im[k]!);
    for (const [band, each] of bands.entries()) {
      const level = 20 * Math.log10(Math.max(1e-5, energy(each, magnitude))) - REFERENCE;
      data[frame * BANDS + band] = Math.min(4, Math.max(-4, 8 * ((level + RANGE) / RANGE) - 4));
    }
  }
  return { frames, data };
}

/** What is heard at a picture so many microseconds into the sound: 80 bands × 16 frames, the last ones at its end. */
export function chunkAt({ frames, data }: Mel, micros: number): Float32Array {
  const first = Math.floor(((micros + 1) * FRAMES_PER_SECOND) / 1_000_000);
  const from = Math.max(0, Math.min(first, frames - SEEN));
  const out = new Float32Array(BANDS * SEEN).fill(-4);
  for (let frame = 0; frame < Math.min(SEEN, frames - from); frame += 1) {
    for (let band = 0; band < BANDS; band += 1) out[band * SEEN + frame] = data[(from + frame) * BANDS + band]!;
  }
  return out;
}
