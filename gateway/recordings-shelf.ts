import { createHmac, timingSafeEqual } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { Readable } from 'node:stream';
import { rangeOf } from './byte-range.ts';
import type { RecordingView } from './protocol.ts';
import { type Recorded, listRecordings, nameOf, removeRecording } from './recordings.ts';
import { refuse } from './refusal.ts';

/** How long addresses of a recording can be used, ms: as long as somebody watches it. */
const VALID = 12 * 3_600_000;
/** In the place of a key where there is no token. */
export const OPEN = '-';

const TYPES: Readonly<Record<string, string>> = {
  '.mp4': 'video/mp4',
  '.mkv': 'video/x-matroska',
  '.vtt': 'text/vtt; charset=utf-8',
  '.jpg': 'image/jpeg',
};

/**
 * A key for one recording, which stands in its address: a page's `img` and `video` send no token. It is made of the token,
 * and is no use for anything else, nor after its time.
 */
export function keyFor(token: string | undefined, name: string, now: number): string {
  if (token === undefined) return OPEN;
  const until = Math.ceil((now + VALID) / 1_000).toString(36);
  return `${until}.${signed(token, name, until)}`;
}
export function keyFits(token: string | undefined, name: string, key: string, now: number): boolean {
  if (token === undefined) return true;
  const [until = '', signature = ''] = key.split('.');
  const [right, given] = [Buffer.from(signed(token, name, until)), Buffer.from(signature)];
  return parseInt(until, 36) * 1_000 >= now && right.length === given.length && timingSafeEqual(right, given);
}
const signed = (token: string, name: string, until: string) =>
  createHmac('sha256', token).update(`recording\n${until}\n${name}`).digest('base64url');

/** What is sent for a file, or for a part of one. */
export interface Piece {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readable;
}

/** Recordings as the API has them. */
export class RecordingsShelf {
  readonly #directory: string;
  readonly #token: string | undefined;
  readonly #now: () => number;

  /** @param now ms since 1970 */
  constructor(directory: string, token: string | undefined, now: () => number = Date.now) {
    this.#directory = directory;
    this.#token = token;
    this.#now = now;
  }

  /** The newest first. */
  async list(): Promise<RecordingView[]> {
    const all = await listRecordings(this.#directory);
    return all.reverse().map((recording) => this.#view(recording));
  }

  async remove(name: string): Promise<void> {
    await removeRecording(await this.#find(name));
  }

  /**
   * A file of a recording.
   *
   * @throws Refusal `not_found`
   */
  async open(
    name: string,
    file: string,
    asked: {
      readonly method: string;
      readonly range?: string | undefined;
      readonly ifRange?: string | undefined;
      readonly ifNoneMatch?: string | undefined;
    },
  ): Promise<Piece> {
    const recording = await this.#find(name);
    const path = join(dirname(recording.manifest), file);
    const there = recording.files.includes(file) ? await stat(path).catch(() => undefined) : undefined;
    if (!there?.isFile()) throw refuse('not_found', `Recording '${name}' has no file '${file}'.`, 'file');
    const { size, mtimeMs } = there;
    const etag = `"${size.toString(36)}-${Math.round(mtimeMs).toString(36)}"`;
    const headers = {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'accept-ranges': 'bytes',
      'cache-control': 'private, max-age=3600',
      'last-modified': there.mtime.toUTCString(),
      'x-content-type-options': 'nosniff',
      etag,
    };
    const nothing = Readable.from([]);
    if (asked.ifNoneMatch === etag) return { status: 304, headers, body: nothing };
    // RFC 9110 §13.1.5: what has changed since is sent whole.
    const current = asked.ifRange === undefined || asked.ifRange === etag;
    const range = rangeOf(current ? asked.range : undefined, size);
    if (range === 'unsatisfiable')
      return {
        status: 416,
        headers: { ...headers, 'content-range': `bytes */${size}`, 'content-length': '0' },
        body: nothing,
      };
    const { first, last } = range === 'whole' ? { first: 0, last: size - 1 } : range;
    const read = asked.method === 'HEAD' || size === 0 ? nothing : createReadStream(path, { start: first, end: last });
    const length = { 'content-length': String(last - first + 1) };
    if (range === 'whole') return { status: 200, headers: { ...headers, ...length }, body: read };
    return {
      status: 206,
      headers: { ...headers, ...length, 'content-range': `bytes ${first}-${last}/${size}` },
      body: read,
    };
  }

  async #find(name: string): Promise<Recorded> {
    const found = (await listRecordings(this.#directory)).find((each) => nameOf(each) === name);
    if (!found) throw refuse('not_found', `There is no recording '${name}'.`, 'name', 'See /v1/recordings.');
    return found;
  }

  #view(recording: Recorded): RecordingView {
    const name = nameOf(recording);
    const { name: title, session, languages, started, seconds, bytes, finished, uploaded, files, pictures } = recording;
    const key = keyFor(this.#token, name, this.#now());
    const address = (file: string) => `/v1/recordings/${encodeURIComponent(name)}/${key}/${encodeURIComponent(file)}`;
    const [main = ''] = files;
    return {
      ...{ name, title, session, languages, started, seconds, bytes, finished, uploaded: uploaded !== null },
      url: address(main),
      poster: pictures && address(pictures.poster),
      storyboard: pictures && address(pictures.storyboard),
    };
  }
}
