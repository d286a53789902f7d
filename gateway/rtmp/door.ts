import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { type Clock, MonotonicClock } from '../../media/clock.ts';
import { keepNewest } from '../../media/newest.ts';
import type { Scope } from '../../media/scope.ts';
import { type ClockTime, between, seconds } from '../../media/time.ts';
import { type Log, silent } from '../log.ts';
import { refuse } from '../refusal.ts';
import { TokenBucket } from '../token-bucket.ts';
import { foreignCodec, isOtherTrack } from './flv.ts';
import { type IngestOptions, RtmpIngest } from './ingest.ts';
import { PUBLISHER_TIMES, type PublisherTimes, type Turned, servePublisher } from './publisher.ts';
import { StreamKeys, keysIn, rtmpUrl } from './stream-key.ts';

/** Where to wait for publishers; port 0 picks a free one. */
export interface RtmpConfig {
  readonly host: string;
  readonly port: number;
}

export interface DoorLimits {
  readonly connections: number;
  readonly perAddress: number;
  /** Connections that do not publish yet, or have been turned away. */
  readonly unsettled: number;
}
export const DOOR_LIMITS: DoorLimits = { connections: 256, perAddress: 32, unsettled: 64 };

export interface DoorOptions {
  readonly log?: Log;
  readonly clock?: Clock;
  readonly limits?: DoorLimits;
  readonly times?: PublisherTimes;
}

/** Attempts to publish from one address, with whatever key: nobody guesses one so. */
const ATTEMPTS = { burst: 20, perSecond: 1 };
/** Addresses whose attempts are remembered. */
const MOST_ADDRESSES = 1_024;
/** A publisher that has sent nothing for so long gives way to another one: an encoder that lost its network calls again. */
const GIVES_WAY = seconds(3);

const badName = (description: string): Turned => ({ code: 'NetStream.Publish.BadName', description });
const UNKNOWN = badName('No session has this stream key.');
const TOO_OFTEN = badName('Too many attempts; try again in a few seconds.');
const TAKEN = badName('Somebody publishes to this session already.');

interface Admitted {
  readonly ingest: RtmpIngest;
  present: { heard: ClockTime; readonly close: (why: string | null) => void } | undefined;
}

/** The gateway's RTMP port, which opens when the first session waits for a publisher. */
export class RtmpDoor {
  readonly #config: RtmpConfig;
  readonly #scope: Scope;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #limits: DoorLimits;
  readonly #times: PublisherTimes;
  readonly #keys = new StreamKeys<Admitted>();
  /** Every connection, and whether it publishes. */
  readonly #sockets = new Map<Socket, { readonly address: string; settled: boolean }>();
  readonly #attempts = new Map<string, TokenBucket>();
  readonly #counts = { accepted: 0, turned: 0, crowded: 0, broken: 0 };
  #listening: Promise<number> | undefined;

  constructor(config: RtmpConfig, options: DoorOptions, scope: Scope) {
    this.#config = config;
    this.#scope = scope;
    this.#log = options.log ?? silent;
    this.#clock = options.clock ?? new MonotonicClock();
    this.#limits = options.limits ?? DOOR_LIMITS;
    this.#times = options.times ?? PUBLISHER_TIMES;
  }

  /** Connections by what became of them. */
  get counts(): Record<string, number> {
    const { accepted, turned, crowded, broken } = this.#counts;
    return {
      'publishers accepted': accepted,
      'publishers turned away': turned,
      'connections too many': crowded,
      'connections broken off': broken,
    };
  }

