import { Redis } from 'ioredis';
import { z } from 'zod';
import type { Scope } from '../media/scope.ts';
import type { Log } from './log.ts';
import type { SessionView } from './protocol.ts';
import { SessionSchema } from './schemas.ts';

/** A session and the gateway it runs on. */
export interface Entry {
  readonly gateway: string;
  /** Where that gateway is reached. */
  readonly url: string;
  readonly session: SessionView;
}

const Entries: z.ZodType<Entry[]> = z.array(z.object({ gateway: z.string(), url: z.string(), session: SessionSchema }));

/** The sessions of all gateways, for lists. What is said here may be {@link HEARTBEAT} old. */
export interface SessionRegistry {
  /** `memory`: no sharing is configured. `down`: it is, and the store does not answer; this gateway goes on alone. */
  readonly state: 'memory' | 'up' | 'down';
  /** Sessions of other gateways. Never fails and never waits longer than {@link PATIENCE}. */
  elsewhere(): Promise<Entry[]>;
}

/** A gateway says what it has this often, ms … */
const HEARTBEAT = 5_000;
/** … and is forgotten when it has not for so long, s. */
const FORGOTTEN = 15;
/** The longest that anybody waits for the store, ms. */
const PATIENCE = 500;
const KEY = 'livedub:gateway:';

export interface RegistryOptions {
  readonly url: string | undefined;
  readonly gateway: string;
  /** This gateway's own address, for the others' lists. */
  readonly address: () => string;
  readonly list: () => readonly SessionView[];
  readonly log: Log;
  /** ms; {@link HEARTBEAT} unless told. */
  readonly heartbeat?: number;
}

/** Shares this gateway's list of sessions through Redis, if one is configured. Never waits for it to be there. */
export function openRegistry(options: RegistryOptions, scope: Scope): SessionRegistry {
  if (options.url === undefined) return { state: 'memory', elsewhere: () => Promise.resolve([]) };
  const { gateway, address, list, log, heartbeat = HEARTBEAT } = options;
  const redis = new Redis(options.url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    commandTimeout: PATIENCE,
    retryStrategy: (attempt) => Math.min(200 * attempt, 5_000),
  });
  let state: 'up' | 'down' = 'down';
  const own = KEY + gateway;
  const turn = (next: 'up' | 'down', err?: unknown) => {
    if (state === next) return;
    state = next;
    if (next === 'up') log.info('registry: Redis answers');
    else log.warn({ err }, 'registry: Redis does not answer; listing this gateway alone');
  };
  const beat = async () => {
    try {
      await redis.set(
        own,
        JSON.stringify(list().map((session): Entry => ({ gateway, url: address(), session }))),
        'EX',
        FORGOTTEN,
      );
      turn('up');
    } catch (error) {
      turn('down', error);
    }
  };
  redis.on('error', (error: unknown) => turn('down', error));
  redis.on('ready', () => void beat());
  const timer = setInterval(() => void beat(), heartbeat);
  scope.defer(async () => {
    clearInterval(timer);
    if (state === 'up') await redis.del(own).catch(() => {});
    redis.disconnect();
  });

  const keys = async () => {
    const found: string[] = [];
    let cursor = '0';
    do {
      const [next, some] = await redis.scan(cursor, 'MATCH', `${KEY}*`, 'COUNT', 100);
      found.push(...some);
      cursor = next;
    } while (cursor !== '0');
    return found.filter((key) => key !== own);
  };
  const read = async (): Promise<Entry[]> => {
    const others = await keys();
    const texts = others.length === 0 ? [] : await redis.mget(others);
    return texts.flatMap((text) => {
      // A gateway of another version may list what this one does not know.
      const parsed = Entries.safeParse(text === null ? [] : JSON.parse(text));
      return parsed.success ? parsed.data : [];
    });
  };
  return {
    get state() {
      return state;
    },
    elsewhere: () =>
      read().catch((error: unknown) => {
        turn('down', error);
        return [];
      }),
  };
}
