import { names } from './codecs.ts';
import type { Init } from './fmp4-pieces.ts';
import { type MediaPlaylist, type Media, type Variant, edgeOf, lengthOf } from './m3u8.ts';
import { SAME_DATE } from './media-rules.ts';
import { isPicture } from './multivariant-rules.ts';
import { datesOf } from './playlist-rules.ts';
import { type Finding, finder } from './rules.ts';

/** One rendition as it was found at the end of the watch. */
export interface Found {
  /** Its name in findings. */
  readonly at: string;
  readonly url: string;
  readonly playlist: MediaPlaylist;
  readonly captions: boolean;
  /** Date less media time by discontinuity sequence, seconds. */
  readonly offsets: ReadonlyMap<number, number>;
  readonly inits: readonly Init[];
  /** Pictures a second. */
  readonly rate: number | undefined;
  readonly bits: Bits | undefined;
}
/** Bits a second. */
export interface Bits {
  readonly peak: number;
  readonly average: number;
}

/** What renditions break beside each other. They were read one after the other, at the same time within a segment. */
export function groupFindings(all: readonly Found[]): Finding[] {
  return [...targets(all), ...eras(all), ...dates(all), ...windows(all), ...few(all)];
}

const few = (all: readonly Found[]): Finding[] =>
  all.flatMap(({ at, playlist: { ended, segments } }) =>
    ended || segments.length >= 6 ? [] : [finder(at)('few-segments', `${segments.length} segments`)],
  );

function targets(all: readonly Found[]): Finding[] {
  const [first] = all;
  return all.flatMap(({ at, playlist: { target } }) =>
    first && target !== first.playlist.target
      ? [finder(at)('targets-differ', `${target} s, and ${first.playlist.target} s in ${first.at}`)]
      : [],
  );
}

/** The same segment number stands for the same place only where dates say so. */
function eras(all: readonly Found[]): Finding[] {
  const [first] = all;
  if (!first) return [];
  const dated = datesOf(first.playlist);
  return all.slice(1).flatMap(({ at, playlist }) => {
    const own = datesOf(playlist);
    for (const segment of playlist.segments) {
      const date = own.get(segment.number);
      const beside = first.playlist.segments.find(
        ({ number }) => date !== undefined && Math.abs((dated.get(number) ?? -1e12) - date) < 1_000 * SAME_DATE,
      );
      if (beside && beside.era !== segment.era)
        return [
          finder(at)('eras-differ', `segment ${segment.number}: ${segment.era}, and ${beside.era} in ${first.at}`),
        ];
    }
    return [];
  });
}

function dates(all: readonly Found[]): Finding[] {
  const [first, ...others] = all.filter(({ captions, offsets }) => !captions && offsets.size > 0);
  return others.flatMap(({ at, offsets }) => {
    for (const [era, offset] of offsets) {
      const beside = first?.offsets.get(era);
      if (beside !== undefined && Math.abs(offset - beside) > SAME_DATE)
        return [finder(at)('dates-apart', `${(1_000 * (offset - beside)).toFixed(0)} ms from ${first?.at}`)];
    }
    return [];
  });
}

function windows(all: readonly Found[]): Finding[] {
  const lengths = all.map(({ playlist }) => playlist.segments.reduce((sum, one) => sum + lengthOf(one), 0));
  const most = Math.max(...lengths);
  return all.flatMap(({ at, playlist }, n) => {
    const less = most - (lengths[n] ?? 0);
    return less > 2 * (playlist.target ?? 0)
      ? [finder(at)('windows-differ', `${(lengths[n] ?? 0).toFixed(1)} s, elsewhere ${most.toFixed(1)} s`)]
      : [];
  });
}

/** Edges of other renditions as they were known at the same moment, by URL. */
export type Edges = ReadonlyMap<string, { readonly number: number; readonly part: number }>;
/**
 * What one version of a playlist says of the others.
 *
 * @param known edges that had been seen a while before it came
 */
