import type { Scope } from '../../media/scope.ts';
import type { Judges } from './evaluate-video.ts';
import { openInception, openLpips } from './perceptual.ts';
import { openSyncNet } from './syncnet.ts';

/** The networks that judge video, as far as their weights are here. They close with `scope`. */
export async function openJudges(scope: Scope): Promise<Judges> {
  return { syncnet: await openSyncNet(scope), lpips: await openLpips(scope), inception: await openInception(scope) };
}
