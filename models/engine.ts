import { existsSync } from 'node:fs';
import { z } from 'zod';
import type { Scope } from '../media/scope.ts';
import type { Language } from '../pipeline/domain.ts';
import type { Stage, StageKind } from '../pipeline/stage.ts';
import { threaded } from './thread.ts';
import type { ModelCard } from './store/weights.ts';

/**
 * Where an engine's arithmetic happens. The pipeline never asks; the operator does.
 *
 * `thread`: blocking code, so the stage runs in a worker thread of its own (`models/thread.ts`). `process`: a program
 * beside ours, spoken to over pipes. `inline`: cheap enough for the session's own thread.
 */
export type Host = 'thread' | 'process' | 'inline';

/** Something that must be on the machine before an engine can load. */
export interface Need {
  /** Debian package, or the npm package or file to put there. */
  readonly install: string;
  /** Homebrew formula, where there is one. */
  readonly homebrew?: string;
  present(): boolean;
}
/** A Debian package that is known by a file it installs. */
export const needsFile = (install: string, files: readonly string[], homebrew?: string): Need => ({
  install,
  ...(homebrew === undefined ? {} : { homebrew }),
  present: () => files.some((file) => existsSync(file)),
});

/** One direction of translation, and what it needs beyond the engine itself. */
export interface Pair {
  readonly from: Language;
  readonly to: Language;
  readonly needs?: readonly Need[];
}

export interface Engine<K extends StageKind = StageKind, S extends z.ZodType = z.ZodType> {
  readonly kind: K;
  readonly id: string;
  readonly host: Host;
  readonly config: S;
  /** One sentence for `livedub doctor` and the API. */
  readonly summary: string;
  /** SPDX expression of what runs, weights included. */
  readonly licence: string;
  readonly needs: readonly Need[];
  /** What `livedub models pull` fetches for it. */
  readonly models?: readonly ModelCard[];
  /** Never used unless it is named: it sends what is said to somebody else's machine, costs money, or has such terms. */
  readonly byName?: true;
  /** Languages a recognizer hears or a synthesizer speaks. A language covers its regions: `en` covers `en-GB`. */
  readonly languages?: readonly Language[] | 'any';
  /** Directions a translator knows. */
  readonly pairs?: readonly Pair[] | 'any';
  /**
   * Loads weights, opens connections. What it opens belongs to `scope`.
   *
   * With `host: 'thread'` this runs in the engine's thread; the registry's `load` runs it there.
   */
  load(config: z.output<S>, scope: Scope): Promise<Stage<K>>;
}
/** Infers an engine's types from its own schema. */
export const defineEngine = <K extends StageKind, S extends z.ZodType>(engine: Engine<K, S>) => engine;

/** What is asked of an engine: the language of the programme, the language of the dub. */
export interface Wanted {
  readonly from?: Language | undefined;
  readonly to?: Language | undefined;
}

/** An engine's card as the API and `livedub doctor` show it. */
export interface EngineCard {
  readonly kind: StageKind;
  readonly id: string;
  readonly host: Host;
  readonly summary: string;
  readonly licence: string;
  readonly languages: readonly Language[] | 'any' | null;
  readonly pairs:
    readonly { readonly from: Language; readonly to: Language; readonly missing: readonly string[] }[] | 'any' | null;
  /** What is not on this machine; empty when the engine can load. */
  readonly missing: readonly string[];
  /** JSON schema of its settings. */
  readonly config: object;
}

/** An engine or a setting that does not exist. `path` names the key, counted from the engine's own settings. */
export class EngineRefused extends TypeError {
  readonly path: readonly PropertyKey[];

  constructor(message: string, path: readonly PropertyKey[]) {
    super(message);
    this.path = path;
  }
}

/** RFC 4647 §3.3.1 basic filtering: the range `en` covers `en` and `en-GB`, not `eng`. */
const covers = (range: Language, tag: Language) => {
  const [wide, narrow] = [range.toLowerCase(), tag.toLowerCase()];
  return wide === narrow || narrow.startsWith(`${wide}-`);
};
/** The language an engine of this kind has to know. */
const asked = (kind: StageKind, { from, to }: Wanted) => (kind === 'synthesizer' ? to : from);

/** What an engine needs to do what is wanted, or nothing when it cannot do it at all. */
function needsFor(engine: Engine, wanted: Wanted): readonly Need[] | undefined {
  const { pairs, languages, needs } = engine;
  if (pairs && pairs !== 'any') {
    const { from, to } = wanted;
    const pair = pairs.find((each) => (!from || covers(each.from, from)) && (!to || covers(each.to, to)));
    return pair && [...needs, ...(pair.needs ?? [])];
  }
  const language = asked(engine.kind, wanted);
  if (!languages || languages === 'any' || !language) return needs;
  return languages.some((range) => covers(range, language)) ? needs : undefined;
}
const missing = (needs: readonly Need[]) => needs.filter((need) => !need.present()).map((need) => need.install);

