/**
 * What is asked of an HLS presentation, each rule with where it is written: `bis` is draft-pantos-hls-rfc8216bis (sections
 * as in its versions 13 to 16), `Apple` is the HLS authoring specification for Apple devices, by item.
 *
 * An `error` breaks a MUST that players depend on, a `warning` anything else that helps them; a `note` never counts
 * against the presentation.
 */
export type Severity = 'error' | 'warning' | 'note';
export interface Rule {
  readonly severity: Severity;
  readonly section: string;
  readonly fix: string;
}
const rule = (severity: Severity, section: string, fix: string): Rule => ({ severity, section, fix });

export const RULES = {
  // Writing
  header: rule('error', 'bis §4.4.1.1', 'Begin every playlist with #EXTM3U.'),
  encoding: rule('error', 'bis §4', 'Write UTF-8 without a byte order mark.'),
  attributes: rule('error', 'bis §4.2', 'Write NAME=value,NAME="value", each name once, no spaces between.'),
  number: rule('error', 'bis §4.2', 'Write a decimal number.'),
  twice: rule('error', 'bis §4.4.1.2', 'Write the tag once.'),
  extinf: rule('error', 'bis §4.4.4.1', 'Write #EXTINF before every segment’s URI.'),
  version: rule('error', 'bis §8', 'Raise EXT-X-VERSION to what the tags in the playlist need.'),
  // A media playlist by itself
  'target-missing': rule('error', 'bis §4.4.3.1', 'Write #EXT-X-TARGETDURATION.'),
  'segment-long': rule('error', 'bis §4.4.3.1, Apple 7.7', 'Cut earlier, or announce a longer target duration.'),
  'part-target-missing': rule('error', 'bis §4.4.3.7', 'Write #EXT-X-PART-INF:PART-TARGET=… where there are parts.'),
  'part-long': rule('error', 'bis §4.4.4.9', 'No part may be longer than PART-TARGET.'),
  'part-short': rule(
    'error',
    'bis §4.4.4.9',
    'Parts last 85 % of PART-TARGET unless they are independent or end a segment.',
  ),
  'parts-sum': rule('error', 'bis §4.4.4.9, Apple 8.1', 'A segment is as long as its parts together.'),
  'parts-removed': rule('error', 'bis §6.2.2', 'List parts for three target durations from the end.'),
  'hold-back': rule('error', 'bis §4.4.3.8', 'HOLD-BACK is three target durations or more.'),
  'part-hold-back-missing': rule('error', 'bis §4.4.3.8', 'Give PART-HOLD-BACK where there are parts.'),
  'part-hold-back': rule('error', 'bis §4.4.3.8, Apple 14.3', 'PART-HOLD-BACK is three PART-TARGETs or more.'),
  'skip-until': rule('error', 'bis §4.4.3.8', 'CAN-SKIP-UNTIL is six target durations or more.'),
  'no-blocking': rule('error', 'bis appendix B.1', 'Offer CAN-BLOCK-RELOAD=YES.'),
  'no-delta': rule('warning', 'Apple 14.4', 'Offer delta updates for windows longer than two minutes.'),
  'hint-missing': rule('error', 'bis appendix B.1', 'Hint at the next part with EXT-X-PRELOAD-HINT.'),
  'hint-at-end': rule('error', 'bis §4.4.5.3', 'Hint at nothing behind EXT-X-ENDLIST.'),
  'date-missing': rule('error', 'bis appendix B.1, Apple 8.4', 'Date live playlists with EXT-X-PROGRAM-DATE-TIME.'),
  'date-jump': rule('error', 'bis §4.4.4.6, Apple 8.1', 'A segment’s date is the one before and that one’s duration.'),
  'era-missing': rule(
    'warning',
    'Apple 8.17',
    'Write EXT-X-DISCONTINUITY-SEQUENCE where there may be a discontinuity.',
  ),
  'no-type': rule(
    'warning',
    'Apple 8.6, 8.8',
    'Say EXT-X-PLAYLIST-TYPE:VOD of what is finished and begins at its beginning.',
  ),
  'few-segments': rule('note', 'Apple 8.11', 'List six segments or more.'),
  // A media playlist over time
  'sequence-back': rule('error', 'bis §4.4.3.2, §6.2.2', 'Media sequence numbers never fall.'),
  'segment-changed': rule('error', 'bis §6.2.1', 'What a playlist said of a segment stays as it is.'),
  'segment-vanished': rule('error', 'bis §6.2.2', 'Remove segments from the beginning only.'),
  'part-changed': rule('error', 'bis §6.2.1', 'What a playlist said of a part stays as it is.'),
  'target-changed': rule('error', 'bis §4.4.3.1, §6.2.1', 'Target durations never change.'),
  'era-wrong': rule('error', 'bis §6.2.2', 'Count EXT-X-DISCONTINUITY tags that are removed.'),
  'after-end': rule('error', 'bis §4.4.3.4', 'Add nothing behind EXT-X-ENDLIST.'),
  'window-short': rule('error', 'bis §6.2.2', 'Keep three target durations in a live playlist.'),
  'update-late': rule('error', 'bis §6.2.2', 'Add a segment every 1.5 target durations at least.'),
  'hint-broken': rule('warning', 'bis §4.4.5.3', 'Publish the part that was hinted at.'),
  // Asking for what comes
  'answer-early': rule(
    'error',
    'bis §6.2.5.2',
    'Answer _HLS_msn and _HLS_part when the playlist holds what they name.',
  ),
  'answer-status': rule('error', 'bis §6.2.1', 'Answer what the playlists name.'),
  'delta-wrong': rule('error', 'bis §6.2.5.1', 'A delta update with what it leaves out is the playlist.'),
  'delta-ignored': rule('warning', 'bis §6.2.5.1', 'Leave out segments when asked with _HLS_skip=YES.'),
  'far-ahead': rule('warning', 'bis §6.2.5.2', 'Answer 400 to an _HLS_msn more than two segments ahead.'),
  starved: rule(
    'error',
    'bis appendix B.1',
    'Publish in time: a player at PART-HOLD-BACK (or HOLD-BACK) has run out of media.',
  ),
  // Media
  'map-missing': rule('error', 'bis §3.1.2, Apple 8.20', 'Name the init with EXT-X-MAP.'),
  'init-broken': rule('error', 'bis §3.1.2', 'An init holds ftyp and moov, and nothing of the media.'),
  'piece-broken': rule(
    'error',
    'bis §3.1',
    'Write whole fragments, or whole transport packets beginning with PAT and PMT.',
  ),
  'piece-empty': rule('warning', 'bis §3.1', 'A part holds media, or is a GAP.'),
  'time-gap': rule(
    'error',
    'bis §3.1.2, Apple 7.1 to 7.3',
    'Begin where the piece before ended, or mark a discontinuity.',
  ),
  'length-untrue': rule('error', 'Apple 8.1', 'Say how long the media really are, to a frame.'),
  'independent-untrue': rule('error', 'bis §4.4.4.9', 'INDEPENDENT=YES is for parts that begin with a key frame.'),
  'independent-missing': rule('warning', 'bis §4.4.4.9', 'Say INDEPENDENT=YES of parts that begin with a key frame.'),
  'key-missing': rule('error', 'bis §4.4.2.1, Apple 7.4', 'Begin segments with a key frame.'),
  'parts-unlike': rule('error', 'bis §6.2.1', 'A segment holds what its parts hold.'),
  'media-changed': rule('error', 'bis §6.2.1', 'The same URI answers the same bytes.'),
  'dates-apart': rule('error', 'bis §4.4.4.6', 'Date all renditions on one timeline.'),
  // Captions
  'vtt-header': rule('error', 'bis §3.1.4', 'Begin with WEBVTT.'),
  'vtt-map': rule('error', 'bis §3.1.4, Apple 5.3', 'Map cue times to media times with X-TIMESTAMP-MAP.'),
  'vtt-cue': rule('error', 'WebVTT §4.1', 'A cue ends after it begins.'),
  'vtt-outside': rule('error', 'bis §3.1.4', 'A segment holds the cues that are seen during it.'),
  // Renditions beside each other
  'targets-differ': rule('error', 'bis §6.2.4, Apple 8.2', 'Give all playlists the same target duration.'),
  'eras-differ': rule('error', 'bis §6.2.4, Apple 8.15', 'Put discontinuities at the same places in all renditions.'),
  'windows-differ': rule('warning', 'Apple 8.3', 'List the same stretch of the programme in all playlists.'),
  'report-missing': rule('error', 'bis appendix B.1', 'Report the edges of all other playlists.'),
  'report-old': rule('error', 'bis §4.4.5.4', 'Report edges as new as the playlist itself.'),
  // The multivariant playlist
  'no-variant': rule('error', 'bis §4.4.6.2', 'Name a playlist with EXT-X-STREAM-INF.'),
  'bandwidth-missing': rule('error', 'bis §4.4.6.2', 'Give BANDWIDTH.'),
  'average-missing': rule('warning', 'Apple 9.14', 'Give AVERAGE-BANDWIDTH.'),
  'codecs-missing': rule('error', 'bis §4.4.6.2, Apple 9.1', 'Give CODECS.'),
  'resolution-missing': rule('warning', 'Apple 9.2', 'Give RESOLUTION.'),
  'rate-missing': rule('warning', 'Apple 9.15', 'Give FRAME-RATE.'),
  'media-incomplete': rule('error', 'bis §4.4.6.1', 'Give TYPE, GROUP-ID and NAME, and a URI for subtitles.'),
  'group-missing': rule('error', 'bis §4.4.6.2', 'Name groups that there are.'),
  'group-unused': rule('warning', 'bis §4.4.6.2.1', 'Name every group in a variant.'),
  'name-twice': rule('error', 'bis §4.4.6.1.1', 'Names differ within a group.'),
  'default-twice': rule('error', 'bis §4.4.6.1.1', 'One rendition of a group is DEFAULT.'),
  'default-hidden': rule('error', 'bis §4.4.6.1', 'What is DEFAULT is AUTOSELECT.'),
  'language-missing': rule('error', 'Apple 8.10', 'Give LANGUAGE.'),
  'language-bad': rule('error', 'bis §4.4.6.1, RFC 5646', 'Give a BCP 47 tag.'),
  'channels-missing': rule('warning', 'bis §4.4.6.1', 'Give CHANNELS of sound.'),
  'groups-differ': rule('warning', 'bis §4.4.6.1.1', 'Groups of one type have the same members.'),
  'captions-mixed': rule('error', 'bis §4.4.6.2', 'CLOSED-CAPTIONS=NONE is for all variants or none.'),
  'independent-tag': rule(
    'warning',
    'Apple 9.11, 9.12',
    'Write EXT-X-INDEPENDENT-SEGMENTS where all segments begin with a key frame.',
  ),
  'codecs-untrue': rule('error', 'bis §4.4.6.2', 'CODECS names what the inits hold.'),
  'size-untrue': rule('warning', 'bis §4.4.6.2', 'RESOLUTION is the pictures’ size.'),
  'rate-untrue': rule('warning', 'bis §4.4.6.2', 'FRAME-RATE is the highest there is.'),
  'channels-untrue': rule('warning', 'bis §4.4.6.1', 'CHANNELS is what the init says.'),
  'bandwidth-low': rule('error', 'bis §4.4.6.2, Apple 9.13', 'BANDWIDTH is the highest rate of any segment.'),
  'average-low': rule('warning', 'bis §4.4.6.2', 'AVERAGE-BANDWIDTH is the mean rate of all segments.'),
  'one-rate': rule('note', 'Apple 9.9', 'Offer several bit rates.'),
  'no-i-frames': rule('note', 'Apple 6.1', 'Offer playlists of key frames.'),
  // Delivery
  'playlist-type': rule('error', 'bis §4', 'Serve playlists as application/vnd.apple.mpegurl.'),
  'media-type': rule('warning', 'Apple 10.4', 'Serve video/mp4, audio/mp4, video/mp2t or text/vtt.'),
  'no-gzip': rule('warning', 'Apple 10.1, bis appendix B.1', 'Compress playlists with gzip.'),
  'no-cors': rule('warning', 'WHATWG Fetch §3.2', 'Let pages of other origins read: Access-Control-Allow-Origin.'),
  'cache-stale': rule(
    'warning',
    'bis §6.2.2, RFC 9111 §5.2',
    'Let caches keep a live playlist for a part or a segment at most.',
  ),
  'cache-none': rule('warning', 'RFC 9111 §5.2', 'Let caches keep media, which never change.'),
  redirect: rule('warning', 'Apple 8.18', 'Answer media requests without a redirect.'),
  'gone-early': rule(
    'error',
    'bis §6.2.2',
    'Keep a removed segment for its duration and the longest playlist that held it.',
  ),
  'missing-not-404': rule('warning', 'RFC 9110 §15.5.5', 'Answer 404 or 410 to what there is not.'),
} as const satisfies Record<string, Rule>;
export type RuleId = keyof typeof RULES;

/** Something that a rule does not allow. */
export interface Finding {
  readonly rule: RuleId;
  /** Which playlist or piece. */
  readonly where: string;
  readonly seen: string;
}
export type Find = (rule: RuleId, seen: string, where?: string) => Finding;
/** Findings of one place. */
export const finder =
  (at: string): Find =>
  (rule, seen, where = at) => ({ rule, where, seen });
