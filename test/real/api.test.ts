import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiError, SessionView } from '../../gateway/protocol.ts';
import type { Gateway } from '../../gateway/serve.ts';
import { ask, eventually, openGateway, refused } from '../fakes/gateway.ts';
import { parseVtt } from '../fakes/webvtt-parser.ts';

const token = 'a-token-of-some-length';
const authorization = `Bearer ${token}`;
let gateway: Gateway;
let guarded: Gateway;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-api-'));
  mkdirSync(join(folder, 'files/inner'), { recursive: true });
  mkdirSync(join(folder, 'files-of-others'));
  writeFileSync(join(folder, 'files/talk.mp4'), 'not read by the gateway');
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'files-of-others/x.mp4'), 'x');
  symlinkSync(join(folder, 'secret.txt'), join(folder, 'files/link.mp4'));
  const files = { roots: [join(folder, 'files')] };
  gateway = await openGateway({ files, limits: { sessions: 4 } }, { pages: join(folder, 'no-pages') });
  guarded = await openGateway({ auth: { token } });
});
afterAll(async () => {
  await Promise.all([gateway.close(), guarded.close()]);
  rmSync(folder, { recursive: true });
});

const create = async (body: object = {}) => (await ask(gateway, 'POST', '/v1/sessions', body)).body;
const remove = (id: string) => ask(gateway, 'DELETE', `/v1/sessions/${id}`);
const withSession = async <T>(body: object, work: (session: SessionView) => Promise<T>): Promise<T> => {
  const session = await create(body);
  try {
    return await work(session);
  } finally {
    await remove(session.id);
  }
};

