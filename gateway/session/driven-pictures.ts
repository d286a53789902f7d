import type { Clock } from '../../media/clock.ts';
import { DrivenLine } from '../../media/driven-line.ts';
import { ThreadRecoder } from '../../media/recoder.ts';
import { type Span, ms } from '../../media/time.ts';
import type { VideoCodec } from '../../media/video.ts';
import type { DrivenPictures } from './mouths.ts';
import { mostPictures } from './output.ts';

/** How long before a picture is played it is encoded, and how much earlier its patches have to leave where they are made. */
const LEAD = ms(300);
const TRAVEL = ms(50);

/**
 * One language's delayed pictures, with a thread that encodes what is driven.
 *
 * @param program the thread's built entry; ours unless told
 */
export function drivenPictures(codec: VideoCodec, hold: Span, clock: Clock, program?: string): DrivenPictures {
  const recoder = new ThreadRecoder(clock, program);
  const line = new DrivenLine({ codec, recoder, lead: LEAD, duration: hold, capacity: mostPictures(hold) });
  return {
    lead: (LEAD + TRAVEL) as Span,
    get size() {
      return line.size;
    },
    get shown() {
      return line.counts.pictures;
    },
    get counts() {
      const { late, lost, cutShort, deaths, droppedPatches } = line.counts;
      return {
        'video line': line.dropped,
        'video without key frame': line.refused,
        'driven pictures late': late,
        'driven pictures lost': lost,
        'driven intervals cut short': cutShort,
        'deaths of the encoder': deaths,
        'patches dropped': droppedPatches,
      };
    },
    push: (unit) => void line.push(unit),
    take: (playhead) => line.take(playhead),
    grow: (duration, capacity) => line.grow(duration, capacity),
    covers: (t) => line.covers(t),
    drive: (interval) => line.drive(interval),
    patches: (driven) => line.patches(driven),
    close: () => {
      line.clear();
      recoder[Symbol.dispose]();
    },
  };
}
