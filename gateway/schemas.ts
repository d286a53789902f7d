import { z } from 'zod';
import type { MediaTime } from '../media/time.ts';
import { SessionSpec } from './config.ts';
import type { ApiError, CueView, RecordingView, SessionView, StatsView, TrackView } from './protocol.ts';
import type { LineRecord } from './session/ipc.ts';

/** What the HTTP API says, as schemas: checked against the types, and the source of /openapi.json. */

const LanguageTag = z.string().min(2).max(35).describe('BCP 47.');

export const ApiErrorSchema: z.ZodType<ApiError> = z
  .object({
    code: z
      .string()
      .describe(
        'For programs: bad_json, invalid, unauthorized, not_found, conflict, too_large, unsupported, limit, internal, unavailable.',
      ),
    message: z.string().describe('What is wrong, naming the field.'),
    field: z.string().nullable().describe('The offending field, dotted.'),
    fix: z.string().nullable().describe('What to do about it.'),
  })
  .meta({ id: 'ApiError' });

const Track: z.ZodType<TrackView> = z
  .object({
    id: z
      .custom<TrackView['id']>((id) => typeof id === 'string')
      .meta({
        type: 'string',
        description:
          'original, video, dub:<language>, voice:<language>: the dub’s voices alone, or video:<language>: mouths that speak it.',
      }),
    kind: z.enum(['audio', 'video']),
    language: z.string().nullable(),
    label: z.string().nullable(),
    rtp: z.object({ base: z.number(), rate: z.number() }),
  })
  .meta({ id: 'Track' });

const Milliseconds = z.object({ p50: z.number().nullable(), p95: z.number().nullable(), count: z.number() });

const Stats: z.ZodType<StatsView> = z
  .object({
    delay: z
      .object({
        configured: z.union([z.literal('auto'), z.number()]),
        wanted: z.number().describe('What it is being brought to.'),
        measured: z.number().nullable().describe('What it is.'),
        lookahead: z.number().describe('The least that the stages’ lookahead allows.'),
        least: z.number(),
        most: z.number(),
        drift: z.number().nullable().describe('The source’s clock against ours, parts per million.'),
      })
      .describe('How late the programme is shown, seconds.'),
    loudness: z
      .record(
        z.string(),
        z.object({
          momentary: z.number().nullable(),
          shortTerm: z.number().nullable(),
          integrated: z.number().nullable(),
          truePeak: z.number().nullable(),
        }),
      )
      .nullable()
      .describe('By track: EBU R 128 in LUFS, and the peak in dBTP.'),
    fit: z
      .object({
        rungs: z
          .record(z.string(), z.record(z.string(), z.number()))
          .describe('Lines by language and by the furthest step it took to make them fit.'),
        withinSpeed: z
          .number()
          .nullable()
          .describe('Share of them, 0 to 1, that were said whole at 0.9 to 1.2 times the voice’s speed.'),
      })
      .describe('Since the session process began.'),
    lips: z
      .object({
        takes: z.number(),
        pictures: z.number(),
        driven: z.number(),
        left: z.record(z.string(), z.number()).describe('Seconds left as they were, by reason.'),
        seen: z.number(),
        skipped: z.number(),
        shown: z.record(z.string(), z.number()).describe('Pictures that went out driven, by language.'),
        process: z.object({ cpu: z.number(), rssMiB: z.number(), restarts: z.number() }),
      })
      .nullable()
      .describe('What became of the pictures in which mouths were to move with the dub.'),
    mode: z.object({
      audio: z.enum(['dubbed', 'original']),
      video: z.enum(['driven', 'original', 'none']),
      text: z.enum(['translated', 'transcribed', 'none']),
      quality: z
        .enum(['full', 'reduced'])
        .describe('`reduced` while another engine than the chosen one does part of the work.'),
    }),
    stages: z.array(
      z.object({
        kind: z.string(),
        engine: z.string(),
        standIn: z.string().nullable().describe('The engine that works in its place at present.'),
        state: z.enum(['up', 'down']),
        latency: z
          .object({ p50: z.number().nullable(), p95: z.number().nullable(), count: z.number() })
          .describe('Milliseconds, over the last minute.'),
        dropped: z.number(),
        faults: z.number(),
      }),
    ),
    networks: z
      .array(
        z.object({
          name: z.string(),
          stage: z.string().nullable(),
          device: z.string(),
          waiting: Milliseconds,
          running: Milliseconds,
          queued: z.number(),
          lost: z.number(),
          restarts: z.number(),
        }),
      )
      .describe('Neural networks that the session has open; milliseconds since they were opened.'),
    spending: z
      .array(
        z.object({
          stage: z.string(),
          engine: z.string(),
          requests: z.number(),
          retries: z.number(),
          failures: z.number(),
          characters: z.number(),
          seconds: z.number(),
          tokens: z.number(),
          money: z.object({ amount: z.number(), currency: z.string() }).nullable(),
        }),
      )
      .describe('What engines have used of services on other machines.'),
    lines: z.object({ dubbed: z.number(), captionOnly: z.number(), late: z.number(), trimmed: z.number() }),
    drops: z.record(z.string(), z.number()),
    viewers: z.number(),
    outputs: z
      .record(z.string(), z.record(z.string(), z.number()))
      .describe(
        'What outlets have done and lost, by outlet (hls, record, push 1, and tap, which feeds them) and name.',
      ),
    process: z.object({ cpu: z.number(), rssMiB: z.number(), restarts: z.number(), uptime: z.number() }),
  })
  .meta({ id: 'Stats' });