  /**
   * Lets in whoever publishes with `key`, one at a time, until `scope` closes.
   *
   * @throws Refusal where the key is another session's, or the port another program's
   */
  async admit(key: string, options: IngestOptions, scope: Scope): Promise<{ ingest: RtmpIngest; port: number }> {
    const port = await (this.#listening ??= this.#listen().catch((cause: unknown) => {
      this.#listening = undefined;
      const { host, port: wanted } = this.#config;
      const message = `Cannot wait for RTMP at ${host}:${wanted}.`;
      throw refuse('unavailable', message, 'source.kind', 'Set rtmp.host and rtmp.port to what is free.', cause);
    }));
    scope.signal.throwIfAborted();
    const admitted: Admitted = { ingest: new RtmpIngest(options, scope), present: undefined };
    const remove = this.#keys.add(key, admitted);
    if (!remove) {
      throw refuse(
        'conflict',
        'Another session has this stream key.',
        'source.key',
        'Choose another, or leave it out.',
      );
    }
    scope.defer(() => {
      remove();
      admitted.present?.close(null);
    });
    return { ingest: admitted.ingest, port };
  }

  async #listen(): Promise<number> {
    const server = createServer((socket) => this.#take(socket));
    server.listen(this.#config.port, this.#config.host);
    await once(server, 'listening', { signal: this.#scope.signal });
    server.on('error', (err) => this.#log.warn({ err }, 'RTMP port in trouble'));
    this.#scope.defer(() => {
      server.close();
      for (const socket of this.#sockets.keys()) socket.destroy();
    });
    return (server.address() as AddressInfo).port;
  }

  #take(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    if (this.#crowded(address)) {
      this.#counts.crowded += 1;
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const mine = { address, settled: false };
    this.#sockets.set(socket, mine);
    let admitted: Admitted | undefined;
    let reason: string | null = null;
    const publisher = servePublisher(
      socket,
      {
        publish: (app, name) => {
          const found = this.#admit(address, app, name);
          if ('code' in found) {
            this.#counts.turned += 1;
            return found;
          }
          admitted = found;
          admitted.present = { heard: this.#clock.now(), close: publisher.close };
          admitted.ingest.begin();
          mine.settled = true;
          this.#counts.accepted += 1;
          this.#log.info({ session: admitted.ingest.options.session, address }, 'RTMP publisher came');
          return undefined;
        },
        tag: (tag) => {
          if (!admitted?.present) throw new TypeError('Cannot take a tag of nobody');
          admitted.present.heard = this.#clock.now();
          if (isOtherTrack(tag)) {
            admitted.ingest.passOver();
            return undefined;
          }
          const codec = foreignCodec(tag);
          if (codec === undefined) {
            admitted.ingest.put(tag);
            return undefined;
          }
          reason = `the encoder sends ${codec}; set it to H.264 (AVC) pictures and AAC sound`;
          this.#counts.turned += 1;
          const { session } = admitted.ingest.options;
          this.#log.warn({ session, address, codec }, 'RTMP publisher turned away: set it to H.264 and AAC');
          return { code: 'NetStream.Publish.Rejected', description: `${codec} is not taken: use H.264 and AAC.` };
        },
        unpublish: () => {
          if (!admitted) return;
          const { ingest } = admitted;
          this.#log.info({ session: ingest.options.session, address }, 'RTMP publisher went');
          admitted.present = undefined;
          admitted = undefined;
          mine.settled = false;
          ingest.end(reason);
        },
        closed: (why) => {
          this.#sockets.delete(socket);
          if (why === null) return;
          this.#counts.broken += 1;
          this.#log.info({ address, reason: why }, 'RTMP connection closed');
        },
      },
      this.#times,
    );
  }

  #crowded(address: string): boolean {
    const { connections, perAddress, unsettled } = this.#limits;
    const all = [...this.#sockets.values()];
    return (
      all.length >= connections ||
      all.filter((each) => each.address === address).length >= perAddress ||
      all.filter(({ settled }) => !settled).length >= unsettled
    );
  }

  #admit(address: string, app: string, name: string): Admitted | Turned {
    const now = this.#clock.now();
    const bucket = this.#attempts.get(address) ?? new TokenBucket(ATTEMPTS, now);
    this.#attempts.delete(address);
    this.#attempts.set(address, bucket);
    keepNewest(this.#attempts, MOST_ADDRESSES);
    if (!bucket.take(now)) return TOO_OFTEN;
    const found = keysIn(app, name)
      .map((key) => this.#keys.find(key))
      .find((each) => each !== undefined);
    if (!found) {
      this.#log.info({ address }, 'RTMP publisher with an unknown stream key turned away');
      return UNKNOWN;
    }
    if (found.present && between(found.present.heard, now) > GIVES_WAY) found.present.close('another one came for it');
    if (!found.present) return found;
    found.ingest.refused();
    this.#log.info({ session: found.ingest.options.session, address }, 'second RTMP publisher turned away');
    return TAKEN;
  }
}

/** Nothing is opened before the first session is admitted. */
export const openRtmp = (config: RtmpConfig, options: DoorOptions, scope: Scope): RtmpDoor =>
  new RtmpDoor(config, options, scope);

/** What to type into an encoder. */
export const rtmpIngest = (hostname: string, port: number, key: string) => ({ url: rtmpUrl(hostname, port), key });
