import type { EngineRegistry, Wanted } from '../models/engine.ts';
import { profile as profileCalled } from '../models/store/profiles.ts';
import type { StageKind } from '../pipeline/stage.ts';
import type { SessionSpec } from './config.ts';

/** The engine that a session uses for one stage. */
export interface Chosen {
  readonly engine: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Works while the chosen engine cannot: what the session would have found by itself. */
  readonly spare: string | undefined;
}

const NEEDED: readonly StageKind[] = ['vad', 'diarizer', 'recognizer', 'translator', 'synthesizer'];
/** A stage that a session has without being asked for it, and in which one engine can stand in for another. */
export const isNeeded = (kind: StageKind): boolean => NEEDED.includes(kind);

/**
 * Which engine does a stage: the one that the session names, else its profile's where it knows the language, else the
 * first that is there and knows it. Nothing when there is none, or when nobody asked for a stage that is not needed.
 */
export function choose(
  kind: StageKind,
  wanted: Wanted,
  { engines, profile, denoise }: SessionSpec,
  registry: EngineRegistry,
): Chosen | undefined {
  const found = registry.pick(kind, wanted);
  const spareFor = (engine: string) => {
    const spare = isNeeded(kind) && found?.id !== engine ? found?.id : undefined;
    return spare !== undefined && registry.lacks(kind, spare, wanted).length === 0 ? spare : undefined;
  };
  const named = engines[kind];
  if (named) {
    const { engine, ...settings } = named;
    return { engine, settings, spare: spareFor(engine) };
  }
  // The embedded engines are what a session finds by itself.
  const ofProfile = profile === 'embedded' ? undefined : profileCalled(profile).engines[kind];
  if (ofProfile && registry.knows(kind, ofProfile.engine, wanted)) {
    const { engine, settings = {} } = ofProfile;
    return { engine, settings, spare: spareFor(engine) };
  }
  const asked = isNeeded(kind) || (kind === 'enhancer' && denoise);
  return found && asked ? { engine: found.id, settings: {}, spare: undefined } : undefined;
}
