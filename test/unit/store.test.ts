import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { claim } from '../../models/store/claim.ts';
import { sizeText } from '../../models/store/free-space.ts';
import { plan, pull } from '../../models/store/pull.ts';
import { type Finding, Store } from '../../models/store/store.ts';
import { type ModelCard, type ModelFile, modelDirectory, needsModel } from '../../models/store/weights.ts';

const sha = (text: string) => createHash('sha256').update(text).digest('hex');
const world = { signal: new AbortController().signal, clock: new MonotonicClock() };

let folder: string;
let shelf: string;
let store: Store;
const before = process.env['LIVEDUB_MODELS'];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-store-'));
  shelf = join(folder, 'shelf');
  mkdirSync(shelf);
  process.env['LIVEDUB_MODELS'] = join(folder, 'store');
  store = new Store();
});
afterEach(() => {
  if (before === undefined) delete process.env['LIVEDUB_MODELS'];
  else process.env['LIVEDUB_MODELS'] = before;
  rmSync(folder, { recursive: true, force: true });
});

const fileOf = (name: string, text: string, pinned = true): ModelFile => ({
  name,
  url: `https://example.org/${name}`,
  ...(pinned && { bytes: text.length, sha256: sha(text) }),
});
const cardOf = (name: string, files: readonly ModelFile[], more: Partial<ModelCard> = {}): ModelCard => ({
  name,
  summary: 'A model of a test.',
  home: 'https://example.org',
  licence: 'MIT',
  languages: 'any',
  device: 'cpu',
  files,
  ...more,
});
/** Pulls a model from texts. */
async function put(card: ModelCard, ...texts: string[]): Promise<void> {
  for (const [n, file] of card.files.entries()) {
    const path = join(shelf, card.name, file.name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, texts[n]!);
  }
  expect(await pull(store, await plan(store, [card]), { from: shelf }, world.signal)).toEqual([]);
}
async function verified(card: ModelCard): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const finding of store.verify(card, world)) findings.push(finding);
  return findings;
}
const blobs = () => readdirSync(join(store.root, 'blobs', 'sha256')).toSorted();

