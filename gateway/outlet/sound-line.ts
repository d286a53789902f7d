import { AacEncoder } from '../../media/aac.ts';
import { opusChannels } from '../../media/codec-header.ts';
import { BadOpusPacket, OPUS_FRAME, OPUS_RATE, OpusDecoder } from '../../media/opus.ts';
import { type MediaTime, later, samples } from '../../media/time.ts';
import type { OutSound, Wants } from './outlet.ts';
import type { TapTrack } from './ipc.ts';

const PACKET = samples(OPUS_FRAME, OPUS_RATE);
/** Packets in a row that are guessed from what came before; beyond that nobody would take it for speech. */
const GUESSED = 5;
/** What a hole is filled up to, packets: a minute. Beyond it the track begins anew. */
const LONGEST_HOLE = 3_000;
/** 20 ms of silence: CELT, full band, mono, one frame (RFC 6716 §3.1). */
const SILENCE = Uint8Array.of(0xf8, 0xff, 0xfe);

/** Where sound goes, and in which forms it is wanted at present. */
export interface SoundTakers {
  wants(form: Form): boolean;
  give(form: Form, sound: OutSound): void;
}
type Form = Exclude<Wants['sound'], 'none'>;

/** One audio track on its way to the outlets: packets in order come in, sound without a gap goes out, as it came and as AAC. */
export class SoundLine implements Disposable {
  readonly track: TapTrack;
  readonly #to: SoundTakers;
  #decoder: OpusDecoder | undefined;
  #encoder: AacEncoder | undefined;
  #next: MediaTime | undefined;
  #filled = 0;
  #damaged = 0;

  constructor(track: TapTrack, to: SoundTakers) {
    this.track = track;
    this.#to = to;
  }

  /** Where the next packet is expected; everything before has been handed on. */
  get next(): MediaTime | undefined {
    return this.#next;
  }
  /** Packets made up for holes. */
  get filled(): number {
    return this.#filled;
  }
  /** Packets that are no Opus. */
  get damaged(): number {
    return this.#damaged;
  }

  /** One packet of 20 ms. What has been made up for meanwhile is left out. */
  push(start: MediaTime, data: Uint8Array): void {
    let next = (this.#next ??= start);
    const hole = Math.round((start - next) / PACKET);
    if (hole < 0) return;
    if (hole > LONGEST_HOLE) {
      this.#encoder?.[Symbol.dispose]();
      this.#encoder = undefined;
      next = start;
    } else {
      for (let i = 0; i < hole; i += 1, next = later(next, PACKET)) this.#fill(next, i);
    }
    this.#take(next, data);
    this.#next = later(next, PACKET);
  }

  [Symbol.dispose](): void {
    this.#decoder?.[Symbol.dispose]();
    this.#encoder?.[Symbol.dispose]();
  }

  #fill(start: MediaTime, nth: number): void {
    this.#filled += 1;
    this.#to.give('Opus', { track: this.track.id, start, data: SILENCE });
    if (!this.#to.wants('AAC')) return;
    const guess = nth < GUESSED ? this.#decoder?.conceal(OPUS_FRAME) : undefined;
    this.#encode(start, guess ?? new Float32Array(OPUS_FRAME * this.#channels));
  }

  #take(start: MediaTime, data: Uint8Array): void {
    this.#to.give('Opus', { track: this.track.id, start, data });
    if (!this.#to.wants('AAC')) return;
    // Two sides stay two: a track is what its first packet is.
    const channels = this.#decoder?.channels ?? opusChannels(data);
    const decoder = (this.#decoder ??= new OpusDecoder({ channels }));
    let pcm: Float32Array;
    try {
      pcm = decoder.decode(data);
    } catch (failure) {
      if (!(failure instanceof BadOpusPacket)) throw failure;
      this.#damaged += 1;
      pcm = decoder.conceal(OPUS_FRAME);
    }
    const whole = OPUS_FRAME * channels;
    this.#encode(start, pcm.length === whole ? pcm : new Float32Array(whole));
  }

  get #channels(): 1 | 2 {
    return this.#decoder?.channels ?? 1;
  }

  #encode(start: MediaTime, pcm: Float32Array): void {
    const channels = this.#channels;
    const encoder = (this.#encoder ??= new AacEncoder({ channels }));
    const planes = channels === 1 ? [pcm] : [0, 1].map((side) => pcm.filter((_, n) => n % 2 === side));
    for (const frame of encoder.encode(start, ...planes)) this.#to.give('AAC', { track: this.track.id, ...frame });
  }
}
