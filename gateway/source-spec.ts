import { z } from 'zod';
import type { SourceView } from './protocol.ts';

const Passphrase = z
  .string()
  .min(10)
  .max(79)
  .optional()
  .describe('AES passphrase of 10 to 79 characters; without it the stream is not encrypted.');
const Latency = z
  .number()
  .int()
  .min(20)
  .max(8_000)
  .default(120)
  .describe('How long SRT waits for what was lost, ms: some four round trips.');
const StreamId = z.string().min(1).max(512).optional().describe('The stream id that the caller names.');
const Port = z.number().int().min(1).max(65_535);

/** An address on the network that is read from or written to: no file, no pipe, nothing that FFmpeg would make of it. */
const address = (protocols: RegExp, example: string) =>
  z.url({ protocol: protocols, error: `expected an address such as ${example}` }).max(2_048);

/** Where a programme comes from. */
export const Source = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('webrtc') }).describe('A browser’s page.'),
    z.strictObject({
      kind: z.literal('file'),
      path: z.string().min(1).describe('A media file below one of the directories in `files.roots`.'),
      loop: z.boolean().default(false).describe('Start again at the end, on continuing media time.'),
    }),
    z
      .strictObject({
        kind: z.literal('url'),
        url: address(/^(https?|rtsps?)$/, 'https://example.org/live.m3u8').describe(
          'HLS, a media file or stream over HTTP, or RTSP. Opened again when it breaks off.',
        ),
        transport: z
          .enum(['tcp', 'udp'])
          .default('tcp')
          .describe('RTSP only: how RTP comes. UDP is quicker and loses packets.'),
      })
      .describe('Pulled from another server.'),
    z
      .strictObject({
        kind: z.literal('srt'),
        mode: z
          .enum(['listener', 'caller'])
          .default('listener')
          .describe('Wait for the encoder, or call another server.'),
        host: z.string().min(1).max(253).optional().describe('Whom to call; for a listener, the address to wait at.'),
        port: Port.optional().describe('UDP port; a listener may leave it out and is given one.'),
        passphrase: Passphrase,
        latency: Latency,
        streamid: StreamId,
      })
      .refine(({ mode, host, port }) => mode === 'listener' || (host !== undefined && port !== undefined), {
        path: ['host'],
        error: 'a caller needs host and port',
        params: { fix: 'Say whom to call, or leave mode out to wait for the encoder.' },
      })
      .describe('MPEG-TS over SRT.'),
    z
      .strictObject({
        kind: z.literal('rtmp'),
        key: z
          .string()
          .regex(/^[\w-]{16,128}$/, 'expected 16 to 128 letters, digits, "_" and "-"')
          .optional()
          .describe('The stream key that the encoder names; made up when left out. Who knows it may publish.'),
      })
      .describe('H.264 and AAC over RTMP: the encoder publishes to the gateway’s RTMP port.'),
    z
      .strictObject({
        kind: z.literal('rtp'),
        sdp: z
          .string()
          .min(10)
          .max(16_384)
          .describe('Session description (RFC 8866) with the ports that plain RTP comes to.'),
      })
      .describe('Plain RTP.'),
  ])
  .default({ kind: 'webrtc' })
  .describe('Where the programme comes from.');
export type Source = z.output<typeof Source>;
/** Sources that come as a stream which FFmpeg takes apart, and that may stop and come back. */
export type StreamSpec = Extract<Source, { kind: 'url' | 'srt' | 'rtmp' | 'rtp' }>;

export const isStream = (source: Source): source is StreamSpec => source.kind !== 'webrtc' && source.kind !== 'file';
/** What is shown of a source to everybody: nothing that lets somebody else publish, and no password of another server. */
export function shown(source: Source): SourceView {
  switch (source.kind) {
    case 'webrtc':
    case 'file':
      return source;
    case 'rtmp':
    case 'rtp':
      return { kind: source.kind };
    case 'srt': {
      const { kind, mode, host, port } = source;
      return { kind, mode, ...(host !== undefined && { host }), ...(port !== undefined && { port }) };
    }
    case 'url': {
      const url = new URL(source.url);
      url.username = url.password = url.search = '';
      return { kind: 'url', url: url.href };
    }
  }
}

/** Where the delayed programme goes besides WebRTC. */
export const Outputs = z
  .strictObject({
    hls: z
      .strictObject({
        enabled: z
          .enum(['auto', 'on', 'off'])
          .default('auto')
          .describe('"auto": from the first request for its playlist on.'),
        part: z.number().min(0.1).max(1).default(0.333).describe('Length of a part, seconds.'),
        segment: z
          .number()
          .min(1)
          .max(10)
          .default(4)
          .describe('Length that a segment aims at, seconds; it ends at a key frame.'),
        window: z
          .number()
          .min(20)
          .max(21_600)
          .default(120)
          .describe('How far back viewers can seek, seconds. 4 Mbit/s take 30 MB a minute.'),
      })
      .prefault({})
      .describe('Low-Latency HLS and DASH.'),
    record: z
      .strictObject({
        name: z
          .string()
          .regex(/^[\w][\w .-]{0,99}\.(mp4|mkv)$/, 'expected a file name that ends in .mp4 or .mkv')
          .optional()
          .describe('File name below recordings.directory; made of the session and the time when left out.'),
        format: z.enum(['mp4', 'mkv']).default('mp4'),
      })
      .optional()
      .describe('Write everything down: the picture, the original, every language, captions and chapters by speaker.'),
    push: z
      .array(
        z.strictObject({
          url: address(/^(rtmps?|srt)$/, 'rtmp://live.example.org/app/KEY').describe(
            'rtmp:// and rtmps:// carry one language; srt:// carries MPEG-TS with all of them as tracks.',
          ),
          language: z
            .string()
            .min(2)
            .max(35)
            .optional()
            .describe('BCP 47, or "original". RTMP: the first dub unless told; SRT: all unless told.'),
        }),
      )
      .max(8)
      .default([])
      .describe('Other servers that the dubbed programme is sent to.'),
  })
  .prefault({})
  .describe('Where the programme goes besides WebRTC viewers.');
export type Outputs = z.output<typeof Outputs>;
export type HlsSpec = Outputs['hls'];
export type RecordSpec = NonNullable<Outputs['record']>;
export type PushSpec = Outputs['push'][number];
