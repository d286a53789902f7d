import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A stream key that nobody guesses: 144 random bits in 24 letters. */
export const newStreamKey = (): string => randomBytes(18).toString('base64url');

/** Where encoders publish to, with the key in a field of its own. */
export const rtmpUrl = (hostname: string, port: number): string =>
  `rtmp://${hostname.includes(':') && !hostname.startsWith('[') ? `[${hostname}]` : hostname}:${port}/live`;

const LONGEST = 128;

/**
 * What may be the key in what an encoder says: its name, or the end of it; `?key=`; or the end of the app, for encoders that
 * have one field and take it all for the app.
 */
export function keysIn(app: string, name: string): readonly string[] {
  const [said, place] = [parted(name), parted(app)];
  const keys = [said.key, place.key, said.path, said.last, place.last];
  return [...new Set(keys)].filter((key): key is string => key !== undefined && key !== '' && key.length <= LONGEST);
}

interface Parted {
  readonly path: string;
  readonly last: string | undefined;
  readonly key: string | undefined;
}
function parted(text: string): Parted {
  const [path = '', query = ''] = text.slice(0, 1_024).split('?', 2);
  const last = path.split('/').findLast((part) => part.length > 0);
  return { path, last, key: new URLSearchParams(query).get('key') ?? undefined };
}

const digest = (key: string) => createHash('sha256').update(key).digest();

/** What belongs to a stream key. Finding one takes as long whatever was offered. */
export class StreamKeys<T> {
  readonly #entries = new Set<{ readonly digest: Buffer; readonly value: T }>();

  /** Returns how to take it back; `undefined` where the key is somebody's. */
  add(key: string, value: T): (() => void) | undefined {
    if (this.find(key) !== undefined) return undefined;
    const entry = { digest: digest(key), value };
    this.#entries.add(entry);
    return () => void this.#entries.delete(entry);
  }

  find(offered: string): T | undefined {
    const wanted = digest(offered);
    let found: T | undefined;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, wanted)) found = entry.value;
    return found;
  }
}
