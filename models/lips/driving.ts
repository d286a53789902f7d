import { type MediaTime, type Span, earlier, ms } from '../../media/time.ts';
import type { Patch } from '../../media/video-frame.ts';
import type { Driven, Shot, Take, Unfit } from '../../pipeline/face.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import type { RunOptions } from '../runtime/tensor.ts';

/** A shot with something to say. */
export type Spoken = Shot & { readonly take: Take };

/** Makes mouths move by networks that take several pictures at once. `W` is what is kept of a shot until then. */
export interface Driver<W extends object> {
  /** Looks at a shot: what is to be done, or why nothing can be. Nothing of the take is used afterwards. */
  prepare(shot: Spoken, options: RunOptions): Promise<W | Unfit>;
  /** The patches of several shots, in order. */
  drive(work: readonly W[], options: RunOptions): Promise<readonly (readonly Patch[])[]>;
}

/** One picture at the rate the networks were trained at: 25 a second. */
const PICTURE = ms(40);
/** How long pictures wait for others to be computed with. */
export const lookaheadOf = (batch: number): Span => ((batch - 1) * PICTURE) as Span;

interface Held<W> {
  readonly start: MediaTime;
  readonly face: Shot['face']['id'];
  readonly work?: W;
  readonly unfit?: Unfit;
}

/** A stage that gathers shots, at most `batch` of them and no longer than its lookahead, and drives them together. */
export function drivenBy<W extends object>(engine: string, batch: number, open: () => Driver<W>): Stage<'lipDriver'> {
  const lookahead = lookaheadOf(batch);
  return {
    kind: 'lipDriver',
    engine,
    caps: { lookahead, watches: false, phonemes: false },
    async *run(input, { signal }) {
      const driver = open();
      let held: Held<W>[] = [];
      const all = async (): Promise<Driven[]> => {
        const some = held;
        held = [];
        const work = some.flatMap((each) => each.work ?? []);
        const made = work.length > 0 ? await driver.drive(work, { signal }) : [];
        let n = 0;
        return some.map(({ start, face, work: mine, unfit }) => ({
          start,
          face,
          patches: mine ? made[n++]! : [],
          ...(unfit ? { unfit } : {}),
        }));
      };
      const take = async ({ take, ...shot }: Shot): Promise<Held<W>> => {
        const { start, face, weight } = shot;
        if (!take || weight <= 0) return { start, face: face.id };
        if (face.unfit) return { start, face: face.id, unfit: face.unfit };
        const made = await driver.prepare({ ...shot, take }, { signal });
        return { start, face: face.id, ...(typeof made === 'string' ? { unfit: made } : { work: made }) };
      };
      try {
        for await (const shot of until(input, signal)) {
          held.push(await take(shot));
          // Behind the last picture of a take there may come none for long.
          const isLast = shot.take !== undefined && shot.end >= shot.take.end;
          if (!isLast && held.length < batch && held[0]!.start > earlier(shot.start, lookahead)) continue;
          yield* await all();
        }
        if (!signal.aborted) yield* await all();
      } catch (failure) {
        if (!signal.aborted) throw failure;
      }
    },
  };
}
