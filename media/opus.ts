import { type Library, library } from './native.ts';

/**
 * Opus (RFC 6716) as RTP carries it (RFC 7587): one Opus packet per RTP packet, RTP clock 48 kHz whatever the audio's
 * bandwidth, `opus/48000/2` in SDP even for mono, marker bit unused but for talkspurts. A packet lasts 2.5…120 ms; its
 * first byte (TOC, RFC 6716 §3.1) says the coding mode, the frame length and whether it is stereo.
 *
 * The decoder is mono unless it is told: libopus mixes stereo packets down itself, as L/2 + R/2.
 */
export const OPUS_RATE = 48_000;
/** 20 ms at 48 kHz: what the encoder takes, and what almost every sender sends. */
export const OPUS_FRAME = 960;
/** 120 ms at 48 kHz: the longest packet (RFC 6716 §3.2.5). */
const LONGEST = 5_760;
/** Loss is concealed in multiples of 2.5 ms. */
const GRAIN = 120;
/** As much as a single frame may take (RFC 6716 §3.2.1). */
const LARGEST = 1_275;

/** A packet that libopus refuses. The decoder is as good as before: conceal in its place and go on. */
export class BadOpusPacket extends Error {
  override readonly name = 'BadOpusPacket';
}

/** Ticks (samples at 48 kHz) a packet lasts, from its TOC; `undefined` when the packet breaks RFC 6716 §3.4. */
export function opusDuration(packet: Uint8Array): number | undefined {
  const toc = packet[0];
  if (toc === undefined) return undefined;
  const config = toc >> 3;
  // SILK: 10, 20, 40, 60 ms; hybrid: 10, 20 ms; CELT: 2.5, 5, 10, 20 ms (RFC 6716 table 2).
  const frame =
    config < 12 ? (SILK_FRAMES[config & 3] ?? 0) : config < 16 ? (config & 1 ? 960 : 480) : GRAIN << (config & 3);
  const code = toc & 3;
  const second = packet[1];
  if (code === 3 && second === undefined) return undefined;
  const count = code === 0 ? 1 : code === 3 ? (second ?? 0) & 0x3f : 2;
  return count > 0 && count * frame <= LONGEST ? count * frame : undefined;
}
const SILK_FRAMES = [480, 960, 1_920, 2_880] as const;

/**
 * Whether a packet carries a coarse copy of the frame before it (in-band FEC, "LBRR", RFC 6716 §4.2.2, 4.2.4).
 *
 * Only SILK and hybrid frames can. Their first bits are voice activity, one per 20 ms, then the LBRR flag; each has
 * probability ½, so that they lie as plain bits at the top of the first byte. Only packets of one frame are looked at.
 */
export function carriesRecovery(packet: Uint8Array): boolean {
  const [toc = 0xff, first = 0] = packet;
  const config = toc >> 3;
  if (config >= 16 || (toc & 3) !== 0 || packet.byteLength < 2) return false;
  const duration = opusDuration(packet) ?? OPUS_FRAME;
  const activities = Math.max(1, duration / OPUS_FRAME);
  const mid = (first >> (7 - activities)) & 1;
  const side = toc & 0x04 ? (first >> (6 - 2 * activities)) & 1 : 0;
  return (mid | side) === 1;
}

/** What the receiver needs of a decoder. All results are mono at 48 kHz, full scale ±1, in the caller's own memory. */
export interface AudioDecoder {
  /** @throws BadOpusPacket */
  decode(packet: Uint8Array): Float32Array;
  /** Goes on from what came before, as if nothing were lost. `samples`: a multiple of 120, at most 5760. */
  conceal(samples: number): Float32Array;
  /**
   * The `samples` before `next`, from the copy it carries; concealed when it carries none. Then decode `next`.
   *
   * @throws BadOpusPacket
   */
  recover(next: Uint8Array, samples: number): Float32Array;
}

type Native = ReturnType<typeof bind>;
let native: Native | undefined;