describe('a session', () => {
  test('is created, shown, listed and ended', async () => {
    const created = await ask(gateway, 'POST', '/v1/sessions', { name: 'Talk', to: ['es', 'de'], delay: 3 });
    expect(created.status).toBe(201);
    expect(created.headers.get('location')).toBe(`/v1/sessions/${created.body.id}`);
    expect(created.body).toMatchObject({
      name: 'Talk',
      state: 'waiting',
      reason: null,
      from: 'en',
      to: ['es', 'de'],
      source: { kind: 'webrtc' },
    });
    expect(created.body.tracks.map(({ id, language, label }) => [id, language, label])).toEqual([
      ['original', 'en', 'English'],
      ['dub:es', 'es', 'español'],
      ['voice:es', 'es', 'español'],
      ['dub:de', 'de', 'Deutsch'],
      ['voice:de', 'de', 'Deutsch'],
    ]);
    const path = `/v1/sessions/${created.body.id}`;
    const shown = await eventually(async () => {
      const { body } = await ask(gateway, 'GET', path);
      return body.stats && body;
    }, 'statistics');
    expect(shown.stats).toMatchObject({
      delay: { configured: 3 },
      stages: [{ kind: 'recognizer', latency: { p50: 12, p95: 30 } }],
      viewers: 0,
    });
    const list = await ask<{ sessions: SessionView[]; elsewhere: unknown[] }>(gateway, 'GET', '/v1/sessions?all=true');
    expect(list.body.sessions.map(({ id }) => id)).toContain(created.body.id);
    expect(list.body.elsewhere).toEqual([]);
    expect((await ask(gateway, 'DELETE', path)).status).toBe(204);
    expect((await refused(gateway, 'GET', path)).body.code).toBe('not_found');
  });

  test('changes its languages while it runs', async () => {
    await withSession({ to: ['es'] }, async ({ id }) => {
      const path = `/v1/sessions/${id}`;
      expect((await ask(gateway, 'PATCH', path, { add: ['de'] })).body).toMatchObject({ to: ['es', 'de'] });
      const one = await ask(gateway, 'PATCH', path, { to: ['de'] });
      expect(one.body.to).toEqual(['de']);
      expect(one.body.tracks.map((track) => track.id)).toEqual(['original', 'dub:de', 'voice:de']);
      expect((await ask(gateway, 'PATCH', path, { add: ['es'], remove: ['de'] })).body.to).toEqual(['es']);
      expect((await refused(gateway, 'PATCH', path, { add: ['fr'] })).body).toMatchObject({
        code: 'unsupported',
        field: 'to.1',
      });
      expect((await refused(gateway, 'PATCH', path, {})).status).toBe(400);
      expect((await refused(gateway, 'PATCH', path, { to: ['es'], add: ['de'] })).body.field).toBe('to');
      expect((await ask(gateway, 'GET', path)).body.to).toEqual(['es']);
    });
  });

  test('hands out its captions and transcript', async () => {
    await withSession({ to: ['es'] }, async ({ id }) => {
      const path = `/v1/sessions/${id}`;
      const vtt = await eventually(async () => {
        const { body } = await ask<string>(gateway, 'GET', `${path}/captions/en.vtt`);
        return body.includes('-->') && body;
      }, 'a caption');
      expect(vtt).toMatch(/^WEBVTT\n/);
      expect(vtt).toContain('sentence 1 &lt;&amp;&gt;');
      expect(vtt).not.toContain('half a');
      expect((await ask<string>(gateway, 'GET', `${path}/captions/es.vtt`)).body).toContain('frase 1');
      const srt = await ask<string>(gateway, 'GET', `${path}/captions/es.srt`);
      expect(srt.headers.get('content-type')).toContain('application/x-subrip');
      expect(srt.body).toMatch(/^1\n\d\d:\d\d:\d\d,\d{3} --> .*\n.*frase 1/);
      expect((await refused(gateway, 'GET', `${path}/captions/es.srt?live=true`)).body.field).toBe('live');
      expect((await refused(gateway, 'GET', `${path}/captions/es.ass`)).status).toBe(400);
      const txt = await ask<string>(gateway, 'GET', `${path}/transcript?format=txt&language=es`);
      expect(txt.headers.get('content-type')).toContain('text/plain');
      expect(txt.body).toMatch(/^\[00:00:\d\d\.\d{3}\] speaker 1: frase 1$/m);
      expect((await ask<string>(gateway, 'GET', `${path}/transcript?format=vtt`)).body).toMatch(/^WEBVTT/);
      const json = await ask<{ cues: Record<string, unknown[]>; lines: unknown[] }>(
        gateway,
        'GET',
        `${path}/transcript`,
      );
      expect(json.body.lines[0]).toMatchObject({
        source: 'sentence 1',
        text: 'frase 1',
        outcome: 'dubbed',
        after: { recognised: 100_000 },
      });
      expect(Object.keys(json.body.cues)).toEqual(['en', 'es']);
      expect((await refused(gateway, 'GET', `${path}/captions/fr.vtt`)).body).toMatchObject({
        code: 'not_found',
        field: 'language',
      });
      expect((await refused(gateway, 'GET', `${path}/captions/..%2f..%2fx`)).status).toBe(400);
      expect((await refused(gateway, 'GET', `${path}/transcript?format=pdf`)).body.field).toBe('format');
    });
  });

  test('hands out its captions while they are being made, until it ends', async () => {
    let text = '';
    await withSession({ to: ['es'] }, async ({ id }) => {
      const response = await fetch(`${gateway.url}/v1/sessions/${id}/captions/es.vtt?live=true`);
      expect(response.headers.get('content-type')).toContain('text/vtt');
      const reading = (async () => {
        const decoder = new TextDecoder();
        for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array, { stream: true });
      })();
      await eventually(async () => text.includes('-->') && parseVtt(text).cues.length > 0, 'a live caption');
      const { body } = await ask<string>(gateway, 'GET', '/metrics');
      expect(body).toMatch(/^caption_readers 1$/m);
      await remove(id);
      await reading;
    });
    expect(parseVtt(text).cues[0]?.lines[0]).toMatch(/^frase/);
  });

  test('that plays a file is told its real path, and ends when the file does', async () => {
    await withSession({ name: 'ends', source: { kind: 'file', path: 'talk.mp4' } }, async ({ id, source }) => {
      expect(source).toEqual({ kind: 'file', path: 'talk.mp4', loop: false });
      const over = await eventually(async () => {
        const { body } = await ask(gateway, 'GET', `/v1/sessions/${id}`);
        return body.state === 'ended' && body;
      }, 'the end');
      expect(over.reason).toBe('The programme is over.');
      expect((await ask<string>(gateway, 'GET', `/v1/sessions/${id}/captions/en.vtt`)).status).toBe(200);
    });
  });

  test('that cannot be played is refused with what its process says', async () => {
    const { status, body } = await refused(gateway, 'POST', '/v1/sessions', {
      name: 'no media',
      source: { kind: 'file', path: 'talk.mp4' },
    });
    expect(status).toBe(422);
    expect(body).toEqual({
      code: 'unsupported',
      field: 'source.path',
      message: 'The file holds no sound and no picture.',
      fix: 'Choose a media file.',
    });
  });

  test('is refused when there are as many as may be', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => refused(gateway, 'POST', '/v1/sessions', {})));
    expect(all.map(({ status }) => status).sort()).toEqual([201, 201, 201, 201, 429, 429]);
    expect(all.find(({ status }) => status === 429)!.body).toMatchObject({
      code: 'limit',
      fix: expect.any(String) as string,
    });
    for (const { status, body } of all) if (status === 201) await remove((body as unknown as SessionView).id);
  });
});

