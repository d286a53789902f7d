import { randomUUID } from 'node:crypto';
import type { Scope } from '../media/scope.ts';
import type { EngineRegistry } from '../models/engine.ts';
import { profile as profileCalled } from '../models/store/profiles.ts';
import { honest } from '../pipeline/honest.ts';
import type { LipStages } from '../pipeline/lip-path.ts';
import type { Stage } from '../pipeline/stage.ts';
import type { SessionSpec } from './config.ts';

type LipKind = 'faceTracker' | 'activeSpeaker' | 'lipDriver' | 'restorer';
type PictureKind = LipKind | 'interpolator';
/** Without these no mouth moves. */
const VITAL = ['faceTracker', 'lipDriver'] as const;

type LipSpec = Pick<SessionSpec, 'lips' | 'engines' | 'profile'>;
interface ChosenEngine {
  readonly engine: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** The engine a session uses for a stage of the lip path: the one it names, else its profile's, else the first that is installed. */
function chosen(kind: PictureKind, { engines, profile }: LipSpec, registry: EngineRegistry): ChosenEngine | undefined {
  const named = engines[kind];
  if (named) {
    const { engine, ...settings } = named;
    return { engine, settings };
  }
  const ofProfile = profile === 'embedded' ? undefined : profileCalled(profile).engines[kind];
  if (ofProfile && registry.lacks(kind, ofProfile.engine).length === 0) {
    return { engine: ofProfile.engine, settings: ofProfile.settings ?? {} };
  }
  const found = registry.pick(kind);
  return found && registry.lacks(kind, found.id).length === 0 ? { engine: found.id, settings: {} } : undefined;
}

/**
 * What is not there that the session's engine for pictures needs; empty when it can be used. Settings of its own may say where
 * else its files are: then it is found out when it is loaded.
 */
export function pictureStageLacks(kind: PictureKind, spec: LipSpec, registry: EngineRegistry): readonly string[] {
  const { engine, settings } = chosen(kind, spec, registry) ?? { engine: registry.pick(kind)?.id, settings: {} };
  if (engine === undefined) return [`an engine for ${kind}`];
  return Object.keys(settings).length > 0 ? [] : registry.lacks(kind, engine);
}
/** Loads the session's engine for a stage that has to do with pictures. */
export async function pictureStage<K extends PictureKind>(
  kind: K,
  spec: LipSpec,
  registry: EngineRegistry,
  scope: Scope,
  session?: string,
): Promise<Stage<K>> {
  const engine = chosen(kind, spec, registry);
  if (!engine) throw new TypeError(`Cannot load ${kind}: there is no engine for it`);
  const told = session !== undefined && registry.takes(kind, engine.engine, 'session') ? { session } : {};
  return honest(await registry.load(kind, engine.engine, { ...told, ...engine.settings }, scope));
}

/** What is not there that mouths cannot be driven without; empty when they can. */
export function lipsLack(spec: LipSpec, registry: EngineRegistry): readonly string[] {
  return VITAL.flatMap((kind) => {
    if (chosen(kind, spec, registry)) return [];
    const found = registry.pick(kind);
    return found ? registry.lacks(kind, found.id) : [`an engine for ${kind}`];
  });
}

/** Whether a session drives mouths. */
export const drivesLips = (spec: LipSpec, registry: EngineRegistry): boolean =>
  spec.lips !== 'off' && lipsLack(spec, registry).length === 0;

/** Loads what drives mouths. Not being told who speaks, or not being sharpened, is no reason to stop. */
export async function lipStages(
  spec: LipSpec,
  registry: EngineRegistry,
  scope: Scope,
  onFault: (kind: LipKind, failure: unknown) => void = () => {},
): Promise<LipStages> {
  // A model server tells by it that calls of several engines are one session's.
  const session = randomUUID();
  const load = async <K extends LipKind>(kind: K): Promise<Stage<K> | undefined> => {
    return chosen(kind, spec, registry) && (await pictureStage(kind, spec, registry, scope, session));
  };
  const improving = <K extends LipKind>(kind: K) =>
    load(kind).catch((failure: unknown) => {
      onFault(kind, failure);
      return undefined;
    });
  const [faceTracker, lipDriver, activeSpeaker, restorer] = [
    await load('faceTracker'),
    await load('lipDriver'),
    await improving('activeSpeaker'),
    await improving('restorer'),
  ];
  if (!faceTracker || !lipDriver) throw new TypeError('Cannot drive lips: there is no engine for it');
  return { faceTracker, lipDriver, ...(activeSpeaker && { activeSpeaker }), ...(restorer && { restorer }) };
}
