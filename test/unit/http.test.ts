import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type AddressInfo, createServer as listen } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ManualClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { ms, seconds } from '../../media/time.ts';
import { Breaker } from '../../models/service/breaker.ts';
import { eventsOf, linesOf } from '../../models/service/events.ts';
import { HttpClient, type HttpOptions, retryAfter, serverSettings } from '../../models/service/http.ts';
import { keyFrom, needsVariable } from '../../models/service/keys.ts';
import { Spending } from '../../models/service/spending.ts';
import type { Fault } from '../../pipeline/fault.ts';

const KEY = 'sk-very-secret-0123456789';
const VARIABLE = 'LIVEDUB_UNIT_API_KEY';
const Settings = z.strictObject(serverSettings('https://api.example.org/v1'));
const Reply = z.object({ text: z.string() });

const containing = (text: string) => expect.stringContaining(text) as string;
const matching = (pattern: RegExp) => expect.stringMatching(pattern) as string;

let scope: Scope;
let clock: ManualClock;
let asked: IncomingMessage[];
/** What each request gets, in order; the last for all that follow. */
let answers: ((response: ServerResponse, request: IncomingMessage) => void)[];
let url: string;
const well = (response: ServerResponse) =>
  void response.writeHead(200, { 'content-type': 'application/json' }).end('{"text":"well"}');
const status =
  (code: number, headers: Record<string, string> = {}, body = '{}') =>
  (response: ServerResponse) =>
    void response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(body);