function bind(opus: Library) {
  return {
    error: opus.func('const char *opus_strerror(int error)'),
    version: opus.func('const char *opus_get_version_string()'),
    createDecoder: opus.func('void *opus_decoder_create(int32_t rate, int channels, _Out_ int *error)'),
    decode: opus.func(
      'int opus_decode_float(void *decoder, const uint8_t *data, int32_t length, float *pcm, int frames, int fec)',
    ),
    destroyDecoder: opus.func('void opus_decoder_destroy(void *decoder)'),
    createEncoder: opus.func(
      'void *opus_encoder_create(int32_t rate, int channels, int application, _Out_ int *error)',
    ),
    encode: opus.func(
      'int32_t opus_encode_float(void *encoder, const float *pcm, int frames, uint8_t *data, int32_t size)',
    ),
    control: opus.func('int opus_encoder_ctl(void *encoder, int request, ...)'),
    destroyEncoder: opus.func('void opus_encoder_destroy(void *encoder)'),
  };
}

function libopus(): Native {
  return (native ??= bind(
    library(
      ['libopus.so.0', 'libopus.0.dylib', '/opt/homebrew/lib/libopus.0.dylib', '/usr/local/lib/libopus.0.dylib'],
      'libopus0 (apt) or opus (brew)',
    ),
  ));
}

/** E.g. `libopus 1.3.1`. @throws MissingLibrary */
export const opusVersion = () => libopus().version() as string;

const reason = (code: number) => libopus().error(code) as string;

/** Owner of a native object that is freed once. */
class Handle {
  readonly #kind: string;
  readonly #free: (pointer: unknown) => void;
  #pointer: unknown;