describe('a model in the store', () => {
  const net = cardOf('net', [fileOf('a.onnx', 'alpha'), fileOf('deep/b.onnx', 'beta')]);

  test('is links to files that are named by their content and cannot be written to', async () => {
    await put(net, 'alpha', 'beta');
    expect(blobs()).toEqual([sha('alpha'), sha('beta')].toSorted());
    expect(readlinkSync(join(store.directory(net), 'deep/b.onnx'))).toBe(`../../../blobs/sha256/${sha('beta')}`);
    expect(readFileSync(join(modelDirectory(net), 'deep/b.onnx'), 'utf8')).toBe('beta');
    expect(statSync(store.blob(sha('alpha'))).mode & 0o222).toBe(0);
    expect(readdirSync(join(store.root, 'partial'))).toEqual([]);
  });

  test('is what an engine needs, from when it is whole until it is removed', async () => {
    const need = needsModel(net);
    expect(need.present()).toBe(false);
    expect((await store.holding(net)).presence).toBe('absent');
    await put(net, 'alpha', 'beta');
    expect(need.present()).toBe(true);
    expect(await store.holding(net)).toEqual({ presence: 'present', bytes: 9, of: 9 });
    await store.remove(net, world);
    expect(need.present()).toBe(false);
    expect((await store.holding(net)).presence).toBe('absent');
  });

  test('that is removed leaves the files that others share', async () => {
    const other = cardOf('other', [fileOf('c.onnx', 'alpha'), fileOf('d.onnx', 'delta')]);
    await put(net, 'alpha', 'beta');
    await put(other, 'alpha', 'delta');
    expect(blobs()).toHaveLength(3);
    expect(await store.remove(net, world)).toBe(4);
    expect(blobs()).toEqual([sha('alpha'), sha('delta')].toSorted());
    expect((await store.holding(other)).presence).toBe('present');
    expect(await store.remove(other, world)).toBe(10);
    expect(blobs()).toEqual([]);
  });

  test('is not put in its place while a file of it is missing, and the missing are named', async () => {
    await put(cardOf('other', [net.files[0]!]), 'alpha');
    expect(await store.land(net, world)).toEqual([net.files[1]]);
    expect(existsSync(store.directory(net))).toBe(false);
  });

  test('that is pulled while one that shares its files is removed is whole in the end', async () => {
    const other = cardOf('other', [net.files[0]!]);
    for (let n = 0; n < 12; n++) {
      await put(other, 'alpha');
      const removing = new Promise((done) => setTimeout(done, n)).then(() => store.remove(other, world));
      await Promise.all([put(net, 'alpha', 'beta'), removing]);
      expect((await verified(net)).map(({ state }) => state)).toEqual(['right', 'right']);
      await store.remove(net, world);
    }
    expect(blobs()).toEqual([]);
  });

  test('that is removed takes with it what was begun of it', async () => {
    const begun = await claim(join(store.root, 'partial'), sha('alpha'), world);
    writeFileSync(join(begun.directory, 'body'), 'alp');
    await begun.release();
    expect(await store.holding(net)).toMatchObject({ presence: 'partial', bytes: 3 });
    expect(await store.remove(net, world)).toBe(3);
    expect(readdirSync(join(store.root, 'partial'))).toEqual([]);
  });

  test('is found right by reading it again', async () => {
    await put(net, 'alpha', 'beta');
    expect((await verified(net)).map(({ state }) => state)).toEqual(['right', 'right']);
  });

  test('that was changed is found out, taken away from engines, and mended by pulling it again', async () => {
    await put(net, 'alpha', 'beta');
    chmodSync(store.blob(sha('beta')), 0o644);
    writeFileSync(store.blob(sha('beta')), 'BETA');
    const [, finding] = await verified(net);
    expect(finding).toMatchObject({ file: 'deep/b.onnx', state: 'wrong', fix: 'livedub models pull net' });
    expect(finding?.what).toMatch(new RegExp(`${sha('BETA')}.*${sha('beta')}`));
    expect(needsModel(net).present()).toBe(false);
    await put(net, 'alpha', 'beta');
    expect((await verified(net)).map(({ state }) => state)).toEqual(['right', 'right']);
  });

  test('whose card names a newer file stays until the newer is there', async () => {
    await put(net, 'alpha', 'beta');
    const newer = cardOf('net', [net.files[0]!, fileOf('deep/b.onnx', 'beta two')]);
    expect((await store.holding(newer)).presence).toBe('outdated');
    expect((await verified(newer))[1]).toMatchObject({ state: 'wrong', fix: 'livedub models pull net' });
    await put(newer, 'alpha', 'beta two');
    expect(await store.holding(newer)).toEqual({ presence: 'present', bytes: 13, of: 13 });
    expect(readFileSync(join(store.directory(newer), 'deep/b.onnx'), 'utf8')).toBe('beta two');
  });

  test('that somebody put there by hand counts, and is checked when asked', async () => {
    mkdirSync(join(store.directory(net), 'deep'), { recursive: true });
    writeFileSync(join(store.directory(net), 'a.onnx'), 'alpha');
    writeFileSync(join(store.directory(net), 'deep/b.onnx'), 'bet');
    expect((await store.holding(net)).presence).toBe('present');
    const [right, wrong] = await verified(net);
    expect(right?.state).toBe('right');
    expect(wrong).toMatchObject({ state: 'wrong', fix: 'livedub models remove net && livedub models pull net' });
    await store.remove(net, world);
    expect(existsSync(store.directory(net))).toBe(false);
  });
});

describe('a file without a known hash', () => {
  const loose = cardOf('loose', [fileOf('x.bin', 'first', false)]);

  test('is recorded when it first comes, and checked ever after, even if it was removed', async () => {
    await put(loose, 'first');
    expect(await store.expected(loose, loose.files[0]!)).toEqual({ sha256: sha('first'), by: 'recorded' });
    await store.remove(loose, world);
    writeFileSync(join(shelf, 'loose/x.bin'), 'other');
    const [failure] = await pull(store, await plan(store, [loose]), { from: shelf }, world.signal);
    expect(failure?.error).toMatchObject({ trouble: 'checksum', fix: expect.stringContaining('--forget') as string });
    await store.remove(loose, world, { forget: true });
    await put(loose, 'other');
  });

  test('from another address is another file', async () => {
    await put(loose, 'first');
    const moved = cardOf('loose', [{ ...loose.files[0]!, url: 'https://example.org/two/x.bin' }]);
    expect(await store.expected(moved, moved.files[0]!)).toBeUndefined();
  });

  test('that two processes fetch at once is what the first of them recorded', async () => {
    const [file] = loose.files;
    const others = [store, new Store()].map((each, n) => each.record(loose, file!, sha(`${n}`), 1, world));
    const [a, b] = await Promise.all(others);
    expect(a).toBe(b);
  });

  test('that was put there by hand is recorded by verifying', async () => {
    mkdirSync(store.directory(loose), { recursive: true });
    writeFileSync(join(store.directory(loose), 'x.bin'), 'mine');
    expect((await verified(loose))[0]).toMatchObject({ state: 'recorded', fix: '' });
    writeFileSync(join(store.directory(loose), 'x.bin'), 'changed');
    expect((await verified(loose))[0]).toMatchObject({ state: 'wrong' });
  });
});

