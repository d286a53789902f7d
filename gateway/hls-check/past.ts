import { createHash } from 'node:crypto';
import { type Client, nameOf, statusOf } from './client.ts';
import type { MediaPlaylist, Segment } from './m3u8.ts';
import type { Find, Finding } from './rules.ts';

/** Segments whose hash is kept. */
const MOST_KEPT = 64;

/** What was had of a rendition: whether it is there still, and the same. */
export class Past {
  readonly #url: string;
  readonly #client: Client;
  readonly #find: Find;
  readonly #kept = new Map<string, string>();

  constructor(url: string, client: Client, find: Find) {
    this.#url = url;
    this.#client = client;
    this.#find = find;
  }

  keep(url: string, body: Uint8Array): void {
    if (this.#kept.size < MOST_KEPT) this.#kept.set(url, hashOf(body));
  }

  /** A segment that has just left the playlist is there still (bis §6.2.2). */
  async removed({ uri = '' }: Segment): Promise<Finding[]> {
    const got = await this.#client.get(new URL(uri, this.#url).href);
    return got.status === 200 ? [] : [this.#find('gone-early', statusOf(got))];
  }

  /** At the end: what was had before is the same, and what never was is not there. */
  async again(playlist: MediaPlaylist): Promise<Finding[]> {
    const all: Finding[] = [];
    const listed = new Set(playlist.segments.map(({ uri = '' }) => new URL(uri, this.#url).href));
    for (const [url, hash] of [...this.#kept].filter(([one]) => listed.has(one)).slice(0, 3)) {
      const got = await this.#client.get(url);
      if (got.status === 200 && hashOf(got.body) !== hash) all.push(this.#find('media-changed', nameOf(url)));
    }
    const ending =
      /\.[a-z0-9]+$/iu.exec(
        new URL(playlist.segments.find(({ uri }) => uri)?.uri ?? 'x.mp4', this.#url).pathname,
      )?.[0] ?? '';
    const never = await this.#client.get(new URL(`there-is-no-such-segment${ending}`, this.#url).href);
    if (never.status !== 404 && never.status !== 410)
      all.push(this.#find('missing-not-404', `${nameOf(never.name)}: ${never.status}`));
    const last = playlist.segments.at(-1)?.number;
    if (playlist.control?.block !== true || playlist.ended || last === undefined) return all;
    const far = await this.#client.get(
      `${this.#url}${this.#url.includes('?') ? '&' : '?'}_HLS_msn=${last + 100}`,
      5_000,
    );
    if (far.status !== 400)
      all.push(this.#find('far-ahead', `_HLS_msn=${last + 100} of ${last}: ${far.status || 'no answer in 5 s'}`));
    return all;
  }
}

const hashOf = (body: Uint8Array) => createHash('sha256').update(body).digest('hex');
