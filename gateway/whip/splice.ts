/** A source that is further behind than that is on another time, ticks. */
const MOST_BEHIND = 48_000;

/**
 * Joins the packets of one RTP stream after another into one stream: sequence numbers go on without a gap where the
 * source changes, and time stamps are those of media time, which all sources share: no moment is sent twice. RFC 3550 §5.1
 * for the fields.
 */
export class Splice {
  readonly #out: { readonly ssrc: number; readonly payloadType: number; readonly base: number };
  #base: number | undefined;
  /** Added to the sequence numbers of the source; unknown until its first packet. */
  #shift: number | undefined;
  /** The highest sequence number sent, and the last of the source before: nothing is sent at or before that again. */
  #last: number | undefined;
  #end: number | undefined;
  /** The time stamp of the last. */
  #stamp: number | undefined;

  /** @param out what the joined stream has; `base` is its time stamp of media time 0 */
  constructor(out: { readonly ssrc: number; readonly payloadType: number; readonly base: number }) {
    this.#out = out;
  }

  /** What is pushed from now on comes from a source whose time stamp of media time 0 is `base`. */
  cut(base: number): void {
    this.#base = base;
    this.#shift = undefined;
    this.#end = this.#last;
  }

  /** The packet as the joined stream has it, written into `packet`; nothing for a late one from before the cut. */
  push(packet: Buffer): Buffer | undefined {
    if (this.#base === undefined || packet.length < 12) return undefined;
    const sequence = packet.readUInt16BE(2);
    const stamp = (packet.readUInt32BE(4) - this.#base + this.#out.base) >>> 0;
    const ahead = this.#stamp === undefined ? 1 : (stamp - this.#stamp) | 0;
    if (this.#shift === undefined && ahead <= 0 && ahead > -MOST_BEHIND) return undefined;
    this.#shift ??= this.#last === undefined ? 0 : (this.#last + 1 - sequence) & 0xffff;
    const out = (sequence + this.#shift) & 0xffff;
    if (this.#end !== undefined && !after(out, this.#end)) return undefined;
    if (this.#last === undefined || after(out, this.#last)) [this.#last, this.#stamp] = [out, stamp];
    // Half a round of numbers on, the cut would seem to lie ahead.
    if (this.#end !== undefined && after(out, (this.#end + 1_000) & 0xffff)) this.#end = undefined;
    packet.writeUInt8((packet.readUInt8(1) & 0x80) | this.#out.payloadType, 1);
    packet.writeUInt16BE(out, 2);
    packet.writeUInt32BE(stamp, 4);
    packet.writeUInt32BE(this.#out.ssrc, 8);
    return packet;
  }
}

/** Whether one sequence number comes after another, with numbers that come round. */
const after = (a: number, b: number) => a !== b && ((a - b) & 0xffff) < 0x8000;
