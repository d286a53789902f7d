import { MissingLibrary, library } from './native.ts';
import { type SocketAddress, fromSockaddr, toSockaddr } from './sockaddr.ts';

/**
 * libsrt 1.5 (Haivision's Secure Reliable Transport, draft-sharabayko-srt): the library of Debian 12's FFmpeg.
 *
 * Every socket here is in live mode and never blocks: calls come from one thread and return at once. libsrt has threads
 * of its own that send, receive and keep time; none of them ever calls us. Numbers are those of srtcore/srt.h 1.5.
 */
export const PAYLOAD = 1_316;
/** The largest message of live mode: what fits in a datagram of 1500 bytes behind 28 of IP and UDP and 16 of SRT. */
export const LARGEST = 1_456;

const OPTION = {
  sendBlocks: 1,
  receiveBlocks: 2,
  receiveBuffer: 6,
  sending: 19,
  receiving: 20,
  latency: 23,
  passphrase: 26,
  connectTimeout: 36,
  sendKey: 40,
  receiveKey: 41,
  receiveLatency: 43,
  peerLatency: 44,
  streamId: 46,
  payload: 49,
  kind: 50,
  enforcedEncryption: 53,
  ipv6Only: 54,
} as const;
const LIVE = 0;
/** What may wait to be read, packets: 8 s (the longest latency) of 33 Mbit/s. libsrt takes memory as it is needed. */
const RECEIVE_PACKETS = 25_600;
const PACKET_BYTES = 1_472;
/** `SRTS_…`; everything else is broken or closed. */
const CONNECTING = 4;
const CONNECTED = 5;
/** `SRT_EASYNCSND`, `SRT_EASYNCRCV`: nothing can be written, nothing can be read at present. */
const FULL = 6_001;
const EMPTY = 6_002;
const CRITICAL = 2;
/** `SRT_KM_STATE`. */
const UNSECURED = 0;
const SECURED = 2;

/**
 * `struct CBytePerfMon`, 64 bit. Its header promises that fields are only ever added at the end; `test/engines/srt.test.ts`
 * compares each of these with a transfer whose numbers are known.
 */
const STATS = {
  size: 1_024,
  packetsReceived: 16,
  sendLost: 24,
  receiveLost: 28,
  retransmitted: 32,
  acksReceived: 40,
  naksReceived: 48,
  sendDropped: 64,
  receiveDropped: 68,
  rtt: 328,
  bandwidth: 336,
  uniqueSent: 432,
  uniqueReceived: 440,
} as const;

export type SrtSocket = number;
type Native = ReturnType<typeof bind>;
let native: Native | undefined;

function bind() {
  const hint = 'libsrt1.5-gnutls (apt; FFmpeg depends on it) or srt (brew)';
  const srt = library(
    [
      'libsrt-gnutls.so.1.5',
      'libsrt-openssl.so.1.5',
      'libsrt.so.1.5',
      'libsrt.1.5.dylib',
      '/opt/homebrew/lib/libsrt.1.5.dylib',
      '/usr/local/lib/libsrt.1.5.dylib',
    ],
    hint,
  );
  const version = (srt.func('uint32_t srt_getversion()') as () => number)();
  if (version >> 8 !== 0x0105) throw new MissingLibrary(`Cannot use libsrt ${dotted(version)}: install ${hint}`);
  // It writes to standard error otherwise, for each caller that is refused.
  (srt.func('void srt_setloglevel(int level)') as (level: number) => void)(CRITICAL);
  return {
    version,
    startup: srt.func('int srt_startup()'),
    cleanup: srt.func('int srt_cleanup()'),
    create: srt.func('int srt_create_socket()'),
    close: srt.func('int srt_close(int socket)'),
    bind: srt.func('int srt_bind(int socket, const uint8_t *address, int size)'),
    listen: srt.func('int srt_listen(int socket, int backlog)'),
    accept: srt.func('int srt_accept(int socket, _Out_ uint8_t *address, _Inout_ int *size)'),
    connect: srt.func('int srt_connect(int socket, const uint8_t *address, int size)'),
    name: srt.func('int srt_getsockname(int socket, _Out_ uint8_t *address, _Inout_ int *size)'),
    peer: srt.func('int srt_getpeername(int socket, _Out_ uint8_t *address, _Inout_ int *size)'),
    set: srt.func('int srt_setsockflag(int socket, int option, const void *value, int size)'),
    get: srt.func('int srt_getsockflag(int socket, int option, _Out_ uint8_t *value, _Inout_ int *size)'),
    state: srt.func('int srt_getsockstate(int socket)'),
    send: srt.func('int srt_send(int socket, const uint8_t *bytes, int size)'),
    receive: srt.func('int srt_recv(int socket, _Out_ uint8_t *bytes, int size)'),
    stats: srt.func('int srt_bstats(int socket, _Out_ uint8_t *stats, int clear)'),
    error: srt.func('int srt_getlasterror(void *system)'),
    errorText: srt.func('const char *srt_getlasterror_str()'),
    rejection: srt.func('int srt_getrejectreason(int socket)'),
  };
}

