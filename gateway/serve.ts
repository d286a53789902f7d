import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { MonotonicClock } from '../media/clock.ts';
import { entry } from '../media/entry.ts';
import { Scope } from '../media/scope.ts';
import type { EngineCard } from '../models/engine.ts';
import { registry as engineRegistry } from '../models/index.ts';
import { abilitiesOf } from './abilities.ts';
import { tokenCheck } from './bearer.ts';
import type { Config } from './config.ts';
import { openHttp } from './http.ts';
import { type Log, openLog } from './log.ts';
import { openMetrics } from './metrics.ts';
import type { S3Keys } from './outlet/s3.ts';
import { keepRecordings } from './recordings.ts';
import { openRegistry } from './registry.ts';
import { root } from './root.ts';
import { openRtmp } from './rtmp/door.ts';
import { type Abilities, Sessions } from './sessions.ts';
import { Sfu } from './sfu.ts';
import { openSignalling } from './signalling.ts';

/** What tests put in the place of the real thing. */
export interface Parts {
  /** The built module to run as session process. */
  readonly program?: string;
  readonly abilities?: Abilities;
  readonly engines?: () => readonly EngineCard[];
  readonly log?: Log;
  readonly pages?: string;
  /** ms between this gateway's reports to Redis. */
  readonly heartbeat?: number;
}

export interface Gateway {
  /** Where pages and API are, without a slash at the end. */
  readonly url: string;
  readonly sessions: Sessions;
  readonly sfu: Sfu;
  /** Ends every session in an orderly way, then everything else. May be called twice. */
  close(): Promise<void>;
}

/** Starts a gateway. Once this resolves, sessions can be created. */
export async function serve(config: Config, parts: Parts = {}): Promise<Gateway> {
  const scope = new Scope('gateway');
  try {
    return await open(config, parts, scope);
  } catch (thrown) {
    await scope.close();
    throw thrown;
  }
}

async function open(config: Config, parts: Parts, scope: Scope): Promise<Gateway> {
  const log = parts.log ?? openLog(config.log);
  const clock = new MonotonicClock();
  const engines = engineRegistry();
  const sfu = await Sfu.open({ workers: config.rtc.workers, log }, scope.child('sfu'));
  const rtmp = openRtmp(config.rtmp, { log, clock }, scope.child('rtmp'));
  const program = parts.program ?? entry('./session/main.ts', import.meta.url);
  const sessions = new Sessions(
    {
      house: {
        sfu,
        rtc: config.rtc,
        rtmp,
        clock,
        log,
        program,
        outlets: {
          program: entry('./outlet/main.ts', import.meta.url),
          recordings: config.recordings,
          onDeath: () => void recordings.recover().catch((err: unknown) => log.warn({ err }, 'recordings')),
        },
      },
      abilities: parts.abilities ?? abilitiesOf(engines),
      limits: config.limits,
      roots: config.files.roots,
    },
    scope.child('sessions'),
  );
  const recordings = keepRecordings(
    config.recordings,
    {
      clock,
      date: Date.now,
      keys: s3Keys(),
      complain: (detail) => log.warn({ detail }, 'recordings'),
    },
    scope.child('recordings'),
  );
  const metrics = openMetrics(scope.child('metrics'), {
    ...{ sfu, rtmp, sessions },
    recordings: config.recordings.directory,
  });
  const host = config.http.host.includes(':') ? `[${config.http.host}]` : config.http.host;
  const gateway = randomUUID();
  let url = '';
  const views = () => sessions.list().map((session) => session.view);
  const { heartbeat } = parts;
  const registry = openRegistry(
    {
      url: config.redis.url,
      gateway,
      address: () => url,
      list: views,
      log,
      ...(heartbeat === undefined ? {} : { heartbeat }),
    },
    scope.child('registry'),
  );
  const { server, port } = await openHttp(
    {
      config,
      log,
      sessions,
      sfu,
      registry,
      metrics,
      engines: parts.engines ?? (() => engines.list()),
      pages: parts.pages ?? join(root, 'dist/client'),
    },
    scope.child('http'),
  );
  url = `http://${host}:${port}`;
  openSignalling(
    {
      server,
      sessions,
      permitted: tokenCheck(config.auth.token),
      mostViewers: config.limits.viewers,
      iceServers: config.rtc.iceServers,
      metrics: metrics.signalling,
      clock,
      log,
    },
    scope.child('signalling'),
  );
  log.info({ url, workers: sfu.pids.length, gateway }, 'gateway listens');
  const close = async () => {
    await sessions.close('The gateway is going down.');
    await scope.close();
  };
  return { url, sessions, sfu, close };
}

/** The keys for uploads, where the environment has both. */
function s3Keys(): S3Keys | undefined {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = process.env;
  return accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined;
}
