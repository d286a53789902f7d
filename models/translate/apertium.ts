import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { MonotonicClock, type Clock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { type Span, ms, seconds } from '../../media/time.ts';
import type { Language } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { answerOf, asNames, programsOf, request, unknownIn, withoutMarks } from './apertium-text.ts';
import { type Need, type Pair, defineEngine, needsFile } from '../engine.ts';
import { type Direction, NoRoute, PAIRS, type Route, modeOf, routeBetween } from '../languages.ts';
import { NullFlushPipeline } from './null-flush.ts';
import { asSentence, finished } from './sentence.ts';
import { canShorten, translateWithin } from './shortening.ts';

/** Where packages put their mode files: Debian, a build of one's own, Homebrew's prefix. */
export const MODE_DIRECTORIES = [
  '/usr/share/apertium/modes',
  '/usr/local/share/apertium/modes',
  '/opt/homebrew/share/apertium/modes',
] as const;

/** The modes on this machine: name → file. Read each time, so that a package installed meanwhile is seen. */
export function installedModes(directories: readonly string[] = MODE_DIRECTORIES): Map<string, string> {
  const modes = new Map<string, string>();
  for (const directory of directories.filter((each) => existsSync(each))) {
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.mode'))) {
      const name = file.slice(0, -'.mode'.length);
      if (!modes.has(name)) modes.set(name, join(directory, file));
    }
  }
  return modes;
}

/** The way that is installed from one language to another. Throws {@link NoRoute} when there is none. */
export function installedRoute(from: Language, to: Language, modes = installedModes()): Route {
  const installed = new Set(modes.keys());
  const answer = routeBetween(from, to, installed);
  if (!answer || !('route' in answer)) throw new NoRoute(from, to, installed);
  return answer.route;
}

/** A pipeline and how many translators of this process use it. */
interface Shared {
  readonly pipeline: NullFlushPipeline;
  users: number;
}
/** Pipelines by mode file: languages that are reached through Spanish have one English–Spanish pipeline between them. */
const shared = new Map<string, Shared>();

function lease(file: string, scope: Scope): NullFlushPipeline {
  const entry = shared.get(file) ?? {
    pipeline: new NullFlushPipeline(programsOf(readFileSync(file, 'utf8'))),
    users: 0,
  };
  shared.set(file, entry);
  entry.users += 1;
  scope.defer(async () => {
    entry.users -= 1;
    if (entry.users > 0) return;
    shared.delete(file);
    await entry.pipeline.close();
  });
  return entry.pipeline;
}

/** How long dictionaries may take to load: half a second on an idle machine. */
const LOADING: Span = seconds(30);

/** How often an utterance is translated to keep its budget: a few milliseconds each time. */
const ATTEMPTS = 5;

/** What came of a text, and the text it came of: the one asked for, or that with its names in capitals. */
interface Translation {
  readonly source: string;
  readonly text: string;
}

/** Translates by one direction's pipeline. */
async function translate(
  pipeline: NullFlushPipeline,
  source: string,
  clock: Clock,
  patience: Span,
): Promise<Translation> {
  const ask = async (words: string) => answerOf(await pipeline.ask(request(words), clock, patience));
  const first = await ask(source);
  // A recogniser writes names in lower case, the dictionary does not: `monday` is unknown and `Monday` is not.
  const unknown = unknownIn(first);
  const named = asNames(source, unknown);
  if (named !== source) {
    const second = await ask(named);
    if (unknownIn(second).length < unknown.length) return { source: named, text: withoutMarks(second) };
  }
  return { source, text: withoutMarks(first) };
}

/**
 * Apertium as a stage: one pipeline per direction, two in a row where the way leads through a third language.
 *
 * Runs may overlap; each gets its own answers. A program that dies costs the utterance in work an `unavailable` fault
 * and is started again for the next one.
 */
export async function apertiumStage(
  route: Route,
  { from, to, patience }: { readonly from: Language; readonly to: Language; readonly patience: Span },
  scope: Scope,
  modes = installedModes(),
): Promise<Stage<'translator'>> {
  const installed = new Set(modes.keys());
  const fileOf = (direction: Direction) => modes.get(modeOf(direction, installed) ?? '');
  const pipelines = route.map((direction) => {
    const file = fileOf(direction);
    if (file === undefined) throw new NoRoute(from, to, installed);
    return lease(file, scope);
  });
  const loading = new MonotonicClock();
  await Promise.all(pipelines.map((pipeline) => pipeline.ask(request('.'), loading, LOADING)));
  return {
    kind: 'translator',
    engine: 'apertium',
    caps: { lookahead: ms(0), from: [from], to: [to], budgets: canShorten(from), shortens: canShorten(from) },
    async *run(input, { signal, clock }) {
      const through = async (text: string) => {
        let translation: Translation = { source: '', text };
        for (const pipeline of pipelines) translation = await translate(pipeline, translation.text, clock, patience);
        return finished(translation.text, translation.source, to);
      };
      for await (const utterance of until(input, signal)) {
        const { id, speaker, start, end, text } = utterance;
        const line = await translateWithin(asSentence(text, from), utterance, through, {
          from,
          to,
          attempts: ATTEMPTS,
        });
        if (signal.aborted) return;
        if (line !== '') yield { utterance: id, speaker, language: to, start, end, text: line };
      }
    },
  };
}

/** What a pair lacks depends on what is there: at most two packages, one for each step of the way that is nearest. */
function needsOf(from: Language, to: Language): Need[] {
  const lacked = (): readonly string[] => {
    const answer = routeBetween(from, to, new Set(installedModes().keys()));
    return answer && 'install' in answer ? answer.install : [];
  };
  return [0, 1].map((step) => ({
    get install() {
      return lacked()[step] ?? '';
    },
    present: () => lacked().length <= step,
  }));
}

export const apertium = defineEngine({
  kind: 'translator',
  id: 'apertium',
  host: 'process',
  config: z.strictObject({
    from: z.string().min(2).max(35).default('en').describe('Language of the programme, BCP 47.'),
    to: z.string().min(2).max(35).describe('Language of the dub, BCP 47.'),
    timeout: z.number().min(0.1).max(60).default(4).describe('Seconds to wait for a translation.'),
  }),
  summary: 'Apertium from Debian: rule-based translation, milliseconds a sentence, good for the gist.',
  licence: 'GPL-2.0-or-later',
  needs: [needsFile('apertium', ['/usr/bin/lt-proc', '/usr/local/bin/lt-proc', '/opt/homebrew/bin/lt-proc'])],
  pairs: PAIRS.map(({ from, to }): Pair => ({ from, to, needs: needsOf(from, to) })),
  load: async (config, scope) => {
    const [from, to] = [config.from as Language, config.to as Language];
    const modes = installedModes();
    const settings = { from, to, patience: seconds(config.timeout) };
    return apertiumStage(installedRoute(from, to, modes), settings, scope, modes);
  },
});
