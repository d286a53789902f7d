import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { Scope } from '../../media/scope.ts';
import { deepl, sourceOf, targetOf } from '../../models/translate/deepl.ts';
import { spendingOf } from '../../models/service/spending.ts';
import { conforms } from '../conformance/stage.ts';
import { translatedBy, utterance } from '../fakes/utterances.ts';
import { sentences } from './sentences.ts';

const KEY = '279a2e9d-secret:fx';
beforeEach(() => void (process.env['DEEPL_TEST_KEY'] = KEY));
afterEach(() => void delete process.env['DEEPL_TEST_KEY']);

/** A request as DeepL's reference has it, with nothing in it that the reference does not have. */
const TranslateRequest = z.strictObject({
  text: z.array(z.string()).min(1).max(50),
  target_lang: z.string().regex(/^[A-Z]{2}(-[A-Z0-9]+)?$/),
  source_lang: z
    .string()
    .regex(/^[A-Z]{2}$/)
    .optional(),
  context: z.string().optional(),
  split_sentences: z.enum(['0', '1', 'nonewlines']).optional(),
  formality: z.enum(['default', 'more', 'less', 'prefer_more', 'prefer_less']).optional(),
  glossary_id: z.string().optional(),
});
type Trouble = 'hang' | 'cut' | 'garbage' | 'html' | 'wrong json' | 'empty' | number;
const secret = 'wombat';

const suite = new Scope('suite');
afterAll(() => suite.close());

async function setUp(
  trouble?: Trouble,
  settings: object = {},
  scope = new Scope('test'),
  delay?: (n: number) => number,
) {
  if (scope !== suite) onTestFinished(() => scope.close());
  const asked: { request: z.output<typeof TranslateRequest>; authorization: string | undefined }[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const parsed = TranslateRequest.safeParse(JSON.parse(Buffer.concat(chunks).toString()));
      const send = (status: number, body: string | Uint8Array, type = 'application/json') => {
        response.writeHead(status, { 'content-type': type });
        response.end(body);
      };
      if (request.method !== 'POST' || request.url !== '/v2/translate' || !parsed.success)
        return send(400, '{"message":"no"}');
      const nth = asked.push({ request: parsed.data, authorization: request.headers.authorization }) - 1;
      const [text = ''] = parsed.data.text;
      if (delay) await new Promise((resolve) => setTimeout(resolve, delay(nth)));
      const wrong = text.includes(secret) ? trouble : undefined;
      if (typeof wrong === 'number')
        return send(wrong, JSON.stringify({ message: `${text} ${request.headers.authorization}` }));
      if (wrong === 'hang') return;
      if (wrong === 'cut') {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '999' });
        return response.write('{"transl', () => response.destroy());
      }
      if (wrong === 'garbage') return send(200, Buffer.from([255, 0, 1]));
      if (wrong === 'html') return send(200, '<html>', 'text/html');
      if (wrong === 'wrong json') return send(200, '{"translations":{"text":1}}');
      const said = wrong === 'empty' ? '' : `${parsed.data.target_lang}: ${text}`;
      send(200, JSON.stringify({ translations: [{ detected_source_language: 'EN', text: said }] }));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const config = deepl.config.parse({
    to: 'es',
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    retries: 0,
    timeouts: { firstByte: 0.4, total: 5 },
    ...settings,
  });
  return { asked, stage: await deepl.load(config, scope) };
}
const spoken = (texts: readonly string[]) => texts.map((text, n) => utterance(text, n));

conforms(
  'deepl, one line at a time',
  async () => (await setUp(undefined, { inFlight: 1 }, suite)).stage,
  () => spoken(sentences.slice(0, 4)),
);

describe('DeepL', () => {
  test('is asked as its reference has it, with what was said before and the glossary', async () => {
    const { asked, stage } = await setUp(undefined, {
      to: 'pt-BR',
      keyFrom: 'DEEPL_TEST_KEY',
      glossaryId: 'g-1',
      formality: 'prefer_less',
      context: 2,
      inFlight: 1,
    });
    const { lines } = await translatedBy(stage, spoken(['good evening', 'it rains', 'what time is it', 'and goodbye']));
    expect(asked[3]).toEqual({
      authorization: `DeepL-Auth-Key ${KEY}`,
      request: {
        text: ['and goodbye.'],
        source_lang: 'EN',
        target_lang: 'PT-BR',
        context: 'it rains. what time is it?',
        split_sentences: '0',
        glossary_id: 'g-1',
        formality: 'prefer_less',
      },
    });
    expect(asked[0]?.request).not.toHaveProperty('context');
    expect(lines.map(({ text }) => text).at(-1)).toBe('PT-BR: and goodbye.');
  });

  test('counts the characters that it charges for', async () => {
    const before = spendingOf('translator', 'deepl').report().characters;
    const { stage } = await setUp();
    await translatedBy(stage, spoken(['good evening']));
    expect(spendingOf('translator', 'deepl').report().characters - before).toBe('good evening.'.length);
  });

  test('gives lines in order though it answers out of order', async () => {
    const { stage } = await setUp(undefined, { inFlight: 4 }, undefined, (nth) => (nth % 2 === 0 ? 60 : 1));
    const { lines } = await translatedBy(stage, spoken(sentences.slice(0, 8)));
    expect(lines.map(({ utterance: id }) => id)).toEqual(Array.from({ length: 8 }, (_, n) => `u${n}`));
  });

  test.for<[Trouble, string]>([
    ['hang', 'timeout'],
    [429, 'overloaded'],
    [529, 'overloaded'],
    [456, 'broken'],
    [403, 'broken'],
    [413, 'rejected'],
    [500, 'unavailable'],
    ['cut', 'unavailable'],
    ['garbage', 'rejected'],
    ['html', 'rejected'],
    ['wrong json', 'rejected'],
    ['empty', 'rejected'],
  ])('%s is a fault of kind %s, the next line works, and neither key nor words are told', async ([trouble, kind]) => {
    const { stage } = await setUp(trouble, { keyFrom: 'DEEPL_TEST_KEY', inFlight: 1 });
    const { lines, faults } = await translatedBy(
      stage,
      spoken(['good evening', `the ${secret} sleeps`, 'and welcome']),
    );
    expect(faults.map((fault) => fault.kind)).toEqual([kind]);
    expect(lines.map(({ utterance: id }) => id)).toEqual(['u0', 'u2']);
    for (const { message, stack = '', cause } of faults) {
      const told = [message, stack, String(cause), JSON.stringify(cause)].join(' ');
      expect(told).not.toContain(KEY);
      expect(told).not.toContain(secret);
    }
  });

  test.for<[string, string]>([
    ['en', 'EN-US'],
    ['en-GB', 'EN-GB'],
    ['pt', 'PT-PT'],
    ['pt-BR', 'PT-BR'],
    ['zh', 'ZH-HANS'],
    ['zh-TW', 'ZH-HANT'],
    ['es-MX', 'ES-419'],
    ['es', 'ES'],
    ['nn', 'NB'],
    ['de-AT', 'DE'],
  ])('is asked for %s as %s', ([language, code]) => {
    expect(targetOf(language)).toBe(code);
    expect(sourceOf(language)).toMatch(/^[A-Z]{2}$/);
  });
});
