import { type ClockTime, type Span, between } from '../media/time.ts';

/**
 * The last datagrams in order of arrival: no older than `span` and no more than `bytes` in all; the oldest go first.
 *
 * Datagrams are numbered from 0 as they come and keep their number; the buffers are kept, not copied.
 */
export class PacketRing {
  readonly #span: Span;
  readonly #limit: number;
  #packets: { readonly data: Uint8Array; readonly at: ClockTime }[] = [];
  /** Index of the oldest in `#packets`, and its number. */
  #head = 0;
  #first = 0;
  #bytes = 0;

  constructor({ span, bytes }: { readonly span: Span; readonly bytes: number }) {
    this.#span = span;
    this.#limit = bytes;
  }

  /** Number of the oldest datagram that is still here. */
  get first(): number {
    return this.#first;
  }
  /** Number the next datagram will get. */
  get end(): number {
    return this.#first + this.#packets.length - this.#head;
  }
  get bytes(): number {
    return this.#bytes;
  }

  push(data: Uint8Array, at: ClockTime): void {
    this.#packets.push({ data, at });
    this.#bytes += data.byteLength;
    for (let oldest = this.#packets[this.#head]; oldest; oldest = this.#packets[this.#head]) {
      if (this.#bytes <= this.#limit && between(oldest.at, at) <= this.#span) break;
      this.#bytes -= oldest.data.byteLength;
      this.#head += 1;
      this.#first += 1;
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#packets.length) {
      this.#packets = this.#packets.slice(this.#head);
      this.#head = 0;
    }
  }

  /** The datagram with this number, or nothing if it is gone or not here yet. */
  at(number: number): Uint8Array | undefined {
    return number < this.#first ? undefined : this.#packets[this.#head + number - this.#first]?.data;
  }
}
