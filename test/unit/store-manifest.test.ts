import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { fixOf } from '../../gateway/profile-checks.ts';
import { Speed, picture, standing } from '../../gateway/pull-progress.ts';
import { type Engine, EngineRefused } from '../../models/engine.ts';
import { registry } from '../../models/index.ts';
import { type Entry, cardsOf, complaints, manifest } from '../../models/store/manifest.ts';
import { type Choice, LIPS, type Profile, modelsOf, profile, profiles } from '../../models/store/profiles.ts';
import type { Item } from '../../models/store/pull.ts';
import { type ModelCard, modelOf, needsModel } from '../../models/store/weights.ts';
import type { Language } from '../../pipeline/domain.ts';
import type { StageKind } from '../../pipeline/stage.ts';

const card: ModelCard = {
  name: 'net',
  summary: 'A model of a test.',
  home: 'https://example.org',
  licence: 'MIT',
  languages: 'any',
  device: 'cpu',
  files: [{ name: 'net.onnx', url: 'https://example.org/net.onnx', bytes: 1_000, sha256: 'a'.repeat(64) }],
};
const listed = (...cards: ModelCard[]): Entry[] => cards.map((each) => ({ card: each, serves: ['vad:x'] }));
const withFile = (file: object): ModelCard => ({ ...card, files: [{ ...card.files[0]!, ...file }] });

describe('the list of models', () => {
  test('is sound: every model has a name of its own, a home, a licence and files that can be fetched', () => {
    expect(complaints(manifest())).toEqual([]);
  });

  test('says what serves which engine', () => {
    expect(manifest().find((entry) => entry.card.name === 'dnsmos')?.serves).toEqual(['bench']);
    for (const { card, serves } of manifest())
      for (const each of serves.filter((name) => name !== 'bench')) {
        const [kind, id] = each.split(':') as [StageKind, string];
        expect(registry().engine(kind, id).models).toContain(card);
      }
  });

  test.for([
    ['a name twice', listed(card, { ...card }), 'another model has its name'],
    ['a name with capitals', listed({ ...card, name: 'Net' }), 'lower case'],
    ['a name that is a path', listed({ ...card, name: '../net' }), 'lower case'],
    ['no licence', listed({ ...card, licence: ' ' }), 'no licence'],
    ['no home', listed({ ...card, home: '' }), 'no home'],
    ['no files', listed({ ...card, files: [] }), 'no files'],
    ['a file outside its directory', listed(withFile({ name: '../x' })), 'no name below'],
    ['an address without https', listed(withFile({ url: 'http://example.org/x' })), 'no address with https'],
    ['half a hash', listed(withFile({ sha256: 'abc' })), 'no whole SHA-256'],
    ['two files of one name', listed({ ...card, files: [...card.files, ...card.files] }), 'one name'],
  ] as const)('does not pass with %s', ([, entries, words]) => {
    expect(complaints(entries).join()).toContain(words);
  });

  test('knows what was meant by a name that is nearly right', () => {
    expect(cardsOf(['net', 'net'], listed(card))).toEqual([card]);
    expect(() => cardsOf(['net-large'], listed(card))).toThrow("There is no model called 'net-large'.");
  });
});

