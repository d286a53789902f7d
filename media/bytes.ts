/**
 * Bytes to samples and back: the one place that knows that payloads of sockets, pipes and files start at any byte
 * offset, where a typed array over the same memory would throw. All formats are little-endian.
 */
export type SampleFormat = 's16le' | 'f32le';

const WIDTH = { s16le: 2, f32le: 4 } as const satisfies Record<SampleFormat, number>;
/** Full scale of 16 bit: −32768 becomes exactly −1. */
const FULL_SCALE = 32_768;

/**
 * Samples out of bytes, full scale ±1. The result is the caller's own memory.
 *
 * @throws RangeError when `bytes` ends within a sample; {@link SampleStream} takes such pieces
 */
export function samplesFrom(bytes: Uint8Array, format: SampleFormat): Float32Array {
  const width = WIDTH[format];
  if (bytes.byteLength % width !== 0) {
    throw new RangeError(`Cannot read ${format}: expected a multiple of ${width} bytes, received ${bytes.byteLength}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pcm = new Float32Array(bytes.byteLength / width);
  if (format === 's16le') for (let i = 0; i < pcm.length; i += 1) pcm[i] = view.getInt16(i * 2, true) / FULL_SCALE;
  else for (let i = 0; i < pcm.length; i += 1) pcm[i] = view.getFloat32(i * 4, true);
  return pcm;
}

/** 16 bit samples of `pcm`, rounded to nearest and clipped at full scale. */
export function int16From(pcm: Float32Array): Int16Array {
  const out = new Int16Array(pcm.length);
  for (let i = 0; i < pcm.length; i += 1) {
    out[i] = Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round((pcm[i] ?? 0) * FULL_SCALE)));
  }
  return out;
}

/** `pcm` as bytes in the caller's own memory. */
export function bytesFrom(pcm: Float32Array, format: SampleFormat): Uint8Array {
  const bytes = new Uint8Array(pcm.length * WIDTH[format]);
  const view = new DataView(bytes.buffer);
  if (format === 's16le') int16From(pcm).forEach((sample, i) => view.setInt16(i * 2, sample, true));
  else pcm.forEach((sample, i) => view.setFloat32(i * 4, sample, true));
  return bytes;
}

/** The memory of any typed array or view as bytes. Shared, not copied. */
export const viewBytes = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Samples out of a byte stream that is cut anywhere, as a pipe cuts it. Holds at most one unfinished sample. */
export class SampleStream {
  readonly format: SampleFormat;
  #rest = new Uint8Array(0);

  constructor(format: SampleFormat) {
    this.format = format;
  }

  /** The samples that `bytes` completes; empty when there are none. */
  push(bytes: Uint8Array): Float32Array {
    const width = WIDTH[this.format];
    const total = this.#rest.length + bytes.length;
    const whole = total - (total % width);
    let input = bytes;
    if (this.#rest.length > 0) {
      input = new Uint8Array(total);
      input.set(this.#rest);
      input.set(bytes, this.#rest.length);
    }
    this.#rest = input.slice(whole);
    return samplesFrom(input.subarray(0, whole), this.format);
  }

  /** Bytes of the sample that was begun and is not complete; at the end of a file these are lost. */
  get unfinished(): number {
    return this.#rest.length;
  }
}
