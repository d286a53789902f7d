import { type SampleFormat, SampleStream } from '../../media/bytes.ts';
import type { SampleRate } from '../../media/time.ts';

/** What a stream of samples is that does not say so itself. */
export interface PcmFormat {
  readonly rate: number;
  readonly format: SampleFormat;
}

const RATES: readonly number[] = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] satisfies SampleRate[];
/** A header longer than this is none. */
const MOST_HEADER = 64 * 1024;
/** How compressed sound and text begin. */
const FOREIGN = ['ID3', 'OggS', 'fLaC', '<htm', '<!DO', '<!do', '{"'];

const wordAt = (bytes: Uint8Array, at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));

/**
 * Samples out of a stream of bytes that is cut anywhere: raw, or as a WAV file that is being written while it is sent,
 * whose header tells nothing true about its length. Which of the two it is, its first bytes tell.
 *
 * Throws a `RangeError` for what is neither.
 */
export class PcmStream {
  readonly #assumed: PcmFormat;
  #head = new Uint8Array(0);
  #samples: SampleStream | undefined;
  #rate = 0;
  #channels = 1;
  /** Samples of a frame that is not complete. */
  #frame: number[] = [];
  /** Bytes of samples to come, where a header told it truly. */
  #left = Infinity;

  constructor(assumed: PcmFormat) {
    this.#assumed = assumed;
  }

  /** Known with the first samples. */
  get rate(): SampleRate {
    return this.#rate as SampleRate;
  }

  /** The samples that `bytes` completes, full scale ±1. */
  push(bytes: Uint8Array): Float32Array {
    if (this.#samples) return this.#read(bytes);
    const head = new Uint8Array(this.#head.length + bytes.length);
    head.set(this.#head);
    head.set(bytes, this.#head.length);
    this.#head = head;
    if (head.length < 12) return new Float32Array(0);
    const begin = this.#begin(head);
    if (begin === undefined) {
      if (head.length > MOST_HEADER) throw new RangeError('Cannot read WAV: its header does not end');
      return new Float32Array(0);
    }
    this.#head = new Uint8Array(0);
    return this.#read(head.subarray(begin));
  }

  /** The samples of a stream that ended before it was long enough to tell what it is. */
  end(): Float32Array {
    if (this.#samples || this.#head.length === 0) return new Float32Array(0);
    this.#open(this.#assumed.rate, this.#assumed.format, 1);
    return this.#read(this.#head.subarray(0, this.#head.length - (this.#head.length % 2)));
  }

  /** Where samples begin, or nothing when the header goes on. */
  #begin(head: Uint8Array): number | undefined {
    if (FOREIGN.some((start) => wordAt(head, 0).startsWith(start))) {
      throw new RangeError(`Cannot read samples: they begin like ${JSON.stringify(wordAt(head, 0))}`);
    }
    if (wordAt(head, 0) !== 'RIFF' || wordAt(head, 8) !== 'WAVE') {
      this.#open(this.#assumed.rate, this.#assumed.format, 1);
      return 0;
    }
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    let format: { code: number; channels: number; rate: number; bits: number } | undefined;
    for (let at = 12; at + 8 <= head.length;) {
      const size = view.getUint32(at + 4, true);
      const body = at + 8;
      const word = wordAt(head, at);
      if (word === 'data') {
        if (!format) throw new RangeError('Cannot read WAV: its samples come before their format');
        const { code, channels, rate, bits } = format;
        const float = code === 3 && bits === 32;
        if (!float && !(code === 1 && bits === 16)) {
          throw new RangeError(
            `Cannot read WAV: expected 16-bit or float samples, received format ${code}, ${bits} bits`,
          );
        }
        // A writer that cannot go back writes 0 or the largest number there is.
        if (size > 0 && size < 0x7fff_0000) this.#left = size;
        this.#open(rate, float ? 'f32le' : 's16le', channels);
        return body;
      }
      if (word === 'fmt ') {
        if (body + 16 > head.length) return undefined;
        const code = view.getUint16(body, true);
        if (code === 0xfffe && body + 26 > head.length) return undefined;
        format = {
          code: code === 0xfffe ? view.getUint16(body + 24, true) : code,
          channels: view.getUint16(body + 2, true),
          rate: view.getUint32(body + 4, true),
          bits: view.getUint16(body + 14, true),
        };
      }
      at = body + size + (size & 1);
    }
    return undefined;
  }

  #open(rate: number, format: SampleFormat, channels: number): void {
    if (!RATES.includes(rate)) throw new RangeError(`Cannot play ${rate} Hz: expected one of ${RATES.join(', ')}`);
    if (channels < 1 || channels > 8) throw new RangeError(`Cannot play ${channels} channels`);
    this.#rate = rate;
    this.#channels = channels;
    this.#samples = new SampleStream(format);
  }

  #read(bytes: Uint8Array): Float32Array {
    const wanted = bytes.subarray(0, Math.min(bytes.length, this.#left));
    this.#left -= wanted.length;
    const pcm = this.#samples?.push(wanted) ?? new Float32Array(0);
    for (const sample of pcm)
      if (!Number.isFinite(sample)) throw new RangeError('Cannot play samples that are no numbers');
    if (this.#channels === 1) return pcm;
    const mono: number[] = [];
    for (const sample of pcm) {
      this.#frame.push(sample);
      if (this.#frame.length < this.#channels) continue;
      mono.push(this.#frame.reduce((sum, each) => sum + each, 0) / this.#channels);
      this.#frame = [];
    }
    return Float32Array.from(mono);
  }
}
