import { FfmpegError } from './ffmpeg.ts';
import { Refusal } from './refusal.ts';

/** A source that is not there just now, or that broke off: it may come back, so try again. */
export class StreamAway extends Error {
  override readonly name = 'StreamAway';
}

/**
 * Pictures that pass as they are turned out not to: a late joiner would wait too long for a key frame, or they come in
 * another order than they are shown. Open again with {@link StreamOptions.transcode} set to `why`.
 */
export class PicturesUnfit extends Error {
  override readonly name = 'PicturesUnfit';
  /** Completes "transcoded, because …". */
  readonly why: string;

  constructor(why: string) {
    super(`Cannot hand on the pictures as they are: ${why}`);
    this.why = why;
  }
}

/** Words without what gives access: names and passwords, and what follows `?`, of every address in them. */
export const redacted = (text: string): string =>
  text.replace(/\b([a-z][a-z0-9+.-]*:\/\/)([^\s'"]+)/gi, (_, scheme: string, rest: string) => {
    const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
    const path = rest.slice(authority.length).replace(/\?.*?(?=:?$)/, '?…');
    return `${scheme}${authority.slice(authority.lastIndexOf('@') + 1)}${path}`;
  });

/** What FFmpeg says of a source that ends before its time; its exit status does not tell. */
const BROKEN =
  /connection (refused|reset|timed out)|timed out|input\/output error|broken pipe|prematurely|network is unreachable|no route|failed to resolve|server returned 5/i;
/** Our own limit ended it, or the peer will answer the same again. */
const REFUSED: readonly [RegExp, Refusal['code'], string, string][] = [
  [/\b404\b|server returned 410/i, 'not_found', 'the server has nothing there', 'Check the address.'],
  [/\b401\b/, 'invalid', 'the server asks for a name and password', 'Give the right name and password in the address.'],
  [/\b403\b/, 'invalid', 'the server does not allow it', 'Ask its operator, or give an address that may be read.'],
  [/\b400\b/, 'invalid', 'the server does not understand the request', 'Check the address.'],
  [
    /not on whitelist/i,
    'unsupported',
    'it points to what a remote source may not open',
    'Give the address of the media itself.',
  ],
];

/** Whether an input that FFmpeg ended on in peace broke off. */
export const brokeOff = (lines: readonly string[]): boolean => lines.some((line) => BROKEN.test(line));

/** What an FfmpegError means to who gave the source. `what` names the source without its secrets. */
export function troubleOf(failure: FfmpegError, what: string, field: string): Error {
  if (failure.missing) return failure;
  const lines = failure.lines.map(redacted);
  const cause = new FfmpegError('FFmpeg could not read the source', { lines });
  for (const [pattern, code, why, fix] of REFUSED) {
    // What was asked for comes in the lines as well, and may look like a status.
    if (lines.some((line) => pattern.test(line.replace(/\w+:\/\/\S+/g, '')))) {
      return new Refusal({ code, field, message: `Cannot open ${what}: ${why}`, fix }, { cause });
    }
  }
  if (brokeOff(lines)) return new StreamAway(`Cannot open ${what}: it does not answer`, { cause });
  const sure = lines.some((line) => /invalid data|could not find codec|unknown format|protocol not found/i.test(line));
  return sure
    ? notMedia(what, field, 'it is not media that FFmpeg reads', cause)
    : new StreamAway(`Cannot open ${what}`, { cause });
}

export const notMedia = (what: string, field: string, why: string, cause?: unknown) =>
  new Refusal(
    {
      code: 'unsupported',
      field,
      message: `Cannot play ${what}: ${why}`,
      fix: 'Give a source with sound or moving pictures that FFmpeg reads, e.g. HLS, MPEG-TS, RTSP, MP4 or MP3.',
    },
    { cause },
  );