describe('a profile', () => {
  test.for(profiles.flatMap(({ name, engines }) => Object.entries(engines).map((each) => [name, ...each] as const)))(
    '%s: %s names an engine, settings and models that exist',
    ([, stage, choice]: readonly [string, string, Choice]) => {
      const known = registry();
      let refused = '';
      try {
        const languages = stage === 'translator' ? { from: 'en', to: 'es' } : {};
        known.check(stage as StageKind, choice.engine, { ...languages, ...choice.settings });
      } catch (thrown) {
        if (!(thrown instanceof EngineRefused)) throw thrown;
        refused = thrown.message;
      }
      expect(refused).toBe('');
      const models = known.engine(stage as StageKind, choice.engine).models ?? [];
      const names = models.map((each) => each.name);
      expect((choice.models ?? []).filter((name) => !names.includes(name))).toEqual([]);
    },
  );

  test('what lips need is what their engines need, and a way to tell people apart', () => {
    const known = registry();
    for (const [stage, { engine }] of Object.entries(LIPS.engines)) {
      const listed = known.engine(stage as StageKind, engine).models?.map(({ name }) => name);
      expect(listed).toEqual(expect.arrayContaining([...(LIPS.engines[stage as StageKind]!.models ?? [])]));
    }
    const needs = known.engine('faceTracker', 'faces').needs?.flatMap((need) => modelOf(need) ?? []) ?? [];
    expect(needs).toHaveLength(3);
    expect(modelsOf(LIPS)).toEqual(expect.arrayContaining(needs));
    expect(modelsOf(LIPS)).toEqual(expect.arrayContaining(['mobilefacenet', 'lr-asd']));
  });

  test('is found by its name, and the embedded one needs no models', () => {
    expect(modelsOf(profile('embedded'))).toEqual([]);
    expect(() => profile('best')).toThrow("There is no profile called 'best'.");
    expect(profiles.map(({ name }) => name)).toEqual(['embedded', 'cpu', 'gpu', 'cloud']);
  });

  const engine = (more: Partial<Engine>): Engine => ({
    kind: 'translator',
    id: 'x',
    host: 'inline',
    config: z.strictObject({}),
    summary: '',
    licence: '',
    needs: [],
    load: () => Promise.reject(new Error('not here')),
    ...more,
  });
  const [es, fr, other] = ['es', 'fr', 'other'].map((name) => ({ ...card, name }));
  const choosing = (models?: string[]): Profile => ({
    name: 'cpu',
    summary: '',
    engines: { translator: { engine: 'x', ...(models && { models }) } },
  });

  test('needs all models of its engines, or those that its settings use', () => {
    const known = [engine({ models: [es!, fr!] })];
    expect(modelsOf(choosing(), [], known)).toEqual(['es', 'fr']);
    expect(modelsOf(choosing(['fr']), [], known)).toEqual(['fr']);
  });

  test('needs the models of the languages that are asked for, where each pair has its own', () => {
    const pair = (to: string, model: ModelCard) => ({
      from: 'en' as Language,
      to: to as Language,
      needs: [needsModel(model)],
    });
    const pairs = [pair('fr', fr!), pair('es', es!), pair('es-MX', other!)];
    const known = [engine({ models: [es!, fr!, other!], pairs })];
    const into = (...tags: string[]) => tags.map((to) => ({ from: 'en' as Language, to: to as Language }));
    expect(modelsOf(choosing(), undefined, known)).toEqual(['es']);
    expect(modelsOf(choosing(), into('fr', 'es-AR', 'es-MX'), known)).toEqual(['fr', 'es', 'other']);
    expect(() => modelsOf(choosing(), into('xx'), known)).toThrow('x does not translate en into xx.');
  });

  test('may name an engine that this version does not have', () => {
    expect(modelsOf(choosing(), [], [])).toEqual([]);
  });
});

test.for([
  ['model gtcrn (livedub models pull gtcrn)', 'livedub models pull gtcrn'],
  ['libflite1', 'sudo apt-get install -y --no-install-recommends libflite1'],
  ['apertium apertium-eng-spa', 'sudo apt-get install -y --no-install-recommends apertium apertium-eng-spa'],
  ['npm package @ricky0123/vad-web', 'npm ci'],
  ['environment variable OPENAI_API_KEY', 'set OPENAI_API_KEY, for instance: export OPENAI_API_KEY=…'],
] as const)('an engine that lacks "%s" is mended by: %s', ([install, fix]) => {
  expect(fixOf(install)).toBe(fix);
});

describe('the progress of a pull', () => {
  const item = (news: Partial<Item>): Item => ({
    card,
    file: card.files[0]!,
    state: 'coming',
    have: 250,
    total: 1_000,
    note: '',
    ...news,
  });

  test('is how much of how much, how fast, and how long it will take', () => {
    expect(standing({ have: 1_200_000_000, total: 3_100_000_000, speed: 12_000_000 })).toBe(
      '1.2 GB of 3.1 GB  38 %  12 MB/s  2:38 left',
    );
    expect(standing({ have: 0, total: 7_000_000_000, speed: 1_000_000 })).toContain('1:56:40 left');
    expect(standing({ have: 10, total: 10, speed: undefined })).toBe('10 B of 10 B  100 %');
    expect(standing({ have: 5, total: 10, speed: 0 })).not.toContain('left');
  });

  test('on a terminal is a bar for each file that is coming and one for all, none wider than the terminal', () => {
    const items = [item({}), item({ state: 'done', have: 1_000 }), item({ total: undefined, note: 'it answers 503' })];
    const rows = picture(items, { have: 1_500, total: 3_000, speed: 10 }, 100);
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatch(/^ {2}█{6}░{18} {2}25 % {2}net: net\.onnx {2}250 B of 1\.0 kB$/);
    expect(rows[1]).toContain('it answers 503');
    expect(rows[2]).toContain('1 of 3 files');
    for (const row of picture(items, { have: 1, total: 2, speed: 1 }, 40)) expect(row.length).toBeLessThan(40);
  });

  test('measures speed over the last seconds', () => {
    const speed = new Speed();
    expect(speed.read(0, 0)).toBeUndefined();
    expect(speed.read(1_000, 5_000)).toBe(5_000);
    for (let t = 2_000; t <= 20_000; t += 1_000) speed.read(t, 5_000 + t);
    expect(speed.read(21_000, 26_000)).toBeCloseTo(1_000, -2);
  });
});
