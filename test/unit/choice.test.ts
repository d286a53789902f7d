import { expect, test } from 'vitest';
import { z } from 'zod';
import { choose } from '../../gateway/choice.ts';
import { SessionSpec } from '../../gateway/config.ts';
import { EngineRegistry, type Need, defineEngine } from '../../models/engine.ts';
import { profile } from '../../models/store/profiles.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';

const [en, es, de] = ['en', 'es', 'de'] as Language[] as [Language, Language, Language];
const absent: Need = { install: 'libnothing1', present: () => false };
const translator = (id: string, to: readonly Language[], needs: readonly Need[] = []) =>
  defineEngine({
    kind: 'translator',
    id,
    host: 'inline',
    summary: 'scripted',
    licence: 'MIT',
    needs,
    pairs: to.map((each) => ({ from: en, to: each })),
    config: z.looseObject({}),
    load: () => Promise.reject(new Fault('translator', 'broken', 'only its card is used')),
  });
const enhancer = (id: string) =>
  defineEngine({
    kind: 'enhancer',
    id,
    host: 'inline',
    summary: 'scripted',
    licence: 'MIT',
    needs: [],
    config: z.looseObject({}),
    load: () => Promise.reject(new Fault('enhancer', 'broken', 'only its card is used')),
  });
/** The profile's translator knows Spanish alone; `plain` knows both and comes first. */
const ofCpu = profile('cpu').engines.translator!.engine;
const cleaner = profile('cpu').engines.enhancer!.engine;
const registry = new EngineRegistry(
  [
    translator('plain', [es, de]),
    translator(ofCpu, [es]),
    translator('lame', [es], [absent]),
    enhancer('broom'),
    enhancer(cleaner),
  ],
  '/nowhere.js',
);
const chosen = (spec: object, to: Language = es) =>
  choose('translator', { from: en, to }, SessionSpec.parse(spec), registry);

test.for<[string, object, Language, { engine: string; spare: string | undefined }]>([
  ['what is there and knows the language', {}, es, { engine: 'plain', spare: undefined }],
  ['the engine of its profile, with a stand-in', { profile: 'cpu' }, es, { engine: ofCpu, spare: 'plain' }],
  [
    'what is there where its profile does not know the language',
    { profile: 'cpu' },
    de,
    { engine: 'plain', spare: undefined },
  ],
  [
    'the engine it names, before its profile',
    { profile: 'cpu', engines: { translator: { engine: 'lame' } } },
    es,
    { engine: 'lame', spare: 'plain' },
  ],
  [
    'no stand-in for what it would have found by itself',
    { engines: { translator: { engine: 'plain' } } },
    es,
    { engine: 'plain', spare: undefined },
  ],
])('a session gets %s', ([, spec, to, expected]) => {
  expect(chosen(spec, to)).toMatchObject(expected);
});

test('the settings that a session gives with an engine are the engine’s', () => {
  expect(chosen({ engines: { translator: { engine: 'lame', polite: true } } })?.settings).toEqual({ polite: true });
});

test('noise is left alone unless somebody asks: the session, its engines or its profile', () => {
  const asked = (spec: object) => choose('enhancer', {}, SessionSpec.parse(spec), registry)?.engine;
  expect(asked({})).toBeUndefined();
  expect(asked({ denoise: true })).toBe('broom');
  expect(asked({ profile: 'cpu' })).toBe(cleaner);
  expect(asked({ engines: { enhancer: { engine: 'broom' } } })).toBe('broom');
  // A cleaner has no stand-in: audio as it came is what is left.
  expect(choose('enhancer', {}, SessionSpec.parse({ profile: 'cpu' }), registry)?.spare).toBeUndefined();
});

test('a stage that nobody asked for and no session needs is left out', () => {
  expect(choose('separator', {}, SessionSpec.parse({}), registry)).toBeUndefined();
});
