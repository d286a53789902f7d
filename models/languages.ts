import type { Language } from '../pipeline/domain.ts';

/** One direction that a Debian package translates. */
export interface Direction {
  readonly from: Language;
  readonly to: Language;
  /** Names its `.mode` file goes by, Debian 12's first: packages moved from two-letter to three-letter codes over time. */
  readonly modes: readonly [string, ...string[]];
  /** The Debian package that brings it. */
  readonly package: string;
}
/** A way from one language to another: directly, or through a third. */
export type Route = readonly [Direction] | readonly [Direction, Direction];

const way = (from: string, to: string, modes: Direction['modes'], name: string): Direction => ({
  from: from as Language,
  to: to as Language,
  modes,
  package: name,
});

/**
 * What Debian 12 translates on a way out of English or Spanish, read from the packages' mode files (`dpkg -c`).
 *
 * Not here, because the files do not keep what the package's name promises: `apertium-mkd-eng`, `apertium-isl-eng` and
 * `apertium-eu-en` translate into English alone, `apertium-es-ro` into Spanish alone, and `apertium-eo-es` asks for
 * files it does not bring. Not here either: `apertium-hbs-eng`, whose way out of English left 87 of 100 words as they
 * were. Where several ways lead to a language, a direct one is preferred, then the order of this list.
 */
export const DIRECTIONS: readonly Direction[] = [
  way('en', 'es', ['eng-spa', 'en-es'], 'apertium-eng-spa'),
  way('en', 'ca', ['eng-cat', 'en-ca'], 'apertium-eng-cat'),
  way('en', 'ca-valencia', ['eng-cat_valencia', 'en-ca_valencia'], 'apertium-eng-cat'),
  way('en', 'gl', ['en-gl', 'eng-glg'], 'apertium-en-gl'),
  way('en', 'eo', ['en-eo', 'eng-epo'], 'apertium-eo-en'),
  way('es', 'en', ['spa-eng', 'es-en'], 'apertium-eng-spa'),
  way('es', 'ca', ['spa-cat', 'es-ca'], 'apertium-spa-cat'),
  way('es', 'ca-valencia', ['spa-cat_valencia', 'es-ca_valencia'], 'apertium-spa-cat'),
  way('es', 'gl', ['es-gl', 'spa-glg'], 'apertium-es-gl'),
  way('es', 'pt', ['es-pt', 'spa-por'], 'apertium-es-pt'),
  way('es', 'pt-BR', ['es-pt_BR', 'spa-por_BR'], 'apertium-es-pt'),
  way('es', 'fr', ['es-fr', 'spa-fra'], 'apertium-fr-es'),
  way('es', 'it', ['spa-ita', 'es-it'], 'apertium-spa-ita'),
  way('es', 'ast', ['spa-ast', 'es-ast'], 'apertium-spa-ast'),
  way('es', 'an', ['spa-arg', 'es-an'], 'apertium-spa-arg'),
  way('ca', 'oc', ['ca-oc', 'cat-oci'], 'apertium-oc-ca'),
  way('es', 'oc', ['es-oc', 'spa-oci'], 'apertium-oc-es'),
  way('ca', 'it', ['cat-ita', 'ca-it'], 'apertium-cat-ita'),
  way('ca', 'pt', ['cat-por', 'ca-pt'], 'apertium-por-cat'),
  way('ca', 'fr', ['cat-fra', 'ca-fr'], 'apertium-fra-cat'),
  way('ca', 'sc', ['cat-srd', 'ca-sc'], 'apertium-cat-srd'),
];

/**
 * How much of English reaches a language: of 100 words, how many Apertium marks as not known or not inflected, counted
 * over all steps of the preferred way on the fifteen sentences (159 words) of `test/engines/sentences.ts`. A low figure
 * is no promise of good grammar.
 */
const MARKED: Readonly<Record<string, number>> = {
  es: 1.9,
  ca: 0.6,
  'ca-valencia': 0.6,
  gl: 3.1,
  eo: 3.8,
  pt: 5,
  'pt-BR': 5,
  fr: 5,
  it: 6.3,
  ast: 4.4,
  an: 6.3,
  oc: 5.7,
  sc: 3.1,
};

/** Whether a language in a table serves one that was asked for: `en` serves `en-GB` (RFC 4647 §3.3.1). */
export const serves = (has: Language, wanted: Language): boolean =>
  `${wanted.toLowerCase()}-`.startsWith(`${has.toLowerCase()}-`);

/** The language's name in itself (`español`) or in another language. */
export function nameOf(language: Language, inLanguage: Language = language): string {
  const names = new Intl.DisplayNames([inLanguage, 'en'], { type: 'language', fallback: 'code' });
  return names.of(language) ?? language;
}

/** The most specific of `tags` that serves `wanted`. */
const closest = (tags: Iterable<Language>, wanted: Language): Language | undefined =>
  [...new Set(tags)].filter((tag) => serves(tag, wanted)).sort((a, b) => b.length - a.length)[0];

