import type { StageKind } from '../../pipeline/stage.ts';

/** Whose networks a server runs, in faults that never leave it: it serves any stage's, lip drivers' foremost. */
export const STAGE: StageKind = 'lipDriver';