  constructor(kind: string, pointer: unknown, free: (pointer: unknown) => void) {
    this.#kind = kind;
    this.#pointer = pointer;
    this.#free = free;
  }
  get pointer(): unknown {
    if (this.#pointer === undefined) throw new TypeError(`Cannot use ${this.#kind}: it is disposed`);
    return this.#pointer;
  }
  free(): void {
    if (this.#pointer !== undefined) this.#free(this.#pointer);
    this.#pointer = undefined;
  }
}

/**
 * Decodes one Opus stream at 48 kHz, to mono or to left and right in turns. The calls of one stream come in the order of
 * its packets.
 *
 * Everything happens in the calling thread, in a fraction of a millisecond per packet. @throws MissingLibrary
 */
export class OpusDecoder implements AudioDecoder, Disposable {
  readonly channels: 1 | 2;
  readonly #handle: Handle;

  constructor({ channels = 1 }: { readonly channels?: 1 | 2 } = {}) {
    this.channels = channels;
    const opus = libopus();
    const error = [0];
    const pointer: unknown = opus.createDecoder(OPUS_RATE, channels, error);
    if (error[0] !== 0) throw new Error(`Cannot create Opus decoder: ${reason(error[0] ?? 0)}`);
    this.#handle = new Handle('Opus decoder', pointer, (p) => void opus.destroyDecoder(p));
  }

  decode(packet: Uint8Array): Float32Array {
    if (packet.byteLength === 0) throw new BadOpusPacket('Cannot decode Opus packet: it is empty');
    return this.#run(packet, LONGEST, false);
  }

  conceal(samples: number): Float32Array {
    return this.#run(null, whole(samples), false);
  }

  recover(next: Uint8Array, samples: number): Float32Array {
    if (next.byteLength === 0) return this.conceal(samples);
    return this.#run(next, whole(samples), true);
  }

  [Symbol.dispose](): void {
    this.#handle.free();
  }

  #run(packet: Uint8Array | null, room: number, fec: boolean): Float32Array {
    const pcm = new Float32Array(room * this.channels);
    const length = packet?.byteLength ?? 0;
    const count = libopus().decode(this.#handle.pointer, packet, length, pcm, room, fec ? 1 : 0) as number;
    if (count < 0) throw new BadOpusPacket(`Cannot decode Opus packet of ${length} bytes: ${reason(count)}`);
    return count === room ? pcm : pcm.slice(0, count * this.channels);
  }
}

function whole(samples: number): number {
  if (!Number.isInteger(samples / GRAIN) || samples < GRAIN || samples > LONGEST) {
    throw new RangeError(
      `Cannot conceal: expected a multiple of ${GRAIN} samples up to ${LONGEST}, received ${samples}`,
    );
  }
  return samples;
}

export interface OpusEncoderOptions {
  /** 1 unless said otherwise. */
  readonly channels?: 1 | 2;
  /** Bits per second, 6 000…510 000. */
  readonly bitrate?: number;
  /** 0…10: CPU against quality. */
  readonly complexity?: number;
  /**
   * Put a coarse copy of each frame into the next one. libopus does so when the bitrate allows it: with 1.3.1 and mono
   * speech from 40 kbit/s on at an expected loss of 2 or 5 %, from 24 kbit/s on at 10 % (measured). Tunes to speech.
   */
  readonly fec?: boolean;
  /** Share of packets expected to be lost, 0…1: how much the copy may cost. 0.1 with `fec`. */
  readonly expectedLoss?: number;
}

/** Constants of opus_defines.h. */
const VOIP = 2_048;
const AUDIO = 2_049;
const SET_BITRATE = 4_002;
const SET_COMPLEXITY = 4_010;
const SET_FEC = 4_012;
const SET_LOSS = 4_014;
const SET_DTX = 4_016;
const GET_LOOKAHEAD = 4_027;

/**
 * Encodes 48 kHz in frames of 20 ms, one packet for each: never DTX, so that a player gets what it expects when it
 * expects it. A stereo encoder costs little where both sides are the same: it codes their sum and difference. With `fec` the encoder is tuned to speech, without to any audio. @throws MissingLibrary
 */
export class OpusEncoder implements Disposable {
  /** Samples by which decoded audio lags the encoder's input. RTP time stamps leave it out (RFC 7587 §4.1). */
  readonly lookahead: number;
  readonly channels: 1 | 2;
  readonly #handle: Handle;
  /** Left and right in turns. */
  readonly #frame: Float32Array;
  readonly #packet = new Uint8Array(LARGEST);

  constructor(options: OpusEncoderOptions = {}) {
    const { channels = 1, bitrate = 48_000, complexity = 5, fec = false, expectedLoss = fec ? 0.1 : 0 } = options;
    if (!(bitrate >= 6_000 && bitrate <= 510_000)) {
      throw new RangeError(`Cannot create Opus encoder: bitrate must be 6000…510000, received ${bitrate}`);
    }
    const opus = libopus();
    const error = [0];
    const pointer: unknown = opus.createEncoder(OPUS_RATE, channels, fec ? VOIP : AUDIO, error);
    if (error[0] !== 0) throw new Error(`Cannot create Opus encoder: ${reason(error[0] ?? 0)}`);
    this.channels = channels;
    this.#frame = new Float32Array(channels * OPUS_FRAME);
    this.#handle = new Handle('Opus encoder', pointer, (p) => void opus.destroyEncoder(p));
    try {
      this.#set('bitrate', SET_BITRATE, bitrate);
      this.#set('complexity', SET_COMPLEXITY, complexity);
      this.#set('fec', SET_FEC, fec ? 1 : 0);
      this.#set('expectedLoss', SET_LOSS, Math.round(expectedLoss * 100));
      this.#set('dtx', SET_DTX, 0);
      const lookahead = new Int32Array(1);
      opus.control(pointer, GET_LOOKAHEAD, 'int32_t *', lookahead);
      this.lookahead = lookahead[0] ?? 0;
    } catch (failure) {
      this.#handle.free();
      throw failure;
    }
  }

  /**
   * The packet of one frame of {@link OPUS_FRAME} samples a channel. What exceeds full scale is clipped.
   *
   * @param right the other side for a stereo encoder; the same as `left` unless given
   */
  encode(left: Float32Array, right: Float32Array = left): Uint8Array {
    if (left.length !== OPUS_FRAME || right.length !== OPUS_FRAME) {
      throw new RangeError(
        `Cannot encode: expected ${OPUS_FRAME} samples, received ${left.length} and ${right.length}`,
      );
    }
    let pcm = left;
    if (this.channels === 2) {
      pcm = this.#frame;
      for (let i = 0; i < OPUS_FRAME; i += 1) {
        pcm[2 * i] = left[i] ?? 0;
        pcm[2 * i + 1] = right[i] ?? 0;
      }
    } else if (right !== left) throw new TypeError('Cannot encode: two sides for a mono encoder');
    const packet = this.#packet;
    const size = libopus().encode(this.#handle.pointer, pcm, OPUS_FRAME, packet, LARGEST) as number;
    if (size < 0) throw new Error(`Cannot encode Opus frame: ${reason(size)}`);
    return packet.slice(0, size);
  }

  [Symbol.dispose](): void {
    this.#handle.free();
  }

  #set(name: string, request: number, value: number): void {
    const code = libopus().control(this.#handle.pointer, request, 'int', value) as number;
    if (code !== 0) throw new RangeError(`Cannot set ${name} of Opus encoder to ${value}: ${reason(code)}`);
  }
}
