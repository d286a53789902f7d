import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
  mkdirSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock, MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { ms, seconds } from '../../media/time.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { floats } from '../../models/runtime/tensor.ts';
import { PATIENCE, type Patience, download } from '../../models/store/download.ts';
import { type PullOptions, plan, pull } from '../../models/store/pull.ts';
import { Store } from '../../models/store/store.ts';
import { StoreError } from '../../models/store/store-error.ts';
import type { ModelCard } from '../../models/store/weights.ts';
import { type Mischief, ModelServer } from '../fakes/model-server.ts';

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
/** Bytes that name their place, so that a piece in the wrong place changes the hash. */
const ramp = (length: number, seed = 1) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 17 + seed * 101) & 0xff);
const forever = new AbortController().signal;
/** Of a person who is in a hurry. */
const BRISK: Patience = { ...PATIENCE, first: ms(1), longest: ms(2) };
const ONCE: Patience = { ...BRISK, tries: 1 };

let folder: string;
let server: ModelServer;
let store: Store;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-download-'));
  server = await ModelServer.open();
  store = new Store(join(folder, 'store'));
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Making {
  readonly pinned?: boolean;
  readonly sized?: boolean;
  readonly etag?: string;
  readonly modified?: string;
}
/** A model of one file that the server publishes. */
function publish(body: Uint8Array, { pinned = true, sized = true, ...validators }: Making = {}): ModelCard {
  server.files.set('/net.onnx', { body, ...validators });
  const known = { ...(pinned && { sha256: sha(body) }), ...(sized && { bytes: body.length }) };
  return cardOf('net', [{ name: 'net.onnx', url: `${server.url}/net.onnx`, ...known }]);
}
const cardOf = (name: string, files: ModelCard['files']): ModelCard => ({
  name,
  summary: 'A model of a test.',
  home: 'https://example.org',
  licence: 'MIT',
  languages: 'any',
  device: 'cpu',
  files,
});

async function fetchAll(cards: readonly ModelCard[], options: PullOptions = {}, into = store): Promise<unknown> {
  const [failure] = await pull(into, await plan(into, cards), { patience: BRISK, ...options }, forever);
  return failure?.error;
}
const landed = (card: ModelCard, into = store) => readFileSync(join(into.directory(card), card.files[0]!.name));
/** Every file of the store that holds bytes of a model. */
const bodies = (into = store): string[] =>
  existsSync(into.root)
    ? readdirSync(into.root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && (entry.name === 'body' || entry.parentPath.endsWith('sha256')))
        .map((entry) => join(entry.parentPath, entry.name))
    : [];

/** Nothing of the model is in its place, and nothing half-written is anywhere. */
function expectNothing(card: ModelCard, into = store) {
  expect(existsSync(into.directory(card))).toBe(false);
  expect(bodies(into)).toEqual([]);
}
async function expectRefused(card: ModelCard, trouble: StoreError['trouble'], words: RegExp) {
  const error = await fetchAll([card]);
  expect(error).toBeInstanceOf(StoreError);
  expect((error as StoreError).trouble).toBe(trouble);
  expect((error as StoreError).message).toMatch(words);
  return error as StoreError;
}

