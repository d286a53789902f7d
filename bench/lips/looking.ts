import type { VideoFrame } from '../../media/video-frame.ts';
import { FaceTracker, type Eyes, type Tracking } from '../../models/see/face-tracker.ts';
import { eyeDistance } from '../../pipeline/ibug.ts';
import type { Face, Seen } from '../../pipeline/face.ts';
import { quantile } from './meter.ts';
import type { Meter } from './meter.ts';

/** The parts of looking that networks do, with what they are shown. */
export const LOOKS = ['detector', 'landmarks', 'pose', 'embedding'] as const;
export const lookOf = (part: (typeof LOOKS)[number]) => `look: ${part}`;

/** The same eyes; how long each of them looks is counted. */
export const metered = ({ detector, landmarks, pose, embedding }: Eyes, meter: Meter): Eyes => ({
  detector: {
    cheap: detector.cheap,
    detect: (frame, within) => meter.wait(lookOf('detector'), () => detector.detect(frame, within)),
  },
  landmarks: { mark: (frame, region) => meter.wait(lookOf('landmarks'), () => landmarks.mark(frame, region)) },
  pose: pose && { pose: (frame, region) => meter.wait(lookOf('pose'), () => pose.pose(frame, region)) },
  embedding: embedding && {
    embed: (frame, points) => meter.wait(lookOf('embedding'), () => embedding.embed(frame, points)),
  },
});

/** How far faces are from where they are when every picture is looked at. Parts of the distance between the eyes. */
export interface Astray {
  readonly faces: number;
  /** Mean distance of all 68 points, and of the 20 of the mouth; pixels. */
  readonly px: number;
  readonly mouthPx: number;
  /** The same of the mouth, in parts of the eye distance: mean, and what 95 % of the pictures do not exceed. */
  readonly mouth: number;
  readonly mouthP95: number;
  /** Of the opening, in its own unit. */
  readonly opening: number;
  readonly openingP95: number;
}

const MOUTH = 48;
/** Mean distance of points from `first` on, pixels. */
export function apart(a: ArrayLike<number>, b: ArrayLike<number>, first = 0): number {
  let sum = 0;
  for (let n = 2 * first; n + 1 < a.length; n += 2) sum += Math.hypot(a[n]! - b[n]!, a[n + 1]! - b[n + 1]!);
  return sum / (a.length / 2 - first);
}

/** Compares what is seen of the same pictures; a face that only one of them has is not counted. */
export function astray(truth: readonly Seen[], other: readonly Seen[]): Astray {
  const then = new Map(other.map((seen) => [seen.start, seen]));
  const pairs = truth.flatMap(({ start, faces }) =>
    faces.flatMap((face): [Face, Face][] => {
      const same = then.get(start)?.faces.find(({ id }) => id === face.id);
      return same ? [[face, same]] : [];
    }),
  );
  const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;
  const mouthPx = pairs.map(([a, b]) => apart(a.landmarks, b.landmarks, MOUTH));
  const mouth = pairs.map(([a], n) => mouthPx[n]! / eyeDistance(a.landmarks));
  const opening = pairs.map(([a, b]) => Math.abs(a.opening - b.opening));
  return {
    faces: pairs.length,
    px: mean(pairs.map(([a, b]) => apart(a.landmarks, b.landmarks))),
    mouthPx: mean(mouthPx),
    mouth: mean(mouth),
    mouthP95: quantile(mouth, 0.95),
    opening: mean(opening),
    openingP95: quantile(opening, 0.95),
  };
}

/** Looks at pictures, and remembers what was seen. */
export class Looking {
  readonly seen: Seen[] = [];
  readonly #tracker: FaceTracker;

  constructor(eyes: Eyes, tracking: Tracking) {
    this.#tracker = new FaceTracker(eyes, tracking);
  }
  async look(frame: VideoFrame): Promise<Seen[]> {
    const seen = await this.#tracker.push(frame);
    this.seen.push(...seen);
    return seen;
  }
  end(): void {
    this.seen.push(...this.#tracker.end());
  }
}
