import { type MediaPlaylist, type Segment, type Written, lengthOf } from './m3u8.ts';
import { type Find, type Finding, finder } from './rules.ts';

/** Times in playlists are rounded by who writes them. */
const ROUNDED = 0.002;
/** A frame of pictures (a 25th of a second) or of sound: what lengths may be off by (Apple 8.1). */
export const FRAME = 0.042;
const LEAST_PART = 0.85;

export const writing = ({ troubles }: Written, find: Find): Finding[] =>
  troubles.map(({ what, line, seen }) => find(what, `line ${line}: ${seen}`));

/** What a media playlist breaks by itself. */
export function playlistFindings(playlist: MediaPlaylist, at: string): Finding[] {
  const find = finder(at);
  return [
    ...writing(playlist, find),
    ...versions(playlist, find),
    ...segments(playlist, find),
    ...parts(playlist, find),
    ...control(playlist, find),
    ...dates(playlist, find),
  ];
}

function versions({ version = 1, tags, segments }: MediaPlaylist, find: Find): Finding[] {
  const names = new Set(tags.map(({ name }) => name));
  const broken = segments.some(({ duration = 0 }) => !Number.isInteger(duration));
  const needs: readonly (readonly [number, string, boolean])[] = [
    [9, 'EXT-X-SKIP', names.has('EXT-X-SKIP')],
    [8, 'EXT-X-DEFINE', names.has('EXT-X-DEFINE')],
    [6, 'EXT-X-MAP', names.has('EXT-X-MAP') && !names.has('EXT-X-I-FRAMES-ONLY')],
    [4, 'EXT-X-BYTERANGE', names.has('EXT-X-BYTERANGE')],
    [3, 'an EXTINF with a fraction', broken],
  ];
  const most = needs.find(([, , there]) => there);
  return most && version < most[0]
    ? [find('version', `version ${version} with ${most[1]}, which is of ${most[0]}`)]
    : [];
}

function segments({ target, segments, ended, type, sequence }: MediaPlaylist, find: Find): Finding[] {
  const all: Finding[] = [];
  if (target === undefined) all.push(find('target-missing', 'none'));
  for (const { number, duration } of segments)
    if (target !== undefined && duration !== undefined && Math.round(duration) > target)
      all.push(find('segment-long', `segment ${number} lasts ${duration} s, the target is ${target} s`));
  if (ended && type === undefined && sequence === 0) all.push(find('no-type', 'ended, and no EXT-X-PLAYLIST-TYPE'));
  return all;
}

/** Seconds from each segment's end to the playlist's. */
function ends(segments: readonly Segment[]): number[] {
  let left = 0;
  const from = segments.map(() => 0);
  for (let n = segments.length - 1; n >= 0; n -= 1) {
    from[n] = left;
    left += lengthOf(segments[n]!);
  }
  return from;
}

function parts({ partTarget, target = 0, segments, hint, ended }: MediaPlaylist, find: Find): Finding[] {
  const all: Finding[] = [];
  const parted = segments.some((segment) => segment.parts.length > 0);
  if (ended && hint !== undefined) all.push(find('hint-at-end', hint));
  if (!parted) return all;
  if (partTarget === undefined) return [...all, find('part-target-missing', 'parts without EXT-X-PART-INF')];
  if (!ended && hint === undefined) all.push(find('hint-missing', 'parts without a hint'));
  const left = ends(segments);
  segments.forEach((segment, n) => {
    const { number, duration, parts } = segment;
    parts.forEach((part, i) => {
      const said = `part ${number}.${i} lasts ${part.duration} s, PART-TARGET is ${partTarget} s`;
      if (part.duration > partTarget + ROUNDED) all.push(find('part-long', said));
      const final = duration !== undefined && i === parts.length - 1;
      // The newest part of a segment that is being written may turn out to be its last.
      const unknown = duration === undefined && i === parts.length - 1;
      const excused = part.independent || part.gap || parts[i + 1]?.gap === true || final || unknown;
      if (!excused && part.duration < LEAST_PART * partTarget - ROUNDED) all.push(find('part-short', said));
    });
    if (duration === undefined) return;
    const sum = parts.reduce((total, part) => total + part.duration, 0);
    if (parts.length > 0 && Math.abs(sum - duration) > FRAME)
      all.push(find('parts-sum', `segment ${number} lasts ${duration} s, its parts ${sum.toFixed(3)} s`));
    const early = segments.slice(0, n + 1).some((one) => one.parts.length > 0);
    if (parts.length === 0 && !ended && early && (left[n] ?? 0) + ROUNDED < 3 * target)
      all.push(find('parts-removed', `segment ${number}, ${(left[n] ?? 0).toFixed(1)} s from the end, has none`));
  });
  return all;
}

function control(playlist: MediaPlaylist, find: Find): Finding[] {
  const { control: says, target, partTarget, segments, ended } = playlist;
  const all: Finding[] = [];
  const parted = segments.some(({ parts }) => parts.length > 0);
  if (target !== undefined) {
    if (says?.holdBack !== undefined && says.holdBack < 3 * target - ROUNDED)
      all.push(find('hold-back', `HOLD-BACK ${says.holdBack} s, target duration ${target} s`));
    if (says?.skipUntil !== undefined && says.skipUntil < 6 * target - ROUNDED)
      all.push(find('skip-until', `CAN-SKIP-UNTIL ${says.skipUntil} s, target duration ${target} s`));
  }
  if (!parted || partTarget === undefined) return all;
  if (says?.partHoldBack === undefined) all.push(find('part-hold-back-missing', 'none'));
  else if (says.partHoldBack < 3 * partTarget - ROUNDED)
    all.push(find('part-hold-back', `PART-HOLD-BACK ${says.partHoldBack} s, PART-TARGET ${partTarget} s`));
  if (says?.block !== true && !ended) all.push(find('no-blocking', 'CAN-BLOCK-RELOAD is not YES'));
  const window = segments.reduce((sum, segment) => sum + lengthOf(segment), 0);
  if (says?.skipUntil === undefined && !ended && window > 120)
    all.push(find('no-delta', `${window.toFixed(0)} s are listed, and CAN-SKIP-UNTIL is missing`));
  return all;
}

function dates({ segments, ended, tags, skipped }: MediaPlaylist, find: Find): Finding[] {
  const all: Finding[] = [];
  const dated = segments.some(({ date }) => date !== undefined);
  if (!ended && segments.length > 0 && skipped === 0 && !dated) all.push(find('date-missing', 'no segment has a date'));
  segments.forEach((segment, n) => {
    const before = segments[n - 1];
    if (segment.date === undefined || before?.date === undefined || segment.discontinuity) return;
    const step = (segment.date - before.date) / 1_000 - lengthOf(before);
    if (Math.abs(step) > FRAME)
      all.push(
        find('date-jump', `segment ${segment.number} is dated ${step.toFixed(3)} s after the end of the one before`),
      );
  });
  const counted = tags.some(({ name }) => name === 'EXT-X-DISCONTINUITY-SEQUENCE');
  if (!ended && !counted && segments.some(({ discontinuity }) => discontinuity))
    all.push(find('era-missing', 'a discontinuity and no EXT-X-DISCONTINUITY-SEQUENCE'));
  return all;
}

/** Segments as dated by the nearest date before them, ms since 1970. */
export function datesOf({ segments }: MediaPlaylist): ReadonlyMap<number, number> {
  const all = new Map<number, number>();
  let at: number | undefined;
  for (const segment of segments) {
    at = segment.date ?? at;
    if (at === undefined) continue;
    all.set(segment.number, at);
    at += lengthOf(segment) * 1_000;
  }
  return all;
}