const dotted = (version: number) => `${version >> 16}.${(version >> 8) & 0xff}.${version & 0xff}`;
const srt = (): Native => (native ??= bind());

/** E.g. `1.5.1`. @throws MissingLibrary */
export const srtVersion = () => dotted(srt().version);

let users = 0;
let stopping: Promise<void> | undefined;

/**
 * Starts libsrt's threads with the first user and ends them, and what sockets are left, with the last. Give back what is
 * returned exactly once.
 *
 * Ending takes up to a second and waits in libuv's pool. @throws MissingLibrary
 */
export async function useSrt(): Promise<() => Promise<void>> {
  const { startup, cleanup } = srt();
  while (stopping) await stopping;
  if (users === 0 && (startup() as number) < 0) throw new Error('libsrt cannot start its threads');
  users += 1;
  return async () => {
    users -= 1;
    if (users > 0) return;
    stopping = new Promise<void>((done) => void cleanup.async(() => done()));
    await stopping;
    stopping = undefined;
  };
}

/** A call of libsrt that went wrong: its code (`SRT_E…`) and its words, which hold no secret. */
export class SrtFailure extends Error {
  override readonly name = 'SrtFailure';
  readonly code: number;

  constructor(doing: string) {
    super(`libsrt cannot ${doing}: ${srt().errorText() as string}`);
    this.code = srt().error(null) as number;
  }
}
function check(result: unknown, doing: string): number {
  if ((result as number) < 0) throw new SrtFailure(doing);
  return result as number;
}

const text = new TextEncoder();
function set(socket: SrtSocket, option: keyof typeof OPTION, value: number | string): void {
  const bytes = typeof value === 'string' ? text.encode(value) : new Uint8Array(Int32Array.of(value).buffer);
  check(srt().set(socket, OPTION[option], bytes, bytes.length), `set ${option}`);
}
/** `bool` is one byte. */
function setFlag(socket: SrtSocket, option: keyof typeof OPTION, value: boolean): void {
  check(srt().set(socket, OPTION[option], Uint8Array.of(value ? 1 : 0), 1), `set ${option}`);
}
function get(socket: SrtSocket, option: keyof typeof OPTION): Buffer | undefined {
  const [bytes, size] = [Buffer.alloc(520), [520]];
  return (srt().get(socket, OPTION[option], bytes, size) as number) < 0 ? undefined : bytes.subarray(0, size[0]);
}
const number = (socket: SrtSocket, option: keyof typeof OPTION) => get(socket, option)?.readInt32LE();

export interface SocketOptions {
  /** ms that lost packets are waited for, in both directions; the larger one of both ends holds. */
  readonly latency: number;
  readonly passphrase?: string;
}

/** A socket in live mode that delivers by time stamp and drops what is too late. */
function createSocket({ latency, passphrase }: SocketOptions): SrtSocket {
  const socket = check(srt().create(), 'make a socket');
  try {
    set(socket, 'kind', LIVE);
    set(socket, 'payload', PAYLOAD);
    set(socket, 'receiveBuffer', RECEIVE_PACKETS * PACKET_BYTES);
    setFlag(socket, 'sendBlocks', false);
    setFlag(socket, 'receiveBlocks', false);
    set(socket, 'latency', latency);
    if (passphrase !== undefined) set(socket, 'passphrase', passphrase);
    return socket;
  } catch (failure) {
    closeSocket(socket);
    throw failure;
  }
}

/**
 * Waits for callers at `address`.
 *
 * Encryption is not enforced here: libsrt would then turn away callers with another passphrase without telling us, and
 * they could not be counted. Whoever accepts a socket must ask {@link secured} first.
 */
export function listenAt(address: SocketAddress, options: SocketOptions): { socket: SrtSocket; port: number } {
  const socket = createSocket(options);
  try {
    setFlag(socket, 'enforcedEncryption', false);
    const name = toSockaddr(address);
    // :: takes IPv4 callers too.
    if (address.address.includes(':')) set(socket, 'ipv6Only', 0);
    check(srt().bind(socket, name, name.length), 'bind');
    check(srt().listen(socket, BACKLOG), 'listen');
    const [room, size] = [new Uint8Array(128), [128]];
    check(srt().name(socket, room, size), 'tell its port');
    return { socket, port: fromSockaddr(room)?.port ?? 0 };
  } catch (failure) {
    closeSocket(socket);
    throw failure;
  }
}
const BACKLOG = 16;

