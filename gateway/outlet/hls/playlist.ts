import type { MediaTime } from '../../../media/time.ts';
import {
  type Rendition,
  type Segment,
  edgeOf,
  endOf,
  isGap,
  isIndependent,
  lengthOf,
  pictureRate,
  rateOf,
} from './shelf.ts';

/** What all playlists of a programme have in common. */
export interface Timing {
  /** Longest part, seconds. */
  readonly part: number;
  /** Whole seconds that no segment is longer than, rounded. */
  readonly target: number;
  readonly dateOf: (media: MediaTime) => number;
}

/** Parts are listed for so many target durations from the end (RFC 8216bis §6.2.2: at least three). */
const PARTS_FOR = 3;
const VERSION = 9;

/** Seconds with the microseconds that are counted in. */
const secs = (micros: number) => (micros / 1e6).toFixed(6).replace(/\.?0+$/, '');
/** An attribute's value between quotes can hold neither quotes nor line ends (RFC 8216bis §4.2). */
export const quoted = (value: string) => `"${value.replaceAll(/["\r\n]/gu, ' ')}"`;

const ending = ({ kind }: Rendition) => (kind === 'captions' ? 'vtt' : 'm4s');
export const partName = (rendition: Rendition, number: number, part: number) =>
  `${number}.${part}.${ending(rendition)}`;
export const segmentName = (rendition: Rendition, number: number) => `${number}.${ending(rendition)}`;
/** Inits are named after the numbers of their first segments, which no two runs of a programme share. */
export const initName = ({ inits }: Rendition, { init, number }: Segment) => `init-${inits[init]?.first ?? number}.mp4`;

/**
 * A rendition's playlist (RFC 8216bis).
 *
 * @param segments those in the window, in order
 * @param others whose edges are reported with it
 * @param skip leave out what a player knows already (§6.2.5.1)
 */
export function mediaPlaylist(
  rendition: Rendition,
  segments: readonly Segment[],
  others: readonly Rendition[],
  timing: Timing,
  skip = false,
): string {
  const first = segments[0];
  const edge = segments.at(-1);
  const until = edge ? endOf(edge) : 0;
  const lines = [
    '#EXTM3U',
    `#EXT-X-VERSION:${VERSION}`,
    `#EXT-X-TARGETDURATION:${timing.target}`,
    `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=${secs(Math.ceil(timing.part * 3e6))},` +
      `HOLD-BACK=${timing.target * 3},CAN-SKIP-UNTIL=${timing.target * 6}`,
    `#EXT-X-PART-INF:PART-TARGET=${secs(Math.round(timing.part * 1e6))}`,
    `#EXT-X-MEDIA-SEQUENCE:${first?.number ?? 0}`,
  ];
  const gone = first ? first.discontinuities - (first.discontinuity ? 1 : 0) : 0;
  if (gone > 0 || segments.some(({ discontinuity }) => discontinuity))
    lines.push(`#EXT-X-DISCONTINUITY-SEQUENCE:${gone}`);
  if (segments.every(isIndependent)) lines.push('#EXT-X-INDEPENDENT-SEGMENTS');
  // Only segments further from the end than the boundary may be left out (§4.4.5.2).
  const old = segments.filter(
    (segment) => segment.complete && until - endOf(segment) > timing.target * 6e6 && segment !== edge,
  ).length;
  const skipped = skip ? old : 0;
  if (skipped > 0) lines.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`);
  segments.forEach((segment, n) => {
    if (n < skipped) return;
    const before = segments[n - 1];
    if (segment.discontinuity) lines.push('#EXT-X-DISCONTINUITY');
    if (rendition.kind !== 'captions' && (!before || before.init !== segment.init))
      lines.push(`#EXT-X-MAP:URI="${initName(rendition, segment)}"`);
    lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(timing.dateOf(segment.start)).toISOString()}`);
    if (until - endOf(segment) <= timing.target * PARTS_FOR * 1e6)
      segment.parts.forEach((part, index) =>
        lines.push(
          `#EXT-X-PART:DURATION=${secs(part.end - part.start)},URI="${partName(rendition, segment.number, index)}"` +
            (part.independent ? ',INDEPENDENT=YES' : '') +
            (part.gap ? ',GAP=YES' : ''),
        ),
      );
    if (segment.complete && isGap(segment)) lines.push('#EXT-X-GAP');
    if (segment.complete)
      lines.push(`#EXTINF:${lengthOf(segment).toFixed(6)},`, segmentName(rendition, segment.number));
  });
  if (rendition.ended) lines.push('#EXT-X-ENDLIST');
  else if (edge) {
    const [number, part] = edge.complete ? [edge.number + 1, 0] : [edge.number, edge.parts.length];
    lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${partName(rendition, number, part)}"`);
    for (const other of others) {
      const at = edgeOf(other);
      if (other !== rendition && !other.ended && at)
        lines.push(
          `#EXT-X-RENDITION-REPORT:URI="../${other.id}/index.m3u8",LAST-MSN=${at.number},LAST-PART=${at.part}`,
        );
    }
  }
  return `${lines.join('\n')}\n`;
}

