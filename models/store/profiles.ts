import type { Language } from '../../pipeline/domain.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import type { Engine, Pair } from '../engine.ts';
import { engines as all } from '../index.ts';
import { serves } from '../languages.ts';
import type { ProfileName } from './profile-names.ts';
import { StoreError } from './store-error.ts';
import { modelOf } from './weights.ts';

/** The engine of one stage, as a session names it. */
export interface Choice {
  readonly engine: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Those of the engine's models that these settings use; all of them when not given. */
  readonly models?: readonly string[];
}

/** A named set of engines. A stage that is not in it is what a session finds by itself. */
export interface Profile {
  readonly name: ProfileName;
  /** One sentence. */
  readonly summary: string;
  readonly engines: Readonly<Partial<Record<StageKind, Choice>>>;
}

/** On the GPU, and on the CPU where there is none, rather than not at all. */
const CUDA = { runtime: { device: 'cuda', fallback: true } } as const;

/** The embedding that the engine takes when it is told nothing. */
const PYANNOTE: Choice = {
  engine: 'pyannote',
  settings: { embedding: 'campplus' },
  models: ['pyannote-segmentation-3.0', 'campplus-voxceleb'],
};

export const profiles: readonly Profile[] = [
  {
    name: 'embedded',
    summary: 'What is installed with Livedub: runs anywhere, and sounds like a machine.',
    engines: {
      vad: { engine: 'silero' },
      enhancer: { engine: 'rnnoise' },
      diarizer: { engine: 'voices' },
      recognizer: { engine: 'pocketsphinx' },
      translator: { engine: 'apertium' },
      synthesizer: { engine: 'espeak' },
    },
  },
  {
    name: 'cpu',
    summary: 'Small networks that keep up with live speech on a few cores, each pair of languages with one of its own.',
    engines: {
      vad: { engine: 'silero' },
      enhancer: { engine: 'deepfilternet3' },
      diarizer: PYANNOTE,
      recognizer: { engine: 'whisper', settings: { size: 'base' }, models: ['whisper-base'] },
      aligner: { engine: 'phones' },
      translator: { engine: 'opus-mt' },
      synthesizer: { engine: 'piper' },
    },
  },
  {
    name: 'gpu',
    summary: 'The largest networks, and voices that are like the speakers’ own; for an NVIDIA GPU.',
    engines: {
      vad: { engine: 'silero' },
      enhancer: { engine: 'deepfilternet3' },
      diarizer: PYANNOTE,
      recognizer: { engine: 'whisper', settings: { size: 'large-v3', ...CUDA }, models: ['whisper-large-v3'] },
      aligner: { engine: 'phones' },
      translator: { engine: 'nllb', settings: CUDA },
      synthesizer: { engine: 'zipvoice' },
    },
  },
  {
    name: 'cloud',
    summary: 'What hears, translates and speaks is a service that costs money and is told what was said.',
    engines: {
      vad: { engine: 'silero' },
      enhancer: { engine: 'deepfilternet3' },
      diarizer: PYANNOTE,
      recognizer: { engine: 'openai' },
      aligner: { engine: 'phones' },
      translator: { engine: 'openai' },
      synthesizer: { engine: 'elevenlabs' },
    },
  },
];

/** What sees mouths and who speaks, whatever the profile is. What drives them needs no model. */
export const LIPS: Pick<Profile, 'engines'> = {
  engines: {
    faceTracker: { engine: 'faces', models: ['yunet', 'facemesh', 'fsanet', 'mobilefacenet'] },
    activeSpeaker: { engine: 'lr-asd' },
  },
};

/**
 * The profile called `name`.
 *
 * @throws StoreError `unknown`
 */
export function profile(name: string): Profile {
  const found = profiles.find((each) => each.name === name);
  if (found) return found;
  const known = profiles.map((each) => each.name).join(', ');
  throw new StoreError('unknown', `There is no profile called '${name}'.`, `There is ${known}.`);
}

/** What is dubbed into what, where a model serves only some languages. */
export interface Direction {
  readonly from: Language;
  readonly to: Language;
}
/** As the sample is dubbed. */
export const USUAL: Direction = { from: 'en' as Language, to: 'es' as Language };

const same = (a: Language, b: Language) => a.toLowerCase() === b.toLowerCase();
/** The pair that is meant by a direction, the language's own before that of a wider one: `pt-BR` before `pt`. */
function pairFor(pairs: readonly Pair[], { from, to }: Direction): Pair | undefined {
  const wide = (language: Language) => language.split('-')[0] as Language;
  return (
    pairs.find((pair) => same(pair.from, from) && same(pair.to, to)) ??
    pairs.find((pair) => same(pair.from, wide(from)) && same(pair.to, wide(to)))
  );
}

/**
 * The names of the models that one stage of a profile uses: those it names, else those of the directions where there is
 * a model for each, else one for each language that is heard or spoken, else all of its engine. An engine that does not
 * exist uses none.
 *
 * @throws StoreError `unknown` for a direction that the engine does not know
 */
export function modelsFor(
  stage: StageKind,
  choice: Choice,
  directions: readonly Direction[] = [USUAL],
  engines: readonly Engine[] = all,
): readonly string[] {
  const engine = engines.find(({ kind, id }) => kind === stage && id === choice.engine);
  const listed = engine?.models?.map(({ name }) => name) ?? [];
  if (choice.models) return choice.models;
  const { pairs } = engine ?? {};
  if (listed.length === 0) return listed;
  if (!Array.isArray(pairs)) {
    const cards = engine?.models ?? [];
    if (stage !== 'synthesizer' || cards.some(({ languages }) => languages === 'any')) return listed;
    return directions.flatMap(({ to }) => {
      const card = cards.find(({ languages }) => (languages as readonly Language[]).some((each) => serves(each, to)));
      if (card) return [card.name];
      throw new StoreError('unknown', `${choice.engine} does not speak ${to}.`, 'See: livedub models list.');
    });
  }
  return directions.flatMap((direction) => {
    const pair = pairFor(pairs as readonly Pair[], direction);
    if (pair) return (pair.needs ?? []).flatMap((need) => modelOf(need) ?? []);
    const { from, to } = direction;
    throw new StoreError(
      'unknown',
      `${choice.engine} does not translate ${from} into ${to}.`,
      'See: livedub models list.',
    );
  });
}

/** The names of the models that the engines of a profile, or of {@link LIPS}, use, each once. */
export function modelsOf(
  { engines }: Pick<Profile, 'engines'>,
  directions: readonly Direction[] = [USUAL],
  known: readonly Engine[] = all,
): string[] {
  const stages = Object.entries(engines) as [StageKind, Choice][];
  return [...new Set(stages.flatMap(([stage, choice]) => modelsFor(stage, choice, directions, known)))];
}
