import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Check, examine, report } from '../../gateway/doctor.ts';
import { checkProfile } from '../../gateway/profile-checks.ts';
import { DFN3 } from '../../models/clean/deepfilternet.ts';
import { Store } from '../../models/store/store.ts';

let folder: string;
let store: Store;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-profiles-'));
  store = new Store(folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});
const row = (checks: readonly Check[], name: string) => checks.find((check) => check.name === name);

test('the embedded profile is ready on a machine that was set up', async () => {
  const checks = await checkProfile('embedded', store);
  expect(checks.filter(({ state }) => state !== 'ok')).toEqual([]);
  expect(checks.map(({ name }) => name)).toContain('vad: silero');
});

test('a profile whose weights are not here names the model and the command that brings it, until they are', async () => {
  expect(row(await checkProfile('cpu', store), 'enhancer: deepfilternet3')).toMatchObject({
    state: 'missing',
    found: 'no model deepfilternet3',
    fix: 'livedub models pull deepfilternet3',
  });
  mkdirSync(store.directory(DFN3), { recursive: true });
  for (const { name } of DFN3.files) writeFileSync(join(store.directory(DFN3), name), 'weights');
  expect(row(await checkProfile('cpu', store), 'enhancer: deepfilternet3')).toMatchObject({
    state: 'ok',
    found: 'ready',
    fix: '',
  });
});

test('of models for single pairs of languages a profile asks for one, not for all', async () => {
  const translator = row(await checkProfile('cpu', store), 'translator: opus-mt');
  expect(translator).toMatchObject({ found: 'no model opus-mt-en-es', fix: 'livedub models pull opus-mt-en-es' });
});

test('a service without its key names the variable', async () => {
  vi.stubEnv('ELEVENLABS_API_KEY', '');
  const voice = row(await checkProfile('cloud', store), 'synthesizer: elevenlabs');
  expect(voice).toMatchObject({ state: 'missing', found: 'no environment variable ELEVENLABS_API_KEY' });
  expect(voice?.fix).toContain('export ELEVENLABS_API_KEY=');
  vi.stubEnv('ELEVENLABS_API_KEY', 'a-key');
  expect(row(await checkProfile('cloud', store), 'synthesizer: elevenlabs')?.state).toBe('ok');
});

test('the doctor adds a profile to its report, and a profile that does not exist is refused', async () => {
  vi.stubEnv('LIVEDUB_MODELS', folder);
  const said = report(await examine({ port: 0, profile: 'cpu' }));
  expect(said).toMatch(/✘ missing +enhancer: deepfilternet3 +no model deepfilternet3/);
  expect(said).toContain('enhancer: deepfilternet3: livedub models pull deepfilternet3');
  await expect(examine({ profile: 'best' })).rejects.toThrow("There is no profile called 'best'.");
});
