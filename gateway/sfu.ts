import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { types } from 'mediasoup';
import { ntpFromParts } from '../media/rtcp.ts';
import type { Scope } from '../media/scope.ts';
import { workerPath } from './checkout.ts';
import type { Log } from './log.ts';

export type Router = types.Router;
export type WebRtcTransport = types.WebRtcTransport;
export type PlainTransport = types.PlainTransport;
export type Producer = types.Producer;
export type Consumer = types.Consumer;
export type RtpParameters = types.RtpParameters;
export type RtpCapabilities = types.RtpCapabilities;
export type DtlsParameters = types.DtlsParameters;
export type IceParameters = types.IceParameters;
export type IceCandidate = types.IceCandidate;
export type DirectTransport = types.DirectTransport;
type Worker = types.Worker;

/**
 * What publishers may send, in the order browsers are offered it. Opus alone, since everything behind decodes it; every
 * video codec that a browser may choose, since video passes untouched. H.264 is constrained baseline (42e0).
 */
const CODECS: types.RouterRtpCodecCapability[] = [
  { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2, parameters: { useinbandfec: 1 } },
  { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
  { kind: 'video', mimeType: 'video/VP9', clockRate: 90_000, parameters: { 'profile-id': 0 } },
  {
    kind: 'video',
    mimeType: 'video/H264',
    clockRate: 90_000,
    parameters: { 'packetization-mode': 1, 'profile-level-id': '42e01f', 'level-asymmetry-allowed': 1 },
  },
  { kind: 'video', mimeType: 'video/AV1', clockRate: 90_000 },
];
/** Wait before a worker that did not come up is started again, ms. */
const AGAIN = 1_000;

/** A place for one worker; the worker in it is replaced when it dies. */
interface Slot {
  worker: Promise<Worker>;
  /** Transports on it: what a worker's core is busy with. */
  load: number;
  pid: number | undefined;
}

/** What a producer's `sr` trace event tells: an RTP time stamp and the sender's NTP time of it (RFC 3550 §6.4.1), µs. */
export function senderReport(
  event: types.ProducerTraceEventData,
): { readonly ntp: number; readonly rtp: number } | undefined {
  if (event.type !== 'sr') return undefined;
  const { ntpSec, ntpFrac, rtpTs } = event.info as { ntpSec: number; ntpFrac: number; rtpTs: number };
  return { ntp: ntpFromParts(ntpSec, ntpFrac), rtp: rtpTs };
}

/** The mediasoup workers, one process per core, and where the next session goes. */
export class Sfu {
  readonly #slots: Slot[] = [];
  readonly #slotOf = new WeakMap<Router, Slot>();
  readonly #log: Log;
  readonly #start: () => Promise<Worker>;
  readonly #scope: Scope;
  #deaths = 0;

  private constructor(start: () => Promise<Worker>, log: Log, scope: Scope) {
    this.#start = start;
    this.#log = log;
    this.#scope = scope;
  }

  /**
   * Starts the workers. They belong to `scope`.
   *
   * @param workers how many; one per core unless told
   * @throws Error with what to run when the worker program is not on this machine: it is never built here
   */
  static async open(
    { workers = availableParallelism(), log }: { readonly workers?: number | undefined; readonly log: Log },
    scope: Scope,
  ): Promise<Sfu> {
    // mediasoup reads this once, when it is imported.
    process.env['MEDIASOUP_WORKER_BIN'] = await workerProgram();
    const mediasoup = await import('mediasoup');
    mediasoup.setLogEventListeners({
      onwarn: (namespace, text) => log.debug({ namespace }, text),
      onerror: (namespace, text) => log.warn({ namespace }, text),
    });
    const sfu = new Sfu(() => mediasoup.createWorker({ logLevel: 'warn' }), log, scope);
    for (let i = 0; i < workers; i += 1) sfu.#slots.push(sfu.#fill({ load: 0, pid: undefined } as Slot));
    await Promise.all(sfu.#slots.map((slot) => slot.worker));
    return sfu;
  }

  /** How many workers have died so far. */
  get deaths(): number {
    return this.#deaths;
  }
  /** Process ids of the workers that run. */
  get pids(): number[] {
    return this.#slots.flatMap((slot) => slot.pid ?? []);
  }
  get loads(): number[] {
    return this.#slots.map((slot) => slot.load);
  }

  /** A router on the least busy worker; waits for a worker when none runs. Emits `workerclose` when its worker dies. */
  async router(): Promise<Router> {
    const up = this.#slots.filter((slot) => slot.pid !== undefined);
    const slot = (up.length > 0 ? up : this.#slots).reduce((least, each) => (each.load < least.load ? each : least));
    return this.#router(slot, CODECS);
  }

  /**
   * A router on the same worker as `router`, whose consumers get other payload types: those of `payloadTypes`, by MIME
   * type in small letters. Other codecs are not known to it.
   */
  async beside(router: Router, payloadTypes: ReadonlyMap<string, number>): Promise<Router> {
    const slot = this.#slotOf.get(router);
    if (!slot) throw new TypeError('Cannot make router: the other is not of this SFU');
    const codecs = CODECS.flatMap((codec) => {
      const preferredPayloadType = payloadTypes.get(codec.mimeType.toLowerCase());
      return preferredPayloadType === undefined ? [] : [{ ...codec, preferredPayloadType }];
    });
    return this.#router(slot, codecs);
  }

  async #router(slot: Slot, mediaCodecs: types.RouterRtpCodecCapability[]): Promise<Router> {
    const router = await (await slot.worker).createRouter({ mediaCodecs });
    this.#slotOf.set(router, slot);
    const count = (by: number) => (slot.load += by);
    count(1);
    router.observer.once('close', () => count(-1));
    router.observer.on('newtransport', (transport) => {
      count(1);
      transport.observer.once('close', () => count(-1));
    });
    return router;
  }

  #fill(slot: Slot): Slot {
    slot.worker = this.#started(slot);
    // Whoever waits for the worker sees the failure; nobody waiting is no reason to end the gateway.
    slot.worker.catch(() => {});
    return slot;
  }

  async #started(slot: Slot): Promise<Worker> {
    const { signal } = this.#scope;
    const replaces = this.#deaths > 0;
    for (;;) {
      signal.throwIfAborted();
      try {
        const worker = await this.#start();
        const forget = this.#scope.defer(() => worker.close());
        slot.pid = worker.pid;
        worker.once('died', (error) => {
          forget();
          slot.pid = undefined;
          this.#deaths += 1;
          this.#log.error({ worker: worker.pid, err: error }, 'mediasoup worker died');
          this.#fill(slot);
        });
        this.#log.debug({ worker: worker.pid }, 'mediasoup worker started');
        return worker;
      } catch (error) {
        if (!replaces) throw error;
        this.#log.error({ err: error }, 'mediasoup worker does not start');
        await sleep(AGAIN, undefined, { signal });
      }
    }
  }
}

/** The worker program: only looked for, in the places that set-up puts it. */
async function workerProgram(): Promise<string> {
  const path = await workerPath();
  if (path === undefined) throw new Error('The mediasoup worker is not on this machine yet: run `npm run setup` once.');
  return path;
}
