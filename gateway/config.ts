import { z } from 'zod';
import { PROFILE_NAMES } from '../models/store/profile-names.ts';

/** What one session does. The body of `POST /v1/sessions`, and the whole of what a session process is told. */
export const SessionSpec = z.strictObject({
  name: z.string().trim().min(1).max(120).default('Untitled').describe('Shown in lists and as the page title.'),
  source: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('webrtc') }),
      z.strictObject({
        kind: z.literal('file'),
        path: z.string().min(1).describe('A media file below one of the directories in `files.roots`.'),
        loop: z.boolean().default(false).describe('Start again at the end, on continuing media time.'),
      }),
    ])
    .default({ kind: 'webrtc' })
    .describe('Where the programme comes from.'),
  from: z.string().min(2).max(35).default('en').describe('Language spoken in the programme, BCP 47.'),
  to: z.array(z.string().min(2).max(35)).max(8).default(['es']).describe('Languages to dub into, BCP 47.'),
  delay: z.number().min(2).max(60).default(5).describe('Seconds the programme is shown late.'),
  denoise: z.boolean().default(false).describe('Clean the audio before recognition. The viewer hears it as it was.'),
  underDub: z.number().min(0).max(1).default(0.1).describe('Level of the original under the dub, 0 to 1.'),
  profile: z
    .enum(PROFILE_NAMES)
    .default('embedded')
    .describe('Named set of engines; `livedub doctor --profile NAME` says what it needs.'),
  engines: z
    .strictObject({
      separator: z.looseObject({ engine: z.string() }).optional(),
      enhancer: z.looseObject({ engine: z.string() }).optional(),
      vad: z.looseObject({ engine: z.string() }).optional(),
      diarizer: z.looseObject({ engine: z.string() }).optional(),
      recognizer: z.looseObject({ engine: z.string() }).optional(),
      aligner: z.looseObject({ engine: z.string() }).optional(),
      translator: z.looseObject({ engine: z.string() }).optional(),
      synthesizer: z.looseObject({ engine: z.string() }).optional(),
    })
    .default({})
    .describe(
      'Engine per stage, with its own settings; what is left out comes from the profile, else is chosen by language.',
    ),
});
export type SessionSpec = z.output<typeof SessionSpec>;

export const Config = z.strictObject({
  http: z
    .strictObject({
      host: z.string().default('127.0.0.1').describe('Address to listen on; 0.0.0.0 for every interface.'),
      port: z.number().int().min(0).max(65_535).default(8080).describe('TCP port; 0 picks a free one.'),
    })
    .prefault({}),
  rtc: z
    .strictObject({
      listen: z.string().default('127.0.0.1').describe('Address mediasoup listens on for WebRTC.'),
      announced: z.string().optional().describe('Address that browsers are told, when it differs (NAT, Docker).'),
      ports: z
        .strictObject({
          min: z.number().int().min(1024).max(65_535).default(40_000),
          max: z.number().int().min(1024).max(65_535).default(49_999),
        })
        .prefault({}),
      workers: z.number().int().min(1).max(64).optional().describe('mediasoup workers; one per core by default.'),
      iceServers: z
        .array(
          z.strictObject({
            urls: z.union([z.string(), z.array(z.string())]),
            username: z.string().optional(),
            credential: z.string().optional(),
          }),
        )
        .default([]),
    })
    .prefault({}),
  files: z
    .strictObject({ roots: z.array(z.string()).default([]).describe('Directories whose files sessions may play.') })
    .prefault({}),
  auth: z
    .strictObject({
      token: z.string().min(16).optional().describe('Bearer token for publishing and for changing sessions.'),
    })
    .prefault({}),
  redis: z
    .strictObject({
      url: z
        .url({ protocol: /^rediss?$/ })
        .optional()
        .describe('Shares the list of sessions between gateways.'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      sessions: z.number().int().min(1).default(16),
      viewers: z.number().int().min(1).default(500).describe('Per session.'),
    })
    .prefault({}),
  log: z
    .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info') })
    .prefault({}),
});
export type Config = z.output<typeof Config>;