export const SessionSchema: z.ZodType<SessionView> = z
  .object({
    id: z.string(),
    name: z.string(),
    state: z.enum(['starting', 'waiting', 'live', 'restarting', 'ended', 'failed']),
    reason: z.string().nullable(),
    source: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('webrtc') }),
      z.object({ kind: z.literal('file'), path: z.string(), loop: z.boolean() }),
      z.object({ kind: z.literal('url'), url: z.string() }),
      z.object({
        kind: z.literal('srt'),
        mode: z.enum(['listener', 'caller']),
        host: z.string().exactOptional(),
        port: z.number().exactOptional(),
      }),
      z.object({ kind: z.literal('rtmp') }),
      z.object({ kind: z.literal('rtp') }),
    ]),
    ingest: z
      .object({ url: z.string(), key: z.string().exactOptional().describe('RTMP: the stream key.') })
      .nullable()
      .describe('What to type into an encoder; only with the token.'),
    from: z.string(),
    to: z.array(z.string()),
    createdAt: z.string(),
    tracks: z.array(Track),
    stats: Stats.nullable(),
  })
  .meta({ id: 'Session' });

export const SessionListSchema = z
  .object({
    sessions: z.array(SessionSchema).describe('Of this gateway, newest first.'),
    elsewhere: z
      .array(z.object({ gateway: z.string(), url: z.string(), session: SessionSchema }))
      .optional()
      .describe('With all=true: of the other gateways that share the registry.'),
  })
  .meta({ id: 'SessionList' });

export const SessionSpecSchema = SessionSpec.meta({ id: 'SessionSpec' });

export const LanguageChangeSchema = z
  .strictObject({
    to: z.array(LanguageTag).max(8).optional().describe('The whole list.'),
    add: z.array(LanguageTag).max(8).optional(),
    remove: z.array(LanguageTag).max(8).optional(),
  })
  .refine((change) => change.to !== undefined || change.add !== undefined || change.remove !== undefined, {
    error: 'say "to", or "add" and "remove"',
  })
  .refine((change) => change.to === undefined || (change.add === undefined && change.remove === undefined), {
    error: '"to" is the whole list; it does not go with "add" and "remove"',
    path: ['to'],
  })
  .meta({ id: 'LanguageChange' });

const Cue: z.ZodType<CueView> = z
  .object({
    id: z.string(),
    language: z.string(),
    speaker: z.string(),
    start: z.number().describe('Media time, µs.'),
    end: z.number().describe('Media time, µs.'),
    text: z.string(),
    draft: z.boolean(),
    lines: z.array(z.string()).exactOptional().describe('The text as it is broken into lines.'),
    voiceEnd: z.number().exactOptional().describe('When the voice is through with it; media time, µs.'),
    place: z.enum(['top', 'bottom']).exactOptional().describe('Where it covers no face; at the bottom unless told.'),
  })
  .meta({ id: 'Cue' });