/** Every way from one language to another, the preferred one first; none when there is none. */
export function routesBetween(from: Language, to: Language): Route[] {
  const origin = closest(
    DIRECTIONS.map((direction) => direction.from),
    from,
  );
  const target = closest(
    DIRECTIONS.map((direction) => direction.to),
    to,
  );
  if (!origin || !target || origin === target) return [];
  const starts = DIRECTIONS.filter((direction) => direction.from === origin);
  const ends = DIRECTIONS.filter((direction) => direction.to === target);
  const direct = starts.filter((start) => start.to === target).map((start): Route => [start]);
  const pivoted = ends.flatMap((end) =>
    starts.filter((start) => start.to === end.from).map((start): Route => [start, end]),
  );
  return [...direct, ...pivoted];
}

/** The name under which a direction is installed, if it is. */
export const modeOf = (direction: Direction, installed: ReadonlySet<string>): string | undefined =>
  direction.modes.find((mode) => installed.has(mode));

/** The packages a way still lacks. */
export const lackedBy = (route: Route, installed: ReadonlySet<string>): string[] => [
  ...new Set(route.filter((step) => modeOf(step, installed) === undefined).map((step) => step.package)),
];

/** A way that can be gone with what is installed, or what to install for the preferred one. */
export type Answer = { readonly route: Route } | { readonly install: readonly string[] };

/** The best installed way; else what would bring the shortest; nothing when no package leads there. */
export function routeBetween(from: Language, to: Language, installed: ReadonlySet<string>): Answer | undefined {
  const routes = routesBetween(from, to);
  const ready = routes.find((route) => lackedBy(route, installed).length === 0);
  if (ready) return { route: ready };
  const lacks = routes.map((route) => lackedBy(route, installed)).sort((a, b) => a.length - b.length);
  return lacks[0] && { install: lacks[0] };
}

/** Every pair of languages with a way between them, specific languages before those that serve them too. */
export const PAIRS: readonly { readonly from: Language; readonly to: Language }[] = ['en', 'es']
  .flatMap((from) => [...new Set(DIRECTIONS.map((direction) => direction.to))].map((to) => ({ from, to })))
  .map(({ from, to }) => ({ from: from as Language, to }))
  .filter(({ from, to }) => routesBetween(from, to).length > 0)
  .sort((a, b) => b.to.length - a.to.length);

/** One row of `livedub languages`. */
export interface LanguageRow {
  readonly from: Language;
  readonly to: Language;
  /** In the language itself, and in English. */
  readonly name: string;
  readonly english: string;
  /** The language the text passes through on the way, if any. */
  readonly through: Language | undefined;
  /** Debian packages to install first; none when it can be used now. */
  readonly install: readonly string[];
  readonly note: string;
}

/** The languages that can be dubbed into, those that are ready first. */
export function languageRows(installed: ReadonlySet<string>): LanguageRow[] {
  const rows = PAIRS.map(({ from, to }): LanguageRow => {
    const answer = routeBetween(from, to, installed);
    const ready = answer && 'route' in answer ? answer.route : undefined;
    const route = ready ?? routesBetween(from, to)[0];
    const through = route?.length === 2 ? route[0].to : undefined;
    const marked = from === 'en' ? MARKED[to] : undefined;
    const way = through ? `through ${nameOf(through, 'en' as Language)}, whose mistakes it inherits` : 'direct';
    return {
      from,
      to,
      name: nameOf(to),
      english: nameOf(to, 'en' as Language),
      through,
      install: answer && 'install' in answer ? answer.install : [],
      note: marked === undefined ? way : `${way}; ${marked} of 100 words unknown or not inflected`,
    };
  });
  return rows.sort(
    (a, b) =>
      a.from.localeCompare(b.from) || a.install.length - b.install.length || a.english.localeCompare(b.english, 'en'),
  );
}

/** No way from one language to another, or none installed: says which there are and what to install. */
export class NoRoute extends Error {
  override readonly name = 'NoRoute';
  readonly from: Language;
  readonly to: Language;
  /** Packages that would bring it; none when nothing in Debian does. */
  readonly install: readonly string[];

  constructor(from: Language, to: Language, installed: ReadonlySet<string>) {
    const answer = routeBetween(from, to, installed);
    const install = answer && 'install' in answer ? answer.install : [];
    const ready = PAIRS.filter((pair) => 'route' in (routeBetween(pair.from, pair.to, installed) ?? {}));
    const fix =
      install.length > 0 ? `apt install ${install.join(' ')} brings it` : 'no Apertium package in Debian 12 brings it';
    const list = ready.map((pair) => `${pair.from}→${pair.to}`).join(', ');
    super(`Cannot translate ${from}→${to}: ${fix}; installed: ${list || 'none'}`);
    this.from = from;
    this.to = to;
    this.install = install;
  }
}