export function reportFindings(playlist: MediaPlaylist, url: string, known: Edges, at: string): Finding[] {
  const find = finder(at);
  if (playlist.ended || !playlist.segments.some(({ parts }) => parts.length > 0)) return [];
  const reported = new Map(playlist.reports.map((one) => [new URL(one.uri, url).href, one]));
  const last = edgeOf(playlist);
  return [...known].flatMap(([other, edge]) => {
    if (other === url) return [];
    const report = reported.get(other);
    if (!report) return [find('report-missing', `nothing of ${new URL(other).pathname}`)];
    const number = report.number ?? last?.number ?? 0;
    const part = report.part ?? last?.part ?? 0;
    const old = number < edge.number || (number === edge.number && part < edge.part);
    return old
      ? [
          find(
            'report-old',
            `${number}.${part} of ${new URL(other).pathname}, which was at ${edge.number}.${edge.part}`,
          ),
        ]
      : [];
  });
}

/** Rates over contiguous segments of half to one and a half target durations (bis §4.4.6.2, "peak segment bit rate"). */
export function bitsOf(
  segments: readonly { readonly bytes: number; readonly seconds: number }[],
  target: number,
): Bits | undefined {
  let peak = 0;
  segments.forEach((_, from) => {
    let [bytes, seconds] = [0, 0];
    for (const one of segments.slice(from)) {
      bytes += one.bytes;
      seconds += one.seconds;
      if (seconds > 1.5 * target) break;
      if (seconds >= 0.5 * target) peak = Math.max(peak, (bytes * 8) / seconds);
    }
  });
  const seconds = segments.reduce((sum, one) => sum + one.seconds, 0);
  if (seconds === 0 || peak === 0) return undefined;
  return { peak, average: (segments.reduce((sum, one) => sum + one.bytes, 0) * 8) / seconds };
}

/** More than rounding, and than what the head of a segment weighs. */
const MORE = 1.1;

/** What a variant claims against what was received. */
export function claimFindings(
  variant: Variant,
  pictures: Found | undefined,
  sounds: readonly (readonly [Media | undefined, Found])[],
  independent: boolean,
): Finding[] {
  const find = finder(`variant ${variant.uri ?? '?'}`);
  const all: Finding[] = [];
  const { codecs = [], size, rate, bandwidth, average } = variant;
  for (const [what, found] of [['picture', pictures] as const, ...sounds.map(([, one]) => ['sound', one] as const)])
    for (const { codec, kind } of found?.inits.flatMap(({ tracks }) => tracks) ?? [])
      if (kind !== 'other' && codecs.length > 0 && !codecs.some((said) => names(said, codec)))
        all.push(find('codecs-untrue', `${codecs.join(',')}, and the ${what} is ${codec}`));
  if (pictures && !independent && !pictures.playlist.independent && codecs.some(isPicture))
    all.push(find('independent-tag', 'neither there nor in the playlist of pictures'));
  const seen = pictures?.inits.at(-1)?.tracks.find(({ kind }) => kind === 'video')?.size;
  if (size && seen && (seen.width !== size.width || seen.height !== size.height))
    all.push(find('size-untrue', `${size.width}x${size.height}, and the init says ${seen.width}x${seen.height}`));
  if (rate !== undefined && pictures?.rate !== undefined && codecs.some(isPicture) && pictures.rate > rate * 1.05 + 0.5)
    all.push(find('rate-untrue', `${rate}, and there were ${pictures.rate.toFixed(3)} a second`));
  for (const [media, { inits }] of sounds) {
    const said = Number(media?.attributes.get('CHANNELS')?.text.split('/')[0]);
    const there = inits.at(-1)?.tracks.find(({ kind }) => kind === 'audio')?.channels;
    if (there !== undefined && said > 0 && said !== there)
      all.push(find('channels-untrue', `${media?.name}: ${said}, and the init says ${there}`));
  }
  const most = (which: keyof Bits) =>
    (pictures?.bits?.[which] ?? 0) + Math.max(0, ...sounds.map(([, { bits }]) => bits?.[which] ?? 0));
  const kbit = (value: number) => `${(value / 1_000).toFixed(0)} kbit/s`;
  if (bandwidth !== undefined && most('peak') > bandwidth * MORE)
    all.push(find('bandwidth-low', `${kbit(bandwidth)}, and a peak of ${kbit(most('peak'))}`));
  if (average !== undefined && most('average') > average * MORE)
    all.push(find('average-low', `${kbit(average)}, and ${kbit(most('average'))} on average`));
  return all;
}
