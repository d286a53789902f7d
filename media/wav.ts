import { open } from 'node:fs/promises';
import { bytesFrom, samplesFrom } from './bytes.ts';
import type { Scope } from './scope.ts';

/** How samples lie in the file: 16-bit integers, or 32-bit floats (WAVE_FORMAT_IEEE_FLOAT). */
export type WavFormat = 's16' | 'f32';

const HEADER = 44;
/** RIFF counts bytes in 32 bits; programs read this as "to the end of the file". */
const OPEN_ENDED = 0xffff_ffff;

/** A mono WAV file's 44 bytes before `bytes` of samples (RIFF, Microsoft's Multimedia Data Standards Update 3.0). */
function header(rate: number, format: WavFormat, bytes: number, channels = 1): Uint8Array {
  const width = format === 's16' ? 2 : 4;
  const view = new DataView(new ArrayBuffer(HEADER));
  const text = (at: number, word: string) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF');
  view.setUint32(4, Math.min(OPEN_ENDED, bytes + HEADER - 8), true);
  text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, format === 's16' ? 1 : 3, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * width * channels, true);
  view.setUint16(32, width * channels, true);
  view.setUint16(34, width * 8, true);
  text(36, 'data');
  view.setUint32(40, Math.min(OPEN_ENDED, bytes), true);
  return new Uint8Array(view.buffer);
}

const encode = (pcm: Float32Array, format: WavFormat) => bytesFrom(pcm, `${format}le`);

/** A whole mono WAV file in memory. */
export function encodeWav(pcm: Float32Array, rate: number, format: WavFormat = 's16'): Uint8Array {
  const body = encode(pcm, format);
  const file = new Uint8Array(HEADER + body.length);
  file.set(header(rate, format, body.length));
  file.set(body, HEADER);
  return file;
}

/**
 * The samples of a WAV file: 16-bit or float, any number of channels, which are averaged.
 *
 * @throws RangeError for anything else; FFmpeg reads those
 */
export function decodeWav(file: Uint8Array): { readonly rate: number; readonly pcm: Float32Array } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const word = (at: number) => (at + 4 <= file.length ? String.fromCharCode(...file.subarray(at, at + 4)) : '');
  if (word(0) !== 'RIFF' || word(8) !== 'WAVE')
    throw new RangeError('Cannot read WAV: it does not start with RIFF … WAVE');
  let format: { code: number; channels: number; rate: number; bits: number } | undefined;
  for (let at = 12; at + 8 <= file.length;) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (word(at) === 'fmt ' && body + 16 <= file.length) {
      const code = view.getUint16(body, true);
      format = {
        // WAVE_FORMAT_EXTENSIBLE says the code once more, at the start of its GUID.
        code: code === 0xfffe && size >= 26 ? view.getUint16(body + 24, true) : code,
        channels: view.getUint16(body + 2, true),
        rate: view.getUint32(body + 4, true),
        bits: view.getUint16(body + 14, true),
      };
    }
    if (word(at) === 'data' && format) {
      const { code, channels, rate, bits } = format;
      const float = code === 3 && bits === 32;
      if (!float && !(code === 1 && bits === 16)) {
        throw new RangeError(
          `Cannot read WAV: expected 16-bit or 32-bit float samples, received format ${code} with ${bits} bits`,
        );
      }
      const frame = (bits / 8) * channels;
      const end = body + Math.floor(Math.min(size, file.length - body) / frame) * frame;
      const all = samplesFrom(file.subarray(body, end), float ? 'f32le' : 's16le');
      if (channels === 1) return { rate, pcm: all };
      const pcm = Float32Array.from({ length: all.length / channels }, (_, i) => {
        let sum = 0;
        for (let c = 0; c < channels; c += 1) sum += all[i * channels + c] ?? 0;
        return sum / channels;
      });
      return { rate, pcm };
    }
    at = body + size + (size & 1);
  }
  throw new RangeError('Cannot read WAV: it has no samples');
}

/** A WAV file being written; its header is finished when it is closed. */
export interface WavFile {
  readonly path: string;
  /** Samples of each channel written so far. */
  readonly length: number;
  /** @param pcm borrowed until the promise is kept; one call at a time. `right` in a stereo file, `pcm` unless given. */
  write(pcm: Float32Array, right?: Float32Array): Promise<void>;
  /** Called by the scope too; twice is once. */
  close(): Promise<void>;
}

/** Writes a WAV file as samples come. It is closed with `scope`, or before. */
export async function createWav(
  path: string,
  rate: number,
  scope: Scope,
  format: WavFormat = 's16',
  channels: 1 | 2 = 1,
): Promise<WavFile> {
  const file = await open(path, 'w');
  let length = 0;
  let closing: Promise<void> | undefined;
  const width = (format === 's16' ? 2 : 4) * channels;
  const close = () =>
    (closing ??= (async () => {
      await file.write(header(rate, format, length * width, channels), 0, HEADER, 0);
      await file.close();
    })());
  scope.defer(close);
  await file.write(header(rate, format, OPEN_ENDED, channels), 0, HEADER, 0);
  return {
    path,
    get length() {
      return length;
    },
    async write(pcm, right = pcm) {
      const all = channels === 1 ? pcm : interleaved(pcm, right);
      await file.writev([encode(all, format)], HEADER + length * width);
      length += pcm.length;
    },
    close,
  };
}

function interleaved(left: Float32Array, right: Float32Array): Float32Array {
  const both = new Float32Array(left.length * 2);
  for (let i = 0; i < left.length; i += 1) {
    both[2 * i] = left[i] as number;
    both[2 * i + 1] = right[i] as number;
  }
  return both;
}
