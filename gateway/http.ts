import { existsSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { createGzip } from 'node:zlib';
import fastifyStatic from '@fastify/static';
import fastifySwagger from '@fastify/swagger';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type RawServerDefault,
} from 'fastify';
import {
  type ZodTypeProvider,
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
} from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Scope } from '../media/scope.ts';
import type { EngineCard } from '../models/engine.ts';
import { languagePairs } from './abilities.ts';
import { bearerOf, tokenCheck } from './bearer.ts';
import type { Config } from './config.ts';
import type { HostedSession } from './hosted-session.ts';
import { ingestOf } from './ingest.ts';
import { liveCaptions } from './live-captions.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { SessionView } from './protocol.ts';
import { recordingRoutes } from './recording-routes.ts';
import { Refusal, invalid, refuse } from './refusal.ts';
import type { SessionRegistry } from './registry.ts';
import {
  EngineListSchema,
  LanguageChangeSchema,
  LanguageListSchema,
  ReadySchema,
  SessionListSchema,
  SessionSchema,
  SessionSpecSchema,
  TranscriptSchema,
  refusals,
} from './schemas.ts';
import type { Sessions } from './sessions.ts';
import type { Sfu } from './sfu.ts';
import { captionsOf, textOf, transcriptOf } from './transcript.ts';
import { whipRoutes } from './whip/routes.ts';
import { CORS, openWhip } from './whip/whip.ts';

/** Where routes are put that are checked and described by schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;
export type Request = FastifyRequest;

export interface HttpOptions {
  readonly config: Config;
  readonly log: Log;
  readonly sessions: Sessions;
  readonly sfu: Sfu;
  readonly registry: SessionRegistry;
  readonly metrics: Metrics;
  readonly engines: () => readonly EngineCard[];
  /** Directory of the built pages; without them `/` says how to build them. */
  readonly pages: string;
}

/** A session's description has some hundred bytes. */
const MOST_BODY = 64 * 1024;
/** The pages' file names hold a hash of what is in them, except FFmpeg's, which change with its version alone. */
const FOR_EVER = 'public, max-age=31536000, immutable';
const FOR_A_DAY = 'public, max-age=86400';