describe('bad input is refused with field and fix', () => {
  test.for<[what: string, body: unknown, status: number, expected: Partial<ApiError>]>([
    ['no JSON', '{"name": ', 400, { code: 'bad_json' }],
    ['an empty body', '', 400, { code: 'bad_json' }],
    ['a list', [], 400, { code: 'invalid' }],
    ['null', 'null', 400, { code: 'invalid' }],
    ['an unknown key', { nam: 'x' }, 400, { code: 'invalid', field: 'nam' }],
    [
      'an unknown key inside',
      { source: { kind: 'file', path: 'x', speed: 2 } },
      400,
      { code: 'invalid', field: 'source.speed' },
    ],
    ['a wrong type', { delay: '5' }, 400, { code: 'invalid', field: 'delay', fix: 'Give "auto" or a number.' }],
    [
      'less at most than at first',
      { delay: 8, delayMost: 5 },
      400,
      { code: 'invalid', field: 'delayMost', fix: 'Give the delay or more.' },
    ],
    ['a level above the original', { mix: { under: 3 } }, 400, { field: 'mix.under', fix: 'Give 0 or less.' }],
    [
      'a loudness in words',
      { mix: { loudness: 'loud' } },
      400,
      { field: 'mix.loudness', fix: 'Give "off" or a number.' },
    ],
    [
      'a level as it was written before',
      { underDub: 0.1 },
      400,
      { field: 'underDub', fix: expect.stringContaining('mix.under') as string },
    ],
    [
      'cloning without a word of consent',
      { voices: { cloning: true } },
      400,
      { field: 'voices.cloning', fix: 'Use one of "off", "consented".' },
    ],
    [
      'a stretched picture, live',
      { video: 'stretch' },
      400,
      { field: 'video', fix: expect.stringContaining('livedub dub') as string },
    ],
    ['too long a delay', { delay: 600 }, 400, { code: 'invalid', field: 'delay', fix: 'Give 60 or less.' }],
    ['an unknown source', { source: { kind: 'ndi' } }, 400, { code: 'invalid', field: 'source.kind' }],
    [
      'a language nobody speaks',
      { to: ['es', 'tlh'] },
      422,
      { code: 'unsupported', field: 'to.1', fix: 'Say es or de.' },
    ],
    ['a language nobody hears', { from: 'tlh' }, 422, { code: 'unsupported', field: 'from' }],
    ['a language twice', { to: ['es', 'es'] }, 400, { code: 'invalid', field: 'to.1' }],
    [
      'an unknown engine',
      { engines: { recognizer: { engine: 'magic' } } },
      400,
      { code: 'invalid', field: 'engines.recognizer.engine' },
    ],
    [
      'an unknown stage',
      { engines: { telepathy: { engine: 'x' } } },
      400,
      { code: 'invalid', field: 'engines.telepathy' },
    ],
    [
      'a file that is not there',
      { source: { kind: 'file', path: 'nothing.mp4' } },
      400,
      { code: 'invalid', field: 'source.path' },
    ],
    [
      'a file above the root',
      { source: { kind: 'file', path: '../secret.txt' } },
      400,
      { code: 'invalid', field: 'source.path' },
    ],
    [
      'a file beside the root',
      { source: { kind: 'file', path: '../files-of-others/x.mp4' } },
      400,
      { code: 'invalid', field: 'source.path' },
    ],
    [
      'an absolute path',
      { source: { kind: 'file', path: '/etc/passwd' } },
      400,
      { code: 'invalid', field: 'source.path' },
    ],
    [
      'a link out of the root',
      { source: { kind: 'file', path: 'link.mp4' } },
      400,
      { code: 'invalid', field: 'source.path' },
    ],
    ['a directory', { source: { kind: 'file', path: 'inner' } }, 400, { code: 'invalid', field: 'source.path' }],
    [
      'a zero byte',
      { source: { kind: 'file', path: 'talk.mp4\0.txt' } },
      400,
      { code: 'invalid', field: 'source.path' },
    ],
    ['a body too large', { name: 'x'.repeat(70_000) }, 413, { code: 'too_large' }],
  ])('%s', async ([, sent, status, expected]) => {
    const answer = await refused(gateway, 'POST', '/v1/sessions', sent);
    expect(answer.body).toMatchObject(expected);
    expect(answer.status).toBe(status);
    expect(Object.keys(answer.body).sort()).toEqual(['code', 'field', 'fix', 'message']);
    expect(answer.body.message).not.toBe('');
    expect(gateway.sessions.list().filter((session) => !session.over)).toEqual([]);
  });

  test('a body of another type', async () => {
    expect(
      (await refused(gateway, 'POST', '/v1/sessions', 'name=x', { 'content-type': 'text/x-form' })).body.field,
    ).toBe('content-type');
  });
  test('a path that leads nowhere', async () => {
    expect(await refused(gateway, 'GET', '/v1/nothing')).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await refused(gateway, 'PUT', '/v1/sessions', {})).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    });
  });
});