describe('a pull that is interrupted', () => {
  test('goes on at the very byte where it was cut, however often and wherever, and no byte is sent twice', async () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1_000, max: 300_000 }));
    const cases = sizes.chain((size) =>
      fc.tuple(fc.constant(size), fc.array(fc.nat({ max: size }), { maxLength: 6 }), fc.boolean(), fc.boolean()),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ([size, cuts, pinned, again]) => {
        const fresh = new Store(mkdtempSync(join(folder, 'store-')));
        const body = ramp(size, size);
        const card = publish(body, { pinned, etag: '"one"' });
        server.sent = 0;
        server.mischief.splice(0, Infinity, ...cuts.map((cutAfter) => ({ cutAfter })));
        // Either one pull that tries again, or a pull that gives up and another that begins.
        const patience = again ? ONCE : { ...BRISK, tries: 20 };
        let error = await fetchAll([card], { patience }, fresh);
        for (let n = 0; error !== undefined && n <= cuts.length; n++) {
          expect(error).toMatchObject({ trouble: 'network' });
          expect(existsSync(fresh.directory(card))).toBe(false);
          error = await fetchAll([card], { patience }, fresh);
        }
        expect(error).toBeUndefined();
        expect(landed(card, fresh).equals(body)).toBe(true);
        expect(server.sent).toBe(size);
      }),
      { numRuns: 60 },
    );
  });

  test('ends with the file or without it whatever the server does, and never with another file', async () => {
    const other = ramp(5_000, 9);
    const mischief: fc.Arbitrary<Mischief> = fc.oneof(
      fc.nat({ max: 5_000 }).map((cutAfter) => ({ cutAfter })),
      fc.constantFrom(429, 500, 502, 503, 504).map((status) => ({ status })),
      fc.constant('ignores ranges' as const),
      fc.integer({ min: 1, max: 9_000 }).map((claims) => ({ claims })),
      fc.integer({ min: 1, max: 4_000 }).map((extra) => ({ extra })),
      fc.integer({ min: 1, max: 4_000 }).map((lacks) => ({ lacks })),
      fc.nat({ max: 5_000 }).map((flips) => ({ flips })),
      fc.constant({ changedTo: other, etag: '"two"' }),
    );
    const cases = fc.tuple(fc.array(mischief, { maxLength: 8 }), fc.boolean(), fc.boolean());
    await fc.assert(
      fc.asyncProperty(cases, async ([mischiefs, etag, sized]) => {
        const fresh = new Store(mkdtempSync(join(folder, 'store-')));
        const body = ramp(5_000);
        const card = publish(body, { sized, ...(etag && { etag: '"one"' }) });
        server.mischief.splice(0, Infinity, ...mischiefs);
        for (let n = 0; n <= mischiefs.length; n++) {
          const error = await fetchAll([card], { patience: { ...BRISK, tries: 3 } }, fresh);
          if (error === undefined) break;
          expect(error).toBeInstanceOf(StoreError);
          expect(existsSync(fresh.directory(card))).toBe(false);
        }
        expect(landed(card, fresh).equals(body)).toBe(true);
        expect(bodies(fresh)).toEqual([fresh.blob(sha(body))]);
      }),
      { numRuns: 80 },
    );
  });

  test('begins again when nothing says that the rest belongs to what is there', async () => {
    const card = publish(ramp(1_000), { pinned: false });
    server.mischief.push({ cutAfter: 400 });
    expect(await fetchAll([card])).toBeUndefined();
    expect(server.asked.map(({ range }) => range)).toEqual([undefined, undefined]);
    expect(landed(card).equals(ramp(1_000))).toBe(true);
  });

  test('asks for the rest under the condition that it is the same, and takes the whole when it is not', async () => {
    const card = publish(ramp(1_000), { pinned: false, etag: '"one"' });
    server.mischief.push({ cutAfter: 400 });
    expect(await fetchAll([card], { patience: ONCE })).toMatchObject({ trouble: 'network' });
    server.files.set('/net.onnx', { body: ramp(1_000, 2), etag: '"two"' });
    expect(await fetchAll([card])).toBeUndefined();
    expect(server.asked[1]).toMatchObject({ range: 'bytes=400-', ifRange: '"one"' });
    expect(landed(card).equals(ramp(1_000, 2))).toBe(true);
  });

  test.for([
    [{ etag: 'W/"weak"', modified: 'Mon, 01 Jan 2024 00:00:00 GMT' }, 'Mon, 01 Jan 2024 00:00:00 GMT'],
    [{ etag: '"strong"', modified: 'Mon, 01 Jan 2024 00:00:00 GMT' }, '"strong"'],
  ] as const)('of %j the condition is %s', async ([validators, condition]) => {
    const card = publish(ramp(1_000), { pinned: false, ...validators });
    server.mischief.push({ cutAfter: 10 });
    expect(await fetchAll([card])).toBeUndefined();
    expect(server.asked[1]?.ifRange).toBe(condition);
  });

  test('does not put a piece of a new version behind a piece of the old', async () => {
    const [old, fresh] = [ramp(1_000, 1), ramp(1_000, 2)];
    const card = publish(old, { pinned: false, etag: '"one"' });
    server.mischief.push({ cutAfter: 400 }, { changedTo: fresh, etag: '"two"' });
    expect(await fetchAll([card])).toBeUndefined();
    expect(server.asked.map(({ range }) => range)).toEqual([undefined, 'bytes=400-', undefined]);
    expect(landed(card).equals(old)).toBe(true);
  });

  test('from two versions without names is found out by the hash and fetched in one piece', async () => {
    const body = ramp(1_000);
    const card = publish(body);
    server.mischief.push({ cutAfter: 400 }, { changedTo: ramp(1_000, 2), etag: '"two"' });
    expect(await fetchAll([card])).toBeUndefined();
    expect(server.asked.map(({ range }) => range)).toEqual([undefined, 'bytes=400-', undefined]);
    expect(landed(card).equals(body)).toBe(true);
  });

  test('by Ctrl-C keeps what has come', async () => {
    const card = publish(ramp(3_000));
    const stop = new AbortController();
    server.mischief.push({ stallAfter: 1_200 });
    const onChange = ({ have }: { have: number }) => have === 1_200 && stop.abort(new Error('Ctrl-C'));
    await expect(pull(store, await plan(store, [card]), { onChange }, stop.signal)).rejects.toThrow('Ctrl-C');
    expect(await store.holding(card)).toEqual({ presence: 'partial', bytes: 1_200, of: 3_000 });
    expect((await plan(store, [card])).bytes).toBe(1_800);
    expect(await fetchAll([card])).toBeUndefined();
    expect(server.asked[1]?.range).toBe('bytes=1200-');
  });
});

