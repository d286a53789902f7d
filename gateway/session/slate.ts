import { isComplete, packetizeH264, parameterSetsIn } from '../../media/h264.ts';
import { Depacketizer, payloadsOf, pictureIdOf, withPictureId } from '../../media/packetize.ts';
import type { PictureId } from '../../media/payload.ts';
import { encodeSlate } from '../../media/slate-picture.ts';
import { type MediaTime, type Span, at, between, earlier, later, ms, seconds } from '../../media/time.ts';
import type { Encodable } from '../../media/video-encoder.ts';
import type { AccessUnit, EncodedPicture, VideoCodec } from '../../media/video.ts';

export interface SlateOptions {
  readonly codec: VideoCodec;
  /** There can be no slate, and why. Told once. */
  readonly onFault: (message: string) => void;
  /** Makes the slate's pictures of a key frame; libavcodec does unless told. */
  readonly make?: typeof encodeSlate;
}

const EVERY = ms(200);
const COUNT = 5;
/** Pictures that there were are missed after so long: a second, longer where they are sparse. */
const MISSED = seconds(1);
const LONGEST = seconds(5);
/** How many intervals between pictures tell whether they are sparse. */
const RECENT = 8;
/** Pictures made at once after a stall of ours. */
const BURST = 50;
/** No two pictures have the same time in RTP's 90 kHz. */
const INSTANT = ms(1);

/**
 * What is shown while pictures that there were do not come: the last key frame dimmed, with a sign on it, five times a
 * second and a key frame every second, until they come again with a key frame.
 *
 * It stands between a source and its outputs: pictures pass untouched until a slate has been shown. From then on VP8's
 * and VP9's picture ids are counted on over it, since receivers take a picture for the successor of the one whose id is
 * one less (RFC 7741 §4.2, RFC 9628 §4.2).
 */
export class Slate {
  readonly #options: SlateOptions;
  readonly #depacketizer: Depacketizer;
  /** The last key frame; and the H.264 parameter sets that hold, which need not be in it. */
  #key: AccessUnit | undefined;
  #parameters: readonly Uint8Array[] = [];
  #last: MediaTime | undefined;
  /** Of the last picture that was given, and how much those of the source are moved. */
  #id: PictureId | undefined;
  #moved = 0;
  #intervals: Span[] = [];
  /** The slate being shown, and how many of its pictures have been. */
  #made: readonly EncodedPicture[] | undefined;
  #count = 0;
  /** Slates can be made; and of the last key frame. */
  #able: boolean;
  #decodable = true;
  #told = false;
  /** Nothing before it: a slate has been shown there. */
  #until: MediaTime | undefined;
  #shown = 0;
  #dropped = 0;

  constructor(options: SlateOptions) {
    this.#options = options;
    this.#depacketizer = new Depacketizer(options.codec);
    this.#able = options.codec !== 'AV1';
  }

  get codec(): VideoCodec {
    return this.#options.codec;
  }
  get showing(): boolean {
    return this.#made !== undefined;
  }
  get counts(): Record<string, number> {
    return { 'pictures dropped after a slate': this.#dropped };
  }
  /** Pictures of slates that were given. */
  get shown(): number {
    return this.#shown;
  }

  /** A picture of the source: as it is to be handed on; `undefined` when it is of no use yet. */
  picture(unit: AccessUnit): AccessUnit | undefined {
    const returning = this.#made !== undefined;
    if (returning && !unit.keyFrame) {
      this.#dropped += 1;
      return undefined;
    }
    this.#made = undefined;
    let { start, payloads } = unit;
    if (this.#until !== undefined && start <= this.#until) start = this.#until = later(this.#until, INSTANT);
    if (unit.keyFrame) payloads = this.#withParameters(payloads, returning);
    payloads = this.#numbered(payloads, returning);
    const given = start === unit.start && payloads === unit.payloads ? unit : { ...unit, start, payloads };
    if (this.#last !== undefined && !returning) {
      this.#intervals = [...this.#intervals, between(this.#last, start)].slice(-RECENT);
    }
    this.#last = at(Math.max(this.#last ?? start, start));
    if (unit.keyFrame) {
      this.#decodable = true;
      this.#key = given;
    }
    return given;
  }

  /**
   * Pictures of the slate that are due.
   *
   * @param arriving where the programme is that comes in now
   */
  tick(arriving: MediaTime): AccessUnit[] {
    const missed = Math.min(LONGEST, Math.max(MISSED, 2 * Math.max(0, ...this.#intervals))) as Span;
    const until = earlier(arriving, missed);
    if (!this.#able || !this.#decodable || this.#last === undefined || later(this.#last, EVERY) > until) return [];
    const made = (this.#made ??= this.#make());
    if (!made) return [];
    // What lies far back is not made up for.
    let next = at(Math.max(later(this.#last, EVERY), until - BURST * EVERY));
    const units: AccessUnit[] = [];
    for (; next <= until; next = later(next, EVERY)) {
      const picture = made[this.#count % made.length];
      if (!picture) break;
      this.#count += 1;
      units.push({ start: next, keyFrame: picture.keyFrame, payloads: this.#payloads(picture.data) });
      this.#last = this.#until = next;
    }
    this.#shown += units.length;
    return units;
  }

  #make(): readonly EncodedPicture[] | undefined {
    const { make = encodeSlate } = this.#options;
    const payloads = this.#key && this.#withParameters(this.#key.payloads, true);
    const data = payloads && this.#depacketizer.frame(payloads);
    this.#count = 0;
    try {
      const made = data && make(this.codec as Encodable, data, { count: COUNT, every: EVERY });
      if (made?.[0]?.keyFrame) return made;
      this.#decodable = false;
      this.#tell('the last picture cannot be decoded');
    } catch (failure) {
      this.#able = false;
      this.#tell(failure instanceof Error ? failure.message : String(failure));
    }
    return undefined;
  }

  #tell(why: string): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.onFault(`No slate is shown while the source is away: ${why}`);
  }

  #payloads(data: Uint8Array): Uint8Array[] {
    if (this.#id) this.#id = after(this.#id);
    return payloadsOf(this.codec as Encodable, data, this.#id);
  }

  /** The source's ids go on where the slate's ended. */
  #numbered(payloads: readonly Uint8Array[], returning: boolean): readonly Uint8Array[] {
    const [first] = payloads;
    const id = first && pictureIdOf(this.codec, first);
    if (!id) {
      this.#id = undefined;
      return payloads;
    }
    if (returning) this.#moved = this.#id?.bits === id.bits ? after(this.#id).value - id.value : 0;
    this.#id = { value: wrapped(id.value + this.#moved, id.bits), bits: id.bits };
    if (this.#id.value === id.value) return payloads;
    const moved = this.#id;
    return payloads.map((payload) => withPictureId(this.codec, payload, moved));
  }

  /** The slate has parameter sets of its own; a source that sent its sets earlier gets them again. */
  #withParameters(payloads: readonly Uint8Array[], returning: boolean): readonly Uint8Array[] {
    if (this.codec !== 'H264') return payloads;
    const sets = parameterSetsIn(payloads);
    if (isComplete(sets)) this.#parameters = sets;
    else if (this.#parameters.length > 0 && returning) return [...packetizeH264(this.#parameters), ...payloads];
    return payloads;
  }
}

const wrapped = (value: number, bits: 7 | 15) => value & ((1 << bits) - 1);
const after = ({ value, bits }: PictureId): PictureId => ({ value: wrapped(value + 1, bits), bits });
