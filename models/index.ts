import { entry } from '../media/entry.ts';
import { apertium } from './apertium.ts';
import { voices } from './diarizer-voices.ts';
import { type Engine, EngineRegistry } from './engine.ts';
import { espeak } from './espeak.ts';
import { flite } from './flite.ts';
import { identity } from './identity.ts';
import { pocketsphinx } from './pocketsphinx.ts';
import { rnnoise } from './rnnoise.ts';
import { silero } from './silero.ts';

/**
 * Every engine there is. Of one kind, the order is the order of preference: the first that can do what is wanted and
 * is installed is what a session gets when it names none.
 */
export const engines: readonly Engine[] = [
  // Engines that hear.
  silero,
  rnnoise,
  voices,
  pocketsphinx,

  // Engines that translate and speak. Flite knows English alone and says it more clearly.
  apertium,
  identity,
  flite,
  espeak,
];

export const registry = (): EngineRegistry => new EngineRegistry(engines, entry('./index.ts', import.meta.url));