/**
 * How much more than the greatest segment so far those to come of a live programme may take: what Apple's authoring
 * specification lets a measured peak differ by, a quarter.
 */
const TO_COME = 1.25;

/**
 * The multivariant playlist: a variant for each track of pictures.
 *
 * Pictures with mouths of one language go with the sound of that language alone, the picture as it is with all that have
 * none of their own: so a player that asks for a language gets the picture that belongs to it, and one that adapts to the
 * network stays within a language.
 */
export function multivariant(renditions: readonly Rendition[], from: string): string {
  const of = (kind: Rendition['kind']) =>
    renditions.filter((one) => one.kind === kind && !one.gone && one.segments.length > 0);
  const [pictures, sounds, captions] = [of('video'), of('audio'), of('captions')];
  const own = new Set(pictures.flatMap(({ language }) => language ?? []));
  const lines = ['#EXTM3U', `#EXT-X-VERSION:${VERSION}`];
  const variants = (pictures.length > 0 ? pictures : [undefined]).map((picture) => {
    const language = picture?.language ?? null;
    const fitting = sounds.filter((one) =>
      language === null
        ? !own.has(one.language ?? '') || one.id === 'original'
        : one.language === language && one.id !== 'original',
    );
    return { picture, group: language === null ? 'sound' : `sound-${language}`, fitting };
  });
  for (const { group, fitting } of variants) {
    const chosen = fitting.find(({ id }) => id !== 'original') ?? fitting[0];
    for (const one of fitting) {
      const channels = one.inits.at(-1)?.channels;
      lines.push(
        `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=${quoted(group)},NAME=${quoted(one.title)}` +
          (one.language === null ? '' : `,LANGUAGE=${quoted(one.language)}`) +
          `,DEFAULT=${one === chosen ? 'YES' : 'NO'},AUTOSELECT=YES` +
          (channels ? `,CHANNELS="${channels}"` : '') +
          `,URI="${one.id}/index.m3u8"`,
      );
    }
  }
  for (const one of captions)
    lines.push(
      `#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME=${quoted(one.title)},LANGUAGE=${quoted(one.language ?? from)}` +
        `,DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="${one.id}/index.m3u8"`,
    );
  for (const { picture, group, fitting } of variants) {
    if (!picture && fitting.length === 0) continue;
    const sound = fitting.map((one) => rateOf(one.segments));
    const rate = picture ? rateOf(picture.segments) : { peak: 0, average: 0 };
    const most = (which: 'peak' | 'average') => rate[which] + Math.max(0, ...sound.map((one) => one[which]));
    const room = [picture, ...fitting].every((one) => !one || one.ended) ? 1 : TO_COME;
    const init = picture?.inits.at(-1);
    const fps = picture && pictureRate(picture.segments);
    const codecs = [init?.codec, fitting[0]?.inits.at(-1)?.codec].filter((codec) => codec !== undefined);
    lines.push(
      `#EXT-X-STREAM-INF:BANDWIDTH=${Math.ceil(most('peak') * room)},AVERAGE-BANDWIDTH=${most('average')},CODECS=${quoted(codecs.join(','))}` +
        (init?.size ? `,RESOLUTION=${init.size.width}x${init.size.height}` : '') +
        (fps === undefined ? '' : `,FRAME-RATE=${fps.toFixed(3)}`) +
        (fitting.length > 0 ? `,AUDIO=${quoted(group)}` : '') +
        (captions.length > 0 ? ',SUBTITLES="captions"' : '') +
        ',CLOSED-CAPTIONS=NONE',
      `${picture?.id ?? fitting[0]?.id}/index.m3u8`,
    );
  }
  return `${lines.join('\n')}\n`;
}
