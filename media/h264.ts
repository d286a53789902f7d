import { MAX_PAYLOAD, type PayloadFormat, cut, join } from './payload.ts';

/** NAL unit types (ITU-T H.264 table 7-1) and the two that exist only in RTP (RFC 6184 §5.2). */
const IDR = 5;
export const SPS = 7;
export const PPS = 8;
const STAP_A = 24;
const FU_A = 28;

/** Type of a NAL unit. */
export const typeOf = (nal: Uint8Array): number => (nal[0] ?? 0) & 0x1f;

/** Types of the NAL units that begin in `payload`. */
function startingIn(payload: Uint8Array): number[] {
  const type = typeOf(payload);
  if (type === STAP_A) return (aggregated(payload) ?? []).map(typeOf);
  if (type === FU_A) return ((payload[1] ?? 0) & 0x80) !== 0 ? [(payload[1] ?? 0) & 0x1f] : [];
  return type > 0 && type < STAP_A ? [type] : [];
}

/** The NAL units in a STAP-A; `undefined` when their lengths do not add up. */
function aggregated(payload: Uint8Array): Uint8Array[] | undefined {
  const nals: Uint8Array[] = [];
  let at = 1;
  while (at + 2 <= payload.byteLength) {
    const end = at + 2 + (((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0));
    if (end > payload.byteLength || end === at + 2) return undefined;
    nals.push(payload.subarray(at + 2, end));
    at = end;
  }
  return at === payload.byteLength && nals.length > 0 ? nals : undefined;
}

/** A slice's header begins with `first_mb_in_slice`; 0 is written as a single 1 bit (H.264 §7.3.3, §9.1). */
const firstSlice = (nal: Uint8Array, header: number) => ((nal[header] ?? 0) & 0x80) !== 0;

/** Whether the NAL unit of type `type`, whose content begins at `nal[header]`, comes first in a picture (H.264 §7.4.1.2.3). */
const comesFirst = (type: number, nal: Uint8Array, header: number) =>
  (type >= 6 && type <= 9) || ((type === 1 || type === IDR) && firstSlice(nal, header));

export const H264: PayloadFormat = {
  startsFrame: (payload) => {
    const [type] = startingIn(payload);
    if (type === undefined) return false;
    const aggregate = typeOf(payload) === STAP_A;
    const nal = aggregate ? payload.subarray(3) : payload;
    return comesFirst(type, nal, typeOf(payload) === FU_A ? 2 : 1);
  },
  /** Parameters or an IDR slice: the SFU, too, lets a viewer start at an SPS. */
  startsKeyFrame: (payload) => startingIn(payload).some((type) => type === SPS || type === IDR),
};

/** Whether a picture forgets everything before it: an IDR, not only an intra picture with parameters (H.264 §7.4.1.2.4). */
export const isIdr = (payloads: readonly Uint8Array[]): boolean =>
  payloads.some((payload) => startingIn(payload).includes(IDR));

/** The sequence and picture parameter sets in a picture's payloads. */
export const parameterSetsIn = (payloads: readonly Uint8Array[]): Uint8Array[] =>
  (depacketizeH264(payloads) ?? []).filter((nal) => typeOf(nal) === SPS || typeOf(nal) === PPS);

/** Whether both kinds of parameter sets are among NAL units. */
export const isComplete = (nals: readonly Uint8Array[]): boolean =>
  nals.some((nal) => typeOf(nal) === SPS) && nals.some((nal) => typeOf(nal) === PPS);

/** Where NAL units lie in a frame: after start codes (Annex B), or after lengths of so many bytes (ISO/IEC 14496-15). */
export type NalFraming = 'annex-b' | 1 | 2 | 4;

/** The NAL units of a frame; views of it. Empty ones, and what a truncated frame cuts off, are left out. */
export function nalUnits(frame: Uint8Array, framing: NalFraming): Uint8Array[] {
  return framing === 'annex-b' ? afterStartCodes(frame) : afterLengths(frame, framing);
}

/** Start codes are 00 00 01; any zeros before one, and at the end, belong to no NAL unit (H.264 annex B.1). */
function afterStartCodes(frame: Uint8Array): Uint8Array[] {
  const nals: Uint8Array[] = [];
  let start = -1;
  const close = (end: number) => {
    let last = end;
    while (last > start && frame[last - 1] === 0) last -= 1;
    if (start >= 0 && last > start) nals.push(frame.subarray(start, last));
  };
  for (let i = 0; i + 2 < frame.byteLength; i += 1) {
    if (frame[i] !== 0 || frame[i + 1] !== 0 || frame[i + 2] !== 1) continue;
    close(i);
    start = i + 3;
    i += 2;
  }
  close(frame.byteLength);
  return nals;
}

function afterLengths(frame: Uint8Array, width: 1 | 2 | 4): Uint8Array[] {
  const nals: Uint8Array[] = [];
  for (let at = 0; at + width <= frame.byteLength;) {
    let length = 0;
    for (let i = 0; i < width; i += 1) length = length * 256 + (frame[at + i] ?? 0);
    const end = at + width + length;
    if (end > frame.byteLength) break;
    if (length > 0) nals.push(frame.subarray(at + width, end));
    at = end;
  }
  return nals;
}

/** NAL units as a frame. */
export function frameOf(nals: readonly Uint8Array[], framing: NalFraming): Uint8Array {
  return join(nals.flatMap((nal) => [framing === 'annex-b' ? Uint8Array.of(0, 0, 0, 1) : length(nal, framing), nal]));
}

function length(nal: Uint8Array, width: 1 | 2 | 4): Uint8Array {
  if (nal.byteLength >= 2 ** (8 * width)) {
    throw new RangeError(`Cannot write NAL unit: ${nal.byteLength} bytes do not fit a length of ${width} bytes`);
  }
  return Uint8Array.from({ length: width }, (_, i) => Math.floor(nal.byteLength / 256 ** (width - 1 - i)) & 0xff);
}

/**
 * NAL units as RTP payloads in packetization mode 1 (RFC 6184 §6.3): neighbouring SPS and PPS together in a STAP-A,
 * what is too long in FU-As, the rest one by one.
 */
export function packetizeH264(nals: readonly Uint8Array[]): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  let parameters: Uint8Array[] = [];
  const flush = () => {
    if (parameters.length > 1) payloads.push(stapA(parameters));
    else payloads.push(...parameters);
    parameters = [];
  };
  for (const nal of nals) {
    const together = parameters.reduce((sum, one) => sum + 2 + one.byteLength, 1) + 2 + nal.byteLength;
    const isParameters = typeOf(nal) === SPS || typeOf(nal) === PPS;
    if (!isParameters || together > MAX_PAYLOAD) flush();
    if (nal.byteLength > MAX_PAYLOAD) payloads.push(...fuA(nal));
    else if (isParameters) parameters.push(nal);
    else payloads.push(nal);
  }
  flush();
  return payloads;
}

