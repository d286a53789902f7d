import { execFileSync } from 'node:child_process';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { type SampleRate, at, later, samples } from '../../media/time.ts';
import type { Stage, StageMap } from '../../pipeline/stage.ts';

/** A file's audio, mono, by FFmpeg. */
export function decode(file: string, rate: SampleRate): Float32Array {
  const args = ['-v', 'error', '-i', file, '-ac', '1', '-ar', String(rate), '-f', 'f32le', '-'];
  const bytes = execFileSync('ffmpeg', args, { maxBuffer: 1 << 30 });
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** As the live loop gives it: 20 ms at a time. */
export async function* chunksOf(pcm: Float32Array, rate: SampleRate): AsyncGenerator<AudioChunk, void, void> {
  const size = rate / 50;
  for (let offset = 0; offset < pcm.length; offset += size) {
    yield { start: later(at(0), samples(offset, rate)), rate, pcm: pcm.slice(offset, offset + size) };
  }
}

/** What a stage made of audio, and the processor time that it took over the time that the audio lasts. */
export async function runOn<K extends 'vad' | 'enhancer'>(
  stage: Stage<K>,
  pcm: Float32Array,
): Promise<{ readonly outputs: StageMap[K]['out'][]; readonly factor: number }> {
  const { rate } = stage.caps;
  const outputs: StageMap[K]['out'][] = [];
  const before = process.cpuUsage();
  const scope = { signal: new AbortController().signal, clock: new MonotonicClock() };
  const input = chunksOf(pcm, rate) as AsyncIterable<StageMap[K]['in']>;
  for await (const output of stage.run(input, scope)) outputs.push(output);
  const { user, system } = process.cpuUsage(before);
  return { outputs, factor: (user + system) / samples(pcm.length, rate) };
}

/** Chunks put together, each in its place. */
export function joined(chunks: readonly AudioChunk[], rate: SampleRate): Float32Array {
  const last = chunks.at(-1);
  const pcm = new Float32Array(last ? Math.round((endOf(last) * rate) / 1e6) : 0);
  for (const chunk of chunks) pcm.set(chunk.pcm, Math.round((chunk.start * rate) / 1e6));
  return pcm;
}
