import { jfif, jpegFile } from '../../media/jpeg.ts';
import { shrunk, sizeWithin } from '../../media/shrink.ts';
import { type ClockTime, type MediaTime, at, between, seconds } from '../../media/time.ts';
import { VideoDecoder } from '../../media/video-decoder.ts';
import type { VideoFrame } from '../../media/video-frame.ts';
import type { CueView, TrackId } from '../protocol.ts';
import type { HlsSpec } from '../source-spec.ts';
import type { Answer, Question } from './hls/counter.ts';
import type { OutPicture, OutSound, OutTrack, Outlet, OutletContext, Wants } from './outlet.ts';
import { Storyboard, TILE } from './storyboard.ts';

const POSTER = { width: 640, height: 360 } as const;
/** How old a poster gets. */
const POSTER_EVERY = seconds(10);

/**
 * Pictures that stand for the programme: a poster, and small ones of all that HLS viewers can go back to.
 *
 * They are made of key frames alone, each decoded for itself and no more often than they are wanted.
 */
export class Stills implements Outlet {
  readonly wants: Wants = { pictures: 'as sent', sound: 'none' };
  readonly #context: OutletContext;
  readonly #storyboard: Storyboard | undefined;
  #decoder: VideoDecoder | undefined;
  #shown: TrackId | undefined;
  #poster: { readonly at: MediaTime; readonly file: Uint8Array } | undefined;
  #posters = 0;
  #decoded = 0;
  #damaged = 0;
  /** The sheet that was asked for last, and how many small pictures there were. */
  #sheet: { readonly made: number; readonly file: Uint8Array } | undefined;
  #position = at(0);
  #broken = false;

  constructor({ enabled, window }: Pick<HlsSpec, 'enabled' | 'window'>, context: OutletContext) {
    this.#context = context;
    this.#storyboard = enabled === 'off' ? undefined : new Storyboard(seconds(window));
  }

  get counts(): Readonly<Record<string, number>> {
    return {
      posters: this.#posters,
      posterBytes: this.#poster?.file.byteLength ?? 0,
      tiles: this.#storyboard?.tiles.length ?? 0,
      tileBytes: this.#storyboard?.bytes ?? 0,
      sheetBytes: this.#sheet?.file.byteLength ?? 0,
      decoded: this.#decoded,
      damaged: this.#damaged,
    };
  }

  tracks(tracks: readonly OutTrack[]): void {
    const pictures = tracks.filter(({ kind }) => kind === 'video');
    this.#shown = (pictures.find(({ language }) => language === null) ?? pictures[0])?.id;
  }

  picture(picture: OutPicture): void {
    const { start, keyFrame, track } = picture;
    if (!keyFrame || track !== this.#shown || this.#broken) return;
    const poster = !this.#poster || between(this.#poster.at, start) >= POSTER_EVERY;
    const tile = this.#storyboard?.due(start) === true;
    if (!poster && !tile) return;
    try {
      const frame = this.#decode(picture);
      if (!frame) return;
      if (tile) this.#storyboard?.add({ at: start, picture: small(frame, TILE) });
      if (!poster) return;
      this.#poster = { at: start, file: jpegFile(small(frame, POSTER)) };
      this.#posters += 1;
    } catch (failure) {
      // A library that is missing, or pictures of another depth: it will be no different with the next one.
      this.#broken = true;
      const why = failure instanceof Error ? failure.message : String(failure);
      this.#context.complain(`There are no posters and no storyboard any more: ${why}.`);
    }
  }

  /** A key frame asks for no other one: what comes before and after it stays outside. */
  #decode({ codec, data, start }: OutPicture): VideoFrame | undefined {
    if (this.#decoder?.codec !== codec) {
      this.#decoder?.[Symbol.dispose]();
      this.#decoder = new VideoDecoder({ codec });
    }
    const [first, ...others] = [...this.#decoder.decode(data, start), ...this.#decoder.flush()];
    if (first) this.#decoded += 1;
    else this.#damaged += 1;
    // AV1 and VP9 may hold several layers of one picture; the last is the largest.
    return others.at(-1) ?? first;
  }

  sound(_: OutSound): void {}
  cue(_: CueView): void {}
  tick(_: ClockTime, position: MediaTime): void {
    this.#position = position;
  }

  /** What is asked for below `stills/`. */
  answer({ path }: Pick<Question, 'path'>): Promise<Answer> {
    return Promise.resolve(this.#answer(path));
  }

  #answer(path: string): Answer {
    if (path === 'poster.jpg') return this.#poster ? image(this.#poster.file, 'public, max-age=5') : none();
    if (!this.#storyboard) return none();
    if (path === 'storyboard.vtt') {
      const { made, tiles } = this.#storyboard;
      if (tiles.length === 0) return none();
      const date = new Date(this.#context.dateOf(at(0))).toISOString();
      const body = this.#storyboard.track(`storyboard/${made}.jpg`, this.#position, `${MAP}\n\nNOTE 0 is ${date}\n`);
      return answer(body, 'text/vtt; charset=utf-8', 'public, max-age=1');
    }
    if (!/^storyboard\/\d{1,12}\.jpg$/u.test(path)) return none();
    const { made } = this.#storyboard;
    if (this.#sheet?.made !== made) {
      const sheet = this.#storyboard.sheet();
      if (!sheet) return none();
      this.#sheet = { made, file: jpegFile(sheet) };
    }
    return image(this.#sheet.file, 'public, max-age=60');
  }

  close(): Promise<void> {
    this.#decoder?.[Symbol.dispose]();
    this.#decoder = undefined;
    this.#broken = true;
    return Promise.resolve();
  }
}

/** RFC 8216bis §3.1.4: times count on the timeline of the segments, as captions' do. */
const MAP = 'X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000';

const small = (frame: VideoFrame, most: { readonly width: number; readonly height: number }) =>
  jfif(shrunk(frame, sizeWithin(frame, most)), frame.colour, frame.height);

const answer = (body: Uint8Array | string, type: string, cache: string, status = 200): Answer => ({
  status,
  headers: { 'access-control-allow-origin': '*', 'content-type': type, 'cache-control': cache },
  body,
});
const image = (file: Uint8Array, cache: string) => answer(file, 'image/jpeg', cache);
const none = () => answer('There is no picture yet, or none by that name.\n', 'text/plain', 'no-store', 404);
