import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scope } from './scope.ts';
import type { SocketAddress } from './sockaddr.ts';
import { SrtConnection } from './srt-connection.ts';
import { SrtError } from './srt-error.ts';
import {
  SrtFailure,
  type SrtSocket,
  accept,
  call,
  closeSocket,
  connectionState,
  listenAt,
  rejection,
  secured,
  streamIdOf,
  useSrt,
} from './srt-library.ts';

export { SrtConnection, type SrtStats } from './srt-connection.ts';
export { SrtError } from './srt-error.ts';
export { srtVersion } from './srt-library.ts';

/** How often a listener looks for callers, ms. What they send meanwhile waits in libsrt. */
const LISTEN_TICK = 50;
/** How often a call is looked at, ms. */
const CALL_TICK = 10;
/** Callers looked at in one tick. */
const CALLERS = 16;
/** How long each address has to answer, ms: libsrt's own default. */
const CALL_TIMEOUT = 3_000;

export interface SrtOptions {
  /** A name or an address, IPv4 or IPv6; for a listener its own: `0.0.0.0` is every IPv4 address, `::` every address. */
  readonly host: string;
  /** UDP. 0 lets the system choose a listener's. */
  readonly port: number;
  /** 10…79 characters; without one, nothing is encrypted, and peers that encrypt are refused. */
  readonly passphrase?: string;
  /** ms that lost packets are waited for; the larger one of both ends holds. */
  readonly latency: number;
  /** What a caller says, and what a listener asks for; a listener without one takes callers whatever they say. */
  readonly streamid?: string;
}

export interface RefusedCallers {
  /** They have another passphrase, or none, or one where we have none. */
  readonly passphrase: number;
  readonly streamid: number;
  /** Somebody else was connected. */
  readonly busy: number;
}

/**
 * Waits for callers, who come one after another.
 *
 * A second one is refused while one is connected; somebody who vanished counts as connected for five seconds.
 */
export interface SrtListener {
  readonly port: number;
  readonly refused: RefusedCallers;
  /**
   * The next caller, who may have been there for a while. One call at a time.
   *
   * Rejects with the signal's reason, or the scope's when that closes.
   */
  next(signal: AbortSignal): Promise<SrtConnection>;
}

/**
 * Listens until `scope` closes.
 *
 * @throws MissingLibrary
 * @throws SrtError `unreachable`, `taken`
 */
export async function listenSrt(options: SrtOptions, scope: Scope): Promise<SrtListener> {
  const own = await openSrt('srt listener', scope);
  try {
    const [address] = await resolve(options, own.signal);
    const { socket, port } = listenAt(address, options);
    return new Listener(socket, port, options, own);
  } catch (failure) {
    await own.close();
    if (failure instanceof SrtFailure) {
      throw new SrtError('taken', `Cannot listen for SRT at port ${options.port}`, { cause: failure });
    }
    throw failure;
  }
}

/**
 * Calls a listener: each address of its name in turn. The connection closes with `scope`.
 *
 * @throws MissingLibrary
 * @throws SrtError `timeout`, `refused`, `passphrase`, `unreachable`
 */
export async function callSrt(options: SrtOptions, scope: Scope): Promise<SrtConnection> {
  const own = await openSrt('srt call', scope);
  try {
    let last: unknown;
    for (const address of await resolve(options, own.signal)) {
      try {
        return new SrtConnection(await connect(address, options, own.signal), own);
      } catch (failure) {
        own.signal.throwIfAborted();
        last = failure;
      }
    }
    throw last;
  } catch (failure) {
    await own.close();
    throw failure;
  }
}

/** A lifetime in which libsrt runs. */
async function openSrt(name: string, scope: Scope): Promise<Scope> {
  scope.signal.throwIfAborted();
  const leave = await useSrt();
  const own = scope.child(name);
  own.defer(leave);
  if (!scope.signal.aborted) return own;
  await own.close();
  throw scope.signal.reason;
}

