import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ModelCard } from '../../models/store/weights.ts';
import { lacking, weights } from '../weights.ts';
import { ModelServer } from '../fakes/model-server.ts';

const LIVEDUB = fileURLToPath(new URL('../../gateway/bin/livedub.mjs', import.meta.url));
const WITH_TEST_MODELS = fileURLToPath(new URL('../fakes/models-process.mjs', import.meta.url));
const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const ramp = (length: number, seed = 1) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 17 + seed) & 0xff);

let folder: string;
let root: string;
let server: ModelServer;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-models-'));
  root = join(folder, 'store');
  server = await ModelServer.open();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function publish(body: Uint8Array, more: Partial<ModelCard> = {}): ModelCard {
  server.files.set('/big.onnx', { body, etag: '"one"' });
  const file = { name: 'big.onnx', url: `${server.url}/big.onnx`, bytes: body.length, sha256: sha(body) };
  const about = { summary: 'A model of a test.', home: 'https://example.org', licence: 'MIT' };
  return { name: 'big', ...about, languages: ['en', 'es'], device: 'cpu', files: [file], ...more };
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
/** The command line in a process of its own. Without `cards` it is the real one, with the models of the engines. */
function livedub(argv: readonly string[], cards?: readonly ModelCard[], env: NodeJS.ProcessEnv = {}) {
  const entries = cards?.map((card) => ({ card, serves: ['vad:test'] }));
  const child = spawn(process.execPath, [cards ? WITH_TEST_MODELS : LIVEDUB, 'models', ...argv], {
    env: { ...process.env, LIVEDUB_MODELS: root, TEST_MODELS: JSON.stringify(entries), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = new Promise<Ended>((done) => child.once('close', (code) => done({ code, out, err })));
  return { child, ended };
}
const asked = (argv: readonly string[], cards?: readonly ModelCard[], env?: NodeJS.ProcessEnv) =>
  livedub(argv, cards, env).ended;

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 30_000; !holds(); await new Promise((done) => setTimeout(done, 10)))
    if (Date.now() > end) throw new Error('It did not happen within 30 s');
}
/** Bytes that are in the store and not yet in their place. */
function begun(): number {
  const partial = join(root, 'partial');
  const bodies = existsSync(partial) ? readdirSync(partial).map((name) => join(partial, name, 'body')) : [];
  return bodies.reduce((sum, path) => sum + (existsSync(path) ? statSync(path).size : 0), 0);
}
const model = () => join(root, 'models', 'big', 'big.onnx');

describe('livedub models pull', () => {
  test('killed in the middle goes on where it was, and the file is right', async () => {
    const body = ramp(2_000_000);
    const card = publish(body);
    server.slow = { bytes: 50_000, every: 20 };
    const { child, ended } = livedub(['pull', 'big'], [card]);
    await until(() => begun() > 400_000);
    child.kill('SIGKILL');
    expect((await ended).code).toBeNull();
    const left = begun();
    expect(left).toBeGreaterThan(400_000);
    expect(left).toBeLessThan(body.length);
    expect(existsSync(model())).toBe(false);
    expect((await asked(['list'], [card])).out).toMatch(/^big .* partial, \d+ %$/m);

    server.slow = undefined;
    const second = await asked(['pull', 'big'], [card]);
    expect(second).toMatchObject({ code: 0, out: expect.stringContaining('1 model in') as string });
    expect(server.asked.at(-1)?.range).toBe(`bytes=${left}-`);
    expect(readFileSync(model()).equals(body)).toBe(true);
    expect((await asked(['verify', 'big'], [card])).out).toBe('✔ big\n');
    expect(readdirSync(join(root, 'partial'))).toEqual([]);
  });

  test('stopped by Ctrl-C says what is kept, and exits as one does', async () => {
    const card = publish(ramp(2_000_000));
    server.slow = { bytes: 50_000, every: 20 };
    const { child, ended } = livedub(['pull', 'big'], [card]);
    await until(() => begun() > 200_000);
    child.kill('SIGINT');
    const { code, err } = await ended;
    expect(code).toBe(130);
    expect(err).toMatch(/Stopped\. .* is kept; the same command goes on from there\./);
    expect(begun()).toBeGreaterThan(200_000);
  });

  test('twice at once fetches once', async () => {
    const body = ramp(600_000);
    const card = publish(body);
    server.slow = { bytes: 50_000, every: 30 };
    const both = await Promise.all([asked(['pull', 'big'], [card]), asked(['pull', 'big'], [card])]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(server.sent).toBe(body.length);
    expect(readFileSync(model()).equals(body)).toBe(true);
  });

  test('of a wrong file fails with both hashes and leaves nothing', async () => {
    const card = publish(ramp(5_000));
    server.files.get('/big.onnx')!.body = ramp(5_000, 2);
    const { code, err } = await asked(['pull', 'big'], [card]);
    expect(code).toBe(1);
    expect(err).toContain(sha(ramp(5_000)));
    expect(err).toContain(sha(ramp(5_000, 2)));
    expect(err).not.toContain('    at ');
    expect(begun()).toBe(0);
    expect(existsSync(model())).toBe(false);
  });

  test('asks for terms once: without a terminal they are accepted by an option, and that is remembered', async () => {
    const card = publish(ramp(100), { licence: 'CC-BY-NC-4.0', terms: 'non-commercial' });
    const refused = await asked(['pull', 'big'], [card]);
    expect(refused.code).toBe(2);
    expect(refused.err).toMatch(/CC-BY-NC-4\.0.*may not be used commercially.*https:\/\/example\.org/s);
    expect(refused.err).toContain('livedub models pull big --accept-licence');
    expect(server.asked).toEqual([]);
    expect((await asked(['pull', 'big', '--accept-licence'], [card])).code).toBe(0);
    expect((await asked(['remove', 'big'], [card])).code).toBe(0);
    expect((await asked(['pull', 'big'], [card])).code).toBe(0);
  });

  test('from a mirror named in the environment', async () => {
    const body = ramp(5_000);
    const card = publish(body);
    server.files.clear();
    server.files.set(`/m/${sha(body)}`, { body });
    expect((await asked(['pull', 'big'], [card], { LIVEDUB_MODELS_MIRROR: `${server.url}/m` })).code).toBe(0);
    expect(server.asked.map(({ path }) => path)).toEqual([`/m/${sha(body)}`]);
  });

  test.for([
    [['pull'], 'Say which models'],
    [['pull', 'bug'], "no model called 'bug'"],
    [['pull', '--profile', 'best'], "no profile called 'best'"],
    [['pull', 'big', '--mirror', 'nowhere'], "'nowhere' is no mirror"],
    [['pull', 'big', '--parallel', '0'], '1 to 16'],
    [['remove'], 'names'],
    [['verify', 'bug'], "no model called 'bug'"],
  ] as const)('%j is refused with exit code 2, naming what is wrong', async ([argv, words]) => {
    const { code, err } = await asked(argv, [publish(ramp(10))]);
    expect(code).toBe(2);
    expect(err).toContain(words);
    expect(server.asked).toEqual([]);
  });
});

/** Why no small file system can be made here, or nothing. */
function unmountable(): string | undefined {
  const place = mkdtempSync(join(tmpdir(), 'livedub-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place], { stdio: 'ignore' });
    execFileSync('umount', [place], { stdio: 'ignore' });
    return undefined;
  } catch {
    return '(a tmpfs cannot be mounted here)';
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
const noDisk = unmountable();

describe.skipIf(noDisk)(`a disk of one megabyte ${noDisk ?? ''}`, () => {
  beforeEach(() => {
    mkdirSync(root);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', root]);
  });
  afterEach(() => void execFileSync('umount', ['-l', root]));

  test('is too small from the start: nothing is asked for, and it is said how much is needed and where', async () => {
    const { code, err } = await asked(['pull', 'big'], [publish(ramp(3_000_000))]);
    expect(code).toBe(1);
    expect(err).toContain(`The disk is too full for big: it needs 3.0 MB in ${root}, and 1.0 MB is free there.`);
    expect(err).toContain('LIVEDUB_MODELS');
    expect(server.asked).toEqual([]);
  });

  test('is found too small when the server says how long the file is', async () => {
    const card = publish(ramp(3_000_000));
    const { name, url } = card.files[0]!;
    const { code, err } = await asked(['pull', 'big'], [{ ...card, files: [{ name, url }] }]);
    expect(code).toBe(1);
    expect(err).toContain('The disk is too full for big: big.onnx: it needs 3.0 MB');
    expect(begun()).toBe(0);
  });

  test('that fills up in the middle: what has come stays, and is completed when there is room', async () => {
    const body = ramp(800_000);
    const card = publish(body);
    server.slow = { bytes: 50_000, every: 20 };
    const { ended } = livedub(['pull', 'big'], [card]);
    await until(() => begun() > 100_000);
    writeFileSync(join(root, 'other'), ramp(600_000));
    const { code, err } = await ended;
    expect(code).toBe(1);
    expect(err).toContain('The disk is too full for big: big.onnx');
    expect(err).not.toContain('    at ');
    expect(existsSync(model())).toBe(false);
    expect(begun()).toBeGreaterThan(100_000);
    rmSync(join(root, 'other'));
    server.slow = undefined;
    expect((await asked(['pull', 'big'], [card])).code).toBe(0);
    expect(readFileSync(model()).equals(body)).toBe(true);
    expect(server.asked).toHaveLength(2);
    expect(server.asked[1]?.range).toMatch(/^bytes=[1-9]\d+-$/);
  });
});

describe('livedub models', () => {
  test('lists every model with what it serves, its licence, its size and whether it is here', async () => {
    const { code, out } = await asked(['list']);
    expect(code).toBe(0);
    expect(out).toMatch(/^model +serves +languages +licence +size +on +measured speed +state$/m);
    expect(out).toMatch(/^dnsmos +bench +any +CC-BY-4\.0 +1\.4 MB +CPU +absent$/m);
    const cards = JSON.parse((await asked(['list', '--json'])).out) as {
      name: string;
      state: string;
      serves: string[];
    }[];
    expect(cards.find(({ name }) => name === 'gtcrn')).toMatchObject({ state: 'absent', serves: ['enhancer:gtcrn'] });
  });

  test.for(['list', 'pull', 'verify', 'remove'])('%s --help shows examples', async (command) => {
    const { code, out } = await asked([command, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`livedub models ${command}`);
    expect(out).toContain('Example');
  });

  const absent = lacking('se/gtcrn', 'mos/dnsmos');
  test.skipIf(absent)(`pulls real weights from a directory, verifies and removes them ${absent ?? ''}`, async () => {
    const pulled = await asked(['pull', 'gtcrn', 'dnsmos', '--from', weights('.')]);
    expect(pulled).toMatchObject({ code: 0, out: expect.stringContaining('2 models in') as string });
    expect(sha(readFileSync(join(root, 'models/gtcrn/gtcrn_simple.onnx')))).toMatch(/^b4718df6228e7bdf/);
    expect((await asked(['verify'])).out.split('\n').toSorted()).toEqual(['', '✔ dnsmos', '✔ gtcrn']);
    expect((await asked(['remove', 'gtcrn', 'dnsmos'])).out).toContain('dnsmos removed, 1.4 MB free.');
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual([]);
  });
});
