import { EngineRefused, type EngineRegistry } from '../models/engine.ts';
import { registry } from '../models/index.ts';
import { type Entry, cardsOf, manifest } from '../models/store/manifest.ts';
import { type Choice, type Profile, USUAL, modelsFor, profile } from '../models/store/profiles.ts';
import { Store } from '../models/store/store.ts';
import { StoreError } from '../models/store/store-error.ts';
import type { StageKind } from '../pipeline/stage.ts';
import { UsageError } from './commands.ts';
import type { Check } from './doctor.ts';

/** The command that brings what an engine needs (`Need.install`). */
export function fixOf(install: string): string {
  const said = /\((livedub [^)]+)\)/.exec(install)?.[1];
  if (said !== undefined) return said;
  const variable = /environment variable (.+)/.exec(install)?.[1];
  if (variable !== undefined) return `set ${variable}, for instance: export ${variable.split(' ')[0]}=…`;
  if (install.startsWith('npm package ')) return 'npm ci';
  return /^[a-z0-9][a-z0-9.+ -]*$/.test(install)
    ? `sudo apt-get install -y --no-install-recommends ${install}`
    : install;
}

/**
 * Whether each stage of a profile can load: one row each, with what it lacks and the commands that fix it.
 *
 * @throws UsageError when there is no such profile
 */
export async function checkProfile(name: string, store = new Store()): Promise<Check[]> {
  const chosen = profileOf(name);
  const engines = registry();
  const entries = manifest();
  const stages = Object.entries(chosen.engines) as [StageKind, Choice][];
  return Promise.all(stages.map(([stage, choice]) => check(stage, choice, engines, entries, store)));
}

async function check(
  stage: StageKind,
  choice: Choice,
  engines: EngineRegistry,
  entries: readonly Entry[],
  store: Store,
): Promise<Check> {
  const { engine, settings } = choice;
  const name = `${stage}: ${engine}`;
  try {
    const { summary } = engines.engine(stage, engine);
    // What a session fills in by itself.
    engines.check(stage, engine, stage === 'translator' ? { ...USUAL, ...settings } : (settings ?? {}));
    const lacks = engines.lacks(stage, engine, USUAL).filter((install) => !install.startsWith('model '));
    const models: string[] = [];
    for (const card of cardsOf(modelsFor(stage, choice), entries))
      if ((await store.holding(card)).presence !== 'present') models.push(card.name);
    const found = [...lacks, ...models.map((model) => `model ${model}`)];
    if (found.length === 0) return { name, needed: summary, state: 'ok', found: 'ready', fix: '' };
    const fixes = [...lacks.map(fixOf), ...(models.length > 0 ? [`livedub models pull ${models.join(' ')}`] : [])];
    return { name, needed: summary, state: 'missing', found: `no ${found.join(', no ')}`, fix: fixes.join('; ') };
  } catch (thrown) {
    if (!(thrown instanceof EngineRefused || thrown instanceof StoreError)) throw thrown;
    const fix = 'this version of Livedub has no such engine, setting or model';
    return { name, needed: '', state: 'missing', found: thrown.message, fix };
  }
}

function profileOf(name: string): Profile {
  try {
    return profile(name);
  } catch (thrown) {
    if (thrown instanceof StoreError) throw new UsageError(`${thrown.message} ${thrown.fix}`, { cause: thrown });
    throw thrown;
  }
}
