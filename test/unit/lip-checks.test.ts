import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { checkLips } from '../../gateway/lip-checks.ts';
import { cardsOf, manifest } from '../../models/store/manifest.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-lip-checks-'));
  vi.stubEnv('LIVEDUB_MODELS', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});
const put = (model: string, file: string) => {
  mkdirSync(join(folder, 'models', model), { recursive: true });
  writeFileSync(join(folder, 'models', model, file), 'weights');
};
const row = (name: string) => checkLips().find((check) => check.name === name);

test('without models no mouth moves, and one command brings them', () => {
  expect(row('Lips')).toMatchObject({
    state: 'absent',
    found: 'no model yunet, no model facemesh, no model fsanet',
    fix: 'livedub models pull --lips',
  });
});

test('with the models of the face tracker mouths are driven', () => {
  for (const card of cardsOf(['yunet', 'facemesh', 'fsanet'], manifest()))
    for (const { name } of card.files) put(card.name, name);
  expect(row('Lips')).toMatchObject({ state: 'ok', found: 'ready', fix: '' });
});

test('who speaks is told by mouth-motion until LR-ASD is exported, and the command for that is whole', () => {
  put('lr-asd', 'pretrain_AVA.model');
  const fix = row('Who speaks')?.fix ?? '';
  expect(row('Who speaks')).toMatchObject({ state: 'absent', found: 'mouth-motion' });
  const directory = join(folder, 'models', 'lr-asd');
  expect(fix).toContain('livedub models pull lr-asd');
  expect(fix).toContain('git clone https://github.com/Junhua-Liao/LR-ASD');
  expect(fix).toContain(
    `models/export/lr_asd.py LR-ASD ${join(directory, 'pretrain_AVA.model')} ${join(directory, 'lr_asd_pretrain_AVA.onnx')}`,
  );
  put('lr-asd', 'lr_asd_pretrain_AVA.onnx');
  expect(row('Who speaks')).toMatchObject({ state: 'ok', found: 'lr-asd', fix: '' });
});