describe('a token', () => {
  test.for<[string, Record<string, string>]>([
    ['missing', {}],
    ['wrong', { authorization: 'Bearer wrong-token-of-some-length' }],
    ['of another scheme', { authorization: `Basic ${token}` }],
  ])('that is %s: sessions are readable and not changeable', async ([, headers]) => {
    for (const [method, path, body] of [
      ['POST', '/v1/sessions', {}],
      ['PATCH', '/v1/sessions/x', { to: [] }],
      ['DELETE', '/v1/sessions/x', undefined],
    ] as const) {
      expect(await refused(guarded, method, path, body, headers)).toMatchObject({
        status: 401,
        body: { code: 'unauthorized', field: 'authorization' },
      });
    }
    expect((await ask(guarded, 'GET', '/v1/sessions', undefined, headers)).status).toBe(200);
  });
  test('that is right lets its bearer create and end sessions', async () => {
    const { status, body } = await ask(guarded, 'POST', '/v1/sessions', {}, { authorization });
    expect(status).toBe(201);
    expect((await ask(guarded, 'DELETE', `/v1/sessions/${body.id}`, undefined, { authorization })).status).toBe(204);
  });
});

describe('the service', () => {
  test('says that it lives and is ready', async () => {
    expect((await ask(gateway, 'GET', '/healthz')).body).toEqual({ ok: true });
    expect(await ask(gateway, 'GET', '/readyz')).toMatchObject({
      status: 200,
      body: { ready: true, workers: 1, registry: 'memory' },
    });
  });

  test('counts, with labels per session that go with it', async () => {
    const id = await withSession({}, async (session) => {
      const text = await eventually(async () => {
        const { body } = await ask<string>(gateway, 'GET', '/metrics');
        return body.includes('stage_latency_seconds{') && body;
      }, 'latencies');
      expect(text).toContain(`stage_latency_seconds{session="${session.id}",stage="recognizer",quantile="0.95"} 0.03`);
      for (const [name, labels, value] of [
        ['lag_seconds', '', '5.25'],
        ['delay_wanted_seconds', '', '5.5'],
        ['drift_ppm', '', '-12.5'],
        ['loudness_integrated_lufs', ',track="original"', '-22.5'],
        ['loudness_integrated_lufs', ',track="dub:es"', '-23.25'],
        ['true_peak_dbtp', ',track="dub:es"', '-1.5'],
        ['lines_fitted_total', ',language="es",rung="slowed"', '2'],
      ] as const)
        expect(text).toContain(`\n${name}{session="${session.id}"${labels}} ${value}\n`);
      expect(text).not.toContain('track="voice:es"'); // nothing was measured of it
      for (const name of [
        'clips_late_total',
        'mailbox_dropped_total',
        'event_loop_delay_seconds',
        'viewers',
        'relay_packets_total',
        'session_restarts_total',
      ]) {
        expect(text).toMatch(new RegExp(`^${name}(\\{| )`, 'm'));
      }
      expect(text).toMatch(
        /^http_request_duration_seconds_count\{route="\/v1\/sessions",method="POST",status="201"\} \d+$/m,
      );
      return session.id;
    });
    expect((await ask<string>(gateway, 'GET', '/metrics')).body).not.toContain(id);
  });

  test('says how to build the pages when they are not built', async () => {
    const { status, body } = await ask<string>(gateway, 'GET', '/');
    expect(status).toBe(200);
    expect(body).toContain('npm run build');
    expect((await ask<string>(gateway, 'GET', '/watch/abc')).status).toBe(404);
  });

  test('serves the pages when they are built, the same one for every address of theirs', async () => {
    const pages = join(folder, 'pages');
    mkdirSync(join(pages, 'assets'), { recursive: true });
    writeFileSync(join(pages, 'index.html'), '<title>The pages</title>');
    writeFileSync(join(pages, 'assets/app-abc.js'), 'run()');
    const built = await openGateway({}, { pages });
    for (const path of ['/', '/watch/abc', '/publish/abc?autostart=file']) {
      expect(await ask<string>(built, 'GET', path)).toMatchObject({ status: 200, body: '<title>The pages</title>' });
    }
    const asset = await ask<string>(built, 'GET', '/assets/app-abc.js');
    expect(asset).toMatchObject({ status: 200, body: 'run()' });
    expect(asset.headers.get('cache-control')).toContain('immutable');
    expect((await ask<string>(built, 'GET', '/assets/gone.js')).status).toBe(404);
    expect((await ask<string>(built, 'GET', '/..%2fsecret.txt')).body).not.toContain('secret');
    await built.close();
  });
});