/** Begins to call. `connectionState` says what becomes of it. */
export function call(
  address: SocketAddress,
  options: SocketOptions & { readonly streamid?: string; readonly timeout: number },
): SrtSocket {
  const socket = createSocket(options);
  try {
    setFlag(socket, 'enforcedEncryption', true);
    set(socket, 'connectTimeout', options.timeout);
    if (options.streamid !== undefined) set(socket, 'streamId', options.streamid);
    const name = toSockaddr(address);
    check(srt().connect(socket, name, name.length), 'call');
    return socket;
  } catch (failure) {
    closeSocket(socket);
    throw failure;
  }
}

/** The next caller, who is connected already; `undefined` when there is none at present. */
export function accept(listener: SrtSocket): SrtSocket | undefined {
  const socket = srt().accept(listener, new Uint8Array(128), [128]) as number;
  return socket < 0 ? undefined : socket;
}
export const peerOf = (socket: SrtSocket): SocketAddress | undefined => {
  const room = new Uint8Array(128);
  return (srt().peer(socket, room, [128]) as number) < 0 ? undefined : fromSockaddr(room);
};
/** Whether both ends have shown that they know the same passphrase; without one, that neither end has any. */
export function secured(socket: SrtSocket, passphrase: boolean): boolean {
  const wanted = passphrase ? SECURED : UNSECURED;
  return number(socket, 'sendKey') === wanted && number(socket, 'receiveKey') === wanted;
}
export const streamIdOf = (socket: SrtSocket): string => get(socket, 'streamId')?.toString() ?? '';
/** ms that packets wait here before they are given out, as both ends have agreed. */
export const latencyOf = (socket: SrtSocket): number => number(socket, 'receiveLatency') ?? 0;
/** ms that what we send waits at the other end. */
export const peerLatencyOf = (socket: SrtSocket): number => number(socket, 'peerLatency') ?? 0;
/** Whether everything written has been acknowledged. */
export const sentAll = (socket: SrtSocket): boolean => (number(socket, 'sending') ?? 0) === 0;
/** Whether nothing is left that will be given out in its time. */
export const readAll = (socket: SrtSocket): boolean => (number(socket, 'receiving') ?? 0) === 0;

export function connectionState(socket: SrtSocket): 'connecting' | 'connected' | 'ended' {
  const state = srt().state(socket) as number;
  return state === CONNECTED ? 'connected' : state === CONNECTING ? 'connecting' : 'ended';
}
/** `SRT_REJECT_REASON` of a call that ended before it was connected; from 1000 on the other end's own. */
export const rejection = (socket: SrtSocket): number => srt().rejection(socket) as number;

const message = new Uint8Array(LARGEST);
/** The next message, in a buffer of its own. */
export function receive(socket: SrtSocket): Uint8Array | 'empty' | 'ended' {
  const size = srt().receive(socket, message, LARGEST) as number;
  if (size > 0) return message.slice(0, size);
  return size === 0 || srt().error(null) === EMPTY ? 'empty' : 'ended';
}
/** Sends one message of at most {@link PAYLOAD} bytes, or says why not. */
export function send(socket: SrtSocket, bytes: Uint8Array): 'sent' | 'full' | 'ended' {
  if ((srt().send(socket, bytes, bytes.length) as number) >= 0) return 'sent';
  return srt().error(null) === FULL ? 'full' : 'ended';
}
/** The other end is told, and what it has not been sent yet is forgotten. */
export function closeSocket(socket: SrtSocket): void {
  srt().close(socket);
}

/** Counts since the connection began. */
export interface LinkStats {
  /** Smoothed round trip time, ms. */
  readonly rtt: number;
  /** Mbit/s that libsrt believes would go through, from pairs of packets; coarse. */
  readonly bandwidth: number;
  /** Packets written here, and packets that came in whatever way, without repetitions. */
  readonly sent: number;
  readonly received: number;
  /** Packets that were missed at first, by us or by the other end. */
  readonly lost: number;
  /** Packets that we sent once more. */
  readonly retransmitted: number;
  /** Packets given up because they were too late. */
  readonly dropped: number;
}

const block = Buffer.alloc(STATS.size);
/** `signs` grows with whatever comes from the other end but keep-alives. `undefined` when it is not connected any more. */
export function linkStats(socket: SrtSocket): { readonly link: LinkStats; readonly signs: number } | undefined {
  if ((srt().stats(socket, block, 0) as number) < 0) return undefined;
  const int = (offset: number) => block.readInt32LE(offset);
  const long = (offset: number) => Number(block.readBigInt64LE(offset));
  return {
    link: {
      rtt: block.readDoubleLE(STATS.rtt),
      bandwidth: block.readDoubleLE(STATS.bandwidth),
      sent: long(STATS.uniqueSent),
      received: long(STATS.uniqueReceived),
      lost: int(STATS.sendLost) + int(STATS.receiveLost),
      retransmitted: int(STATS.retransmitted),
      dropped: int(STATS.sendDropped) + int(STATS.receiveDropped),
    },
    signs: long(STATS.packetsReceived) + int(STATS.acksReceived) + int(STATS.naksReceived),
  };
}
