import { type Codec, codecOf } from './codecs.ts';
import { type Box, boxes, u32, u64 } from './mp4-boxes.ts';
import { nalUnits, typeOf } from '../../media/h264.ts';

export interface InitTrack extends Codec {
  readonly id: number;
  readonly kind: 'video' | 'audio' | 'other';
  readonly scale: number;
  readonly defaults: Defaults;
}
interface Defaults {
  readonly duration: number;
  readonly size: number;
  readonly flags: number;
}
export interface Init {
  readonly tracks: readonly InitTrack[];
}
/** One track's samples within a piece, in seconds of media time. */
export interface Stretch {
  readonly kind: 'video' | 'audio' | 'other';
  readonly start: number;
  readonly end: number;
  readonly samples: number;
  /** What the container says of the first sample. */
  readonly sync: boolean;
  /** What the first sample is: an IDR picture; `undefined` of codecs that are not looked into. */
  readonly key: boolean | undefined;
}

const NOT_SYNC = 0x1_0000;

const inside = (box: Box | undefined, type: string) => box && boxes(box.body).find((one) => one.type === type);

/** The tracks that an init declares; a RangeError says what is wrong with it. */
export function initOf(bytes: Uint8Array): Init {
  const top = boxes(bytes);
  const moov = top.find(({ type }) => type === 'moov');
  if (!moov) throw new RangeError(`no moov, but ${top.map(({ type }) => type).join(', ') || 'nothing'}`);
  if (!top.some(({ type }) => type === 'ftyp')) throw new RangeError('no ftyp');
  const within = boxes(moov.body);
  const mvex = within.find(({ type }) => type === 'mvex');
  if (!mvex) throw new RangeError('no mvex: it is no fragmented file');
  const trex = new Map(
    boxes(mvex.body)
      .filter(({ type }) => type === 'trex')
      .map(({ body }) => [u32(body, 4), { duration: u32(body, 12), size: u32(body, 16), flags: u32(body, 20) }]),
  );
  const tracks = within.filter(({ type }) => type === 'trak').map((trak) => trackOf(trak, trex));
  if (tracks.length === 0) throw new RangeError('no track');
  return { tracks };
}

function trackOf(trak: Box, trex: ReadonlyMap<number, Defaults>): InitTrack {
  const [tkhd, mdia] = [inside(trak, 'tkhd'), inside(trak, 'mdia')];
  const [mdhd, hdlr] = [inside(mdia, 'mdhd'), inside(mdia, 'hdlr')];
  const stsd = inside(inside(inside(mdia, 'minf'), 'stbl'), 'stsd');
  if (!tkhd || !mdhd || !hdlr || !stsd) throw new RangeError('a track without tkhd, mdhd, hdlr or stsd');
  const id = u32(tkhd.body, tkhd.body[0] === 1 ? 20 : 12);
  const handler = String.fromCharCode(...hdlr.body.subarray(8, 12));
  const entry = boxes(stsd.body, 8)[0];
  if (!entry) throw new RangeError('a track without a sample entry');
  return {
    id,
    kind: handler === 'vide' ? 'video' : handler === 'soun' ? 'audio' : 'other',
    scale: u32(mdhd.body, mdhd.body[0] === 1 ? 20 : 12),
    defaults: trex.get(id) ?? { duration: 0, size: 0, flags: 0 },
    ...codecOf(entry, handler),
  };
}

/** What a part or a segment holds of each track. */
export function fragmentsOf(bytes: Uint8Array, init: Init): Stretch[] {
  const top = boxes(bytes);
  const all = new Map<number, Stretch>();
  if (!top.some(({ type }) => type === 'moof')) throw new RangeError('no moof');
  for (const moof of top.filter(({ type }) => type === 'moof')) {
    for (const traf of boxes(moof.body).filter(({ type }) => type === 'traf')) {
      const [id, stretch] = stretchOf(bytes, moof, traf, init);
      const before = all.get(id);
      if (before && Math.abs(before.end - stretch.start) > 0.001)
        throw new RangeError(
          `a fragment at ${stretch.start.toFixed(3)} s behind one that ends at ${before.end.toFixed(3)} s`,
        );
      const joined = before && { ...before, end: stretch.end, samples: before.samples + stretch.samples };
      all.set(id, joined ?? stretch);
    }
  }
  return [...all.values()];
}

function stretchOf(bytes: Uint8Array, moof: Box, traf: Box, { tracks }: Init): [number, Stretch] {
  const within = boxes(traf.body);
  const [tfhd, tfdt] = ['tfhd', 'tfdt'].map((name) => within.find(({ type }) => type === name)?.body);
  if (!tfhd || !tfdt) throw new RangeError('a fragment without tfhd or tfdt');
  const id = u32(tfhd, 4);
  const track = tracks.find((one) => one.id === id);
  if (!track) throw new RangeError(`track ${id} is not in the init`);
  const flags = u32(tfhd, 0) & 0xff_ffff;
  let at = 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
  const next = (there: number, otherwise: number) => {
    if (!(flags & there)) return otherwise;
    at += 4;
    return u32(tfhd, at - 4);
  };
  const defaults = {
    duration: next(8, track.defaults.duration),
    size: next(16, track.defaults.size),
    flags: next(32, track.defaults.flags),
  };
  const base = flags & 1 ? u64(tfhd, 8) : moof.at;
  const start = tfdt[0] === 1 ? u64(tfdt, 4) : u32(tfdt, 4);
  let [ticks, count] = [0, 0];
  let first: { size: number; flags: number; at: number } | undefined;
  for (const { body } of within.filter(({ type }) => type === 'trun')) {
    const has = u32(body, 0) & 0xff_ffff;
    const samples = u32(body, 4);
    let read = 8;
    const take = (there: number, otherwise: number) => {
      if (!(has & there)) return otherwise;
      read += 4;
      return u32(body, read - 4);
    };
    const offset = take(1, 0);
    const firstFlags = take(4, -1);
    for (let n = 0; n < samples; n += 1) {
      ticks += take(0x100, defaults.duration);
      const size = take(0x200, defaults.size);
      const said = take(0x400, n === 0 && firstFlags >= 0 ? firstFlags : defaults.flags);
      take(0x800, 0);
      first ??= { size, flags: said, at: base + offset };
    }
    count += samples;
  }
  const data = first && bytes.subarray(first.at, first.at + first.size);
  return [
    id,
    {
      kind: track.kind,
      start: start / track.scale,
      end: (start + ticks) / track.scale,
      samples: count,
      sync: first !== undefined && (first.flags & NOT_SYNC) === 0,
      key: data && keyIn(data, track),
    },
  ];
}

const IDR = 5;
function keyIn(sample: Uint8Array, { kind, entry, lengths }: InitTrack): boolean | undefined {
  if (kind === 'audio') return true;
  if (!entry.startsWith('avc') || (lengths !== 1 && lengths !== 2 && lengths !== 4)) return undefined;
  return nalUnits(sample, lengths).some((nal) => typeOf(nal) === IDR);
}
