import { UsageError } from './commands.ts';
import { SessionSpec } from './config.ts';

const STAGES = new Set(Object.keys(SessionSpec.shape.engines.unwrap().shape));

/** Which engines a command's session uses. */
export interface EngineOptions {
  readonly profile?: string;
  /** `STAGE=ENGINE`, or `STAGE=ENGINE{SETTINGS}` with settings as JSON. */
  readonly engine?: readonly string[];
}

/** What they say in a session's own words: its `profile` and its `engines`, to be checked with the rest of it. */
export function enginesOf({ profile, engine = [] }: EngineOptions): {
  profile?: string;
  engines: Record<string, object>;
} {
  const engines: Record<string, object> = {};
  for (const text of engine) {
    const [, stage, id, settings] = /^(\w+)=([\w.-]+)\s*(\{.*\})?$/s.exec(text.trim()) ?? [];
    if (stage === undefined || id === undefined) {
      throw new UsageError(
        `--engine must be STAGE=ENGINE, as in enhancer=gtcrn, received '${text}'; see: livedub engines`,
      );
    }
    if (!STAGES.has(stage)) {
      throw new UsageError(`--engine: there is no stage called '${stage}'; there is ${[...STAGES].join(', ')}`);
    }
    engines[stage] = { engine: id, ...settingsOf(stage, settings) };
  }
  return { ...(profile !== undefined && { profile }), engines };
}

function settingsOf(stage: string, settings: string | undefined): object {
  if (settings === undefined) return {};
  try {
    return JSON.parse(settings) as object;
  } catch {
    throw new UsageError(`--engine ${stage}: its settings must be JSON, received ${settings}`);
  }
}
