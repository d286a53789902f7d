import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Checked, checkHls } from '../../gateway/hls-check/check.ts';
import type { RuleId } from '../../gateway/hls-check/rules.ts';
import { type ClockTime, at } from '../../media/time.ts';
import { TRACKS, openHls } from '../fakes/hls-house.ts';

const HEAD = [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xaa, 0, 0, 0, 1, 0x68, 0xce];
const picture = (n: number) => ({
  ...({
    track: 'video',
    codec: 'H264',
    width: 320,
    height: 180,
    start: at(n * 40_000),
    keyFrame: n % 50 === 0,
  } as const),
  data: Uint8Array.from(n % 50 === 0 ? [...HEAD, 0, 0, 0, 1, 0x65, n % 251] : [0, 0, 0, 1, 0x41, n % 251]),
});

interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}
/** A server that is not as it should be: what it makes of a question, and of the answer. */
interface Lie {
  readonly rule: RuleId;
  ask?(path: string, query: Record<string, string>): Record<string, string>;
  tell?(path: string, told: Told, query: Record<string, string>): Told | Promise<Told>;
}
const only =
  (...names: string[]) =>
  (_: string, query: Record<string, string>) =>
    Object.fromEntries(Object.entries(query).filter(([name]) => !names.includes(name)));
const text = (from: RegExp, to: string) => (path: string, told: Told) =>
  path.endsWith('.m3u8') ? { ...told, body: String(told.body).replaceAll(from, to) } : told;
const GONE = { status: 404, headers: { 'content-type': 'text/plain' }, body: 'gone' };
const segment = (path: string) => /\/\d+\.m4s$/.test(path);
let changes = 0;
/** The oldest segment that is listed. */
let listed = 0;

const LIES: readonly Lie[] = [
  { rule: 'answer-early', ask: only('_HLS_msn', '_HLS_part') },
  { rule: 'answer-status', tell: (path, told) => (/\.2\.m4s$/.test(path) ? { ...GONE, status: 500 } : told) },
  { rule: 'delta-ignored', ask: only('_HLS_skip') },
  { rule: 'delta-wrong', tell: text(/SKIPPED-SEGMENTS=/g, 'SKIPPED-SEGMENTS=9') },
  { rule: 'far-ahead', ask: (_, query) => (query['_HLS_part'] === undefined ? {} : query) },
  {
    rule: 'media-changed',
    tell: (path, told) =>
      segment(path)
        ? {
            ...told,
            body: Buffer.concat([
              told.body as Uint8Array,
              Buffer.from([0, 0, 0, 12, 0x66, 0x72, 0x65, 0x65, 0, 0, 0, (changes += 1) & 255]),
            ]),
          }
        : told,
  },
  { rule: 'missing-not-404', tell: (path, told) => (path.includes('there-is-no') ? { ...told, status: 200 } : told) },
  {
    rule: 'gone-early',
    tell(path, told) {
      if (path.endsWith('.m3u8')) listed = Number(/MEDIA-SEQUENCE:(\d+)/.exec(String(told.body))?.[1] ?? 0);
      return segment(path) && Number(/(\d+)\.m4s/.exec(path)?.[1]) < listed ? GONE : told;
    },
  },
  {
    rule: 'init-broken',
    tell: (path, told) => (path.includes('init') ? { ...told, body: Uint8Array.of(0, 0, 0, 8, 1, 2, 3, 4) } : told),
  },
  { rule: 'map-missing', tell: text(/#EXT-X-MAP.*\n/g, '') },
  { rule: 'starved', tell: (path, told) => (/\.4\.m4s$/.test(path) ? sleep(1_500).then(() => told) : told) },
];

const { hls, scope } = openHls({ segment: 2, window: 30 });
const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://x');
  const [, name = '', ...rest] = url.pathname.split('/');
  const lie: Partial<Lie> = LIES.find(({ rule }) => rule === name) ?? {};
  const path = rest.join('/');
  const asked = Object.fromEntries(url.searchParams);
  const ended = new AbortController();
  response.once('close', () => ended.abort());
  const query = lie.ask?.(path, asked) ?? asked;
  hls
    .answer({ path, query, signal: ended.signal })
    .then((told) => lie.tell?.(`/${path}`, told, asked) ?? told)
    .then(({ status, headers, body }) =>
      response.writeHead(status, { ...headers, 'content-encoding': 'identity' }).end(body),
    )
    .catch(() => response.destroy());
});
let timer: NodeJS.Timeout;
const results = new Map<string, Checked>();

beforeAll(async () => {
  hls.tracks(TRACKS.filter(({ id }) => id === 'video'));
  let n = 0;
  const feed = () => {
    hls.picture(picture(n));
    if (n % 3 === 0) hls.tick((n * 40_000) as ClockTime, at(n * 40_000));
    n += 1;
  };
  while (n < 40 * 25) feed();
  const began = performance.now();
  timer = setInterval(() => {
    while (n < 1_000 + (performance.now() - began) / 40) feed();
  }, 20);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await Promise.all(
    ['honest', ...LIES.map(({ rule }) => rule)].map(async (name) => {
      const url = `http://127.0.0.1:${port}/${name}/video/index.m3u8`;
      // On a busy machine a watch may be over before it came to that.
      for (let tries = 0; tries < 4; tries += 1) {
        const result = await checkHls(url, { seconds: 5, signal: new AbortController().signal });
        results.set(name, result);
        if (name === 'honest' || result.findings.some(({ rule }) => rule === name)) return;
      }
    }),
  );
}, 60_000);
afterAll(async () => {
  clearInterval(timer);
  server.closeAllConnections();
  server.close();
  await scope.close();
});

/** What how busy the machine is decides, and that this server does not compress. */
const BESIDE: readonly RuleId[] = ['starved', 'update-late', 'no-gzip'];
const rulesOf = (name: string) => results.get(name)!.findings.map(({ rule }) => rule);

test('a live server that keeps the rules has no findings', () => {
  expect(rulesOf('honest').filter((rule) => !BESIDE.includes(rule))).toEqual([]);
  expect(results.get('honest')).toMatchObject({ live: true, lowLatency: true });
  expect(results.get('honest')!.renditions[0]!.pieces).toBeGreaterThan(8);
});
test.for(LIES.map(({ rule }) => rule))('%s is found', (rule) => {
  expect(rulesOf(rule)).toContain(rule);
});
