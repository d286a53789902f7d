import { joined } from '../../../media/boxes.ts';
import type { LanguageTag } from '../../protocol.ts';
import { mpd } from './dash.ts';
import type { Library } from './library.ts';
import { type Timing, mediaPlaylist, multivariant } from './playlist.ts';
import { type Rendition, endOf } from './shelf.ts';
import type { Waiters } from './waiters.ts';

export interface Question {
  /** What follows `/v1/sessions/:id/hls/`. */
  readonly path: string;
  readonly query: Readonly<Record<string, string | undefined>>;
  /** Whoever asked has gone. */
  readonly signal: AbortSignal;
}
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}
export interface Stock {
  readonly library: Library;
  readonly waiters: Waiters;
  readonly from: LanguageTag;
  readonly leads: () => Rendition | undefined;
  /** What there is says what there will be. */
  readonly ready: () => boolean;
  readonly timing: Timing & { readonly window: number };
}

const PLAYLIST = 'application/vnd.apple.mpegurl';
const CORS = { 'access-control-allow-origin': '*' };
/** A part's or a segment's name never stands for anything else. */
const FOREVER = 'public, max-age=31536000, immutable';

/** Answers what players and caches ask for. */
export class Counter {
  readonly #stock: Stock;
  #origin: number | undefined;

  constructor(stock: Stock) {
    this.#stock = stock;
  }

  async answer({ path, query, signal }: Question): Promise<Answer> {
    if (path === 'index.m3u8' || path === 'manifest.mpd') return this.#whole(path, signal);
    const match = /^([\w.-]+)\/(?:(index\.m3u8)|(init-(\d{1,15})\.mp4)|(\d{1,15})(?:\.(\d{1,5}))?\.(m4s|vtt))$/u.exec(
      path,
    );
    const rendition = this.#stock.library.renditions.find(({ id }) => id === match?.[1]);
    if (!match || !rendition) return missing();
    const [, , playlist, init, first, number, part] = match;
    if (playlist) return this.#playlist(rendition, query, signal);
    if (init) {
      const body = rendition.inits.find((one) => one.first === Number(first))?.body;
      return body ? this.#media(rendition, body) : missing();
    }
    return this.#piece(rendition, Number(number), part === undefined ? undefined : Number(part), signal);
  }

  /** Waits until there is a segment: before that, nobody knows rates and channels. Players ask for it only once. */
  async #whole(path: string, signal: AbortSignal): Promise<Answer> {
    const { library, waiters, from, leads, ready, timing } = this.#stock;
    if (!(await waiters.until(ready, signal))) return busy();
    if (path === 'index.m3u8') return text(multivariant(library.renditions, from), PLAYLIST, 'public, max-age=1');
    const newest = leads()?.segments.at(-1)?.start ?? 0;
    const now = timing.dateOf(library.edge as typeof newest & Parameters<Timing['dateOf']>[0]);
    this.#origin ??= timing.dateOf(newest as Parameters<Timing['dateOf']>[0]) - newest / 1_000;
    const body = mpd(library.renditions, library.windowOf, { ...timing, origin: this.#origin, now });
    return text(body, 'application/dash+xml', 'public, max-age=1');
  }

  async #playlist(rendition: Rendition, query: Question['query'], signal: AbortSignal): Promise<Answer> {
    const { library, waiters, timing } = this.#stock;
    const asked = directives(query);
    if (typeof asked === 'string') return bad(asked);
    const { number, part, skip } = asked;
    const edge = rendition.segments.at(-1);
    if (number !== undefined) {
      // §6.2.5.2: more than two segments ahead is an error.
      if (edge && number > edge.number + 2) return bad(`_HLS_msn=${number} is too far ahead of ${edge.number}`);
      const most = Math.ceil((timing.target + 1) / timing.part);
      if (part !== undefined && part > most) return bad(`_HLS_part=${part} is more than a segment has`);
    }
    const ready = () => rendition.ended || has(rendition, number, part);
    if (!(await waiters.until(ready, signal))) return busy();
    const body = mediaPlaylist(rendition, library.windowOf(rendition), library.renditions, timing, skip);
    // A blocking request's answer is the same for everybody who asks it; any other is old in a moment.
    const cache = number === undefined ? 'public, max-age=1' : `public, max-age=${timing.target * 6}`;
    return text(body, PLAYLIST, cache);
  }

  /** A segment, a part, or the part that was hinted at, which is waited for. */
  async #piece(rendition: Rendition, number: number, part: number | undefined, signal: AbortSignal): Promise<Answer> {
    const find = () => {
      const segment = rendition.segments.find((one) => one.number === number);
      if (part !== undefined) return segment?.parts[part]?.body;
      if (!segment?.complete) return undefined;
      return segment.body ?? joined(segment.parts.map(({ body }) => body));
    };
    const edge = rendition.segments.at(-1);
    const hinted =
      part !== undefined &&
      !rendition.ended &&
      edge !== undefined &&
      (edge.complete ? number === edge.number + 1 && part === 0 : number === edge.number && part === edge.parts.length);
    if (hinted) {
      const passed = () => rendition.ended || (rendition.segments.at(-1)?.number ?? 0) > number;
      if (!(await this.#stock.waiters.until(() => find() !== undefined || passed(), signal))) return busy();
    }
    const body = find();
    // A gap has no bytes.
    return body && body.byteLength > 0 ? this.#media(rendition, body) : missing();
  }

  #media({ kind }: Rendition, body: Uint8Array): Answer {
    const type = kind === 'captions' ? 'text/vtt; charset=utf-8' : `${kind}/mp4`;
    return { status: 200, headers: { ...CORS, 'content-type': type, 'cache-control': FOREVER }, body };
  }
}

/** Whether a playlist holds what `_HLS_msn` and `_HLS_part` ask for (RFC 8216bis §6.2.5.2), or anything at all. */
function has({ segments }: Rendition, number: number | undefined, part: number | undefined): boolean {
  const last = segments.at(-1);
  if (!last) return false;
  if (number === undefined || last.number > number + 1) return true;
  const segment = segments.find((one) => one.number === number);
  if (!segment) return last.number > number;
  if (part === undefined || segment.parts.length <= part) {
    if (part === undefined || !segment.complete) return segment.complete;
    // A part behind the segment's last one is the first of the next.
    return last.number > number && endOf(last) > last.start;
  }
  return true;
}

function directives(query: Question['query']): string | { number?: number; part?: number; skip: boolean } {
  const whole = (name: string) => {
    const value = query[name];
    return value === undefined ? undefined : /^\d{1,15}$/u.test(value) ? Number(value) : NaN;
  };
  const [number, part, skip] = [whole('_HLS_msn'), whole('_HLS_part'), query['_HLS_skip']];
  if (Number.isNaN(number) || Number.isNaN(part)) return '_HLS_msn and _HLS_part are whole numbers';
  if (part !== undefined && number === undefined) return '_HLS_part needs _HLS_msn';
  return {
    ...(number !== undefined && { number }),
    ...(part !== undefined && { part }),
    skip: skip === 'YES' || skip === 'v2',
  };
}

const text = (body: string, type: string, cache: string): Answer => ({
  status: 200,
  headers: { ...CORS, 'content-type': type, 'cache-control': cache },
  body,
});
const plain = (status: number, body: string, more: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers: { ...CORS, 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...more },
  body,
});
const missing = () => plain(404, 'There is no such part of the programme, or not any more.\n');
const bad = (why: string) => plain(400, `${why}.\n`);
const busy = () => plain(503, 'Nothing came in time, or too many wait. Try again.\n', { 'retry-after': '1' });
