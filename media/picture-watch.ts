import { isIdr, nalUnits } from './h264.ts';
import type { ProgrammeItem } from './programme.ts';
import { PicturesUnfit } from './stream-trouble.ts';
import { type MediaTime, type Span, at, between, later, ms, toMs } from './time.ts';

type Picture = Extract<ProgrammeItem, { kind: 'video' }>;
/** What a 4 s interval measures as. */
const SLACK = ms(200);
/** So many steps back within one interval are B-frames; fewer are a clock that was set. */
const REORDERED = 3;

/**
 * Watches pictures of a live stream that pass as they are: each is later than the one before, the first can be decoded alone,
 * and no late joiner waits longer than `longest` for one that can.
 */
export class PictureWatch {
  readonly #longest: Span;
  #key: MediaTime | undefined;
  #began = false;
  /** Of the last picture: when it came to be shown, and when its source said. */
  #last: MediaTime | undefined;
  #said: MediaTime | undefined;
  #back = 0;

  constructor(longest: Span) {
    this.#longest = longest;
  }

  /** The picture as it is to be handed on; nothing before the first key frame. @throws PicturesUnfit */
  see(picture: Picture): Picture | undefined {
    const keyFrame = picture.keyFrame && isAlone(picture);
    this.#key ??= picture.start;
    const waited = between(this.#key, picture.start);
    if (keyFrame) {
      this.#key = picture.start;
      this.#back = 0;
      this.#began = true;
    } else if (waited > this.#longest + SLACK) {
      throw new PicturesUnfit(`a late joiner would wait more than ${toMs(this.#longest) / 1_000} s for a key frame`);
    }
    if (!this.#began) return undefined;
    // A clock that is set back steps once, however long its pictures have to catch up.
    if (this.#said !== undefined && picture.start < this.#said) {
      this.#back += 1;
      if (this.#back >= REORDERED && Number.isFinite(this.#longest)) {
        throw new PicturesUnfit('it has B-frames, which a live stream cannot carry');
      }
    }
    this.#said = picture.start;
    const last = this.#last;
    const start = last === undefined || picture.start > last ? picture.start : later(at(last), ms(1));
    this.#last = start;
    return { ...picture, start, keyFrame };
  }
}

/** FFmpeg takes a recovery point for a key frame; only an IDR picture begins a stream (H.264, 7.4.1.2.4). */
const isAlone = ({ codec, data }: Picture) => codec !== 'H264' || isIdr(nalUnits(data, 'annex-b'));
