import type { MediaTime } from './time.ts';

/** A stream of the programme, as its map names it. */
export interface TsTrack {
  readonly kind: 'H264' | 'AAC';
  /** ISO 639-2, three letters; `null` for one that has no language. */
  readonly language: string | null;
}

const PACKET = 188;
const PMT_PID = 0x1000;
const FIRST_PID = 0x100;
/** Stream types of ISO/IEC 13818-1 table 2-34: AVC, and AAC in ADTS. */
const STREAM_TYPE = { H264: 0x1b, AAC: 0x0f } as const;
/** First stream ids of pictures and of sound (table 2-22). */
const STREAM_ID = { H264: 0xe0, AAC: 0xc0 } as const;
/** 33 bits of a 90 kHz clock, some 26.5 hours. */
const WRAP = 2 ** 33;
/** Media time 0, 90 kHz. Room for the clock reference that runs ahead. */
const ORIGIN = 90_000;
/** How far the clock reference runs ahead of what is written: tracks may be that far apart. */
const AHEAD = 45_000;
/** §2.7.2 asks for a clock reference every 100 ms. */
const PCR_EVERY = 7_200;
/** Maps are repeated, for receivers that come later. */
const TABLES_EVERY = 22_500;
const DELIMITER = Uint8Array.of(0, 0, 0, 1, 9, 0xf0);

/** Time stamp of a place in the programme, before it is cut to 33 bits. */
export const ticksOf = (media: MediaTime): number => Math.round((media * 9) / 100) + ORIGIN;

/**
 * An MPEG transport stream (ISO/IEC 13818-1) of one programme, written as it comes: nothing is held back for what follows.
 *
 * Pictures are Annex B without reordering, sound is AAC in ADTS. Each call gives whole packets of 188 bytes that belong
 * behind those given before. Tracks may be apart by half a second.
 */
export class TransportStream {
  readonly #tracks: readonly (TsTrack & { readonly pid: number; readonly id: number })[];
  readonly #tables: readonly (readonly [pid: number, section: Uint8Array])[];
  readonly #counters = new Map<number, number>();
  /** The track whose packets carry the clock reference: the picture, else the first. */
  readonly #clock: number;
  #newest = -Infinity;
  #reference = -Infinity;
  #tabled = -Infinity;

