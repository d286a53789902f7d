import { z } from 'zod';
import { factor } from '../media/decibels.ts';
import { type Mix as TimelineMix, mixOf } from '../media/mix.ts';
import { PROFILE_NAMES } from '../models/store/profile-names.ts';
import { Outputs, Source } from './source-spec.ts';

/** How the original and the dub share one track. */
const Mix = z.strictObject({
  mode: z
    .enum(['replace', 'duck', 'voice-over'])
    .default('duck')
    .describe(
      'What becomes of the original while the dub speaks: silent, lowered with the background kept, or audible behind a voice-over.',
    ),
  under: z
    .number()
    .min(-60)
    .max(0)
    .optional()
    .describe('Level of the original under the dub, dB; −20 unless told, −12 for voice-over. Not used by replace.'),
  overlap: z
    .enum(['both', 'duck', 'pan'])
    .default('both')
    .describe('Two dubs at once: both as they are, one of them lowered, or one to each side.'),
  loudness: z
    .union([z.literal('off'), z.number().min(-40).max(-10)])
    .default(-23)
    .describe('Integrated loudness the output is brought to, LUFS (EBU R 128 asks for −23), or "off".'),
  truePeak: z.number().min(-9).max(0).default(-1).describe('What no peak of the output passes, dBTP.'),
});

/** What one session does. The body of `POST /v1/sessions`, and the whole of what a session process is told. */
export const SessionSpec = z
  .strictObject({
    name: z.string().trim().min(1).max(120).default('Untitled').describe('Shown in lists and as the page title.'),
    source: Source,
    outputs: Outputs,
    from: z.string().min(2).max(35).default('en').describe('Language spoken in the programme, BCP 47.'),
    to: z.array(z.string().min(2).max(35)).max(8).default(['es']).describe('Languages to dub into, BCP 47.'),
    delay: z
      .union([z.literal('auto'), z.number().min(2).max(60)])
      .default(5)
      .describe('Seconds the programme is shown late, or "auto": as few as the lines of this session need.'),
    delayMost: z
      .number()
      .min(2)
      .max(120)
      .optional()
      .describe(
        'Seconds the delay may be raised to while lines keep coming too late; twice the delay unless told, 15 for "auto".',
      ),
    denoise: z.boolean().default(false).describe('Clean the audio before recognition. The viewer hears it as it was.'),
    mix: Mix.prefault({}).describe('How the original and the dub share one track.'),
    voices: z
      .strictObject({
        cloning: z
          .enum(['off', 'consented'])
          .default('off')
          .describe(
            'Whether dubs imitate the speakers’ own voices. Say "consented" only with the consent of everybody who speaks.',
          ),
        expression: z
          .number()
          .min(0)
          .max(1)
          .default(1)
          .describe('How much of the speaker’s changes in loudness and pitch the dub takes over.'),
      })
      .prefault({})
      .describe('How the dub sounds.'),
    video: z
      .enum(['original', 'stretch'])
      .default('original')
      .describe(
        'The picture as it is, or stretched where a line needs more time. Only `livedub dub` stretches: a live session refuses it.',
      ),
    lips: z
      .enum(['auto', 'on', 'off'])
      .default('auto')
      .describe(
        'Whether speakers’ mouths move with the dub: "auto" where the models for it are installed, "on" refuses to begin without them. Each language then has a picture of its own.',
      ),
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
        faceTracker: z.looseObject({ engine: z.string() }).optional(),
        activeSpeaker: z.looseObject({ engine: z.string() }).optional(),
        lipDriver: z.looseObject({ engine: z.string() }).optional(),
        restorer: z.looseObject({ engine: z.string() }).optional(),
        interpolator: z.looseObject({ engine: z.string() }).optional(),
      })
      .default({})
      .describe(
        'Engine per stage, with its own settings; what is left out comes from the profile, else is chosen by language.',
      ),
  })
  .refine(({ delay, delayMost }) => delayMost === undefined || delay === 'auto' || delayMost >= delay, {
    path: ['delayMost'],
    error: 'it is less than the delay itself',
    params: { fix: 'Give the delay or more.' },
  });
export type SessionSpec = z.output<typeof SessionSpec>;
export type Mix = SessionSpec['mix'];

/** Fields that earlier versions had, and what to write now. */
export const RENAMED: Readonly<Record<string, string>> = {
  underDub:
    'Write mix.under, in dB: { "mix": { "under": -20 } } for 0.1 (20·log10 of the level), { "mix": { "mode": "replace" } } for 0.',
};

/** Seconds that "auto" begins with, and the least and most it may come to unless told. */
const AUTO = { start: 5, least: 2, most: 15 } as const;

/** How late a session's programme is shown, in seconds. */
export interface DelayRange {
  /** What it begins with. */
  readonly start: number;
  /** It is never lowered below that, nor raised above `most`. */
  readonly least: number;
  readonly most: number;
}
export function delayOf({ delay, delayMost }: Pick<SessionSpec, 'delay' | 'delayMost'>): DelayRange {
  if (delay !== 'auto') return { start: delay, least: delay, most: delayMost ?? 2 * delay };
  const most = delayMost ?? AUTO.most;
  return { start: Math.min(AUTO.start, most), least: AUTO.least, most };
}

/** What the timeline is told of a session's mix. */
export const mixFor = ({ mode, under, overlap }: Mix): Partial<TimelineMix> => ({
  mode,
  overlap,
  ...(under !== undefined && { under }),
});

/** Level of the original under the dub, as a factor of its amplitude: 0 (silent) to 1 (as it was). */
export const levelUnder = ({ mode, under }: Pick<Mix, 'mode' | 'under'>): number =>
  mode === 'replace' ? 0 : factor(mixOf({ mode, ...(under !== undefined && { under }) }).under);

export const Config = z.strictObject({
  http: z
    .strictObject({
      host: z.string().default('127.0.0.1').describe('Address to listen on; 0.0.0.0 for every interface.'),
      port: z.number().int().min(0).max(65_535).default(8080).describe('TCP port; 0 picks a free one.'),
    })
    .prefault({}),
  rtmp: z
    .strictObject({
      host: z
        .string()
        .default('127.0.0.1')
        .describe('Address that RTMP encoders publish to; 0.0.0.0 for every interface.'),
      port: z
        .number()
        .int()
        .min(0)
        .max(65_535)
        .default(1935)
        .describe('TCP port for all of them, opened with the first session that waits for one; 0 picks a free one.'),
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
  recordings: z
    .strictObject({
      directory: z.string().min(1).default('recordings').describe('Where recordings are written.'),
      keepDays: z.number().min(0.01).max(3_650).optional().describe('Older recordings are deleted; kept unless told.'),
      keepGigabytes: z
        .number()
        .min(0.1)
        .optional()
        .describe('The oldest are deleted while all of them take more; unlimited unless told.'),
      spareGigabytes: z
        .number()
        .min(0)
        .default(1)
        .describe('Space that recording leaves free on the disk; a recording that would take it ends in order.'),
      s3: z
        .strictObject({
          endpoint: z.url().optional().describe('For S3-compatible servers; AWS unless told.'),
          region: z.string().default('us-east-1'),
          bucket: z.string().min(3).max(63),
          prefix: z.string().max(512).default('').describe('Put before the file name, e.g. "livedub/".'),
          keepLocal: z.boolean().default(true).describe('Whether the file stays here once it is uploaded.'),
        })
        .optional()
        .describe('Finished recordings are uploaded; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.'),
    })
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