const Fit: z.ZodType<NonNullable<LineRecord['fit']>> = z
  .object({
    slot: z.number().describe('How long the source takes.'),
    natural: z.number().describe('How long the voice takes by itself.'),
    speed: z.number().describe('Playing speed, 0.9 to 1.2.'),
    rate: z.number().describe('Rate the voice was asked for, 1 = its own.'),
    borrowed: z.number().describe('Of the pause behind the line.'),
    lead: z.number().describe('Of the pause before the line.'),
    shifted: z.number().describe('Start behind the source’s start.'),
    overrun: z.number().describe('Into what follows.'),
    trimmedWords: z.number(),
    phrases: z.array(
      z.object({
        start: z.custom<MediaTime>().meta({ type: 'number' }),
        end: z.custom<MediaTime>().meta({ type: 'number' }),
        source: z.object({
          start: z.custom<MediaTime>().meta({ type: 'number' }),
          end: z.custom<MediaTime>().meta({ type: 'number' }),
        }),
        speed: z.number(),
      }),
    ),
    rung: z.enum(['natural', 'rate', 'borrowed', 'slowed', 'stretched', 'shortened', 'trimmed']),
  })
  .meta({ id: 'Fit' });

const Line: z.ZodType<LineRecord> = z
  .object({
    utterance: z.string(),
    language: z.string(),
    speaker: z.string(),
    source: z.string(),
    text: z.string(),
    start: z.number(),
    end: z.number(),
    dub: z.object({ start: z.number(), end: z.number() }).nullable(),
    outcome: z.enum(['dubbed', 'trimmed', 'late', 'expired', 'refused']),
    speed: z.number().nullable(),
    rung: z.string().nullable(),
    trimmedWords: z.number(),
    fit: Fit.nullable().describe('What fitting did; lengths in µs.'),
    after: z.object({
      recognised: z.number(),
      translated: z.number().nullable(),
      synthesised: z.number().nullable(),
      placed: z.number().nullable(),
    }),
    slack: z.number().nullable(),
  })
  .meta({ id: 'Line' });

export const TranscriptSchema = z
  .object({
    session: z.string(),
    name: z.string(),
    from: z.string(),
    to: z.array(z.string()),
    cues: z.record(z.string(), z.array(Cue)).describe('By language: what was said, and what was made of it.'),
    lines: z.array(Line).describe('Every line with its fit and its latencies; times in µs.'),
    forgotten: z.number().describe('Cues and lines that were too old to keep.'),
  })
  .meta({ id: 'Transcript' });

export const LanguageListSchema = z
  .object({
    languages: z.array(
      z.object({
        from: z.string(),
        to: z.string(),
        name: z.string().describe('In itself.'),
        english: z.string(),
        missing: z.array(z.string()).readonly().describe('What to install first.'),
      }),
    ),
  })
  .meta({ id: 'LanguageList' });

export const EngineListSchema = z
  .object({ engines: z.array(z.record(z.string(), z.unknown())) })
  .meta({ id: 'EngineList' });

export const ReadySchema = z
  .object({
    ready: z.boolean(),
    workers: z.number().describe('mediasoup workers that run.'),
    registry: z
      .enum(['memory', 'up', 'down'])
      .describe('memory: this gateway alone; down: Redis is configured and away, so this gateway alone for now.'),
  })
  .meta({ id: 'Ready' });

export const RecordingListSchema: z.ZodType<{ recordings: RecordingView[] }> = z.object({
  recordings: z.array(
    z
      .object({
        name: z.string(),
        title: z.string().describe('Of the session.'),
        session: z.string(),
        languages: z.array(z.string()).describe('What there is sound in.'),
        started: z.iso.datetime(),
        seconds: z.number(),
        bytes: z.number(),
        finished: z.boolean().describe('false: it stayed as it was written, without an index.'),
        uploaded: z.boolean(),
        url: z.string().describe('The file. Addresses can be used for twelve hours, by whoever has them.'),
        poster: z.string().nullable(),
        storyboard: z
          .string()
          .nullable()
          .describe('WebVTT whose cues name parts of a sheet of small pictures (#xywh).'),
      })
      .meta({ id: 'Recording' }),
  ),
});

/** A route's refusals, by status. */
export const refusals = (...statuses: readonly number[]) =>
  Object.fromEntries(statuses.map((status) => [status, ApiErrorSchema]));
