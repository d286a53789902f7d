import { type Clock, MonotonicClock } from '../../../media/clock.ts';
import { aacChannels } from '../../../media/aac.ts';
import { Repeater } from '../../../media/avc-repeat.ts';
import { type PictureFormat, pictureFormat, pictureSample } from '../../../media/fmp4.ts';
import type { Scope } from '../../../media/scope.ts';
import { type ClockTime, type MediaTime, seconds } from '../../../media/time.ts';
import type { CueView, LanguageTag } from '../../protocol.ts';
import type { HlsSpec } from '../../source-spec.ts';
import type { OutPicture, OutSound, OutTrack, Outlet, OutletContext, Wants } from '../outlet.ts';
import { type Answer, type Question, Counter } from './counter.ts';
import { CaptionTrack } from './captions.ts';
import { Library } from './library.ts';
import { type Cut, lengthsOf } from './cut.ts';
import { Segmenter } from './segmenter.ts';
import { type Rendition, endOf } from './shelf.ts';
import { Waiters } from './waiters.ts';

export interface HlsOptions {
  readonly clock?: Clock;
  /** All that is kept, bytes. */
  readonly most?: number;
  /** Requests that may wait. */
  readonly waiters?: number;
}
const MOST_BYTES = 2 ** 30;
const MOST_WAITERS = 1_000;
/** A part is late when it is published more than this after its end was shown (a fifth of a part's hold-back). */
const PUNCTUAL = 0.5;

/** So much sound is published before it is taken that there are no pictures, and that announced ones never come. */
const UNANNOUNCED = seconds(5);
const ANNOUNCED = seconds(10);

interface Lane {
  readonly track: OutTrack;
  rendition: Rendition | undefined;
  /** What parts are of. */
  format: PictureFormat | number | undefined;
  /** What the newest pictures are of. */
  newest: PictureFormat | undefined;
  readonly repeater: Repeater;
  /** Waits for a key frame. */
  broken: boolean;
}

/** Low-Latency HLS (RFC 8216bis), and DASH from the same segments, of the delayed programme. */
export class Hls implements Outlet {
  readonly wants: Wants = { pictures: 'H264', sound: 'AAC' };
  readonly #context: OutletContext;
  readonly #clock: Clock;
  readonly #segmenter: Segmenter;
  readonly #library: Library;
  readonly #waiters: Waiters;
  readonly #counter: Counter;
  readonly #part: number;
  readonly #target: number;
  readonly #lanes = new Map<string, Lane>();
  readonly #captions = new Map<LanguageTag, { readonly captions: CaptionTrack; rendition: Rendition }>();
  #leader: string | undefined;
  #late = 0;
  #damaged = 0;
  #over = false;
  /** The newest segment of captions: its number, and which track it is cut as. */
  #conducted: { readonly index: number; readonly track: string } | undefined;
  #position: { readonly media: MediaTime; readonly clock: ClockTime } | undefined;

  static open(spec: HlsSpec, context: OutletContext, scope: Scope, options: HlsOptions = {}): Hls {
    const hls = new Hls(spec, context, options);
    scope.defer(() => hls.close());
    return hls;
  }