  /** @throws RangeError without a track */
  constructor(tracks: readonly TsTrack[]) {
    if (tracks.length === 0) throw new RangeError('Cannot write a transport stream: there is no track');
    const seen = { H264: 0, AAC: 0 };
    this.#tracks = tracks.map((track, n) => ({
      ...track,
      pid: FIRST_PID + n,
      id: STREAM_ID[track.kind] + seen[track.kind]++,
    }));
    const clock = this.#tracks.find(({ kind }) => kind === 'H264') ?? this.#tracks[0]!;
    this.#clock = clock.pid;
    this.#tables = [
      [0, section(0, Uint8Array.of(0, 1, 0xe0 | (PMT_PID >> 8), PMT_PID & 0xff))],
      [PMT_PID, section(2, programmeMap(this.#tracks, clock.pid))],
    ];
  }

  /** One picture (H.264 with start codes) or one ADTS frame of track number `track`. */
  write(track: number, start: MediaTime, data: Uint8Array, keyFrame = false): Uint8Array {
    const to = this.#tracks[track];
    if (!to) throw new RangeError(`Cannot write to track ${track}: there are ${this.#tracks.length}`);
    const ticks = ticksOf(start);
    this.#newest = Math.max(this.#newest, ticks);
    const out: Uint8Array[] = [];
    if (keyFrame || this.#newest - this.#tabled >= TABLES_EVERY) {
      this.#tabled = this.#newest;
      for (const [pid, table] of this.#tables) out.push(...this.#packets(pid, Uint8Array.of(0, ...table)));
    }
    const due = this.#newest - this.#reference >= PCR_EVERY;
    const own = to.pid === this.#clock;
    if (due && !own) out.push(this.#clockPacket());
    // Annex H of ITU-T H.222.0 | §2.14: pictures of AVC begin with an access unit delimiter.
    const payload = to.kind === 'H264' && !delimited(data) ? Buffer.concat([DELIMITER, data]) : data;
    const pes = Buffer.concat([pesHeader(to.id, ticks, payload.byteLength), payload]);
    out.push(...this.#packets(to.pid, pes, { keyFrame, ...(own && (due || keyFrame) && { pcr: this.#tick() }) }));
    return Buffer.concat(out);
  }

  #tick(): number {
    this.#reference = this.#newest;
    return this.#newest - AHEAD;
  }

  #count(pid: number): number {
    const counter = ((this.#counters.get(pid) ?? -1) + 1) & 15;
    this.#counters.set(pid, counter);
    return counter;
  }

  /** Only a clock reference, where the picture has nothing to carry it: without a payload the counter stays (§2.4.3.3). */
  #clockPacket(): Uint8Array {
    const packet = new Uint8Array(PACKET).fill(0xff);
    packet.set([0x47, this.#clock >> 8, this.#clock & 0xff, 0x20 | (this.#counters.get(this.#clock) ?? 0), 183, 0x10]);
    packet.set(pcrBytes(this.#tick()), 6);
    return packet;
  }

  #packets(pid: number, payload: Uint8Array, { keyFrame = false, pcr }: { keyFrame?: boolean; pcr?: number } = {}) {
    const packets: Uint8Array[] = [];
    for (let at = 0; at < payload.byteLength;) {
      const first = at === 0;
      const fields =
        first && (keyFrame || pcr !== undefined)
          ? [(keyFrame ? 0x40 : 0) | (pcr === undefined ? 0 : 0x10), ...(pcr === undefined ? [] : pcrBytes(pcr))]
          : [];
      const left = payload.byteLength - at;
      const tables = pid === 0 || pid === PMT_PID;
      // A section is followed by 0xff; anything else is filled up in front, in the adaptation field.
      const room = PACKET - 4 - (fields.length > 0 ? fields.length + 1 : 0);
      const take = Math.min(room, left);
      const packet = new Uint8Array(PACKET).fill(0xff);
      const adaptation = tables ? 0 : PACKET - 4 - take;
      packet.set([
        0x47,
        (first ? 0x40 : 0) | (pid >> 8),
        pid & 0xff,
        (adaptation > 0 ? 0x30 : 0x10) | this.#count(pid),
      ]);
      if (adaptation > 0) packet[4] = adaptation - 1;
      if (adaptation > 1) packet.set(fields.length > 0 ? fields : [0], 5);
      packet.set(payload.subarray(at, at + take), 4 + adaptation);
      packets.push(packet);
      at += take;
    }
    return packets;
  }
}

const delimited = (data: Uint8Array) =>
  ((data[2] === 1 ? data[3] : data[4]) ?? 0) % 32 === 9 && data[0] === 0 && data[1] === 0;

/** 33 bits of 90 kHz and nine of 27 MHz, which are 0 (§2.4.3.5). */
function pcrBytes(ticks: number): number[] {
  const base = modulo(ticks);
  const high = Math.floor(base / 2);
  return [high >>> 24, (high >>> 16) & 0xff, (high >>> 8) & 0xff, high & 0xff, ((base % 2) << 7) | 0x7e, 0];
}
const modulo = (ticks: number) => ((ticks % WRAP) + WRAP) % WRAP;

/** §2.4.3.6. Pictures whose length does not fit in 16 bits have none, as only theirs may. */
function pesHeader(id: number, ticks: number, length: number): Uint8Array {
  const size = length + 8 > 0xffff ? 0 : length + 8;
  const pts = modulo(ticks);
  const top = Math.floor(pts / 2 ** 30);
  const middle = Math.floor(pts / 2 ** 15) % 2 ** 15;
  const low = pts % 2 ** 15;
  return Uint8Array.of(
    ...[0, 0, 1, id, size >> 8, size & 0xff, 0x84, 0x80, 5],
    ...[0x21 | (top << 1), middle >> 7, ((middle << 1) & 0xff) | 1, low >> 7, ((low << 1) & 0xff) | 1],
  );
}

/** The body of a programme map (§2.4.4.8), with ISO 639 language descriptors (§2.6.18). */
function programmeMap(tracks: readonly (TsTrack & { readonly pid: number })[], clock: number): Uint8Array {
  const streams = tracks.flatMap(({ kind, language, pid }) => {
    const descriptor = language === null ? [] : [10, 4, ...[...language].map((letter) => letter.charCodeAt(0)), 0];
    return [STREAM_TYPE[kind], 0xe0 | (pid >> 8), pid & 0xff, 0xf0, descriptor.length, ...descriptor];
  });
  return Uint8Array.of(0xe0 | (clock >> 8), clock & 0xff, 0xf0, 0, ...streams);
}

/** A section in the long form (§2.4.4.11), version 0, of the only programme. */
function section(table: number, body: Uint8Array): Uint8Array {
  const length = body.length + 9;
  const bytes = Uint8Array.of(table, 0xb0 | (length >> 8), length & 0xff, 0, 1, 0xc1, 0, 0, ...body);
  const crc = crc32(bytes);
  return Uint8Array.of(...bytes, crc >>> 24, (crc >>> 16) & 0xff, (crc >>> 8) & 0xff, crc & 0xff);
}

/** Annex A: polynomial 0x04c11db7, most significant bit first, begun with ones, not inverted. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  return crc >>> 0;
}
