import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AudioChunk } from '../../media/audio.ts';
import { type MediaTime, type SampleRate, at, later, samples } from '../../media/time.ts';
import type { SpeechChunk } from '../../pipeline/domain.ts';

/** Where real speech lies: `LIVEDUB_MEDIA`, else beside the repository. It is never committed. */
const MEDIA = process.env['LIVEDUB_MEDIA'] ?? fileURLToPath(new URL('../../../shared/media', import.meta.url));

/** The path of a recording. */
export const recording = (name: string) => join(MEDIA, name);
/** Why a test of these recordings cannot run here, or nothing. */
export function missing(...names: string[]): string | undefined {
  const absent = names.filter((name) => !existsSync(recording(name)));
  return absent.length > 0 ? `${absent.join(', ')} not in ${MEDIA}` : undefined;
}

/** Decodes a file with FFmpeg: mono, or one `channel` of it. */
export function decode(file: string, rate: SampleRate, channel?: 0 | 1): Float32Array {
  const pick = channel === undefined ? ['-ac', '1'] : ['-af', `pan=mono|c0=c${channel}`];
  const args = ['-v', 'error', '-i', file, ...pick, '-ar', String(rate), '-f', 'f32le', '-'];
  const bytes = execFileSync('ffmpeg', args, { maxBuffer: 1 << 30 });
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** Speech that flite's `slt` says, 16 kHz: the clearest English there is without a recording. */
export function flite(text: string): Float32Array {
  const wav = join('/tmp', `livedub-flite-${process.pid}.wav`);
  execFileSync('flite', ['-voice', 'slt', '-t', text, '-o', wav]);
  return decode(wav, 16_000);
}

/** Cuts samples into chunks that follow each other, `size` samples each (or each size in turn). */
export function chunksOf(
  pcm: Float32Array,
  rate: SampleRate,
  size: number | readonly number[],
  start = at(0),
): AudioChunk[] {
  const sizes = typeof size === 'number' ? [size] : size;
  const chunks: AudioChunk[] = [];
  for (let offset = 0, n = 0; offset < pcm.length; n += 1) {
    const length = sizes[n % sizes.length] ?? 1;
    const place: MediaTime = later(start, samples(offset, rate));
    chunks.push({ start: place, rate, pcm: pcm.slice(offset, offset + length) });
    offset += length;
  }
  return chunks;
}

/** One speech segment, in chunks of 32 ms. */
export function segmentOf(pcm: Float32Array, segment: number, start = at(0)): SpeechChunk[] {
  const chunks = chunksOf(pcm, 16_000, 512, start);
  return chunks.map((chunk, n) => ({ ...chunk, segment, last: n === chunks.length - 1 }));
}

export async function* feed<T>(items: Iterable<T>): AsyncGenerator<T, void, void> {
  yield* items;
}