describe('what is not the file', () => {
  test('is refused when its hash is another: both hashes are said and nothing is kept', async () => {
    const card = publish(ramp(2_000));
    server.mischief.push({ flips: 777 });
    const wrong = Uint8Array.from(ramp(2_000));
    wrong[777]! ^= 0xff;
    const error = await expectRefused(card, 'checksum', new RegExp(`${sha(wrong)}.*${sha(ramp(2_000))}`));
    expect(error.fix).toContain('--from');
    expectNothing(card);
    expect(await fetchAll([card])).toBeUndefined();
  });

  test('is refused even if it comes in pieces again and again', async () => {
    const card = publish(ramp(2_000));
    server.files.set('/net.onnx', { body: ramp(2_000, 2) });
    for (let n = 0; n < 10; n++) server.mischief.push({ cutAfter: 500 }, 'none');
    await expectRefused(card, 'checksum', /not the right file/);
    expect(server.asked).toHaveLength(4);
    expectNothing(card);
  });

  test.for([
    ['is longer than its card says', { claims: 2_500 }, {}, /has 2500 bytes, and 2000 belong/],
    ['is shorter than its card says', { claims: 1_500 }, {}, /has 1500 bytes, and 2000 belong/],
    ['goes on after its end', { extra: 1 }, {}, /more than 2000 bytes came/],
  ] as const)('is refused when it %s', async ([, mischief, , words]) => {
    const card = publish(ramp(2_000));
    server.mischief.push(mischief);
    await expectRefused(card, 'length', words);
    expectNothing(card);
    expect(server.asked).toHaveLength(1);
  });

  test('is not taken when it ends before its end, with or without a length', async () => {
    const card = publish(ramp(2_000));
    server.mischief.push({ lacks: 500 });
    expect(await fetchAll([card], { patience: ONCE })).toMatchObject({ trouble: 'network' });
    expect(existsSync(store.directory(card))).toBe(false);
    const long = publish(ramp(2_000), { pinned: false, sized: false });
    server.mischief.push({ claims: 2_400 });
    expect(await fetchAll([long], { patience: ONCE })).toMatchObject({ trouble: 'network' });
    expect(existsSync(store.directory(long))).toBe(false);
  });

  test('is refused when it is not what was fetched first, until that is forgotten', async () => {
    const card = publish(ramp(1_000), { pinned: false, sized: false });
    expect(await fetchAll([card])).toBeUndefined();
    const world = { signal: forever, clock: new MonotonicClock() };
    await store.remove(card, world);
    server.files.set('/net.onnx', { body: ramp(1_000, 2) });
    const error = await expectRefused(card, 'checksum', /was recorded when it was first fetched/);
    expect(error.fix).toContain('livedub models remove net --forget');
    expectNothing(card);
    await store.remove(card, world, { forget: true });
    expect(await fetchAll([card])).toBeUndefined();
  });

  test('is refused when it is not what the hub announced on the way', async () => {
    const card = publish(ramp(1_000), { pinned: false });
    const away = { redirect: '/net.onnx', headers: { 'x-linked-etag': `"${sha(ramp(1_000, 3))}"` } };
    server.mischief.push(away);
    await expectRefused(card, 'checksum', /the server itself announces/);
    server.mischief.push({ ...away, headers: { 'x-linked-etag': `"${sha(ramp(1_000))}"` } });
    expect(await fetchAll([card])).toBeUndefined();
  });
});

