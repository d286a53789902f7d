import type { Repeater } from '../../../media/avc-repeat.ts';
import {
  type PictureFormat,
  SOUND_CODEC,
  fragment,
  pictureCodec,
  pictureInit,
  soundInit,
} from '../../../media/fmp4.ts';
import type { MediaTime } from '../../../media/time.ts';
import type { OutTrack } from '../outlet.ts';
import { type CaptionTrack } from './captions.ts';
import { pictureSamples, soundSamples } from './samples.ts';
import type { Boundary, Cut } from './cut.ts';
import { type Init, type Rendition, type Segment, bytesOf, endOf } from './shelf.ts';

/** Turns cuts into renditions, and forgets what is older than the window. */
export class Library {
  readonly renditions: Rendition[] = [];
  /** Number of the segment at boundary 0. */
  first = 0;
  parts = 0;
  segments = 0;
  /** Segments of pictures that do not begin with a key frame. */
  dependent = 0;
  /** Parts that nothing came for. */
  gaps = 0;
  readonly #window: number;
  readonly #most: number;
  #fragments = 0;
  #bytes = 0;
  #discontinuities: { readonly index: number; readonly count: number }[] = [];

  /**
   * @param window how much is listed, µs
   * @param most how much is kept, bytes
   */
  constructor({ window, most }: { readonly window: number; readonly most: number }) {
    this.#window = window;
    this.#most = most;
  }
  get bytes(): number {
    return this.#bytes;
  }

  open(track: Pick<OutTrack, 'id' | 'language' | 'title'>, kind: Rendition['kind']): Rendition {
    const base = (kind === 'captions' ? `captions-${track.language}` : track.id).replaceAll(/[^\w-]+/gu, '-');
    // A track that comes back is another rendition: players do not read on behind an end.
    const taken = this.renditions.filter(({ id }) => id === base || id.startsWith(`${base}.`)).length;
    const rendition: Rendition = {
      id: taken === 0 ? base : `${base}.${taken + 1}`,
      kind,
      language: track.language,
      title: track.title,
      inits: [],
      segments: [],
      ended: false,
      gone: false,
    };
    this.renditions.push(rendition);
    return rendition;
  }

  /**
   * A part with what its pictures or its sound are of.
   *
   * @param repeater has seen the pictures of the parts before
   */
  add(
    rendition: Rendition,
    cut: Cut,
    { format, changed, repeater }: { format: PictureFormat | number | undefined; changed: boolean; repeater: Repeater },
  ): void {
    const { items, boundary, start, end } = cut;
    const segment = this.#segment(rendition, cut, () => this.#init(rendition, boundary, format, changed));
    const samples = rendition.kind === 'video' ? pictureSamples(cut, repeater) : soundSamples(cut);
    const gap = samples.list.length === 0;
    const body = gap ? new Uint8Array() : fragment((this.#fragments += 1), samples.at, samples.list);
    const independent = !gap && samples.list[0]?.sync === true;
    if (rendition.kind === 'video') segment.pictures += items.length;
    if (gap) this.gaps += 1;
    this.#publish(segment, { start, end, independent, gap, body }, cut.last);
    if (rendition.kind === 'video' && segment.parts.length === 1 && !independent) this.dependent += 1;
  }

  /** The piece of captions that goes with a part. */
  caption(rendition: Rendition, captions: CaptionTrack, cut: Cut): void {
    const { boundary, start, end, last } = cut;
    if (rendition.segments.length === 0 && rendition.inits.length === 0 && !this.#begins(boundary, start)) return;
    const segment = this.#segment(rendition, cut, () => 0);
    this.#publish(segment, { start, end, independent: true, gap: false, body: captions.file({ start, end }) }, last);
    if (last) {
      segment.body = captions.file({ start: segment.start, end });
      this.#bytes += segment.body.byteLength;
    }
  }
  /** Captions join, like everything, at a segment's start. */
  readonly #begins = (boundary: Boundary, start: MediaTime) => start <= boundary.start + 50_000;

  #publish(segment: Segment, part: Segment['parts'][number], last: boolean): void {
    segment.parts.push(part);
    segment.complete = last;
    this.#bytes += part.body.byteLength;
    this.parts += 1;
    if (last) this.segments += 1;
  }

  #segment(rendition: Rendition, { boundary, start }: Cut, init: () => number): Segment {
    const number = this.first + boundary.index;
    const open = rendition.segments.at(-1);
    if (open?.number === number) return open;
    if (boundary.discontinuity && (this.#discontinuities.at(-1)?.index ?? -1) < boundary.index)
      this.#discontinuities = [
        ...this.#discontinuities.slice(-256),
        { index: boundary.index, count: (this.#discontinuities.at(-1)?.count ?? 0) + 1 },
      ];
    const segment: Segment = {
      number,
      start,
      discontinuity: boundary.discontinuity && rendition.segments.length > 0,
      discontinuities: this.#discontinuities.findLast(({ index }) => index <= boundary.index)?.count ?? 0,
      init: init(),
      parts: [],
      pictures: 0,
      complete: false,
    };
    rendition.segments.push(segment);
    return segment;
  }

  #init(
    rendition: Rendition,
    boundary: Boundary,
    format: PictureFormat | number | undefined,
    changed: boolean,
  ): number {
    const { inits } = rendition;
    if (inits.length > 0 && !changed) return inits.length - 1;
    const first = this.first + boundary.index;
    const init: Init =
      typeof format === 'object'
        ? { first, body: pictureInit(format), codec: pictureCodec(format), size: format, channels: null }
        : { first, body: soundInit(format ?? 2), codec: SOUND_CODEC, size: null, channels: format ?? 2 };
    inits.push(init);
    return inits.length - 1;
  }

  /** The segments of a rendition that its playlist lists. */
  readonly windowOf = ({ segments }: Rendition): readonly Segment[] => {
    const edge = this.edge;
    return segments.filter((segment) => !segment.complete || edge - endOf(segment) <= this.#window);
  };
  /** The newest place that anything was published for. */
  get edge(): number {
    let edge = 0;
    for (const { segments } of this.renditions) {
      const last = segments.at(-1);
      if (last) edge = Math.max(edge, endOf(last));
    }
    return edge;
  }

  /** Forgets segments that are older than the window by `grace` (µs), or the oldest while there is too much. */
  trim(grace: number): void {
    const edge = this.edge;
    const drop = (when: (segment: Segment) => boolean) => {
      for (const rendition of this.renditions) {
        const kept = rendition.segments.filter((segment) => !segment.complete || !when(segment));
        for (const segment of rendition.segments) if (!kept.includes(segment)) this.#bytes -= bytesOf(segment);
        rendition.segments = kept;
      }
    };
    drop((segment) => edge - endOf(segment) > this.#window + grace);
    while (this.#bytes > this.#most) {
      const oldest = Math.min(
        ...this.renditions.map(({ segments }) => (segments[0]?.complete ? segments[0].number : Infinity)),
      );
      if (oldest === Infinity) break;
      drop(({ number }) => number <= oldest);
    }
    for (let n = this.renditions.length - 1; n >= 0; n -= 1) {
      const rendition = this.renditions[n];
      if (rendition?.gone && rendition.segments.length === 0) this.renditions.splice(n, 1);
    }
  }
}