/** The gateway's HTTP server: the API, the pages, the numbers. Listens until `scope` closes. */
export async function openHttp(
  options: HttpOptions,
  scope: Scope,
): Promise<{ readonly server: Server; readonly port: number }> {
  const { config, log, sessions, sfu, registry, metrics } = options;
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MOST_BODY,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 400 },
  }).withTypeProvider<ZodTypeProvider>();
  scope.defer(() => app.close());
  app.setValidatorCompiler<z.ZodType>(({ schema }) => (given: unknown) => {
    const parsed = schema.safeParse(given);
    return parsed.success ? { value: parsed.data } : { error: invalid(parsed.error.issues) };
  });
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerError);
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.requests.took(route, request.method, reply.statusCode, reply.elapsedTime / 1_000);
    const level = reply.statusCode >= 500 ? 'error' : route.startsWith('/v1') ? 'info' : 'debug';
    request.log[level](
      {
        method: request.method,
        url: unkeyed(request.url),
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
      },
      'answered',
    );
  });
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Livedub',
        version: '1',
        description:
          'Sessions that are dubbed while they are live. Media and captions come over WebRTC and the WebSocket at /v1/sessions/{id}/ws.',
        license: { name: 'GPL-3.0-or-later', identifier: 'GPL-3.0-or-later' },
      },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'auth.token, when one is configured.' },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });

  const permitted = tokenCheck(config.auth.token);
  const allowed = (request: FastifyRequest) => permitted(bearerOf(request.headers.authorization));
  const guarded = {
    onRequest: async (request: FastifyRequest) => {
      if (!allowed(request))
        throw refuse(
          'unauthorized',
          'This needs the gateway’s token.',
          'authorization',
          'Send "Authorization: Bearer <auth.token>".',
        );
    },
  };
  const secured = config.auth.token === undefined ? {} : { security: [{ token: [] }] };
  const Id = z.object({ id: z.string().describe('The session’s id.') });
  /** Where to publish is told to whoever may publish. */
  const view = (session: HostedSession, request: FastifyRequest): SessionView => {
    if (!allowed(request)) return session.view;
    const origin = `${request.protocol}://${request.host}`;
    const { source } = session.spec;
    const whip = { url: `${origin}/v1/sessions/${session.id}/whip` };
    return { ...session.view, ingest: source.kind === 'webrtc' ? whip : ingestOf(source, origin, session.rtmpPort) };
  };

  /** What the session's outlets answer, as they answer it. */
  const served = async (request: FastifyRequest, reply: FastifyReply, id: string, path: string): Promise<never> => {
    const session = sessions.get(id);
    // A poster needs no HLS where there are other outlets.
    if (
      session.spec.outputs.hls.enabled === 'off' &&
      (session.outlets.pid === undefined || !/^stills\/poster/.test(path))
    )
      throw refuse('not_found', 'This session has no HLS.', 'outputs.hls.enabled', 'Create it with "auto" or "on".');
    const gone = new AbortController();
    reply.raw.on('close', () => gone.abort());
    const [, query = ''] = request.url.split('?');
    const answer = await session.outlets.ask(`${path}?${query}`, gone.signal).catch((cause: unknown) => {
      if (gone.signal.aborted) return undefined;
      throw cause;
    });
    // Nobody is left to be answered.
    if (!answer) return reply.hijack() as never;
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined && name !== 'connection' && name !== 'keep-alive') reply.header(name, value);
    }
    // Playlists are asked for several times a second, and most of them is known (RFC 8216bis appendix B.1).
    if (/mpegurl|dash/.test(answer.headers['content-type'] ?? '')) {
      reply.header('vary', 'accept-encoding');
      if (/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))) {
        reply.header('content-encoding', 'gzip').removeHeader('content-length');
        return reply.code(answer.statusCode ?? 502).send(answer.pipe(createGzip())) as never;
      }
    }
    // The schema is of what is read from the stream in the end.
    return reply.code(answer.statusCode ?? 502).send(answer) as never;
  };

  await app.register(async (api) => {
    const v1 = api.withTypeProvider<ZodTypeProvider>();

    v1.post(
      '/v1/sessions',
      {
        ...guarded,
        schema: {
          summary: 'Create a session',
          tags: ['sessions'],
          ...secured,
          body: SessionSpecSchema,
          response: { 201: SessionSchema, ...refusals(400, 401, 413, 422, 429) },
        },
      },
      async (request, reply) => {
        const session = await sessions.create(request.body);
        return reply.code(201).header('location', `/v1/sessions/${session.id}`).send(view(session, request));
      },
    );
    v1.get(
      '/v1/sessions',
      {
        schema: {
          summary: 'List the sessions',
          tags: ['sessions'],
          querystring: z.strictObject({
            all: z.enum(['true', 'false']).default('false').describe('Those of other gateways too.'),
          }),
          response: { 200: SessionListSchema, ...refusals(400) },
        },
      },
      async (request) => ({
        sessions: sessions.list().map((session) => view(session, request)),
        ...(request.query.all === 'true' ? { elsewhere: await registry.elsewhere() } : {}),
      }),
    );
    v1.get(
      '/v1/sessions/:id',
      {
        schema: {
          summary: 'One session: state, delay, latency per stage, mode, drops',
          tags: ['sessions'],
          params: Id,
          response: { 200: SessionSchema, ...refusals(404) },
        },
      },
      async (request) => view(sessions.get(request.params.id), request),
    );
    v1.patch(
      '/v1/sessions/:id',
      {
        ...guarded,
        schema: {
          summary: 'Change the languages of a session, while it is live too',
          tags: ['sessions'],
          ...secured,
          params: Id,
          body: LanguageChangeSchema,
          response: { 200: SessionSchema, ...refusals(400, 401, 404, 409, 422) },
        },
      },
      async (request) => {
        const { id } = request.params;
        const { to, add = [], remove = [] } = request.body;
        const now = sessions.get(id).spec.to;
        const wanted = to ?? [
          ...now.filter((language) => !remove.includes(language)),
          ...add.filter((language) => !now.includes(language)),
        ];
        if (wanted.length > 8)
          throw refuse('invalid', 'A session is dubbed into at most 8 languages.', to ? 'to' : 'add', 'Remove some.');
        return view(await sessions.setLanguages(id, wanted), request);
      },
    );
    v1.delete(
      '/v1/sessions/:id',
      {
        ...guarded,
        schema: {
          summary: 'End a session',
          tags: ['sessions'],
          ...secured,
          params: Id,
          response: { 204: z.undefined().describe('Ended.'), ...refusals(401, 404) },
        },
      },
      async (request, reply) => {
        await sessions.remove(request.params.id);
        return reply.code(204).send();
      },
    );
    v1.get(
      '/v1/sessions/:id/captions/:file',
      {
        schema: {
          summary:
            'What was said so far, as WebVTT or SubRip on media time; or WebVTT that goes on while the session does',
          tags: ['text'],
          params: Id.extend({
            file: z
              .string()
              .regex(/^[A-Za-z0-9-]{2,35}\.(vtt|srt)$/, 'expected <language>.vtt or <language>.srt')
              .describe('<language>.vtt or <language>.srt'),
          }),
          querystring: z.strictObject({
            live: z
              .enum(['true', 'false'])
              .default('false')
              .describe('WebVTT only: each caption as soon as it is final, until the session ends.'),
          }),
          response: {
            200: {
              description: 'Captions.',
              content: { 'text/vtt': { schema: z.string() }, 'application/x-subrip': { schema: z.string() } },
            },
            ...refusals(400, 404, 429),
          },
        },
      },
      async (request, reply) => {
        const session = sessions.get(request.params.id);
        const [language = '', format] = request.params.file.split('.');
        if (format === 'srt') {
          if (request.query.live === 'true')
            throw refuse('invalid', 'SubRip has no live form.', 'live', 'Ask for <language>.vtt?live=true.');
          return reply.type('application/x-subrip; charset=utf-8').send(captionsOf(session, language, 'srt'));
        }
        reply.type('text/vtt; charset=utf-8');
        if (request.query.live === 'false' || request.method === 'HEAD')
          return reply.send(captionsOf(session, language));
        // Whoever is in between should hand on each caption as it comes.
        reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no');
        // The schema is of what is read from the stream in the end.
        return reply.send(liveCaptions(session, language, metrics.captions) as never);
      },
    );
    v1.get(
      '/v1/sessions/:id/transcript',
      {
        schema: {
          summary: 'Everything said so far, with its translations, fits and latencies',
          tags: ['text'],
          params: Id,
          querystring: z.strictObject({
            format: z.enum(['json', 'txt', 'vtt']).default('json'),
            language: z
              .string()
              .min(2)
              .max(35)
              .optional()
              .describe('For txt and vtt; the programme’s own unless told.'),
          }),
          response: {
            200: {
              description: 'The transcript.',
              content: {
                'application/json': { schema: TranscriptSchema },
                'text/plain': { schema: z.string() },
                'text/vtt': { schema: z.string() },
              },
            },
            ...refusals(400, 404),
          },
        },
      },
      async (request, reply) => {
        const session = sessions.get(request.params.id);
        const { format, language = session.spec.from } = request.query;
        if (format === 'vtt') return reply.type('text/vtt; charset=utf-8').send(captionsOf(session, language));
        if (format === 'txt') return reply.type('text/plain; charset=utf-8').send(textOf(session, language));
        return reply.type('application/json').send(transcriptOf(session));
      },
    );
    const hls = {
      200: { description: 'A playlist, a segment or a part.', content: { '*/*': { schema: z.any() } } },
      ...refusals(400, 404, 409, 503),
    };
    v1.get(
      '/v1/sessions/:id/hls/:file',
      {
        schema: {
          summary: 'Low-Latency HLS (index.m3u8) and DASH (manifest.mpd)',
          tags: ['media'],
          params: Id.extend({ file: z.string().describe('index.m3u8 or manifest.mpd') }),
          response: hls,
        },
      },
      (request, reply) => served(request, reply, request.params.id, request.params.file),
    );
    v1.get(
      '/v1/sessions/:id/hls/:rendition/:file',
      {
        schema: {
          summary: 'What HLS and DASH name: playlists of renditions, segments, parts',
          tags: ['media'],
          params: Id.extend({ rendition: z.string(), file: z.string() }),
          response: hls,
        },
      },
      (request, reply) =>
        served(request, reply, request.params.id, `${request.params.rendition}/${request.params.file}`),
    );
    const stills = {
      200: { description: 'A picture, or where it is.', content: { '*/*': { schema: z.any() } } },
      ...refusals(400, 404, 409, 503),
    };
    for (const [path, summary] of [
      ['poster.jpg', 'A picture of the programme, ten seconds old at most'],
      ['storyboard.vtt', 'Small pictures of all that HLS viewers can go back to: WebVTT cues with #xywh of a sheet'],
    ] as const) {
      v1.get(
        `/v1/sessions/:id/${path}`,
        { schema: { summary, tags: ['media'], params: Id, response: stills } },
        (request, reply) => served(request, reply, request.params.id, `stills/${path}`),
      );
    }
    v1.get(
      '/v1/sessions/:id/storyboard/:file',
      {
        schema: {
          summary: 'The sheet of small pictures that storyboard.vtt names',
          tags: ['media'],
          params: Id.extend({ file: z.string().regex(/^\d{1,12}\.jpg$/, 'expected a number and .jpg') }),
          response: stills,
        },
      },
      (request, reply) => served(request, reply, request.params.id, `stills/storyboard/${request.params.file}`),
    );
    recordingRoutes(v1, {
      directory: config.recordings.directory,
      token: config.auth.token,
      permitted: allowed,
      guarded,
      secured,
    });
    v1.get(
      '/v1/languages',
      { schema: { summary: 'What can be dubbed into what', tags: ['engines'], response: { 200: LanguageListSchema } } },
      async () => ({ languages: languagePairs(options.engines()).map((pair) => ({ ...pair })) }),
    );
    v1.get(
      '/v1/engines',
      {
        schema: {
          summary: 'The engines of every stage and their settings',
          tags: ['engines'],
          response: { 200: EngineListSchema },
        },
      },
      async () => ({ engines: options.engines().map((card) => ({ ...card })) }),
    );
  });

  const whip = openWhip({
    sessions,
    sfu,
    iceServers: config.rtc.iceServers,
    mostViewers: config.limits.viewers,
    permitted,
    log,
  });
  await app.register(async (api) => {
    api.removeAllContentTypeParsers();
    api.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
    // Before anything can be refused: a page from elsewhere may read that too.
    api.addHook('onRequest', async (_request, reply) => void reply.headers(CORS));
    for (const route of whipRoutes(secured)) {
      const { kind, path, methods, schema } = route;
      api.route<{ Params: { id: string; resource?: string }; Querystring: Record<string, unknown> }>({
        method: [...methods],
        url: `/v1/sessions/:id/${kind}${path}`,
        schema,
        // What is wrong is said by whoever answers, in these protocols' own statuses.
        validatorCompiler: () => (value: unknown) => ({ value }),
        exposeHeadRoute: false,
        handler: async ({ method, params, query, headers, body }, reply) => {
          const { id, resource } = params;
          const language = path.endsWith('language');
          const answered = await whip({ method, kind, id, resource, language, query, headers, body });
          for (const [name, value] of Object.entries(answered.headers))
            reply.header(name, typeof value === 'string' ? value : [...value]);
          return reply.code(answered.status).send(answered.body);
        },
      });
    }
  });

  app.get(
    '/healthz',
    {
      schema: { summary: 'The process answers', tags: ['operation'], response: { 200: z.object({ ok: z.boolean() }) } },
    },
    async () => ({ ok: true }),
  );
  app.get(
    '/readyz',
    {
      schema: {
        summary: 'Sessions can be created',
        tags: ['operation'],
        response: { 200: ReadySchema, 503: ReadySchema },
      },
    },
    async (_request, reply) => {
      const workers = sfu.pids.length;
      return reply.code(workers > 0 ? 200 : 503).send({ ready: workers > 0, workers, registry: registry.state });
    },
  );
  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  );
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(app.swagger())),
  );

  const built = existsSync(join(options.pages, 'index.html'));
  if (built) {
    await app.register(fastifyStatic, {
      root: options.pages,
      wildcard: true,
      cacheControl: false,
      setHeaders: (reply, path) => {
        const kept = path.includes('/assets/') ? FOR_EVER : path.includes('/ffmpeg/') ? FOR_A_DAY : 'no-cache';
        void reply.setHeader('cache-control', kept);
      },
    });
  }
  app.setNotFoundHandler(async (request, reply) => {
    const [path = ''] = request.url.split('?');
    const page = request.method === 'GET' && !path.startsWith('/v1/') && !/\.\w+$/.test(path);
    if (!page)
      throw refuse(
        'not_found',
        `There is nothing at ${request.method} ${path}.`,
        null,
        'See /openapi.json for what there is.',
      );
    // The pages' own router reads the path.
    if (built) return reply.header('cache-control', 'no-cache').sendFile('index.html', { cacheControl: false });
    return reply
      .code(path === '/' ? 200 : 404)
      .type('text/html; charset=utf-8')
      .send(UNBUILT);
  });

  const { host, port } = config.http;
  await app.listen({ host, port });
  const address = app.server.address();
  return { server: app.server, port: typeof address === 'object' && address !== null ? address.port : port };
}