describe('a server in trouble', () => {
  test('is asked again after 429 and 5xx', async () => {
    const card = publish(ramp(100));
    server.mischief.push({ status: 503 }, { status: 429 }, { status: 500 });
    expect(await fetchAll([card])).toBeUndefined();
    expect(server.asked).toHaveLength(4);
  });

  test('is given up after five tries in a row that bring nothing, in a sentence', async () => {
    const card = publish(ramp(100));
    server.mischief.push(...Array.from({ length: 9 }, () => ({ status: 503 })));
    await expectRefused(
      card,
      'network',
      /net\.onnx did not come from 127.*503, 5 times in a row; 0 B of 100 B is there/,
    );
    expect(server.asked).toHaveLength(5);
  });

  test('is not asked again when it says no', async () => {
    const card = publish(ramp(100));
    server.mischief.push({ status: 401 });
    await expectRefused(card, 'refused', /answers 401/);
    server.files.clear();
    await expectRefused(card, 'absent', /answers 404/);
    expect(server.asked).toHaveLength(2);
  });

  test('that nobody answers for is named', async () => {
    const card = publish(ramp(100));
    await server[Symbol.asyncDispose]();
    await expectRefused(card, 'network', /nothing listens there/);
    server = await ModelServer.open();
  });

  /** A download with a clock of its own. */
  async function timed(body: Uint8Array) {
    const clock = new ManualClock();
    const notes: string[] = [];
    mkdirSync(join(folder, 'work'));
    server.files.set('/x', { body });
    let troubled = () => {};
    const trouble = new Promise<void>((done) => (troubled = done));
    const expected = { sha256: sha(body), by: 'pinned' } as const;
    const order = { model: 'net', what: 'net: x', urls: [`${server.url}/x`], bytes: body.length, expected };
    const telephone = {
      signal: forever,
      clock,
      patience: { ...PATIENCE, first: seconds(1) },
      onBytes: () => {},
      onTrouble: (note: string) => {
        notes.push(note);
        // The wait begins when this has returned.
        setImmediate(troubled);
      },
    };
    return { clock, notes, trouble, done: () => download(order, join(folder, 'work'), telephone) };
  }

  test('is waited for as long as it asks', async () => {
    const { clock, trouble, done } = await timed(ramp(100));
    server.mischief.push({ status: 429, headers: { 'retry-after': '17' } });
    const fetched = done();
    await trouble;
    await clock.advance(seconds(16.9));
    expect(server.asked).toHaveLength(1);
    await clock.advance(seconds(0.2));
    expect(await fetched).toBe(sha(ramp(100)));
  });

  test('may say until when, by its own clock', async () => {
    const { clock, trouble, done } = await timed(ramp(100));
    const headers = { date: 'Fri, 01 Mar 2030 10:00:00 GMT', 'retry-after': 'Fri, 01 Mar 2030 10:00:40 GMT' };
    server.mischief.push({ status: 503, headers });
    const fetched = done();
    await trouble;
    await clock.advance(seconds(39.9));
    expect(server.asked).toHaveLength(1);
    await clock.advance(seconds(0.2));
    expect(await fetched).toBe(sha(ramp(100)));
  });

  test('is not waited for all day', async () => {
    const { done } = await timed(ramp(100));
    server.mischief.push({ status: 429, headers: { 'retry-after': '86400' } });
    await expect(done()).rejects.toThrow(/answers 429 and asks to wait 86400 s/);
  });

  test('that falls silent in the middle counts as cut after half a minute', async () => {
    const { clock, notes, trouble, done } = await timed(ramp(1_000));
    server.mischief.push({ stallAfter: 300 });
    const stalled = new Promise<void>((said) => (server.onStall = said));
    const fetched = done();
    await stalled;
    await until(() => existsSync(join(folder, 'work', 'body')) && statSync(join(folder, 'work', 'body')).size === 300);
    await clock.advance(seconds(31));
    await trouble;
    expect(notes).toEqual(['nothing came for 30 s']);
    await clock.advance(seconds(5));
    expect(await fetched).toBe(sha(ramp(1_000)));
    expect(server.asked[1]?.range).toBe('bytes=300-');
  });
});

