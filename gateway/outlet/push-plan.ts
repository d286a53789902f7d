import { iso639 } from '../../media/iso639.ts';
import type { TrackId } from '../protocol.ts';
import type { PushSpec } from '../source-spec.ts';
import type { OutTrack } from './outlet.ts';

/** What of the programme a push carries. */
export interface PushPlan {
  readonly picture: TrackId | null;
  /** In the order of the tracks, with ISO 639-2 codes. */
  readonly sounds: readonly { readonly id: TrackId; readonly language: string }[];
}

export const isRtmp = ({ url }: Pick<PushSpec, 'url'>): boolean => /^rtmps?:/i.test(url);

const sameLanguage = (tag: string, wanted: string): boolean => {
  const [a, b] = [tag.toLowerCase(), wanted.toLowerCase()];
  return a === b || a.startsWith(`${b}-`);
};

/**
 * Tracks that go to `spec.url`: RTMP carries one language, SRT all of them unless one is named. `null` where the language
 * that is named is not there (yet), or where there is nothing to send.
 */
export function planOf(tracks: readonly OutTrack[], spec: PushSpec, from: string): PushPlan | null {
  const audible = tracks.filter(({ kind, id }) => kind === 'audio' && !id.startsWith('voice:'));
  const original = audible.find(({ id }) => id === 'original');
  const dubs = audible.filter((track) => track !== original);
  const wanted = spec.language;
  const named =
    wanted === undefined
      ? undefined
      : wanted === 'original'
        ? original
        : (dubs.find(({ language }) => language?.toLowerCase() === wanted.toLowerCase()) ??
          dubs.find(({ language }) => language !== null && sameLanguage(language, wanted)) ??
          (sameLanguage(from, wanted) ? original : undefined));
  const one = wanted !== undefined ? named : isRtmp(spec) ? (dubs[0] ?? original) : undefined;
  if (wanted !== undefined && !one) return null;
  const sounds = one ? [one] : isRtmp(spec) ? [] : audible;
  const picture =
    tracks.find(({ id }) => one && one !== original && id === `video:${one.language ?? ''}`) ??
    tracks.find(({ id }) => id === 'video');
  if (!picture && sounds.length === 0) return null;
  return {
    picture: picture?.id ?? null,
    sounds: sounds.map(({ id, language }) => ({ id, language: iso639(language ?? from) })),
  };
}

export const samePlan = (a: PushPlan | null, b: PushPlan | null): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Where FFmpeg gives up on a server that takes nothing more, µs. */
const PATIENCE = '10000000';

/**
 * FFmpeg's arguments: a transport stream on its stdin, sent on bit for bit. It reports what it has sent on its stdout.
 *
 * SRT's time stamps go on where the last connection ended, RTMP's begin at 0 with each. A stream key goes to nobody whose
 * certificate is not trusted.
 *
 * @param trusted certificates in place of the system's, as `SSL_CERT_FILE` names them to OpenSSL
 */
export function pushArguments(spec: PushSpec, trusted = process.env['SSL_CERT_FILE']): string[] {
  const input = ['-protocol_whitelist', 'pipe', '-fpsprobesize', '0'];
  const probe = ['-analyzeduration', '1000000', '-f', 'mpegts', '-i', 'pipe:0'];
  const copy = ['-map', '0', '-c', 'copy', '-max_interleave_delta', '500000', '-flush_packets', '1'];
  const report = ['-progress', 'pipe:1', '-stats_period', '0.1'];
  // Access unit delimiters belong to transport streams only (ISO/IEC 14496-15, 5.2.2).
  const flv = ['-bsf:v', 'filter_units=remove_types=9', '-flvflags', 'no_duration_filesize', '-rw_timeout', PATIENCE];
  const tls = /^rtmps:/i.test(spec.url) ? ['-tls_verify', '1', ...(trusted ? ['-ca_file', trusted] : [])] : [];
  const ts = ['-muxdelay', '0', '-muxpreload', '0', '-pat_period', '0.25'];
  return isRtmp(spec)
    ? [...report, ...input, ...probe, ...copy, ...flv, ...tls, '-f', 'flv', spec.url]
    : [...report, ...input, ...probe, '-copyts', ...copy, ...ts, '-f', 'mpegts', spec.url];
}

/** The address as it may be shown: an RTMP path ends in the key, an SRT query has the passphrase. */
export function shownAddress(url: string): string {
  const { protocol, hostname, port } = new URL(url);
  return `${protocol}//${hostname}${port && `:${port}`}`;
}

/** What FFmpeg may be quoted with: its lines name the whole address, key and all. */
const KNOWN: readonly (readonly [RegExp, string])[] = [
  [/connection refused/i, 'nobody listens there'],
  [/certificate/i, 'its certificate is not trusted'],
  [/not found|name or service not known|failed to resolve/i, 'there is no such host'],
  [
    /publish[^|]*(denied|bad ?name|rejected|not allowed|unauthori[sz]ed)|server error|authmod/i,
    'the server refused the key',
  ],
  [
    /bad ?secret|wrong password|passphrase|rejected|ERROR:UNAUTHORIZED/i,
    'the server refused the passphrase or stream id',
  ],
  [/timed? ?out|timeout/i, 'it did not answer in time'],
  [/no route|unreachable/i, 'the network does not reach it'],
  [/broken pipe|reset by peer|input\/output error|end of file|connection was broken/i, 'it closed the connection'],
  [/tls|ssl/i, 'TLS could not be agreed on'],
];
export const reasonIn = (lines: readonly string[]): string =>
  KNOWN.find(([pattern]) => lines.some((line) => pattern.test(line)))?.[1] ?? 'FFmpeg could not send';