/** An address of a recording without its key. */
const unkeyed = (url: string) => url.replace(/^(\/v1\/recordings\/[^/]+\/)[^/]+/, '$1…');

/** Every error leaves as an ApiError. */
function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = refusalOf(error);
  if (refusal.status >= 500) request.log.error({ err: error }, 'request failed');
  // No schema belongs to every status a route may be refused with, so this is written as it is.
  return reply
    .code(refusal.status)
    .type('application/json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(refusal.error);
}

function refusalOf(error: FastifyError): Refusal {
  if (error instanceof Refusal) return error;
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return refuse('bad_json', 'The body is not JSON.', null, 'Send one JSON object.', error);
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return refuse('too_large', `The body is larger than ${MOST_BODY} bytes.`, null, 'Send less.', error);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return refuse(
        'unsupported',
        'The body is of a type this gateway does not read.',
        'content-type',
        'Send application/json.',
        error,
      );
    default:
  }
  if (error instanceof SyntaxError)
    return refuse('bad_json', 'The body is not JSON.', null, 'Send one JSON object.', error);
  const { statusCode = 500 } = error;
  if (statusCode >= 400 && statusCode < 500)
    return refuse('invalid', 'The request is not one this gateway understands.', null, 'See /openapi.json.', error);
  return refuse('internal', 'The gateway failed at this.', null, 'Try again; its log says more.', error);
}

const UNBUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Livedub</title>
<style>body{font:1rem/1.5 system-ui;margin:3rem auto;max-width:40rem;padding:0 1rem}code{background:#8883;padding:.1em .3em}</style>
<h1>The pages are not built yet</h1>
<p>Run <code>npm run build</code> in the checkout and start the gateway again.</p>
<p>The API is up: <a href="/openapi.json">/openapi.json</a>, <a href="/v1/sessions">/v1/sessions</a>.</p>
</html>
`;
