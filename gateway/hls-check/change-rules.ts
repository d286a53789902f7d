import { type MediaPlaylist, type Segment, edgeOf, lengthOf } from './m3u8.ts';
import { type Find, type Finding, finder } from './rules.ts';

const SAME = 0.000_5;

/** One version of a media playlist with the time it came, ms on any clock. Delta updates are filled in before. */
export interface Version {
  readonly at: number;
  readonly playlist: MediaPlaylist;
}

/** What a playlist breaks by becoming another. */
export function changeFindings(before: MediaPlaylist, after: MediaPlaylist, at: string): Finding[] {
  const find = finder(at);
  if (before.ended) {
    const more = (after.segments.at(-1)?.number ?? -1) > (before.segments.at(-1)?.number ?? -1);
    return more || !after.ended ? [find('after-end', 'it goes on behind EXT-X-ENDLIST')] : [];
  }
  if (after.sequence < before.sequence)
    return [find('sequence-back', `EXT-X-MEDIA-SEQUENCE ${before.sequence}, then ${after.sequence}`)];
  const all: Finding[] = [];
  if (before.target !== after.target)
    all.push(find('target-changed', `EXT-X-TARGETDURATION ${before.target}, then ${after.target}`));
  if (before.partTarget !== undefined && after.partTarget !== undefined && before.partTarget !== after.partTarget)
    all.push(find('target-changed', `PART-TARGET ${before.partTarget}, then ${after.partTarget}`));
  const now = new Map(after.segments.map((segment) => [segment.number, segment]));
  for (const old of before.segments) {
    if (old.number < after.sequence) continue;
    const same = now.get(old.number);
    if (same) all.push(...segmentChanges(old, same, find));
    else all.push(find('segment-vanished', `segment ${old.number} is not listed, and nothing behind it was`));
  }
  const first = after.segments[0];
  const known = first && before.segments.find(({ number }) => number === first.number);
  if (known && known.era !== first.era)
    all.push(find('era-wrong', `segment ${first.number} had discontinuity sequence ${known.era}, then ${first.era}`));
  all.push(...windows(before, after, find), ...hints(before, after, find));
  return all;
}

function segmentChanges(old: Segment, now: Segment, find: Find): Finding[] {
  const all: Finding[] = [];
  const { number } = old;
  const differs = (what: string, a: unknown, b: unknown) =>
    all.push(find('segment-changed', `segment ${number}, ${what}: ${String(a)}, then ${String(b)}`));
  if (old.uri !== undefined) {
    if (old.uri !== now.uri) differs('URI', old.uri, now.uri);
    if (Math.abs((old.duration ?? 0) - (now.duration ?? 0)) > SAME) differs('EXTINF', old.duration, now.duration);
  }
  if (old.discontinuity !== now.discontinuity && old.uri !== undefined)
    differs('EXT-X-DISCONTINUITY', old.discontinuity, now.discontinuity);
  if (old.map !== now.map) differs('EXT-X-MAP', old.map, now.map);
  if (old.date !== undefined && now.date !== undefined && Math.abs(old.date - now.date) > 1)
    differs('EXT-X-PROGRAM-DATE-TIME', new Date(old.date).toISOString(), new Date(now.date).toISOString());
  // Parts may be taken out of old segments, all of them.
  if (now.parts.length === 0) {
    if (now.uri === undefined && old.parts.length > 0)
      all.push(find('part-changed', `the parts of segment ${number} are gone before it is whole`));
    return all;
  }
  old.parts.forEach((part, n) => {
    const same = now.parts[n];
    const kept =
      same?.uri === part.uri &&
      same.range === part.range &&
      same.independent === part.independent &&
      Math.abs(same.duration - part.duration) <= SAME;
    if (!kept) all.push(find('part-changed', `part ${number}.${n}: ${part.uri}, then ${same?.uri ?? 'none'}`));
  });
  return all;
}

function windows(before: MediaPlaylist, after: MediaPlaylist, find: Find): Finding[] {
  const length = after.segments.reduce((sum, segment) => sum + lengthOf(segment), 0);
  const removed = after.sequence > before.sequence;
  return removed && !after.ended && after.target !== undefined && length < 3 * after.target - 0.01
    ? [find('window-short', `${length.toFixed(1)} s after a segment was removed`)]
    : [];
}

/** The part that was hinted at is the next one, where nothing but a part was added. */
function hints(before: MediaPlaylist, after: MediaPlaylist, find: Find): Finding[] {
  const edge = edgeOf(before);
  if (before.hint === undefined || !edge || after.ended) return [];
  const open = after.segments.find(({ number }) => number === edge.number);
  const next = open?.parts[edge.part + 1] ?? after.segments.find(({ number }) => number === edge.number + 1)?.parts[0];
  return next && next.uri !== before.hint ? [find('hint-broken', `hinted at ${before.hint}, then ${next.uri}`)] : [];
}

/** Pauses between new segments that are longer than they may be; `now` is when it was looked last. */
export function rhythmFindings(versions: readonly Version[], now: number, at: string): Finding[] {
  const find = finder(at);
  const all: Finding[] = [];
  let [newest, since] = [-1, 0];
  for (const { at: when, playlist } of versions) {
    const last = playlist.segments.findLast(({ uri }) => uri !== undefined)?.number ?? -1;
    if (last > newest) {
      all.push(...late(playlist, newest < 0 ? 0 : when - since, find));
      [newest, since] = [last, when];
    }
  }
  const last = versions.at(-1)?.playlist;
  if (last && !last.ended && newest >= 0) all.push(...late(last, now - since, find));
  return all;
}
/** Half a second for the network and for the clocks of both. */
const late = ({ target = 0 }: MediaPlaylist, waited: number, find: Find): Finding[] =>
  waited > target * 1_500 + 500
    ? [find('update-late', `${(waited / 1_000).toFixed(1)} s without a new segment, target ${target} s`)]
    : [];

/** A delta update, filled up, against the playlist as it is without `_HLS_skip`. */
export function deltaFindings(filled: MediaPlaylist, full: MediaPlaylist, at: string): Finding[] {
  const said = (playlist: MediaPlaylist, number: number) => {
    const one = playlist.segments.find((segment) => segment.number === number);
    return one && JSON.stringify([one.uri, one.duration, one.map, one.discontinuity, one.era]);
  };
  const whole = (one: Segment | undefined) => one?.uri !== undefined;
  const other = full.segments.find(
    (one) =>
      whole(one) &&
      whole(filled.segments.find(({ number }) => number === one.number)) &&
      said(full, one.number) !== said(filled, one.number),
  );
  if (!other) return [];
  const { number } = other;
  const seen = `segment ${number}: ${said(filled, number)}, without _HLS_skip ${said(full, number)}`;
  return [finder(at)('delta-wrong', seen)];
}
