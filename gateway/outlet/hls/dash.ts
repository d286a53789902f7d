import { PICTURE_SCALE, SOUND_SCALE } from '../../../media/fmp4.ts';
import { type Rendition, type Segment, endOf, pictureRate, rateOf } from './shelf.ts';
import { initName } from './playlist.ts';

export interface DashTiming {
  readonly target: number;
  /** Seconds that are kept. */
  readonly window: number;
  readonly part: number;
  /** When media time 0 was shown, ms since 1970. */
  readonly origin: number;
  /** Wall clock, ms since 1970. */
  readonly now: number;
}
const xml = (value: string) =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/**
 * The same segments as an MPD (ISO/IEC 23009-1, live profile), a period between two discontinuities. It is dynamic until the
 * programme is over; then it is static, so that players know where it ends (§5.3.1.2).
 *
 * @param windowOf a rendition's segments in the window
 */
export function mpd(
  renditions: readonly Rendition[],
  windowOf: (of: Rendition) => readonly Segment[],
  timing: DashTiming,
): string {
  const shown = renditions
    .filter(({ kind, gone }) => kind !== 'captions' && !gone)
    .map((rendition) => ({ rendition, segments: windowOf(rendition).filter(({ complete }) => complete) }));
  const all = shown.flatMap(({ segments }) => segments);
  const epochs = [...new Set(all.map(({ discontinuities }) => discontinuities))].sort((a, b) => a - b);
  // Presentation time is media time, so availability starts where media time 0 is shown.
  const date = (at: number) => new Date(at).toISOString();
  const periods = epochs.map((epoch) => {
    const sets = shown.flatMap(({ rendition, segments }, n) => {
      const own = segments.filter(({ discontinuities }) => discontinuities === epoch);
      return own.length > 0 ? [adaptation(rendition, own, n + 1)] : [];
    });
    const start = Math.min(...all.filter(({ discontinuities }) => discontinuities === epoch).map((one) => one.start));
    // The first period begins at 0 however much of it is still kept.
    const first = epoch === 0 ? 0 : start / 1e6;
    return `  <Period id="p${epoch}" start="PT${first}S">\n${sets.map((set) => set(first)).join('')}  </Period>\n`;
  });
  const over = shown.length > 0 && shown.every(({ rendition }) => rendition.ended);
  const kind = over
    ? ` type="static" mediaPresentationDuration="PT${Math.max(0, ...all.map(endOf)) / 1e6}S"`
    : ` type="dynamic" availabilityStartTime="${date(timing.origin)}" publishTime="${date(timing.now)}"` +
      ` minimumUpdatePeriod="PT1S" timeShiftBufferDepth="PT${timing.window}S"` +
      ` suggestedPresentationDelay="PT${timing.target * 2}S"`;
  const clock = `  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:direct:2014" value="${date(timing.now)}"/>\n`;
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011"${kind}` +
    ` minBufferTime="PT${timing.target}S" maxSegmentDuration="PT${timing.target + 0.5}S">\n` +
    `${periods.join('')}${over ? '' : clock}</MPD>\n`
  );
}

function adaptation(rendition: Rendition, segments: readonly Segment[], id: number): (start: number) => string {
  const [first] = segments;
  const init = first && rendition.inits[first.init];
  if (!first || !init) return () => '';
  const video = rendition.kind === 'video';
  const scale = video ? PICTURE_SCALE : SOUND_SCALE;
  const ticks = (time: number) => Math.round((time * scale) / 1e6);
  const timeline = segments.map((one) => `<S t="${ticks(one.start)}" d="${ticks(endOf(one)) - ticks(one.start)}"/>`);
  const fps = pictureRate(segments);
  return (start) =>
    `    <AdaptationSet id="${id}" contentType="${video ? 'video' : 'audio'}" mimeType="${video ? 'video' : 'audio'}/mp4"` +
    (rendition.language === null ? '' : ` lang="${xml(rendition.language)}"`) +
    ` segmentAlignment="true" startWithSAP="1">\n` +
    `      <Label>${xml(rendition.title)}</Label>\n` +
    `      <SegmentTemplate timescale="${scale}" presentationTimeOffset="${ticks(start * 1e6)}" startNumber="${first.number}"` +
    ` initialization="${rendition.id}/${initName(rendition, first)}" media="${rendition.id}/$Number$.m4s">\n` +
    `        <SegmentTimeline>${timeline.join('')}</SegmentTimeline>\n      </SegmentTemplate>\n` +
    `      <Representation id="${rendition.id}" codecs="${init.codec}" bandwidth="${rateOf(segments).peak}"` +
    (init.size ? ` width="${init.size.width}" height="${init.size.height}"` : ` audioSamplingRate="${SOUND_SCALE}"`) +
    (video && fps ? ` frameRate="${Math.round(fps * 1000)}/1000"` : '') +
    `/>\n    </AdaptationSet>\n`;
}
