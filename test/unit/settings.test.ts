import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, loadConfig, variableOf } from '../../gateway/settings.ts';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'livedub-settings-'))));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (content: string) => {
  const path = join(folder, 'livedub.json');
  writeFileSync(path, content);
  return path;
};
const errorOf = (work: () => unknown): ConfigError => {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('it was accepted');
};

test('without anything said there are defaults for everything', () => {
  expect(loadConfig(undefined)).toMatchObject({
    http: { host: '127.0.0.1', port: 8080 },
    limits: { sessions: 16 },
    log: { level: 'info' },
  });
});

test('the environment goes over the file, and the command line over both', () => {
  const path = file('{ "http": { "port": 1, "host": "10.0.0.1" }, "limits": { "sessions": 3 } }');
  const env = { LIVEDUB_HTTP_PORT: '2', LIVEDUB_LIMITS_SESSIONS: '4' };
  expect(loadConfig(path, env, { http: { port: 3, host: undefined } })).toMatchObject({
    http: { port: 3, host: '10.0.0.1' },
    limits: { sessions: 4 },
  });
});

test('variables say numbers, words, lists and JSON', () => {
  const config = loadConfig(undefined, {
    LIVEDUB_FILES_ROOTS: '/media:/srv/talks',
    LIVEDUB_RTC_PORTS_MIN: '20000',
    LIVEDUB_RTC_ICE_SERVERS: '[{"urls":"stun:stun.example"}]',
    LIVEDUB_LOG_LEVEL: 'warn',
    LIVEDUB_AUTH_TOKEN: '0123456789abcdef',
  });
  expect(config).toMatchObject({
    files: { roots: ['/media', '/srv/talks'] },
    rtc: { ports: { min: 20_000, max: 49_999 }, iceServers: [{ urls: 'stun:stun.example' }] },
    log: { level: 'warn' },
    auth: { token: '0123456789abcdef' },
  });
});

test('variables that belong to other parts of Livedub, and empty ones, say nothing', () => {
  expect(() =>
    loadConfig(undefined, { LIVEDUB_MEDIA: '/x', LIVEDUB_CACHE: '/y', LIVEDUB_HTTP_PORT: '', PATH: '/bin' }),
  ).not.toThrow();
});

test('a key is named after its place', () => {
  expect(variableOf(['rtc', 'iceServers'])).toBe('LIVEDUB_RTC_ICE_SERVERS');
});

describe('what cannot be is refused with a sentence that names the key, where it came from and the fix', () => {
  test.for<[what: string, load: () => unknown, key: string | null, says: readonly string[]]>([
    [
      'a variable that is no number',
      () => loadConfig(undefined, { LIVEDUB_HTTP_PORT: 'eighty' }),
      'http.port',
      ['LIVEDUB_HTTP_PORT', 'number'],
    ],
    [
      'a number out of range',
      () => loadConfig(undefined, { LIVEDUB_HTTP_PORT: '70000' }),
      'http.port',
      ['LIVEDUB_HTTP_PORT', '65535'],
    ],
    [
      'a variable with a typing error',
      () => loadConfig(undefined, { LIVEDUB_HTTP_PROT: '80' }),
      null,
      ['LIVEDUB_HTTP_PROT', 'LIVEDUB_HTTP_PORT'],
    ],
    [
      'an unknown key in the file',
      () => loadConfig(file('{ "http": { "prot": 80 } }')),
      'http.prot',
      ['http.prot', 'livedub.json'],
    ],
    [
      'a word that is none of the choices',
      () => loadConfig(undefined, { LIVEDUB_LOG_LEVEL: 'loud' }),
      'log.level',
      ['"trace"', 'LIVEDUB_LOG_LEVEL'],
    ],
    [
      'a token that is too short',
      () => loadConfig(undefined, { LIVEDUB_AUTH_TOKEN: 'short' }),
      'auth.token',
      ['LIVEDUB_AUTH_TOKEN'],
    ],
    [
      'a list that is none',
      () => loadConfig(undefined, { LIVEDUB_RTC_ICE_SERVERS: '[{' }),
      'rtc.iceServers',
      ['LIVEDUB_RTC_ICE_SERVERS'],
    ],
    [
      'an address that is no Redis',
      () => loadConfig(undefined, { LIVEDUB_REDIS_URL: 'http://x' }),
      'redis.url',
      ['LIVEDUB_REDIS_URL'],
    ],
    [
      'what the command line says',
      () => loadConfig(undefined, {}, { http: { port: -1 } }),
      'http.port',
      ['the command line'],
    ],
    ['a file that is no JSON', () => loadConfig(file('http: 80')), null, ['livedub.json', 'not JSON']],
    ['a file that is a list', () => loadConfig(file('[]')), null, ['livedub.json', 'no object']],
    [
      'a file with a number for a group',
      () => loadConfig(file('{ "http": 80 }'), { LIVEDUB_HTTP_PORT: '80' }),
      'http',
      ['http'],
    ],
    ['a file that is not there', () => loadConfig('/nowhere/livedub.json'), null, ['/nowhere/livedub.json']],
  ])('%s', ([, load, key, says]) => {
    const error = errorOf(load);
    expect(error.key).toBe(key);
    for (const words of says) expect(error.message).toContain(words);
    expect(error.message).toMatch(/\.$/);
  });
});