/** All addresses of a name, at least one. */
async function resolve({ host, port }: SrtOptions, signal: AbortSignal): Promise<[SocketAddress, ...SocketAddress[]]> {
  const found = await lookup(host, { all: true }).catch((cause: unknown) => {
    throw new SrtError('unreachable', 'The SRT host has no address', { cause });
  });
  signal.throwIfAborted();
  const [first, ...others] = found.map(({ address }) => ({ address, port }));
  if (!first) throw new SrtError('unreachable', 'The SRT host has no address');
  return [first, ...others];
}

async function connect(address: SocketAddress, options: SrtOptions, signal: AbortSignal): Promise<SrtSocket> {
  let socket: SrtSocket;
  try {
    socket = call(address, { ...options, timeout: CALL_TIMEOUT });
  } catch (cause) {
    if (!(cause instanceof SrtFailure)) throw cause;
    throw new SrtError('unreachable', 'There is no way to the SRT listener', { cause });
  }
  try {
    for (;;) {
      const state = connectionState(socket);
      if (state === 'connected') return socket;
      if (state === 'ended') throw refusal(rejection(socket));
      await sleep(CALL_TICK, undefined, { signal });
    }
  } catch (failure) {
    closeSocket(socket);
    throw failure;
  }
}

/** `SRT_REJECT_REASON` (srtcore/srt.h): 10 wrong passphrase, 11 one end without, 16 no answer. */
function refusal(reason: number): SrtError {
  switch (reason) {
    case 10:
    case 11:
      return new SrtError('passphrase', 'The SRT listener has another passphrase');
    case 16:
      return new SrtError('timeout', 'No SRT listener answers');
    default:
      return new SrtError('refused', `The SRT listener refuses (reason ${reason})`);
  }
}

class Listener implements SrtListener {
  readonly port: number;
  readonly refused = { passphrase: 0, streamid: 0, busy: 0 };
  readonly #socket: SrtSocket;
  readonly #options: SrtOptions;
  readonly #scope: Scope;
  /** The caller who came last. */
  #caller: SrtConnection | undefined;
  #taken = true;
  #arrived: (() => void) | undefined;

  constructor(socket: SrtSocket, port: number, options: SrtOptions, scope: Scope) {
    this.port = port;
    this.#socket = socket;
    this.#options = options;
    this.#scope = scope;
    scope.defer(() => closeSocket(socket));
    const timer = setInterval(() => this.#tick(), LISTEN_TICK);
    scope.defer(() => clearInterval(timer));
  }

  async next(signal: AbortSignal): Promise<SrtConnection> {
    if (this.#arrived) throw new TypeError('Cannot wait for the next SRT caller: somebody waits already');
    const either = AbortSignal.any([signal, this.#scope.signal]);
    while (this.#taken || !this.#caller) {
      either.throwIfAborted();
      await new Promise<void>((wake) => {
        this.#arrived = wake;
        either.addEventListener('abort', () => wake(), { once: true });
      });
      this.#arrived = undefined;
    }
    either.throwIfAborted();
    this.#taken = true;
    return this.#caller;
  }

  #tick(): void {
    for (let n = 0; n < CALLERS; n += 1) {
      const socket = accept(this.#socket);
      if (socket === undefined) return;
      const why = this.#objection(socket);
      if (why) {
        this.refused[why] += 1;
        closeSocket(socket);
      } else {
        this.#caller = new SrtConnection(socket, this.#scope.child('caller'));
        this.#taken = false;
        this.#arrived?.();
      }
    }
  }

  #objection(socket: SrtSocket): keyof RefusedCallers | undefined {
    const { passphrase, streamid } = this.#options;
    if (!secured(socket, passphrase !== undefined)) return 'passphrase';
    if (streamid !== undefined && streamIdOf(socket) !== streamid) return 'streamid';
    return this.#caller?.connected ? 'busy' : undefined;
  }
}