interface Schema {
  readonly $ref?: string;
  readonly [key: string]: unknown;
}
interface Operation {
  readonly parameters?: { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: Schema }> };
  readonly responses: Record<
    string,
    { readonly description: string; readonly content?: Record<string, { readonly schema?: Schema }> }
  >;
}
interface Document {
  readonly openapi: string;
  readonly info: Record<string, unknown>;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Schema> };
}

describe('/openapi.json', () => {
  const everyObject = (node: unknown): Record<string, unknown>[] =>
    typeof node !== 'object' || node === null
      ? []
      : [node as Record<string, unknown>, ...Object.values(node).flatMap(everyObject)];
  const TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null'];

  test('is an OpenAPI 3.1 document: its parts are there and every reference leads somewhere', async () => {
    const { body } = await ask<Document>(gateway, 'GET', '/openapi.json');
    expect(body.openapi).toMatch(/^3\.1\.\d+$/);
    expect(body.info).toMatchObject({ title: expect.any(String) as string, version: expect.any(String) as string });
    for (const [path, operations] of Object.entries(body.paths)) {
      expect(path).toMatch(/^\//);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const [method, operation] of Object.entries(operations)) {
        expect(['get', 'post', 'patch', 'delete', 'put', 'head', 'options', 'trace']).toContain(method);
        const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
        expect(named.map(({ name }) => name).sort(), `${method} ${path}`).toEqual([...inPath].sort());
        for (const parameter of operation.parameters ?? []) expect(parameter.schema).toBeTypeOf('object');
        expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
        for (const [status, response] of Object.entries(operation.responses)) {
          expect(status).toMatch(/^([1-5]\d\d|default)$/);
          expect(response.description).toBeTypeOf('string');
          for (const { schema } of Object.values(response.content ?? {})) expect(schema).toBeTypeOf('object');
        }
      }
    }
    for (const object of everyObject(body)) {
      if (typeof object['$ref'] === 'string') {
        const target = object['$ref']
          .split('/')
          .slice(1)
          .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], body);
        expect(target, object['$ref']).toBeTypeOf('object');
      }
      if (typeof object['type'] === 'string' && 'properties' in object) expect(TYPES).toContain(object['type']);
      expect(object['nullable']).toBeUndefined(); // 3.0's way
    }
  });

  test('names every route, the body a session is made of, and every refusal', async () => {
    const { body } = await ask<Document>(gateway, 'GET', '/openapi.json');
    expect(
      Object.entries(body.paths)
        .flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method} ${path}`))
        .sort(),
    ).toEqual([
      'delete /v1/recordings/{name}',
      'delete /v1/sessions/{id}',
      'delete /v1/sessions/{id}/whep/{resource}',
      'delete /v1/sessions/{id}/whip/{resource}',
      'get /healthz',
      'get /readyz',
      'get /v1/engines',
      'get /v1/languages',
      'get /v1/recordings',
      'get /v1/recordings/{name}/{key}/{file}',
      'get /v1/sessions',
      'get /v1/sessions/{id}',
      'get /v1/sessions/{id}/captions/{file}',
      'get /v1/sessions/{id}/hls/{file}',
      'get /v1/sessions/{id}/hls/{rendition}/{file}',
      'get /v1/sessions/{id}/poster.jpg',
      'get /v1/sessions/{id}/storyboard.vtt',
      'get /v1/sessions/{id}/storyboard/{file}',
      'get /v1/sessions/{id}/transcript',
      'patch /v1/sessions/{id}',
      'patch /v1/sessions/{id}/whep/{resource}',
      'patch /v1/sessions/{id}/whip/{resource}',
      'post /v1/sessions',
      'post /v1/sessions/{id}/whep',
      'post /v1/sessions/{id}/whep/{resource}/language',
      'post /v1/sessions/{id}/whip',
    ]);
    const post = body.paths['/v1/sessions']!['post']!;
    const sent = post.requestBody!.content['application/json']!.schema;
    const spec = sent.$ref ? body.components.schemas[sent.$ref.split('/').at(-1)!]! : sent;
    expect(Object.keys(spec['properties'] as object)).toEqual([
      'name',
      'source',
      'outputs',
      'from',
      'to',
      'delay',
      'delayMost',
      'denoise',
      'mix',
      'voices',
      'video',
      'lips',
      'profile',
      'engines',
    ]);
    expect(spec['required'] ?? []).toEqual([]);
    expect(spec['additionalProperties']).toBe(false);
    expect(Object.keys(post.responses)).toEqual(['201', '400', '401', '413', '422', '429']);
    expect(Object.keys(body.components.schemas)).toEqual(
      expect.arrayContaining(['ApiError', 'Session', 'Stats', 'Track', 'Transcript']),
    );
  });
});
