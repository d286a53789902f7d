import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Desk, models } from '../../gateway/models-command.ts';
import { Scope } from '../../media/scope.ts';
import type { ModelCard } from '../../models/store/weights.ts';
import { ModelServer } from '../fakes/model-server.ts';

let folder: string;
let server: ModelServer;
let scope: Scope;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-command-'));
  vi.stubEnv('LIVEDUB_MODELS', join(folder, 'store'));
  server = await ModelServer.open();
  scope = new Scope('test');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await scope.close();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function modelOf(more: Partial<ModelCard> = {}): ModelCard {
  server.files.set('/net.onnx', { body: new Uint8Array(50_000) });
  const about = { summary: 'A model of a test.', home: 'https://example.org/terms', licence: 'CC-BY-NC-4.0' };
  const files = [{ name: 'net.onnx', url: `${server.url}/net.onnx`, bytes: 50_000 }];
  return { name: 'net', ...about, languages: 'any', device: 'cpu', files, ...more };
}
/** Somebody at a terminal, who answers when asked. */
function terminal(card: ModelCard, answer: (input: PassThrough) => void) {
  let [out, err] = ['', ''];
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const screen = new Writable({
    write(text: Buffer, _encoding, done) {
      err += text.toString();
      if (text.toString().includes('[y/N]')) answer(input);
      done();
    },
  });
  const desk: Partial<Desk> = {
    out: (text) => void (out += `${text}\n`),
    err: Object.assign(screen, { isTTY: true, columns: 100 }) as unknown as NodeJS.WriteStream,
    input: input as unknown as NodeJS.ReadStream,
    entries: [{ card, serves: ['vad:test'] }],
    mirror: undefined,
  };
  const pull = { do: 'pull', names: ['net'], parallel: 3, acceptLicence: false } as const;
  return { pull: () => models(pull, scope, desk), said: () => ({ out, err }) };
}

describe('weights that may not be used commercially', () => {
  const card = () => modelOf({ terms: 'non-commercial' });

  test('come after the question about their terms was answered with yes, and it is not asked again', async () => {
    const first = terminal(card(), (input) => input.write('yes\n'));
    expect(await first.pull()).toBe(0);
    expect(first.said().err).toMatch(/CC-BY-NC-4\.0\. These weights may not be used commercially\.\n {2}Terms: https:/);
    const again = terminal(
      modelOf({ terms: 'non-commercial', files: [...card().files, { name: 'b', url: `${server.url}/net.onnx` }] }),
      () => {
        throw new Error('asked twice');
      },
    );
    expect(await again.pull()).toBe(0);
    expect(again.said().err).not.toContain('[y/N]');
  });

  test.for([
    ['no', (input: PassThrough) => input.write('no\n')],
    ['nothing', (input: PassThrough) => input.write('\n')],
    ['Ctrl-D', (input: PassThrough) => input.end()],
  ] as const)('do not come after %s', async ([, answer]) => {
    await expect(terminal(card(), answer).pull()).rejects.toThrow('was not accepted; nothing was fetched');
    expect(server.asked).toEqual([]);
  });
});

test('on a terminal there are bars while files come, and a line for each model that has come', async () => {
  server.slow = { bytes: 5_000, every: 60 };
  const { pull, said } = terminal(modelOf(), () => {});
  expect(await pull()).toBe(0);
  expect(said().err).toMatch(/█+░+ +\d+ % {2}net: net\.onnx {2}\d+ kB of 50 kB/);
  expect(said().err).toMatch(/✔ net {2}50 kB\n/);
  expect(said().out).toMatch(/^1 model in \d+\.\d s\. Kept in /);
});
