import { setTimeout as sleep } from 'node:timers/promises';
import { type Version, changeFindings, deltaFindings, rhythmFindings } from './change-rules.ts';
import { CaptionTrail, captionsLost } from './caption-trail.ts';
import { type Got, nameOf, statusOf } from './client.ts';
import { deliveryFindings } from './delivery-rules.ts';
import { type Init, initOf } from './fmp4-pieces.ts';
import { parsePlaylist } from './m3u8-parser.ts';
import { type MediaPlaylist, type Part, type Segment, edgeOf, filled, lengthOf } from './m3u8.ts';
import { type Piece, Trail, wholeFindings } from './media-rules.ts';
import { Past } from './past.ts';
import { datesOf, playlistFindings } from './playlist-rules.ts';
import type { Arrival } from './punctuality.ts';
import type { Watch } from './watch.ts';
import { type Find, type Finding, finder } from './rules.ts';
import type { VttCue } from './vtt-rules.ts';

/** Each so many times something is asked for that need not be asked always. */
const WHOLE_EVERY = 5;
const SKIP_EVERY = 3;
const COMPARE_EVERY = 9;

/** One rendition, read as a player reads it. */
export class Follower {
  readonly url: string;
  readonly at: string;
  readonly captions: boolean;
  readonly trail: Trail;
  readonly arrivals: Arrival[] = [];
  readonly sizes: { bytes: number; seconds: number }[] = [];
  readonly inits = new Map<string, { readonly body: Uint8Array; readonly init: Init | undefined }>();
  playlist: MediaPlaylist | undefined;
  /** Pieces from here on were waited for; those of the first playlist had been there. */
  followedLive: { readonly from: number } | undefined;
  versions = 0;
  pieces = 0;
  discontinuities = 0;
  readonly #watch: Watch;
  readonly #find: Find;
  readonly #past: Past;
  readonly #captions: CaptionTrail;
  #rhythm: Version[] = [];
  #done: { readonly number: number; readonly part: number } | undefined;
  /** Parts of segments that are not whole yet. */
  readonly #bodies = new Map<number, Uint8Array[]>();
  #work: Promise<void> = Promise.resolve();
  #hinted: { readonly url: string; readonly got: Promise<Got> } | undefined;
  #wholes = 0;

  constructor(url: string, at: string, captions: boolean, watch: Watch) {
    this.url = url;
    this.at = at;
    this.captions = captions;
    this.#watch = watch;
    this.#find = finder(at);
    this.trail = new Trail(at);
    this.#past = new Past(url, watch.client, this.#find);
    this.#captions = new CaptionTrail(at);
  }

  get cues(): ReadonlyMap<string, VttCue> {
    return this.#captions.cues;
  }

  /** Until the playlist ends, or the watch. */
  async run(): Promise<void> {
    const first = await this.#playlist(this.url, true);
    if (!first) return;
    this.#take(first);
    if (!first.ended) this.#then(() => this.#waits());
    for (let n = 1; !first.ended && this.playlist?.ended === false && performance.now() < this.#watch.until(); n += 1) {
      const before = this.playlist;
      const blocks = before.control?.block === true && edgeOf(before) !== undefined;
      const came = blocks ? await this.#next(before, n) : await this.#later(before);
      if (came) this.#take(came);
      else await sleep(500);
    }
    await this.#work;
    if (this.playlist) this.#tell(rhythmFindings(this.#rhythm.slice(-1), performance.now(), this.at));
    if (this.playlist) this.#tell(await this.#past.again(this.playlist));
  }

