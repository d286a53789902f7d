import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Archive } from '../../gateway/archive.ts';
import { read } from '../../gateway/messages.ts';
import type { CueView } from '../../gateway/protocol.ts';
import { invalid } from '../../gateway/refusal.ts';
import { RestartPolicy } from '../../gateway/restart-policy.ts';
import { TokenBucket } from '../../gateway/token-bucket.ts';
import { tokenCheck } from '../../gateway/bearer.ts';
import { type ClockTime, ms, seconds } from '../../media/time.ts';

const at = (n: number) => seconds(n) as number as ClockTime;

describe('a session process that dies', () => {
  test('is started again at once, then with growing waits, and given up in a crash loop', () => {
    const policy = new RestartPolicy({ most: 5, within: seconds(30) });
    expect([0, 1, 2, 3, 4].map((n) => policy.died(at(n)))).toEqual([ms(0), ms(500), seconds(1), seconds(2), undefined]);
  });
  test('now and then is started again at once every time', () => {
    const policy = new RestartPolicy();
    expect([0, 40, 80, 120, 160, 200].map((n) => policy.died(at(n)))).toEqual(Array(6).fill(0));
  });
  test('is forgiven once its deaths are long ago', () => {
    const policy = new RestartPolicy({ most: 3, within: seconds(30) });
    expect([0, 1, 31, 31.5].map((n) => policy.died(at(n)))).toEqual([ms(0), ms(500), ms(0), ms(500)]);
  });
});

test('a socket may ask so much at once and so much over time', () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, at(0));
  expect([0, 0, 0, 0].map((n) => bucket.take(at(n)))).toEqual([true, true, true, false]);
  expect([0.05, 0.1, 0.15].map((n) => bucket.take(at(n)))).toEqual([false, true, false]);
  expect([9, 9, 9, 9].map((n) => bucket.take(at(n)))).toEqual([true, true, true, false]);
});

test('a token is right or wrong, and without one everybody may', () => {
  const right = tokenCheck('0123456789abcdef');
  expect([right('0123456789abcdef'), right('0123456789abcdeF'), right(''), right(undefined)]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect(tokenCheck(undefined)(undefined)).toBe(true);
});

describe('the archive', () => {
  const cue = (id: string, start: number, more: Partial<CueView> = {}): CueView => ({
    id,
    language: 'en',
    speaker: 's',
    start: start * 1e6,
    end: (start + 2) * 1e6,
    text: id,
    draft: false,
    ...more,
  });

  test('a cue replaces its draft, and an empty one takes it back', () => {
    const archive = new Archive();
    archive.cue(cue('a', 0, { draft: true, text: 'dra' }));
    archive.cue(cue('b', 5, { draft: true, text: 'half' }));
    archive.cue(cue('a', 0, { text: 'draft' }));
    archive.cue(cue('b', 5, { text: '' }));
    expect(archive.cues('en').map(({ text }) => text)).toEqual(['draft']);
  });
  test('a late joiner can read back three minutes, in every language', () => {
    const archive = new Archive();
    for (let n = 0; n < 100; n += 1) {
      archive.cue(cue(`${n}`, n * 5));
      archive.cue(cue(`${n}`, n * 5, { language: 'es' }));
    }
    const recent = archive.recent();
    expect(recent.length).toBeGreaterThan(70);
    expect(recent.length).toBeLessThan(80);
    expect(new Set(recent.map(({ language }) => language))).toEqual(new Set(['en', 'es']));
    expect(recent[0]!.end).toBeGreaterThanOrEqual((99 * 5 + 2 - 180) * 1e6);
  });
  test('is bounded: the oldest go, and are counted', () => {
    const archive = new Archive();
    for (let n = 0; n < 5_003; n += 1) archive.cue(cue(`${n}`, n));
    expect(archive.cues('en')).toHaveLength(5_000);
    expect(archive.cues('en')[0]!.id).toBe('3');
    expect(archive.forgotten).toBe(3);
  });
});

describe('a refusal of what a schema found', () => {
  const schema = z.strictObject({
    a: z.strictObject({ port: z.number().min(1).max(9) }),
    kind: z.enum(['x', 'y']).default('x'),
  });
  const refusal = (value: unknown, within?: string) => {
    const parsed = schema.safeParse(value);
    if (parsed.success) throw new Error('accepted');
    return invalid(parsed.error.issues, within).error;
  };
  test.for<[unknown, string, string]>([
    [{ a: { port: 'x' } }, 'a.port', 'Give a number.'],
    [{ a: { port: 0 } }, 'a.port', 'Give 1 or more.'],
    [{ a: { port: 10 } }, 'a.port', 'Give 9 or less.'],
    [{ a: { prot: 5, port: 5 } }, 'a.prot', 'Leave it out, or check its spelling.'],
    [{ a: { port: 5 }, kind: 'z' }, 'kind', 'Use one of "x", "y".'],
    [{}, 'a', 'Give an object.'],
  ])('%j: names the field and says what to do', ([value, field, fix]) => {
    expect(refusal(value)).toMatchObject({ code: 'invalid', field, fix });
    expect(refusal(value, 'data').field).toBe(`data.${field}`);
  });
});

describe('a message of a page', () => {
  test('is taken when it fits', () => {
    expect(read('{"id":1,"method":"join","data":{"role":"viewer"}}')).toEqual({
      asked: { id: 1, method: 'join', data: { role: 'viewer' } },
    });
  });
  test.for(['original', 'video', 'dub:es', 'voice:pt-BR', 'video:es'])('may ask for %s', (trackId) => {
    const data = { transportId: 't', trackId, rtpCapabilities: {} };
    expect(read(JSON.stringify({ id: 1, method: 'consume', data }))).toMatchObject({ asked: { data } });
  });
  test.for([['{'], ['null'], ['7'], ['[]'], ['{"id":"1","method":"join"}'], ['{"id":1.5}']])(
    '%s cannot even be answered',
    ([text]) => {
      expect(read(text!)).toHaveProperty('unreadable');
    },
  );
  test.for<[string, string]>([
    ['{"id":1}', 'method'],
    ['{"id":-1,"method":"join"}', 'id'],
    ['{"id":1,"method":"toString","data":{}}', 'method'],
    ['{"id":1,"method":"consume","data":{"transportId":"t","trackId":"dub:","rtpCapabilities":{}}}', 'data.trackId'],
    ['{"id":1,"method":"consume","data":{"transportId":"t","trackId":"video:","rtpCapabilities":{}}}', 'data.trackId'],
    ['{"id":1,"method":"produce","data":{"transportId":"t","kind":"smell","rtpParameters":{}}}', 'data.kind'],
  ])('%s is refused with its field', ([text, field]) => {
    expect(read(text)).toMatchObject({ refused: { error: { field } } });
  });
});