/** The aggregate's F and NRI bits are the strictest of its parts (RFC 6184 §5.7.1). */
function stapA(nals: readonly Uint8Array[]): Uint8Array {
  const importance = Math.max(...nals.map((nal) => (nal[0] ?? 0) & 0x60));
  const forbidden = nals.some((nal) => (nal[0] ?? 0) & 0x80) ? 0x80 : 0;
  return join([Uint8Array.of(forbidden | importance | STAP_A), ...nals.flatMap((nal) => [length(nal, 2), nal])]);
}

function fuA(nal: Uint8Array): Uint8Array[] {
  const head = nal[0] ?? 0;
  const pieces = cut(nal.subarray(1), MAX_PAYLOAD - 2);
  return pieces.map((piece, i) => {
    const edges = (i === 0 ? 0x80 : 0) | (i === pieces.length - 1 ? 0x40 : 0);
    return join([Uint8Array.of((head & 0xe0) | FU_A, edges | (head & 0x1f)), piece]);
  });
}

/** The NAL units of a picture out of its payloads, in order; `undefined` when a fragment is missing or malformed. */
export function depacketizeH264(payloads: readonly Uint8Array[]): Uint8Array[] | undefined {
  const nals: Uint8Array[] = [];
  let fragments: Uint8Array[] = [];
  for (const payload of payloads) {
    const type = typeOf(payload);
    const fragment = type === FU_A;
    if (!fragment && fragments.length > 0) return undefined;
    if (fragment) {
      const [indicator = 0, header = 0] = payload;
      if (payload.byteLength < 3 || ((header & 0x80) !== 0) !== (fragments.length === 0)) return undefined;
      if (header & 0x80) fragments.push(Uint8Array.of((indicator & 0xe0) | (header & 0x1f)));
      fragments.push(payload.subarray(2));
      if (header & 0x40) {
        nals.push(join(fragments));
        fragments = [];
      }
    } else if (type === STAP_A) {
      const parts = aggregated(payload);
      if (!parts) return undefined;
      nals.push(...parts);
    } else if (type > 0 && type < STAP_A) nals.push(payload);
    else return undefined;
  }
  return fragments.length === 0 && nals.length > 0 ? nals : undefined;
}