/**
 * The engines that exist, in order of preference.
 *
 * @param engines every engine of every kind; of one kind, the first that can do what is wanted is the default
 * @param module the built file that exports the same list as `engines`, for threads to import
 */
export class EngineRegistry {
  readonly #engines = new Map<string, Engine>();
  readonly #module: string;

  constructor(engines: readonly Engine[], module: string) {
    this.#module = module;
    for (const engine of engines) {
      const key = `${engine.kind}:${engine.id}`;
      if (this.#engines.has(key)) throw new TypeError(`Cannot register engine: ${key} is already registered`);
      this.#engines.set(key, engine);
    }
  }

  /** Every engine's card, in order of preference. */
  list(): EngineCard[] {
    return [...this.#engines.values()].map(({ kind, id, host, summary, licence, languages, pairs, needs, config }) => ({
      kind,
      id,
      host,
      summary,
      licence,
      languages: languages ?? null,
      pairs: Array.isArray(pairs)
        ? pairs.map((pair: Pair) => ({ from: pair.from, to: pair.to, missing: missing(pair.needs ?? []) }))
        : pairs === 'any'
          ? pairs
          : null,
      missing: missing(needs),
      config: z.toJSONSchema(config, { io: 'input', unrepresentable: 'any' }),
    }));
  }

  /** The engine called `id`. Refuses an unknown one with a sentence that lists those of the kind. */
  engine<K extends StageKind>(kind: K, id: string): Engine<K> {
    const engine = this.#engines.get(`${kind}:${id}`) as Engine<K> | undefined;
    if (engine) return engine;
    const ids = this.#of(kind).map((each) => each.id);
    const known = ids.length > 0 ? `there is ${ids.join(', ')}` : `there is none`;
    throw new EngineRefused(`Cannot load ${kind}: no engine is called '${id}'; ${known}`, ['engine']);
  }

  /**
   * The default engine for what is wanted: the first of the kind that can do it and whose needs are on this machine,
   * else the first that could do it if they were; nothing when none can.
   */
  pick<K extends StageKind>(kind: K, wanted: Wanted = {}): Engine<K> | undefined {
    const able = this.#of(kind).filter((engine) => !engine.byName && needsFor(engine, wanted) !== undefined);
    return able.find((engine) => missing(needsFor(engine, wanted) ?? []).length === 0) ?? able[0];
  }

  has(kind: StageKind, id: string): boolean {
    return this.#engines.has(`${kind}:${id}`);
  }

  /** Whether the engine has a setting of that name. */
  takes(kind: StageKind, id: string, setting: string): boolean {
    const { config } = this.engine(kind, id);
    return config instanceof z.ZodObject && setting in config.shape;
  }

  /** Whether the engine could do what is wanted, once what it needs is there. */
  knows(kind: StageKind, id: string, wanted: Wanted): boolean {
    return needsFor(this.engine(kind, id), wanted) !== undefined;
  }

  /** What must be installed before `engine` can do what is wanted; empty when nothing is missing. */
  lacks(kind: StageKind, id: string, wanted: Wanted = {}): readonly string[] {
    const engine = this.engine(kind, id);
    return missing(needsFor(engine, wanted) ?? engine.needs);
  }

  /** Settings with defaults filled in. Refuses an unknown engine, an unknown key or a wrong value, by name. */
  check(kind: StageKind, id: string, config: unknown): unknown {
    const engine = this.engine(kind, id);
    const parsed = engine.config.safeParse(config);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const subject = `Cannot load ${kind} engine '${id}'`;
    if (issue?.code === 'unrecognized_keys') {
      const keys = engine.config instanceof z.ZodObject ? Object.keys(engine.config.shape) : [];
      const known = keys.length > 0 ? `its settings are ${keys.join(', ')}` : 'it has no settings';
      throw new EngineRefused(`${subject}: '${issue.keys.join("', '")}' is no setting; ${known}`, issue.keys);
    }
    const path = issue?.path ?? [];
    throw new EngineRefused(`${subject}: '${path.join('.')}' is wrong: ${issue?.message ?? 'not accepted'}`, path);
  }

  /**
   * Loads an engine, in a thread of its own where it asks for one. What it opens belongs to `scope`.
   *
   * Refuses what {@link check} refuses; throws a `Fault` when what it needs is not there.
   */
  async load<K extends StageKind>(kind: K, id: string, config: unknown, scope: Scope): Promise<Stage<K>> {
    const engine = this.engine(kind, id);
    const settings = this.check(kind, id, config);
    if (engine.host === 'thread') return threaded({ module: this.#module, kind, id, config: settings }, scope);
    return engine.load(settings, scope);
  }

  #of<K extends StageKind>(kind: K): Engine<K>[] {
    return [...this.#engines.values()].filter((engine): engine is Engine<K> => engine.kind === kind);
  }
}
