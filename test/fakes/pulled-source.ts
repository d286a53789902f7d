import { openProgramme } from '../../gateway/session/open.ts';
import { StreamSource } from '../../gateway/session/stream-source.ts';
import type { StreamSpec } from '../../gateway/source-spec.ts';
import { endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { ms } from '../../media/time.ts';

/** A source as a session has it, and all that came of it. Times of the clock are in seconds. */
export async function pulledSource(spec: StreamSpec, scope: Scope) {
  const { open, pace } = await openProgramme(spec, scope);
  const clock = new MonotonicClock();
  const now = () => clock.now() / 1_000_000;
  const openings: number[] = [];
  const states: { readonly state: string; readonly reason: string | null; readonly at: number }[] = [];
  const sounds: { readonly start: number; readonly end: number; readonly pcm: Float32Array }[] = [];
  const pictures: number[] = [];
  const keys: number[] = [];
  const source = new StreamSource(
    {
      ...{ clock, pace, random: () => 0.5 },
      open: (reading) => {
        openings.push(now());
        return open(reading);
      },
      sink: {
        audio: (chunk) => sounds.push({ start: chunk.start, end: endOf(chunk), pcm: chunk.pcm.slice() }),
        video: ({ start, keyFrame }) => {
          pictures.push(start);
          if (keyFrame) keys.push(start);
        },
        format: () => {},
      },
      onFirst: () => {},
      onState: (state, reason) => states.push({ state, reason, at: now() }),
    },
    scope,
  );
  const timer = setInterval(() => source.tick(), 20);
  scope.defer(() => clearInterval(timer));
  return {
    ...{ source, openings, states, sounds, pictures, keys },
    /**
     * Where sound does not begin where that before it ended, but for a rounded microsecond, and pictures that do not come
     * after the one before.
     */
    steps: () => [
      ...sounds.filter(({ start }, n) => n > 0 && Math.abs(start - sounds[n - 1]!.end) > 1),
      ...pictures.filter((start, n) => n > 0 && start < pictures[n - 1]! + ms(1)),
    ],
    /** Seconds that pictures are ahead of sound at the end. */
    apart: () => (pictures.at(-1)! - sounds.at(-1)!.end) / 1_000_000,
  };
}
