import { type Span, seconds } from '../../media/time.ts';
import { type Fallback, fallback } from '../../pipeline/fallback.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { SHARPEN } from './sharpen.ts';

/** How long a restorer may sit on a picture before it counts as gone. What it is too slow for it passes on by itself. */
const PATIENCE: Span = seconds(2);

/** The chosen restorer, and sharpening while it cannot. Every picture comes out once, in order. */
export const restoring = (chosen: Stage<'restorer'>, how: Fallback = {}): Stage<'restorer'> =>
  chosen.engine === SHARPEN.engine ? chosen : fallback(chosen, SHARPEN, { patience: PATIENCE, ...how });
