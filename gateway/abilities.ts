import type { EngineCard, EngineRegistry } from '../models/engine.ts';
import { EngineRefused } from '../models/engine.ts';
import { nameOf, serves } from '../models/languages.ts';
import type { Language } from '../pipeline/domain.ts';
import type { StageKind } from '../pipeline/stage.ts';
import { choose } from './choice.ts';
import { lipsLack } from './lip-engines.ts';
import type { ApiError, LanguageTag } from './protocol.ts';
import type { Abilities } from './sessions.ts';

/** The stages no dub can do without, and what each does with a pair of languages. */
const NEEDED = { recognizer: 'hears', translator: 'translates', synthesizer: 'speaks' } as const satisfies Partial<
  Record<StageKind, string>
>;

/** One direction of dubbing. */
export interface LanguagePair {
  readonly from: LanguageTag;
  readonly to: LanguageTag;
  /** The target's name in itself, and in English. */
  readonly name: string;
  readonly english: string;
  /** What to install first; empty when it can be used now. */
  readonly missing: readonly string[];
}

/** What the engines of this gateway can dub, asked of the engines' own cards. */
export function abilitiesOf(registry: EngineRegistry): Abilities {
  return {
    supports(spec, to) {
      const { from } = spec;
      const wanted = { from: from as Language, to: to as Language };
      for (const kind of Object.keys(NEEDED) as (keyof typeof NEEDED)[]) {
        const chosen = choose(kind, wanted, spec, registry);
        const field = kind === 'recognizer' ? 'from' : 'to';
        // A name that nobody has is refused by `accepts`, with the names there are.
        if (chosen && !registry.has(kind, chosen.engine)) continue;
        if (!chosen || !registry.knows(kind, chosen.engine, wanted)) {
          const what = kind === 'translator' ? `${from}→${to}` : kind === 'recognizer' ? from : to;
          return {
            code: 'unsupported',
            message: chosen
              ? `${chosen.engine} does not do that: ${kind}, ${what}.`
              : `No engine ${NEEDED[kind]} ${what}.`,
            field,
            fix: 'GET /v1/languages lists what can be dubbed.',
          };
        }
        // What stands in can do it until the rest is there.
        const missing = chosen.spare === undefined ? registry.lacks(kind, chosen.engine, wanted) : [];
        if (missing.length > 0) {
          return {
            code: 'unsupported',
            message: `${from}→${to} is not installed.`,
            field,
            fix: remedy(missing),
          };
        }
      }
      return undefined;
    },
    accepts(spec): ApiError | undefined {
      const { engines } = spec;
      for (const [kind, chosen] of Object.entries(engines)) {
        if (!chosen) continue;
        const { engine, ...config } = chosen;
        try {
          registry.check(kind as StageKind, engine, config);
        } catch (thrown) {
          if (!(thrown instanceof EngineRefused)) throw thrown;
          const field = ['engines', kind, ...thrown.path].map(String).join('.');
          return {
            code: 'invalid',
            message: thrown.message,
            field,
            fix: 'GET /v1/engines lists the engines and their settings.',
          };
        }
      }
      const lacking = spec.lips === 'on' ? lipsLack(spec, registry) : [];
      if (lacking.length > 0) {
        return {
          code: 'unsupported',
          message: 'Mouths cannot be driven here: something for it is not installed.',
          field: 'lips',
          fix: remedy(lacking),
        };
      }
      return undefined;
    },
  };
}

/** How what is missing is put there: packages are installed; models and keys say themselves how. */
export function remedy(missing: readonly string[]): string {
  const packages = missing.filter((each) => /^[a-z0-9][a-z0-9.+-]*$/.test(each));
  const rest = missing.filter((each) => !packages.includes(each));
  return [
    ...(packages.length > 0 ? [`Install ${packages.join(' ')} (apt-get install).`] : []),
    ...rest.map((each) => `Needs ${each}.`),
  ].join(' ');
}

/** Every direction that the engines can dub between them, those that are ready first. */
export function languagePairs(cards: readonly EngineCard[]): LanguagePair[] {
  const of = (kind: StageKind) => cards.filter((card) => card.kind === kind);
  const able = (kind: StageKind, language: Language) =>
    of(kind).filter(
      ({ languages }) =>
        languages === 'any' || languages?.some((range) => serves(range, language) || serves(language, range)),
    );
  const ready = new Map<string, LanguagePair>();
  for (const translator of of('translator')) {
    if (!Array.isArray(translator.pairs)) continue;
    for (const { from, to, missing } of translator.pairs as {
      from: Language;
      to: Language;
      missing: readonly string[];
    }[]) {
      const [ears, voices] = [able('recognizer', from), able('synthesizer', to)];
      if (ears.length === 0 || voices.length === 0) continue;
      const least = (engines: readonly EngineCard[]) =>
        engines.map((each) => each.missing).sort((a, b) => a.length - b.length)[0] ?? [];
      const all = [...new Set([...least(ears), ...translator.missing, ...missing, ...least(voices)])];
      const known = ready.get(`${from}→${to}`);
      if (known && known.missing.length <= all.length) continue;
      ready.set(`${from}→${to}`, { from, to, name: nameOf(to), english: nameOf(to, 'en' as Language), missing: all });
    }
  }
  return [...ready.values()].sort(
    (a, b) =>
      a.missing.length - b.missing.length || a.from.localeCompare(b.from) || a.english.localeCompare(b.english, 'en'),
  );
}
