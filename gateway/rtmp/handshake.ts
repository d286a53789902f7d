import { RtmpError } from './rtmp-error.ts';

/** Version of RTMP (RTMP 1.0 §5.2.2). */
const VERSION = 3;
/** C1, C2, S1 and S2. */
const SIZE = 1_536;
/** What is random in C1 and S1 (§5.2.3). */
export const NONCE_SIZE = SIZE - 8;

/**
 * The server's side of the simple handshake (RTMP 1.0 §5.2), which FFmpeg, OBS and GStreamer make. Without the digests of
 * Flash Player, which no specification knows.
 */
export class Handshake {
  readonly #nonce: Buffer;
  #held: Buffer = Buffer.alloc(0);
  #state: 'hello' | 'echo' | 'done' = 'hello';

  /** @param nonce {@link NONCE_SIZE} random bytes */
  constructor(nonce: Buffer) {
    if (nonce.length !== NONCE_SIZE) throw new RangeError(`Cannot shake hands: a nonce of ${nonce.length} bytes`);
    this.#nonce = nonce;
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /** What to answer, and what follows the handshake in `bytes`. @throws RtmpError for anything but RTMP */
  push(bytes: Buffer): { readonly answer: Buffer; readonly rest: Buffer } {
    this.#held = Buffer.concat([this.#held, bytes]);
    const none = Buffer.alloc(0);
    let answer: Buffer = none;
    const version = this.#held[0];
    if (this.#state === 'hello') {
      // 0 to 2 are of the past, from 32 on it is some text protocol (§5.2.2).
      if (version !== undefined && (version < VERSION || version > 31)) throw new RtmpError('The peer speaks no RTMP');
      if (this.#held.length < 1 + SIZE) return { answer, rest: none };
      const c1 = this.#held.subarray(1, 1 + SIZE);
      // S1: our time is 0. S2: their time, when we read it, their random bytes (§5.2.4).
      const s2 = [c1.subarray(0, 4), Buffer.alloc(4), c1.subarray(8)];
      answer = Buffer.concat([Buffer.of(VERSION), Buffer.alloc(8), this.#nonce, ...s2]);
      this.#held = this.#held.subarray(1 + SIZE);
      this.#state = 'echo';
    }
    if (this.#held.length < SIZE) return { answer, rest: none };
    const rest = this.#held.subarray(SIZE);
    this.#held = none;
    this.#state = 'done';
    return { answer, rest };
  }
}
