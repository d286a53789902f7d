import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { abilitiesOf, languagePairs } from '../../gateway/abilities.ts';
import { SessionSpec } from '../../gateway/config.ts';
import { EngineRegistry, type Need, defineEngine } from '../../models/engine.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';

const L = (tag: string) => tag as Language;
const absent: Need = { install: 'apertium-eng-cat', present: () => false };
const common = { host: 'inline', licence: 'MIT', summary: 'scripted', needs: [] } as const;
const load = () => Promise.reject(new Fault('recognizer', 'broken', 'only its card is used'));

const registry = new EngineRegistry(
  [
    defineEngine({
      ...common,
      kind: 'recognizer',
      id: 'ears',
      languages: [L('en')],
      config: z.strictObject({ beam: z.number().default(3) }),
      load,
    }),
    defineEngine({
      ...common,
      kind: 'translator',
      id: 'mind',
      pairs: [
        { from: L('en'), to: L('es') },
        { from: L('en'), to: L('ca'), needs: [absent] },
        { from: L('es'), to: L('en') },
      ],
      config: z.strictObject({}),
      load,
    }),
    defineEngine({
      ...common,
      kind: 'synthesizer',
      id: 'mouth',
      languages: [L('es'), L('ca'), L('en')],
      config: z.strictObject({}),
      load,
    }),
  ],
  '/nowhere.js',
);
const abilities = abilitiesOf(registry);

describe('what can be dubbed', () => {
  test.for([
    ['en', 'es'],
    ['en-GB', 'es'],
    ['en', 'es-MX'],
  ])('%s into %s can', ([from, to]) => {
    expect(abilities.supports(SessionSpec.parse({ from }), to!)).toBeUndefined();
  });
  test.for<[string, string, string, string]>([
    ['de', 'es', 'from', 'unsupported'],
    ['en', 'de', 'to', 'unsupported'],
    ['en', 'ca', 'to', 'unsupported'],
    ['es', 'en', 'from', 'unsupported'],
    ['en', 'en', 'to', 'unsupported'],
  ])('%s into %s cannot, and says so about the right field', ([from, to, field, code]) => {
    expect(abilities.supports(SessionSpec.parse({ from }), to)).toMatchObject({
      code,
      field,
      fix: expect.any(String) as string,
    });
  });
  test('what is not installed says what to install', () => {
    expect(abilities.supports(SessionSpec.parse({}), 'ca')?.fix).toContain('apertium-eng-cat');
  });
  test('the list has what the engines can do between them, ready first, with names', () => {
    expect(languagePairs(registry.list())).toEqual([
      { from: 'en', to: 'es', name: 'español', english: 'Spanish', missing: [] },
      { from: 'en', to: 'ca', name: 'català', english: 'Catalan', missing: ['apertium-eng-cat'] },
    ]);
  });
});

test('an engine or a setting that does not exist is refused by its place in the request', () => {
  const spec = (engines: object) => SessionSpec.parse({ engines });
  expect(abilities.accepts(spec({ recognizer: { engine: 'ears', beam: 5 } }))).toBeUndefined();
  expect(abilities.accepts(spec({ recognizer: { engine: 'magic' } }))).toMatchObject({
    code: 'invalid',
    field: 'engines.recognizer.engine',
  });
  expect(abilities.accepts(spec({ recognizer: { engine: 'ears', beem: 5 } }))).toMatchObject({
    code: 'invalid',
    field: 'engines.recognizer.beem',
  });
});

describe('moving mouths', () => {
  const yunet: Need = { install: 'model yunet (livedub models pull yunet)', present: () => false };
  const seeing = (needs: readonly Need[]) =>
    abilitiesOf(
      new EngineRegistry(
        [
          defineEngine({ ...common, kind: 'faceTracker', id: 'eyes', needs, config: z.strictObject({}), load }),
          defineEngine({ ...common, kind: 'lipDriver', id: 'lips', config: z.strictObject({}), load }),
        ],
        '/nowhere.js',
      ),
    );
  const spec = (lips: string, engines: object = {}) => SessionSpec.parse({ lips, engines });

  test('are refused where they are insisted on and a model is missing, with what to pull', () => {
    expect(seeing([yunet]).accepts(spec('on'))).toEqual({
      code: 'unsupported',
      message: 'Mouths cannot be driven here: something for it is not installed.',
      field: 'lips',
      fix: 'Needs model yunet (livedub models pull yunet).',
    });
  });
  test.for(['auto', 'off'])('are no reason to refuse a session that says %s', (lips) => {
    expect(seeing([yunet]).accepts(spec(lips))).toBeUndefined();
  });
  test('are refused where there is no engine at all', () => {
    expect(abilities.accepts(spec('on'))).toMatchObject({ code: 'unsupported', field: 'lips' });
  });
  test('are accepted where everything is there', () => {
    expect(seeing([]).accepts(spec('on'))).toBeUndefined();
  });
  test('an engine named for them that does not exist is refused by its place', () => {
    expect(seeing([]).accepts(spec('on', { lipDriver: { engine: 'puppets' } }))).toMatchObject({
      code: 'invalid',
      field: 'engines.lipDriver.engine',
    });
  });
});