beforeEach(async () => {
  scope = new Scope('test');
  clock = new ManualClock();
  asked = [];
  answers = [well];
  const server = createServer((request, response) => {
    request.resume();
    asked.push(request);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    answer?.(response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterEach(async () => {
  delete process.env[VARIABLE];
  delete process.env['LIVEDUB_KEY_HOSTS'];
  await scope.close();
});

const clientOf = (settings: object = {}, options: Partial<HttpOptions> = {}) =>
  new HttpClient({
    stage: 'translator',
    engine: 'unit',
    settings: Settings.parse({ baseUrl: url, ...settings }),
    ...options,
  });
const run = (signal = new AbortController().signal) => ({ signal, clock });
const ask = (client: HttpClient, more: object = {}) =>
  client.json({ path: '/say', json: { a: 1 }, ...more }, Reply, run());
async function patiently<T>(work: Promise<T>, step = ms(50)): Promise<T> {
  let settled = false;
  const done = work.finally(() => (settled = true));
  done.catch(() => {});
  while (!settled) {
    await sleep(2);
    await clock.advance(step);
  }
  return done;
}
const failed = (work: Promise<unknown>) =>
  patiently(work).then(
    () => expect.unreachable('it worked'),
    (thrown: unknown) => thrown as Fault,
  );

describe('a request', () => {
  test('goes below the base URL, with JSON, and comes back as what it should be', async () => {
    await expect(ask(clientOf())).resolves.toEqual({ text: 'well' });
    expect(asked[0]?.url).toBe('/v1/say');
    expect(asked[0]?.headers['content-type']).toBe('application/json');
    expect(asked[0]?.headers.authorization).toBeUndefined();
  });

  test.for([
    [429, 'overloaded', 3],
    [529, 'overloaded', 3],
    [500, 'unavailable', 3],
    [503, 'unavailable', 3],
    [408, 'timeout', 3],
    [400, 'rejected', 1],
    [404, 'rejected', 1],
    [422, 'rejected', 1],
    [401, 'broken', 1],
    [402, 'broken', 1],
    [403, 'broken', 1],
    [301, 'broken', 1],
  ] as const)('that is answered %i is %s, after %i attempts', async ([code, kind, attempts]) => {
    answers = [status(code)];
    const fault = await failed(ask(clientOf()));
    expect(fault.kind).toBe(kind);
    expect(fault.message).toContain(String(code));
    expect(asked).toHaveLength(attempts);
  });

  test('that failed is made again and works', async () => {
    answers = [status(503), (response) => void response.destroy(), well];
    await expect(patiently(ask(clientOf()))).resolves.toEqual({ text: 'well' });
    expect(asked).toHaveLength(3);
  });

  test('is not made again after its deadline', async () => {
    answers = [status(503)];
    const fault = await failed(ask(clientOf(), { deadline: 100_000 }));
    expect(fault.kind).toBe('unavailable');
    expect(asked).toHaveLength(1);
  });

  test('waits as long as the server asks, but not longer than there is time', async () => {
    answers = [status(429, { 'retry-after': '7' }), well];
    await expect(patiently(ask(clientOf()))).resolves.toEqual({ text: 'well' });
    expect(clock.now()).toBeGreaterThanOrEqual(7_000_000);
    answers = [status(429, { 'retry-after': '700' })];
    expect((await failed(ask(clientOf()))).kind).toBe('overloaded');
    // Nobody else asks either while the host wants to be left alone.
    const before = asked.length;
    expect((await failed(ask(clientOf({ retries: 0 })))).kind).toBe('overloaded');
    expect(asked).toHaveLength(before);
  });

  test('is told by status what its service means by it', async () => {
    answers = [status(456)];
    expect((await failed(ask(clientOf({}, { statuses: { 456: 'broken' } })))).kind).toBe('broken');
  });

  test('to nobody is unavailable, without a word of the request', async () => {
    const fault = await failed(ask(clientOf({ baseUrl: 'http://127.0.0.1:9', retries: 0 }), { said: 'marmalade' }));
    expect(fault).toMatchObject({ kind: 'unavailable', message: containing('127.0.0.1:9') });
  });

  test('that is answered by what is no HTTP is rejected', async () => {
    const other = listen((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')).listen(0, '127.0.0.1');
    scope.defer(() => other.close());
    await once(other, 'listening');
    const baseUrl = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    expect(await failed(ask(clientOf({ baseUrl })))).toMatchObject({
      kind: 'rejected',
      message: matching(/does not speak HTTP/),
    });
  });

  test('that is answered by other JSON names the field, and never what was in it', async () => {
    answers = [status(200, {}, '{"text":["marmalade"]}')];
    const fault = await failed(ask(clientOf()));
    expect(fault).toMatchObject({ kind: 'rejected', message: containing("'text'") });
    answers = [status(200, {}, 'marmalade')];
    const other = await failed(ask(clientOf()));
    expect(other).toMatchObject({ kind: 'rejected', message: containing('JSON') });
    expect(inspect([fault, other], { depth: 9 })).not.toContain('marmalade');
  });

  test('repeats a reason of the server only if it cannot be what was said', async () => {
    answers = [status(400, {}, '{"error":{"message":"no such model: zeta"}}')];
    expect((await failed(ask(clientOf(), { said: 'I like marmalade.' }))).message).toContain('no such model: zeta');
    answers = [status(400, {}, '{"error":{"message":"bad input: marmalade"}}')];
    expect((await failed(ask(clientOf(), { said: 'I like marmalade.' }))).message).not.toContain('marmalade');
  });
});

describe('time', () => {
  const timeouts = { connect: 1, firstByte: 4, idle: 2, total: 20 };

  test('a server that does not begin to answer is given up', async () => {
    answers = [() => {}];
    const fault = await failed(ask(clientOf({ timeouts, retries: 0 })));
    expect(fault).toMatchObject({ kind: 'timeout', message: containing('4 s') });
    expect(clock.now()).toBeGreaterThanOrEqual(4_000_000);
    expect(clock.now()).toBeLessThan(5_000_000);
  });

  test('a host that cannot be reached is given up sooner than one that thinks', async () => {
    // An address for documentation (RFC 5737): nobody is there.
    const baseUrl = 'http://192.0.2.1:81';
    const fault = await failed(ask(clientOf({ baseUrl, timeouts, retries: 0 })));
    // A machine without a network refuses at once.
    expect(['timeout', 'unavailable']).toContain(fault.kind);
    expect(clock.now()).toBeLessThan(2_000_000);
  });

  test('a server that falls silent in the middle is given up, and so is one that never ends', async () => {
    answers = [(response) => void response.writeHead(200).write('a')];
    const client = clientOf({ timeouts });
    expect(await failed(client.bytes({ path: '/' }, run()))).toMatchObject({
      kind: 'timeout',
      message: matching(/was silent for 2 s/),
    });
    answers = [
      (response) => {
        const timer = setInterval(() => response.write('a'), 5);
        response.writeHead(200).on('close', () => clearInterval(timer));
      },
    ];
    expect(await failed(client.bytes({ path: '/' }, run()))).toMatchObject({
      kind: 'timeout',
      message: matching(/in time/),
    });
  });

  test('a consumer that takes its time is no silence of the server', async () => {
    answers = [(response) => void response.writeHead(200).end('a'.repeat(300_000))];
    let length = 0;
    for await (const piece of clientOf({ timeouts: { ...timeouts, total: 600 } }).stream({ path: '/' }, run())) {
      length += piece.length;
      await clock.advance(seconds(5));
    }
    expect(length).toBe(300_000);
  });

  test('an abort ends a request at once, with its own reason', async () => {
    answers = [() => {}];
    const abort = new AbortController();
    const work = clientOf().bytes({ path: '/' }, run(abort.signal));
    setTimeout(() => abort.abort(new Error('enough')), 20);
    await expect(work).rejects.toThrow('enough');
  });

  test('`Retry-After` may be a date, and whose clock is wrong does not matter', () => {
    const headers = new Headers({
      'retry-after': 'Wed, 01 Jan 2031 00:00:30 GMT',
      date: 'Wed, 01 Jan 2031 00:00:00 GMT',
    });
    expect(retryAfter(headers)).toBe(30_000_000);
    expect(retryAfter(new Headers({ 'retry-after': '1.5' }))).toBe(1_500_000);
    expect(retryAfter(new Headers({ 'retry-after': 'soon' }))).toBeUndefined();
    expect(retryAfter(new Headers())).toBeUndefined();
  });
});

test('a server waits while nobody reads', async () => {
  let sent = 0;
  let stalled = false;
  answers = [
    (response) => {
      const more = () => {
        for (let n = 0; n < 64; n += 1) {
          sent += 65_536;
          if (!response.write(Buffer.alloc(65_536))) {
            stalled = true;
            return void response.once('drain', more);
          }
        }
        setImmediate(more);
      };
      response.writeHead(200);
      more();
    },
  ];
  const stream = clientOf().stream({ path: '/' }, run());
  await stream.next();
  let before = -1;
  while (before !== sent) {
    before = sent;
    await sleep(100);
  }
  expect(stalled).toBe(true);
  expect(sent).toBeLessThan(32e6);
  await stream.return();
});

describe('the breaker', () => {
  const leaveOf = (breaker: Breaker) => {
    const leave = breaker.admit();
    return 'why' in leave ? undefined : leave;
  };
  test('opens after five failures in a row, lets one probe after a rest, and doubles the rest', async () => {
    const breaker = new Breaker(clock);
    for (let n = 0; n < 4; n += 1) leaveOf(breaker)!.failed();
    leaveOf(breaker)!.succeeded();
    for (let n = 0; n < 5; n += 1) leaveOf(breaker)!.failed();
    expect(breaker.state).toBe('open');
    expect(breaker.admit()).toEqual({ why: 'failed', wait: 5_000_000 });
    await clock.advance(seconds(5));
    const probe = leaveOf(breaker)!;
    expect(breaker.state).toBe('half open');
    expect(leaveOf(breaker)).toBeUndefined();
    probe.failed();
    probe.succeeded();
    expect(breaker.admit()).toEqual({ why: 'failed', wait: 10_000_000 });
    await clock.advance(seconds(10));
    leaveOf(breaker)!.succeeded();
    expect(breaker.state).toBe('closed');
  });
  test('gives the probe to the next when the first left', async () => {
    const breaker = new Breaker(clock);
    for (let n = 0; n < 5; n += 1) leaveOf(breaker)!.failed();
    await clock.advance(seconds(5));
    leaveOf(breaker)!.left();
    leaveOf(breaker)!.succeeded();
    expect(breaker.state).toBe('closed');
  });
  test('is one for all who ask a host, and spares it', async () => {
    answers = [status(500)];
    await failed(ask(clientOf()));
    await failed(ask(clientOf({}, { engine: 'another' })));
    expect(asked).toHaveLength(5);
    const fault = await failed(ask(clientOf()));
    expect(fault).toMatchObject({ kind: 'unavailable', message: containing('not asked') });
    expect(asked).toHaveLength(5);
    await clock.advance(seconds(6));
    answers = [well];
    await expect(ask(clientOf())).resolves.toEqual({ text: 'well' });
  });
});

describe('keys', () => {
  test('are sent, and are in no message, address, cause or setting', async () => {
    process.env[VARIABLE] = ` ${KEY}\n`;
    const client = clientOf({ keyFrom: VARIABLE });
    await ask(client);
    expect(asked[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(asked[0]?.url).not.toContain(KEY);
    answers = [
      (response, request) =>
        status(401, {}, JSON.stringify({ error: `bad key ${request.headers.authorization}` }))(response),
    ];
    const fault = await failed(ask(client));
    expect(fault).toMatchObject({ kind: 'broken', message: containing(VARIABLE) });
    expect(
      inspect([fault, client, Settings.parse({ keyFrom: VARIABLE })], { depth: 12, showHidden: true }),
    ).not.toContain(KEY);
  });

  test('that are missing or cannot be sent are a sentence that names the variable', async () => {
    const client = clientOf({ keyFrom: VARIABLE });
    expect(await failed(ask(client))).toMatchObject({
      kind: 'broken',
      message: containing(`set the environment variable ${VARIABLE}`),
    });
    process.env[VARIABLE] = `${KEY}\n${KEY}`;
    const fault = await failed(ask(client));
    expect(fault).toMatchObject({ kind: 'broken', message: containing(VARIABLE) });
    expect(inspect(fault, { depth: 9 })).not.toContain(KEY);
    expect(asked).toHaveLength(0);
  });

  test('pasted in place of a variable’s name are refused unrepeated', () => {
    const refused = keyFrom.safeParse(KEY);
    expect(refused.success).toBe(false);
    expect(JSON.stringify(refused.error)).not.toContain(KEY);
    expect(() => Settings.parse({ baseUrl: `https://user:${KEY}@host` })).toThrow(/without user/);
    expect(() => Settings.parse({ baseUrl: `https://host/?key=x` })).toThrow(/query/);
    expect(() => Settings.parse({ baseUrl: 'file:///etc/passwd' })).toThrow(/https/);
  });

  test('go nowhere but where they belong, whatever a session asks for', async () => {
    process.env[VARIABLE] = KEY;
    const service = { variable: VARIABLE, url: 'https://api.example.org/v1' };
    const elsewhere = clientOf({ baseUrl: 'https://evil.example.com/v1', keyFrom: VARIABLE }, { service });
    expect(await failed(ask(elsewhere))).toMatchObject({
      kind: 'broken',
      message: containing('LIVEDUB_KEY_HOSTS'),
    });
    // Without being named, the service's key is not even thought of there.
    expect(clientOf({ baseUrl: 'https://evil.example.com/v1' }, { service }).headers()).toEqual({});
    expect(clientOf({ baseUrl: service.url }, { service }).headers()).toEqual({ authorization: `Bearer ${KEY}` });
    process.env['LIVEDUB_KEY_HOSTS'] = `OTHER_API_KEY=a.example, ${VARIABLE}=evil.example.com`;
    expect(elsewhere.headers()).toEqual({ authorization: `Bearer ${KEY}` });
  });

  test('are a need that can be looked up', () => {
    const need = needsVariable(VARIABLE);
    expect(need.present()).toBe(false);
    process.env[VARIABLE] = KEY;
    expect(need.present()).toBe(true);
    expect(need.install).toContain(VARIABLE);
  });
});

test('what is spent is counted and told in money', () => {
  const spending = new Spending('translator', 'unit');
  const price = {
    currency: 'EUR',
    request: 0.01,
    millionCharacters: 20,
    minute: 0.6,
    millionTokensIn: 1,
    millionTokensOut: 4,
  };
  spending.add({ requests: 2 }, price);
  spending.add({ characters: 1_000, seconds: 30, tokensIn: 2_000, tokensOut: 500 }, price);
  spending.retried();
  expect(spending.report()).toMatchObject({
    requests: 2,
    characters: 1_000,
    seconds: 30,
    tokensIn: 2_000,
    tokensOut: 500,
    retries: 1,
  });
  expect(spending.report().money?.amount).toBeCloseTo(0.02 + 0.02 + 0.3 + 0.002 + 0.002, 9);
  expect(new Spending('translator', 'free').report().money).toBeNull();
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe('text that comes in pieces', () => {
  const cut = async function* (text: string, size: number) {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  };
  test.for([1, 2, 3, 7, 1_000])('is cut into lines whatever the pieces (%i bytes)', async (size) => {
    expect(await all(linesOf(cut('eins\r\nzwei\n\ndreißig', size)))).toEqual(['eins', 'zwei', '', 'dreißig']);
  });
  test.for([1, 5, 1_000])('is cut into events whatever the pieces (%i bytes)', async (size) => {
    const text = ': hello\n\ndata: {"a":1}\n\nevent: end\ndata: x\ndata:y\nid: 7\n\ndata: unfinished';
    expect(await all(eventsOf(cut(text, size)))).toEqual([
      { event: 'message', data: '{"a":1}' },
      { event: 'end', data: 'x\ny' },
    ]);
  });
  test('is refused when a line does not end', async () => {
    await expect(all(linesOf(cut('a'.repeat(100), 10), 50))).rejects.toThrow(RangeError);
  });
});
