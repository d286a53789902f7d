import { Observable, type OperatorFunction } from 'rxjs';
import type { AudioChunk } from '../media/audio.ts';
import { type SampleRate, type Span, later, sampleIndex, samples } from '../media/time.ts';
import type { Window } from './domain.ts';

/**
 * Cuts a gapless run of chunks into windows of `size` every `hop`, by counting samples.
 *
 * `bufferTime` would cut by when chunks arrived; speech is where its samples say it is.
 */
export function windows(size: Span, hop: Span, rate: SampleRate): OperatorFunction<AudioChunk, Window> {
  const length = sampleIndex(size, rate);
  const step = sampleIndex(hop, rate);
  if (step < 1 || step > length) throw new RangeError(`Cannot cut windows: hop ${hop} µs does not fit size ${size} µs`);
  return (source) =>
    new Observable((out) => {
      const ring = new Float32Array(length);
      let origin: AudioChunk['start'] | undefined;
      let filled = 0;
      let total = 0;
      let seq = 0;
      return source.subscribe({
        next: ({ start, pcm }) => {
          origin ??= start;
          let offset = 0;
          while (offset < pcm.length) {
            const room = (seq === 0 ? length : step) - filled;
            const take = Math.min(room, pcm.length - offset);
            if (seq > 0 && filled === 0) ring.copyWithin(0, step);
            const writeAt = seq === 0 ? filled : length - step + filled;
            ring.set(pcm.subarray(offset, offset + take), writeAt);
            filled += take;
            offset += take;
            total += take;
            if (filled < (seq === 0 ? length : step)) continue;
            const end = later(origin, samples(total, rate));
            const from = later(origin, samples(total - length, rate));
            const freshFrom = later(origin, samples(seq === 0 ? 0 : total - step, rate));
            out.next({ seq, start: from, end, pcm: ring.slice(), fresh: { start: freshFrom, end } });
            seq += 1;
            filled = 0;
          }
        },
        error: (e) => out.error(e),
        complete: () => out.complete(),
      });
    });
}