  #waits(): Promise<void> {
    this.followedLive = { from: this.arrivals.length };
    return Promise.resolve();
  }

  #tell(findings: readonly Finding[]): void {
    if (findings.length > 0) this.#watch.tell(findings);
  }

  async #later(before: MediaPlaylist): Promise<MediaPlaylist | undefined> {
    await sleep(Math.min(((before.target ?? 2) * 1_000) / 2, Math.max(0, this.#watch.until() - performance.now())));
    return this.#playlist(this.url, false);
  }

  /** What follows the newest part, by a blocking reload (bis §6.2.5.2). */
  async #next(before: MediaPlaylist, nth: number): Promise<MediaPlaylist | undefined> {
    const edge = edgeOf(before)!;
    const whole = before.segments.at(-1)?.uri !== undefined;
    const parted = before.segments.some(({ parts }) => parts.length > 0);
    const [number, part] = whole ? [edge.number + 1, 0] : [edge.number, edge.part + 1];
    const asked = new URL(this.url);
    asked.searchParams.set('_HLS_msn', String(number));
    if (parted) asked.searchParams.set('_HLS_part', String(part));
    const plain = asked.href;
    const skips = before.control?.skipUntil !== undefined && nth % SKIP_EVERY === 0;
    if (skips) asked.searchParams.set('_HLS_skip', 'YES');
    this.#hint(before);
    const came = await this.#playlist(asked.href, false);
    if (!came) return undefined;
    const now = edgeOf(came);
    const there = now && (now.number > number || (now.number === number && (!parted || now.part >= part)));
    if (!there && !came.ended)
      this.#tell([
        this.#find('answer-early', `asked for ${number}.${part}, the playlist ends with ${now?.number}.${now?.part}`),
      ]);
    if (!skips) return came;
    return this.#filled(came, before, plain, nth);
  }

  async #filled(delta: MediaPlaylist, before: MediaPlaylist, plain: string, nth: number) {
    const length = before.segments.reduce((sum, segment) => sum + lengthOf(segment), 0);
    const skippable = length - (before.control?.skipUntil ?? 0) > 2 * (before.target ?? 0);
    if (delta.skipped === 0) {
      if (skippable && !delta.ended) this.#tell([this.#find('delta-ignored', `${length.toFixed(0)} s are listed`)]);
      return delta;
    }
    const whole = filled(delta, before);
    if (!whole) {
      this.#tell([this.#find('delta-wrong', `${delta.skipped} segments from ${delta.sequence} on were not all known`)]);
      return this.#playlist(this.url, false);
    }
    if (nth % COMPARE_EVERY === 0) {
      const full = await this.#playlist(plain, false);
      if (full) this.#tell(deltaFindings(whole, full, this.at));
      return full ?? whole;
    }
    return whole;
  }

  /** Asks for the part that is hinted at before it is there. */
  #hint(playlist: MediaPlaylist): void {
    if (playlist.hint === undefined) return;
    const url = new URL(playlist.hint, this.url).href;
    if (this.#hinted?.url === url) return;
    this.#hinted = { url, got: this.#watch.client.get(url) };
    // Whoever takes it sees the failure.
    this.#hinted.got.catch(() => {});
  }

  async #playlist(url: string, first: boolean): Promise<MediaPlaylist | undefined> {
    const patience = ((this.playlist?.target ?? 6) * 3 + 15) * 1_000;
    const got = await this.#watch.client.get(url, patience);
    if (got.status !== 200) {
      this.#tell([this.#find('answer-status', statusOf(got))]);
      return undefined;
    }
    const playlist = parsePlaylist(new TextDecoder().decode(got.body));
    if (playlist.kind === 'multivariant') {
      this.#tell([this.#find('answer-status', 'a multivariant playlist in place of a media playlist')]);
      return undefined;
    }
    const blocked = url !== this.url;
    const fresh = playlist.partTarget === undefined ? (playlist.target ?? 6) : Math.max(1, playlist.partTarget);
    const asked = { what: 'playlist', live: !playlist.ended && !blocked, fresh } as const;
    this.#tell([...deliveryFindings(got, asked, this.at), ...playlistFindings(playlist, this.at)]);
    this.versions += 1;
    if (playlist.skipped === 0) this.#watch.onVersion(this.url, { at: got.at, playlist });
    if (first || !blocked) this.#hint(playlist);
    return playlist;
  }

  /** Goes from one version to the next, and fetches what is new. */
  #take(now: MediaPlaylist): void {
    const before = this.playlist;
    if (before) this.#tell(changeFindings(before, now, this.at));
    this.playlist = now;
    const newest = (playlist: MediaPlaylist | undefined) => playlist?.segments.findLast(({ uri }) => uri)?.number ?? -1;
    if (newest(now) > newest(this.#rhythm.at(-1)?.playlist)) {
      // A player reads on at the edge; only what came while it was there is rhythm.
      this.#rhythm = [...this.#rhythm.slice(-1), { at: performance.now(), playlist: now }];
      if (this.#rhythm.length > 1) this.#tell(rhythmFindings(this.#rhythm, performance.now(), this.at));
    }
    if (!now.ended) this.#hint(now);
    const dates = datesOf(now);
    for (const segment of now.segments) {
      if (this.#done === undefined && !this.#begins(now, segment)) continue;
      this.#segment(segment, dates.get(segment.number), now);
    }
    const first = before?.segments[0];
    if (before && first?.uri !== undefined && first.number < now.sequence)
      this.#then(async () => this.#tell(await this.#past.removed(first)));
  }

  /** A player of what is finished begins at the beginning, any other with the segment before the newest. */
  #begins({ ended, segments }: MediaPlaylist, { number }: Segment): boolean {
    return ended || number >= (segments.at(-2) ?? segments.at(-1))!.number;
  }

  #segment(segment: Segment, date: number | undefined, playlist: MediaPlaylist): void {
    const { number, parts, uri } = segment;
    const done = this.#done;
    if (done && (number < done.number || (number === done.number && done.part === Infinity))) return;
    const begun = done?.number === number ? done.part + 1 : 0;
    if (done && number > done.number && segment.discontinuity) this.discontinuities += 1;
    if (parts.length === 0) {
      if (uri === undefined) return;
      this.#done = { number, part: Infinity };
      this.#queue(segment, undefined, date, playlist);
      return;
    }
    let shown = date;
    parts.forEach((part, n) => {
      if (n >= begun) this.#queue(segment, { part, n }, shown, playlist);
      if (shown !== undefined) shown += part.duration * 1_000;
    });
    this.#done = { number, part: uri === undefined ? parts.length - 1 : Infinity };
    if (uri !== undefined) this.#then(() => this.#whole(segment));
  }

  #then(work: () => Promise<void>): void {
    this.#work = this.#work.then(work);
    this.#work.catch(() => {});
  }

  /** Fetches begin at once, and are looked at in order. */
  #queue(
    segment: Segment,
    one: { part: Part; n: number } | undefined,
    date: number | undefined,
    playlist: MediaPlaylist,
  ) {
    const { gap, uri = '', map, number } = segment;
    if (gap || one?.part.gap) return;
    const url = new URL(one?.part.uri ?? uri, this.url).href;
    const got =
      this.#hinted?.url === url
        ? this.#hinted.got
        : this.#watch.client.get(url, 30_000, one?.part.range ?? segment.range);
    got.catch(() => {});
    this.#then(async () => {
      const init = map === undefined ? undefined : await this.#init(new URL(map, this.url).href);
      const answer = await got;
      if (answer.status !== 200) {
        this.#tell([this.#find('answer-status', statusOf(answer))]);
        return;
      }
      this.#tell(deliveryFindings({ ...answer, name: nameOf(url) }, { what: 'media', live: false, fresh: 0 }, this.at));
      const duration = one?.part.duration ?? lengthOf(segment);
      const piece: Piece = {
        ...{ name: nameOf(url), number, part: one?.n, duration, era: segment.era, date, body: answer.body },
        independent: one?.part.independent ?? false,
        discontinuity: segment.discontinuity,
      };
      this.pieces += 1;
      this.#arrived(piece, answer.at);
      if (one) this.#bodies.set(number, [...(this.#bodies.get(number) ?? []), answer.body]);
      else {
        this.sizes.push({ bytes: answer.body.byteLength, seconds: duration });
        this.#past.keep(url, answer.body);
      }
      if (this.captions) this.#tell(this.#captions.push(piece, this.#watch.offset(piece.era)));
      else {
        if (answer.body[0] !== 0x47 && map === undefined) this.#tell([this.#find('map-missing', piece.name)]);
        const independent = playlist.independent || this.#watch.independent;
        this.#tell(this.trail.push(piece, { init: init?.init, independent }));
      }
      this.#watch.onPiece?.({ at: this.at, init: init?.body, piece });
    });
  }

  #arrived({ date, duration }: Piece, at: number): void {
    const last = this.arrivals.at(-1);
    const start = date ?? last?.end ?? 0;
    this.arrivals.push({ start, end: start + duration * 1_000, at });
  }

  async #init(url: string) {
    const known = this.inits.get(url);
    if (known) return known;
    const got = await this.#watch.client.get(url);
    let init: Init | undefined;
    try {
      if (got.status !== 200) this.#tell([this.#find('answer-status', statusOf(got))]);
      else init = initOf(got.body);
    } catch (failure) {
      if (!(failure instanceof RangeError)) throw failure;
      this.#tell([this.#find('init-broken', `${nameOf(url)}: ${failure.message}`)]);
    }
    const read = { body: got.body, init };
    this.inits.set(url, read);
    return read;
  }

  /** A segment whose parts have come: now and then it is asked for as a whole. */
  async #whole({ number, uri, parts, map }: Segment): Promise<void> {
    const bodies = this.#bodies.get(number) ?? [];
    for (const old of [...this.#bodies.keys()].filter((one) => one <= number)) this.#bodies.delete(old);
    if (bodies.length !== parts.length || uri === undefined) return;
    this.sizes.push({
      bytes: bodies.reduce((sum, { byteLength }) => sum + byteLength, 0),
      seconds: parts.reduce((sum, { duration }) => sum + duration, 0),
    });
    this.#wholes += 1;
    if (this.#wholes % WHOLE_EVERY !== 1) return;
    const url = new URL(uri, this.url).href;
    const got = await this.#watch.client.get(url);
    if (got.status !== 200) return this.#tell([this.#find('answer-status', statusOf(got))]);
    this.#past.keep(url, got.body);
    const init = map === undefined ? undefined : this.inits.get(new URL(map, this.url).href)?.init;
    if (!this.captions) this.#tell(wholeFindings(`segment ${number}`, got.body, bodies, init, this.at));
    else this.#tell(captionsLost(number, got.body, bodies, this.#find));
  }
}
