import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import type { VideoFrame } from '../../media/video-frame.ts';
import { registry } from '../../models/index.ts';
import type { Face, Seen } from '../../pipeline/face.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { lacking, weights } from '../weights.ts';
import { feed } from './recordings.ts';

/** Why faces cannot be followed here, or nothing. */
export const trackerLacks = (): string | undefined =>
  lacking(...['yunet', 'facemesh', 'fsanet', 'mobilefacenet'].map((name) => `face/${name}`));

/** The engine `faces` with real weights. */
export const faceTracker = (scope: Scope, config: object = {}): Promise<Stage<'faceTracker'>> =>
  registry().load('faceTracker', 'faces', { models: weights('face'), ...config }, scope);

/** What it sees in pictures. */
export async function seenIn(frames: readonly VideoFrame[], config: object = {}): Promise<Seen[]> {
  await using scope = new Scope('faces');
  const tracker = await faceTracker(scope, config);
  const seen: Seen[] = [];
  const { signal } = scope;
  for await (const each of tracker.run(feed(frames), { signal, clock: new MonotonicClock() })) seen.push(each);
  return seen;
}

/** The largest face of every picture. */
export const facesIn = async (frames: readonly VideoFrame[]): Promise<(Face | undefined)[]> =>
  (await seenIn(frames)).map(({ faces }) => faces[0]);