/** Waits for what happens in the real world. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((done) => setTimeout(done, 5));
}

describe('where files come from', () => {
  test('redirects are followed, ranges with them', async () => {
    const card = publish(ramp(1_000), { etag: '"one"' });
    server.files.set('/moved', server.files.get('/net.onnx')!);
    server.mischief.push({ redirect: '/moved' }, { cutAfter: 300 }, { redirect: `${server.url}/moved` });
    expect(await fetchAll([card])).toBeUndefined();
    expect(server.asked.at(-1)).toMatchObject({ path: '/moved', range: 'bytes=300-' });
  });

  test('a redirect that does not end, or leads off the web, is refused', async () => {
    const card = publish(ramp(1_000));
    server.mischief.push(...Array.from({ length: 9 }, () => ({ redirect: '/net.onnx' })));
    await expectRefused(card, 'refused', /redirects more than 8 times/);
    server.mischief.push({ redirect: 'file:///etc/passwd' });
    await expectRefused(card, 'refused', /not safe/);
  });

  test('a mirror is asked by hash first, then by name, and nobody else is', async () => {
    const card = publish(ramp(1_000));
    server.files.clear();
    server.files.set('/mirror/net/net.onnx', { body: ramp(1_000) });
    expect(await fetchAll([card], { mirror: `${server.url}/mirror/` })).toBeUndefined();
    expect(server.asked.map(({ path }) => path)).toEqual([`/mirror/${sha(ramp(1_000))}`, '/mirror/net/net.onnx']);
  });

  test('a mirror that lies is found out', async () => {
    const card = publish(ramp(1_000));
    server.files.set('/mirror/net/net.onnx', { body: ramp(1_000, 2) });
    expect(await fetchAll([card], { mirror: `${server.url}/mirror` })).toMatchObject({ trouble: 'checksum' });
    expectNothing(card);
  });

  test('what was begun at home is continued at a mirror, since its hash is known', async () => {
    const card = publish(ramp(1_000), { etag: '"one"' });
    server.mischief.push({ cutAfter: 600 });
    expect(await fetchAll([card], { patience: ONCE })).toMatchObject({ trouble: 'network' });
    server.files.set(`/${sha(ramp(1_000))}`, { body: ramp(1_000), etag: '"mirror"' });
    expect(await fetchAll([card], { mirror: server.url })).toBeUndefined();
    expect(server.asked[1]).toMatchObject({ range: 'bytes=600-', ifRange: undefined });
    expect(server.sent).toBe(1_000);
  });

  const shelf = () => join(folder, 'shelf');
  const put = (place: string, body: Uint8Array) => {
    mkdirSync(join(shelf(), place, '..'), { recursive: true });
    writeFileSync(join(shelf(), place), body);
  };

  test.for([
    ['its hash', (hash: string) => `a/${hash}`],
    ['its model’s name', () => 'deep/net/net.onnx'],
    ['its file name', () => 'downloads/net.onnx'],
    ['nothing but its content', () => 'downloads/net (1).bin'],
  ] as const)('a file in a directory is found by %s, and the network is left alone', async ([, place]) => {
    const card = publish(ramp(1_000));
    put(place(sha(ramp(1_000))), ramp(1_000));
    put('downloads/other.onnx', ramp(1_000, 2));
    expect(await fetchAll([card], { from: shelf() })).toBeUndefined();
    expect(landed(card).equals(ramp(1_000))).toBe(true);
    expect(server.asked).toEqual([]);
  });

  test('of a directory’s files that have the name, only the one with the hash is taken', async () => {
    const card = publish(ramp(1_000));
    put('net/net.onnx', ramp(1_000, 2));
    expect(await fetchAll([card], { from: shelf() })).toMatchObject({ trouble: 'checksum' });
    expectNothing(card);
    put('older/net.onnx', ramp(1_000));
    expect(await fetchAll([card], { from: shelf() })).toBeUndefined();
    expect(landed(card).equals(ramp(1_000))).toBe(true);
  });

  test('a file without a known hash is taken when only one can be meant, and is recorded', async () => {
    const card = publish(ramp(1_000), { pinned: false, sized: false });
    put('a/net.onnx', ramp(1_000));
    put('b/net.onnx', ramp(1_000, 2));
    expect(await fetchAll([card], { from: shelf() })).toMatchObject({
      message: expect.stringContaining('could be each of') as string,
    });
    put('net/net.onnx', ramp(1_000, 3));
    expect(await fetchAll([card], { from: shelf() })).toBeUndefined();
    expect(await store.expected(card, card.files[0]!)).toEqual({ sha256: sha(ramp(1_000, 3)), by: 'recorded' });
  });

  test('what is nowhere in a directory is named, with where it can be had', async () => {
    const card = publish(ramp(1_000));
    mkdirSync(shelf());
    const error = await fetchAll([card], { from: shelf() });
    expect(error).toMatchObject({ trouble: 'absent', fix: expect.stringContaining(card.files[0]!.url) as string });
    await expect(fetchAll([card], { from: join(folder, 'nowhere') })).rejects.toThrow('no such directory');
  });
});

describe('a model of several files', () => {
  const many = (name: string, count: number, at = '') =>
    cardOf(
      name,
      Array.from({ length: count }, (_, n) => {
        const body = ramp(500 + n, n + 5 + at.length);
        server.files.set(`/${at}${n}`, { body });
        return { name: `onnx/part${n}.onnx`, url: `${server.url}/${at}${n}`, bytes: body.length, sha256: sha(body) };
      }),
    );

  test('appears whole or not at all', async () => {
    const card = many('large', 6);
    server.files.delete('/4');
    expect(await fetchAll([card])).toMatchObject({ trouble: 'absent' });
    expect(existsSync(store.directory(card))).toBe(false);
    expect((await store.holding(card)).presence).toBe('partial');
    many('large', 6);
    server.asked.length = 0;
    expect(await fetchAll([card])).toBeUndefined();
    expect(server.asked.map(({ path }) => path)).toContain('/4');
    expect(server.asked.map(({ path }) => path)).not.toContain('/0');
    expect(readdirSync(join(store.directory(card), 'onnx'))).toHaveLength(6);
  });

  test('one that fails leaves the others alone', async () => {
    const [bad, good] = [many('bad', 2, 'bad-'), many('good', 2, 'good-')];
    server.files.delete('/bad-0');
    const failures = await pull(store, await plan(store, [bad, good]), { patience: BRISK }, forever);
    expect(failures.map(({ card }) => card.name)).toEqual(['bad']);
    expect((await store.holding(good)).presence).toBe('present');
  });

  test('pulled twice at once comes once, and both pulls are content', async () => {
    const card = many('large', 5);
    server.slow = { bytes: 100, every: 5 };
    const stores = [store, new Store(store.root), new Store(store.root)];
    const errors = await Promise.all(stores.map((each) => fetchAll([card], {}, each)));
    expect(errors).toEqual([undefined, undefined, undefined]);
    expect(server.asked).toHaveLength(5);
    expect((await store.holding(card)).presence).toBe('present');
    expect(readdirSync(join(store.root, 'partial'))).toEqual([]);
  });
});

test('a network whose weights lie in a file of their own loads out of the store', async () => {
  // y = x·w for 1×8 by 8×8, w = 0, 1, 2 … 63, written with onnx.save_model(…, save_as_external_data=True).
  const network = Buffer.from(
    'CAg6hgEKEQoBeAoBdxIBeSIGTWF0TXVsEgFnKkQICAgIEAFCAXdqGwoIbG9jYXRpb24SD21vZGVsLm9ubnhfZGF0YWoLCgZvZmZzZXQSATBqDQ' +
      'oGbGVuZ3RoEgMyNTZwAVoTCgF4Eg4KDAgBEggKAggBCgIICGITCgF5Eg4KDAgBEggKAggBCgIICEIECgAQDQ==',
    'base64',
  );
  const weights = Buffer.from(Float32Array.from({ length: 64 }, (_, i) => i).buffer);
  const files = { 'onnx/model.onnx': network, 'onnx/model.onnx_data': weights };
  const card = cardOf(
    'external',
    Object.entries(files).map(([name, body]) => {
      server.files.set(`/${name}`, { body });
      return { name, url: `${server.url}/${name}`, sha256: sha(body) };
    }),
  );
  expect(await fetchAll([card])).toBeUndefined();
  await using scope = new Scope('test');
  const loaded = await openOnnx(join(store.directory(card), 'onnx/model.onnx'), scope);
  const { y } = await loaded.run({ x: floats(new Float32Array(8).fill(1), [1, 8]) });
  expect([...(y?.data as Float32Array)]).toEqual([224, 232, 240, 248, 256, 264, 272, 280]);
});
