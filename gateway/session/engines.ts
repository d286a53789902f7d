import type { Scope } from '../../media/scope.ts';
import { ms } from '../../media/time.ts';
import type { EngineRegistry, Wanted } from '../../models/engine.ts';
import type { Language } from '../../pipeline/domain.ts';
import type { SharedStages } from '../../pipeline/ear.ts';
import { fallback } from '../../pipeline/fallback.ts';
import { Fault } from '../../pipeline/fault.ts';
import { honest } from '../../pipeline/honest.ts';
import type { Stage, StageKind, StageMap } from '../../pipeline/stage.ts';
import type { LanguageStages } from '../../pipeline/voice.ts';
import { choose, isNeeded } from '../choice.ts';
import type { SessionSpec } from '../config.ts';

/** Pictures have a process of their own. */
type Dubbing = Exclude<StageKind, 'faceTracker' | 'activeSpeaker' | 'lipDriver' | 'restorer' | 'interpolator'>;

/** What is taken for granted of an engine that is not there yet: nothing. */
const UNKNOWN: { readonly [K in Dubbing]: StageMap[K]['caps'] } = {
  enhancer: { lookahead: ms(0), rate: 48_000 },
  separator: { lookahead: ms(0), rate: 48_000 },
  vad: { lookahead: ms(0), rate: 16_000 },
  diarizer: { lookahead: ms(0), rate: 16_000, maxSpeakers: 1, overlap: false },
  recognizer: { lookahead: ms(0), rate: 16_000, languages: 'any', drafts: false, wordTimes: false },
  aligner: { lookahead: ms(0), rate: 16_000, languages: 'any', phones: 'none' },
  translator: { lookahead: ms(0), from: 'any', to: 'any' },
  synthesizer: { lookahead: ms(0), languages: 'any', streams: false, clonesVoice: false, marks: [], voices: 1 },
};

/**
 * The engines of one session: those its spec names, else its profile's, else the registry's choice for its languages.
 * One that is not the registry's choice has the registry's choice as its stand-in.
 *
 * An engine that does not load is no reason to stop: its stage is down, which the viewer sees as a smaller promise, and
 * is loaded again whenever the graph tries it.
 */
export class Engines {
  readonly #registry: EngineRegistry;
  readonly #spec: SessionSpec;
  readonly #scope: Scope;
  readonly #onFault: (fault: Fault) => void;

  constructor(options: { registry: EngineRegistry; spec: SessionSpec; onFault: (fault: Fault) => void }, scope: Scope) {
    this.#registry = options.registry;
    this.#spec = options.spec;
    this.#onFault = options.onFault;
    this.#scope = scope;
  }

  /** Those that listen, shared by all languages. */
  async shared(): Promise<SharedStages> {
    const from = this.#spec.from as Language;
    const [separator, enhancer, aligner, vad, diarizer, recognizer] = await Promise.all([
      this.#stage('separator', {}, this.#scope),
      this.#stage('enhancer', {}, this.#scope),
      this.#stage('aligner', { from }, this.#scope),
      this.#stage('vad', {}, this.#scope),
      this.#stage('diarizer', {}, this.#scope),
      this.#stage('recognizer', { from }, this.#scope),
    ]);
    return {
      ...(separator && { separator }),
      ...(enhancer && { enhancer }),
      ...(aligner && { aligner }),
      ...(vad && { vad }),
      ...(diarizer && { diarizer }),
      ...(recognizer && { recognizer }),
    };
  }

  /** Those of one language. What they open belongs to `scope`. */
  async language(to: Language, scope: Scope): Promise<LanguageStages> {
    const from = this.#spec.from as Language;
    const [translator, synthesizer] = await Promise.all([
      this.#stage('translator', { from, to }, scope),
      this.#stage('synthesizer', { to }, scope),
    ]);
    return { ...(translator && { translator }), ...(synthesizer && { synthesizer }) };
  }

  async #stage<K extends Dubbing>(kind: K, wanted: Wanted, scope: Scope): Promise<Stage<K> | undefined> {
    const chosen = choose(kind, wanted, this.#spec, this.#registry);
    if (!chosen) {
      if (!isNeeded(kind)) return undefined;
      const { from, to } = wanted;
      this.#onFault(
        new Fault(kind, 'broken', `no ${kind} for ${[from, to].filter(Boolean).join(' → ') || 'this session'}`),
      );
      return undefined;
    }
    const loading = (engine: string, settings: object) => async () => {
      return honest(
        await this.#registry.load(kind, engine, { ...this.#told(kind, engine, wanted), ...settings }, scope),
      );
    };
    const primary = await this.#loaded(kind, chosen.engine, loading(chosen.engine, chosen.settings));
    if (chosen.spare === undefined) return primary;
    // Loaded when it is first needed, which it may never be.
    const spare = this.#awaited(kind, chosen.spare, loading(chosen.spare, {}), primary.caps);
    return fallback(primary, spare, { onFault: (fault) => this.#onFault(fault) });
  }

  /** The languages, for engines that want to know them before the first line. */
  #told(kind: Dubbing, engine: string, { from, to }: Wanted): object {
    if (kind === 'translator') return { from, to };
    const language = kind === 'synthesizer' ? to : from;
    return language !== undefined && this.#registry.takes(kind, engine, 'language') ? { language } : {};
  }

  async #loaded<K extends Dubbing>(kind: K, engine: string, load: () => Promise<Stage<K>>): Promise<Stage<K>> {
    try {
      return await load();
    } catch (failure) {
      this.#onFault(Fault.from(kind, failure));
      return this.#awaited(kind, engine, load, UNKNOWN[kind]);
    }
  }

  /** Stands in for an engine that did not load, and loads it when it is run. */
  #awaited<K extends Dubbing>(
    kind: K,
    engine: string,
    load: () => Promise<Stage<K>>,
    caps: StageMap[K]['caps'],
  ): Stage<K> {
    let stage: Promise<Stage<K>> | undefined;
    return {
      kind,
      engine,
      caps,
      async *run(input, scope) {
        const loaded = await (stage ??= load()).catch((failure: unknown) => {
          stage = undefined;
          throw Fault.from(kind, failure);
        });
        yield* loaded.run(input, scope);
      },
    };
  }
}