  private constructor(spec: HlsSpec, context: OutletContext, options: HlsOptions) {
    const lengths = lengthsOf(spec);
    this.#context = context;
    this.#clock = options.clock ?? new MonotonicClock();
    this.#part = spec.part;
    this.#target = lengths.target;
    this.#segmenter = new Segmenter(lengths);
    this.#library = new Library({ window: seconds(spec.window), most: options.most ?? MOST_BYTES });
    this.#waiters = new Waiters(this.#clock, {
      most: options.waiters ?? MOST_WAITERS,
      patience: seconds(3 * lengths.target),
    });
    this.#counter = new Counter({
      library: this.#library,
      waiters: this.#waiters,
      from: context.from,
      leads: () => this.#leads(),
      ready: () => this.#ready(),
      timing: { part: spec.part, target: lengths.target, window: spec.window, dateOf: context.dateOf },
    });
  }

  /** The leader, or what goes in its place while there is nothing of it. */
  #leads(): Rendition | undefined {
    const leader = this.#leader === undefined ? undefined : this.#lanes.get(this.#leader)?.rendition;
    return leader ?? [...this.#lanes.values()].find(({ rendition }) => rendition)?.rendition;
  }

  /** Pictures are announced after the sound, and begin at a key frame: they are waited for, but not for ever. */
  #ready(): boolean {
    const leads = this.#leads();
    const [first, last] = [leads?.segments[0], leads?.segments.findLast(({ complete }) => complete)];
    if (!leads || !first || !last) return false;
    const alone = this.#leader === undefined ? UNANNOUNCED : ANNOUNCED;
    return leads.kind === 'video' || leads.ended || endOf(last) - first.start >= alone;
  }

  tracks(tracks: readonly OutTrack[]): void {
    // Whatever pictures are sent as, they come here as H.264.
    const taken = tracks.filter(({ id }) => !id.startsWith('voice:'));
    for (const [id, lane] of this.#lanes) {
      if (taken.some((track) => track.id === id)) continue;
      if (lane.rendition) end(lane.rendition, true);
      this.#lanes.delete(id);
    }
    for (const track of taken)
      if (!this.#lanes.has(track.id))
        this.#lanes.set(track.id, {
          ...{ track, rendition: undefined, format: undefined, newest: undefined, broken: true },
          repeater: new Repeater(),
        });
    const pictures = taken.filter(({ kind }) => kind === 'video');
    this.#leader = (pictures.find(({ id }) => id === 'video') ?? pictures[0])?.id;
    this.#segmenter.tracks(taken, this.#leader);
    this.#caption(this.#context.from);
    const spoken = new Set(taken.flatMap(({ kind, language }) => (kind === 'audio' ? (language ?? []) : [])));
    for (const language of spoken) this.#caption(language);
    for (const [language, { rendition }] of this.#captions)
      if (language !== this.#context.from && !spoken.has(language)) {
        end(rendition, true);
        this.#captions.delete(language);
      }
  }

  picture(picture: OutPicture): void {
    const lane = this.#lanes.get(picture.track);
    if (!lane || this.#over || picture.codec !== 'H264') return;
    const format = picture.keyFrame ? pictureFormat(picture.data, picture) : undefined;
    const changed = format !== undefined && lane.newest !== undefined && !sameDecoder(lane.newest, format);
    lane.newest = format ?? lane.newest;
    if (picture.keyFrame) lane.broken = format === undefined;
    if (lane.broken) {
      this.#damaged += 1;
      return;
    }
    const { start, keyFrame } = picture;
    const item = { start, keyFrame, data: pictureSample(picture.data), changed, ...(format && { format }) };
    this.#take(this.#segmenter.push(picture.track, item));
  }

  sound(sound: OutSound): void {
    const lane = this.#lanes.get(sound.track);
    if (!lane || this.#over) return;
    lane.format ??= aacChannels(sound.data);
    this.#take(this.#segmenter.push(sound.track, { start: sound.start, keyFrame: true, data: sound.data }));
  }

  cue(cue: CueView): void {
    this.#captions.get(cue.language)?.captions.push(cue, this.#library.edge);
  }

  tick(now: ClockTime, position: MediaTime): void {
    if (this.#over) return;
    this.#position = { media: position, clock: now };
    this.#take(this.#segmenter.tick(position));
  }

  /** What is asked for below `/v1/sessions/:id/hls/`. */
  answer(question: Question): Promise<Answer> {
    return this.#counter.answer(question);
  }

  get counts(): Readonly<Record<string, number>> {
    const captions = [...this.#captions.values()].reduce((sum, one) => sum + one.captions.lost, 0);
    return {
      parts: this.#library.parts,
      partsLate: this.#late,
      segments: this.#library.segments,
      segmentsWithoutKeyFrame: this.#library.dependent,
      partsWithNothing: this.#library.gaps,
      bytesKept: this.#library.bytes,
      framesDropped: this.#segmenter.dropped,
      picturesDamaged: this.#damaged,
      captionsLost: captions,
      waiting: this.#waiters.waiting,
      waitersRefused: this.#waiters.refused,
      waitersTimedOut: this.#waiters.timedOut,
    };
  }

  close(): Promise<void> {
    if (!this.#over) {
      this.#over = true;
      this.#take(this.#segmenter.end());
      for (const rendition of this.#library.renditions) end(rendition, false);
      this.#waiters.close();
    }
    return Promise.resolve();
  }

  #caption(language: LanguageTag): void {
    if (this.#captions.has(language)) return;
    const names = new Intl.DisplayNames([language], { type: 'language', fallback: 'code' });
    const id = `captions:${language}` as OutTrack['id'];
    const rendition = this.#library.open({ id, language, title: names.of(language) ?? language }, 'captions');
    this.#captions.set(language, { captions: new CaptionTrack(), rendition });
  }

  #take(cuts: readonly Cut[]): void {
    if (cuts.length === 0) return;
    for (const cut of cuts) this.#publish(cut);
    this.#library.trim(4 * seconds(this.#target));
    const kept = this.#library.edge - 4 * seconds(this.#target);
    for (const { captions } of this.#captions.values()) captions.forget(kept);
    this.#waiters.look();
  }

  #publish(cut: Cut): void {
    const lane = this.#lanes.get(cut.track);
    if (!lane) return;
    // Numbers go on where an outlet began again, since a second has no more than one segment in the long run.
    if (this.#library.parts === 0) this.#library.first = Math.floor(this.#context.dateOf(cut.boundary.start) / 1_000);
    const begins = !lane.rendition || lane.rendition.segments.at(-1)?.complete !== false;
    const due = begins ? cut.items.find((item) => item.format)?.format : undefined;
    const changed = due !== undefined && typeof lane.format === 'object' && !sameDecoder(lane.format, due);
    if (changed || lane.format === undefined) lane.format = due;
    const { format, repeater } = lane;
    lane.rendition ??= this.#library.open(lane.track, lane.track.kind);
    this.#library.add(lane.rendition, cut, { format, changed, repeater });
    this.#schedule(cut);
    if (!this.#conducts(cut)) return;
    for (const { rendition, captions } of this.#captions.values()) this.#library.caption(rendition, captions, cut);
  }

  /** Whether captions are cut as this track is: as the leader, or the first track while there is nothing of the leader. */
  #conducts({ track, boundary: { index } }: Cut): boolean {
    const segment = this.#conducted;
    if (segment?.index === index) return segment.track === track;
    if (segment && segment.index > index) return false;
    const led = this.#leader !== undefined && this.#lanes.get(this.#leader)?.rendition !== undefined;
    const first = [...this.#lanes.values()].find(({ rendition }) => rendition)?.track.id;
    if (track !== (led ? this.#leader : first)) return false;
    this.#conducted = { index, track };
    return true;
  }

  /** A part is due when its last moment is shown. */
  #schedule({ end }: Cut): void {
    if (!this.#position) return;
    const shown = this.#position.media + (this.#clock.now() - this.#position.clock);
    if (shown - end > PUNCTUAL * this.#part * 1e6 + 250_000) this.#late += 1;
  }
}

const end = (rendition: Rendition, gone: boolean) => {
  const last = rendition.segments.at(-1);
  if (last && !last.complete) last.complete = true;
  rendition.ended = true;
  rendition.gone ||= gone;
};

/** Whether a decoder that was made for one takes the other: parameter sets in the samples say the rest. */
const sameDecoder = (a: PictureFormat, b: PictureFormat) =>
  a.width === b.width && a.height === b.height && a.sps[0]?.[1] === b.sps[0]?.[1];