describe('terms', () => {
  test('are accepted once, and again when they have changed', async () => {
    const card = cardOf('free', [], { licence: 'CC-BY-NC-4.0', terms: 'non-commercial' });
    expect(await store.accepted(card)).toBe(false);
    await store.accept(card);
    expect(await new Store().accepted(card)).toBe(true);
    expect(await store.accepted({ ...card, licence: 'CC-BY-NC-ND-4.0' })).toBe(false);
  });
});

describe('a claim', () => {
  const place = () => join(folder, 'claims');
  const foreign = (name: string, text: string) => {
    mkdirSync(join(place(), name), { recursive: true });
    writeFileSync(join(place(), name, 'alive'), '.');
    writeFileSync(join(place(), name, 'body'), text);
    return join(place(), name);
  };
  const inherited = async (key = 'k') => {
    const mine = await claim(place(), key, world, ['body']);
    const body = join(mine.directory, 'body');
    return existsSync(body) ? readFileSync(body, 'utf8') : undefined;
  };
  /** The name that this machine has in claims. */
  const machine = async () => {
    const mine = await claim(place(), 'who', world);
    await mine.drop();
    return mine.directory.split('~')[1]!;
  };
  /** More than any process number of Linux. */
  const DEAD = 2 ** 22 + 1;

  test('is one’s own until it is let go of', async () => {
    const order: string[] = [];
    const one = await claim(place(), 'k', world);
    const two = claim(place(), 'k', { ...world, onWait: () => order.push('two waits') }).then((it) => {
      order.push('two has it');
      return it;
    });
    await expect.poll(() => order).toEqual(['two waits']);
    order.push('one lets go');
    await one.release();
    await (await two).drop();
    expect(order).toEqual(['two waits', 'one lets go', 'two has it']);
    expect(readdirSync(place())).toEqual([]);
  });

  test('is never two’s at once, however many ask', async () => {
    let holders = 0;
    let most = 0;
    const visit = async () => {
      const mine = await claim(place(), 'k', world);
      most = Math.max(most, ++holders);
      await new Promise((done) => setImmediate(done));
      holders--;
      await mine.release();
    };
    await Promise.all(Array.from({ length: 8 }, visit));
    expect(most).toBe(1);
  });

  test('of a process that is gone is taken over with what it had, the most of several', async () => {
    const here = await machine();
    foreign(`k~${here}~${DEAD}~aa`, 'little');
    foreign(`k~${here}~${DEAD}~bb`, 'very much');
    foreign(`other~${here}~${DEAD}~cc`, 'not this');
    expect(await inherited()).toBe('very much');
    expect(readdirSync(place()).filter((name) => name.startsWith('k~'))).toHaveLength(1);
  });

  test('of another machine holds while it is heard of, and no longer', async () => {
    const other = foreign('k~elsewhere~1~aa', 'theirs');
    const impatient = AbortSignal.timeout(300);
    await expect(claim(place(), 'k', { ...world, signal: impatient })).rejects.toThrow();
    const long = new Date(statSync(join(other, 'alive')).mtimeMs - 130_000);
    utimesSync(join(other, 'alive'), long, long);
    expect(await inherited()).toBe('theirs');
  });

  test('of a process number that somebody else has now ends when nothing is heard of it', async () => {
    const stale = foreign(`k~${await machine()}~1~aa`, 'theirs');
    const long = new Date(Date.now() - 130_000);
    utimesSync(join(stale, 'alive'), long, long);
    expect(await inherited()).toBe('theirs');
  });

  test('that another process took over says so to who had it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] });
    try {
      const mine = await claim(place(), 'k', world);
      rmSync(mine.directory, { recursive: true });
      vi.advanceTimersByTime(20_000);
      await expect.poll(() => mine.lost.aborted).toBe(true);
      await mine.release();
    } finally {
      vi.useRealTimers();
    }
  });

  test('can be released and dropped twice', async () => {
    const mine = await claim(place(), 'k', world);
    await mine.drop();
    await mine.drop();
    await mine.release();
    expect(readdirSync(place())).toEqual([]);
    expect(lstatSync(place()).isDirectory()).toBe(true);
  });
});

test.for([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [535_190, '535 kB'],
  [999_499, '999 kB'],
  [999_501, '1.0 MB'],
  [3_094_623_691, '3.1 GB'],
  [12_000_000_000_000_000, '12000 TB'],
] as const)('%d bytes are %s', ([bytes, text]) => {
  expect(sizeText(bytes)).toBe(text);
});
