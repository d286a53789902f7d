import { MonotonicClock } from '../../media/clock.ts';
import { Hls } from './hls/hls.ts';
import type { Openers } from './outlets.ts';
import { Push } from './push.ts';
import { RecordingOutlet } from './recording-outlet.ts';
import { Stills } from './stills.ts';

const clock = new MonotonicClock();
/** The outlets there are. */
export const OPENERS: Openers = {
  hls: async ({ outputs }, context, scope) => Hls.open(outputs.hls, context, scope, { clock }),
  push: async ({ outputs }, which, context, scope) => {
    const spec = outputs.push[which];
    if (!spec) throw new RangeError(`Cannot open push ${which}: there are ${outputs.push.length}`);
    return Push.open(spec, context, clock, scope);
  },
  record: async ({ outputs, recordings }, context, scope) => {
    if (!outputs.record) throw new TypeError('Cannot record: the session does not ask for it');
    return RecordingOutlet.open(outputs.record, recordings, context, scope);
  },
  stills: async ({ outputs }, context, scope) => {
    const stills = new Stills(outputs.hls, context);
    scope.defer(() => stills.close());
    return stills;
  },
};
