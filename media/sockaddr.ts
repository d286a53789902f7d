import { isIPv4, isIPv6 } from 'node:net';

/** An address of IP and UDP or TCP. */
export interface SocketAddress {
  /** IPv4 in dotted form, or IPv6 (RFC 4291 §2.2). */
  readonly address: string;
  readonly port: number;
}

/** What differs between systems: the number of `AF_INET6`, and whether `sockaddr` begins with its length (BSD). */
const BSD = process.platform === 'darwin';
const INET = 2;
const INET6 = BSD ? 30 : 10;
const SIZE4 = 16;
const SIZE6 = 28;

/** `struct sockaddr_in` or `sockaddr_in6` as C libraries take it. @throws RangeError when it is no address */
export function toSockaddr({ address, port }: SocketAddress): Uint8Array {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`Cannot address port ${port}: expected 0…65535`);
  }
  const four = isIPv4(address);
  if (!four && !isIPv6(address)) throw new RangeError('Cannot address host: expected an IP address');
  const bytes = new Uint8Array(four ? SIZE4 : SIZE6);
  const family = four ? INET : INET6;
  if (BSD) bytes.set([bytes.length, family]);
  else new Uint16Array(bytes.buffer, 0, 1)[0] = family;
  new DataView(bytes.buffer).setUint16(2, port);
  if (four) bytes.set(address.split('.').map(Number), 4);
  else bytes.set(ipv6Bytes(address), 8);
  return bytes;
}

/** The other way; `undefined` for other families. An IPv4 peer of an IPv6 socket is given as IPv4 (RFC 4291 §2.5.5.2). */
export function fromSockaddr(bytes: Uint8Array): SocketAddress | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < SIZE4) return undefined;
  const family = BSD ? view.getUint8(1) : (new Uint16Array(bytes.slice(0, 2).buffer)[0] ?? 0);
  const port = view.getUint16(2);
  if (family === INET) return { address: bytes.subarray(4, 8).join('.'), port };
  if (family !== INET6 || bytes.length < SIZE6) return undefined;
  const groups = Array.from({ length: 8 }, (_, n) => view.getUint16(8 + 2 * n));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return { address: bytes.subarray(20, 24).join('.'), port };
  }
  return { address: ipv6Text(groups), port };
}

/** The 16 bytes of an address that `isIPv6` has seen; its zone is left out. */
function ipv6Bytes(address: string): Uint8Array {
  const [plain = ''] = address.split('%');
  const hex = plain.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = hex.split('::');
  const numbers = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const [before, after] = [numbers(head), numbers(tail ?? '')];
  const hole = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...new Array<number>(hole).fill(0), ...after];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The longest run of zeros is left out (RFC 5952 §4.2). */
function ipv6Text(groups: readonly number[]): string {
  const words = groups.map((group) => group.toString(16)).join(':');
  const runs = [...words.matchAll(/(?<![^:])0(:0)+(?![^:])/g)].sort((a, b) => b[0].length - a[0].length);
  const [longest] = runs;
  if (!longest) return words;
  const before = words.slice(0, longest.index).replace(/:$/, '');
  const after = words.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}
