import { Observable, type OperatorFunction } from 'rxjs';
import type { AudioChunk } from '../media/audio.ts';
import { Resampler } from '../media/resample.ts';
import { type MediaTime, type SampleRate, later, ms, samples } from '../media/time.ts';

/** Positions that come from different counts of samples differ by less than this. */
const ROUNDING = ms(1);

/**
 * The same audio at `rate`, in buffers of its own. Media time is counted in samples from where the stream, or what
 * follows a gap in it, begins.
 */
export function toRate(rate: SampleRate): OperatorFunction<AudioChunk, AudioChunk> {
  return (source) =>
    new Observable((out) => {
      let resampler: Resampler | undefined;
      let origin = 0 as MediaTime;
      let [taken, made] = [0, 0];

      const give = (pcm: Float32Array) => {
        if (pcm.length === 0) return;
        const start = later(origin, samples(made, rate));
        made += pcm.length;
        out.next({ start, rate, pcm });
      };
      return source.subscribe({
        next: ({ start, rate: from, pcm }) => {
          const gapless = resampler?.from === from && Math.abs(later(origin, samples(taken, from)) - start) <= ROUNDING;
          if (!resampler || !gapless) {
            if (resampler) give(resampler.flush());
            resampler = new Resampler(from, rate);
            [origin, taken, made] = [start, 0, 0];
          }
          taken += pcm.length;
          give(resampler.push(pcm));
        },
        error: (e) => out.error(e),
        complete: () => {
          if (resampler) give(resampler.flush());
          out.complete();
        },
      });
    });
}
