import { MelWindow, WHISPER_HOP } from '../recognize/whisper-mel.ts';
import { type Network, type RunOptions, floats, floatsOf } from '../runtime/tensor.ts';
import { RATE } from './take-sound.ts';

/** The sizes of what Whisper's encoder takes and gives. */
export interface Ear {
  /** Mel frames of 10 ms that it hears at once: 3000. */
  readonly window: number;
  /** Hidden states per position: one before each layer, and the last. */
  readonly states: number;
  readonly width: number;
}
const BANDS = 80;
/** Positions of the encoder per second. */
const POSITIONS = 50;
/** Positions that the mouth in a picture depends on: two pictures of 25 a second before it, its own, and two after it. */
const BEFORE = 4;
export const SEEN = 10;

/** Every hidden state of Whisper's encoder over a stretch of sound: position by position, state by state. */
export interface Heard {
  readonly states: Float32Array;
  readonly positions: number;
}

/** The log-mel spectrograms of sound, one per window, silence behind the end of the last. `n × 80 × window`. */
export function mels(pcm: Float32Array, { window }: Ear): Float32Array {
  const size = window * WHISPER_HOP;
  const count = Math.max(1, Math.ceil(pcm.length / size));
  const out = new Float32Array(count * BANDS * window);
  for (let n = 0; n < count; n += 1) {
    const heard = new MelWindow(BANDS, window);
    heard.push(pcm.subarray(n * size, (n + 1) * size));
    out.set(heard.features(), n * BANDS * window);
  }
  return out;
}

/**
 * Hears sound as MuseTalk does: windows on their own, what lies behind the end of the sound forgotten.
 *
 * @see https://github.com/TMElyralab/MuseTalk/blob/main/musetalk/utils/audio_processor.py (`get_whisper_chunk`)
 */
export async function hear(whisper: Network, ear: Ear, pcm: Float32Array, options: RunOptions = {}): Promise<Heard> {
  const mel = mels(pcm, ear);
  const count = mel.length / (BANDS * ear.window);
  const input = floats(mel, [count, BANDS, ear.window]);
  const { states } = await whisper.run({ mel: input }, { ...options, give: 'all' });
  const positions = Math.floor((pcm.length / RATE) * POSITIONS);
  return { states: floatsOf(states, 'states').subarray(0, positions * ear.states * ear.width), positions };
}

/** The first position after the two pictures before the one that is shown so many microseconds into the sound. */
export const positionAt = (micros: number): number => Math.floor(((micros + 1) * POSITIONS) / 1_000_000);

/** What is added to tokens so that the UNet can tell them apart ("Attention Is All You Need", §3.5). */
export function places(count: number, width: number): Float32Array {
  return Float32Array.from({ length: count * width }, (_, n) => {
    const [place, column] = [Math.floor(n / width), n % width];
    const angle = place * Math.exp(-((column & ~1) * Math.log(10_000)) / width);
    return column % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
}

/** What the UNet is told of the sound at a picture: tokens × width. Beyond the sound there is nothing, zeros. */
export function tokensAt({ states, positions }: Heard, at: number, ear: Ear, told: Float32Array): Float32Array {
  const size = ear.states * ear.width;
  const out = told.slice();
  for (let n = 0; n < SEEN; n += 1) {
    const from = at - BEFORE + n;
    if (from < 0 || from >= positions) continue;
    for (let k = 0; k < size; k += 1) out[n * size + k]! += states[from * size + k]!;
  }
  return out;
}
