import { Refusal } from './refusal.ts';
import type { StreamInput } from './stream.ts';
import { redacted } from './stream-trouble.ts';
import type { Span } from './time.ts';

/** How long FFmpeg looks before it says what is there, µs of media. A source that says all in its head is looked at for less. */
const LOOK = ['-analyzeduration', '3000000', '-probesize', '5000000'];
/** What a source may open, by where it comes from: never a file, a pipe, or what FFmpeg makes of other words. */
const HTTP = 'http,https,tcp,tls,crypto,data,httpproxy';
const RTSP = 'rtsp,rtp,udp,tcp,tls,srtp,crypto,data';
const RTP = 'pipe,rtp,udp,srtp,crypto,data';

/** An input as FFmpeg takes it. */
export interface FfmpegInput {
  /** Its arguments, `-i` last. */
  readonly args: readonly string[];
  /** Its name in messages. */
  readonly what: string;
  /** What goes into its `pipe:0`, where that is known from the beginning. */
  readonly stdin?: Uint8Array;
}

/**
 * How FFmpeg opens it.
 *
 * @param patience after how long without a byte a connection is given up
 * @throws Refusal where it never will
 */
export function inputOf(input: StreamInput, field: string, patience: Span): FfmpegInput {
  switch (input.kind) {
    case 'bytes':
      // Bytes of a known format may open nothing but themselves.
      return {
        what: input.format === 'flv' ? 'the FLV stream' : 'the MPEG-TS stream',
        args: [...LOOK, '-fflags', '+genpts', '-protocol_whitelist', 'pipe', '-f', input.format, '-i', 'pipe:0'],
      };
    case 'sdp':
      return {
        what: 'the RTP stream',
        args: [...LOOK, '-protocol_whitelist', RTP, '-f', 'sdp', '-i', 'pipe:0'],
        stdin: Buffer.from(input.sdp),
      };
    case 'url': {
      const url = URL.parse(input.url);
      const what = redacted(input.url);
      switch (url?.protocol) {
        case 'http:':
        case 'https:': {
          const timeout = ['-rw_timeout', String(patience)];
          return {
            what,
            args: [...LOOK, '-fflags', '+genpts', '-protocol_whitelist', HTTP, ...timeout, '-i', input.url],
          };
        }
        case 'rtsp:':
        case 'rtsps:': {
          const how = ['-rtsp_transport', input.transport ?? 'tcp', '-timeout', String(patience)];
          return { what, args: [...LOOK, '-protocol_whitelist', RTSP, ...how, '-i', input.url] };
        }
        default:
          throw new Refusal({
            code: 'unsupported',
            field,
            message: `Cannot open ${url ? what : 'the address'}: it is not one of http, https, rtsp and rtsps`,
            fix: 'Give an address such as https://example.org/live.m3u8.',
          });
      }
    }
  }
}
