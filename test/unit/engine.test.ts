import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Scope } from '../../media/scope.ts';
import { ms } from '../../media/time.ts';
import { EngineRefused, EngineRegistry, type Need, type Pair, defineEngine } from '../../models/engine.ts';
import { registry as everything } from '../../models/index.ts';
import type { Language } from '../../pipeline/domain.ts';

const [en, es, ca] = ['en', 'es', 'ca'] as Language[] as [Language, Language, Language];
const card = { host: 'inline', summary: 'For tests.', licence: 'MIT' } as const;
const silent = defineEngine({
  ...card,
  kind: 'vad',
  id: 'silent',
  needs: [],
  config: z.strictObject({ threshold: z.number().min(0).max(1).default(0.5) }),
  async load({ threshold }, scope) {
    scope.defer(() => {});
    return { kind: 'vad', engine: `silent@${threshold}`, caps: { rate: 16_000, lookahead: ms(32) }, async *run() {} };
  },
});
const need = (install: string, present: boolean): Need => ({ install, present: () => present });
const voice = (id: string, languages: readonly Language[] | 'any', needs: readonly Need[] = []) =>
  defineEngine({
    ...card,
    kind: 'synthesizer',
    id,
    needs,
    languages,
    config: z.strictObject({}),
    load: () => Promise.reject(new Error('not for loading')),
  });
const translator = (id: string, pairs: readonly Pair[], needs: readonly Need[] = []) =>
  defineEngine({
    ...card,
    kind: 'translator',
    id,
    needs,
    pairs,
    config: z.strictObject({}),
    load: () => Promise.reject(new Error('not for loading')),
  });
const registry = (...engines: ConstructorParameters<typeof EngineRegistry>[0][number][]) =>
  new EngineRegistry(engines, '/nowhere.js');

describe('loading an engine', () => {
  test('finds it by kind and name and fills in its defaults', async () => {
    await using scope = new Scope('test');
    const vad = await registry(silent).load('vad', 'silent', {}, scope);
    expect(vad.engine).toBe('silent@0.5');
    expect(vad.caps.rate).toBe(16_000);
  });

  test.for([
    ['loud', {}, "Cannot load vad: no engine is called 'loud'; there is silent", ['engine']],
    [
      'silent',
      { treshold: 1 },
      "Cannot load vad engine 'silent': 'treshold' is no setting; its settings are threshold",
      ['treshold'],
    ],
    ['silent', { threshold: 2 }, "Cannot load vad engine 'silent': 'threshold' is wrong: Too big", ['threshold']],
  ] as const)('refuses %s with %j in one sentence that names the key', async ([id, config, message, path]) => {
    await using scope = new Scope('test');
    const refusal = await registry(silent)
      .load('vad', id, config, scope)
      .catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(EngineRefused);
    expect(refusal).toMatchObject({ message: expect.stringContaining(message) as string, path });
  });

  test('says so when there is no engine of the kind at all', () => {
    expect(() => registry(silent).engine('lipDriver', 'lips')).toThrow("no engine is called 'lips'; there is none");
  });
});

test('two engines of one kind cannot have the same name', () => {
  expect(() => registry(silent, silent)).toThrow('vad:silent is already registered');
});

describe('the default engine', () => {
  test('is the first that speaks the language; a language covers its regions', () => {
    const both = registry(voice('english', [en]), voice('everything', 'any'));
    expect(both.pick('synthesizer', { from: es, to: 'en-GB' as Language })?.id).toBe('english');
    expect(both.pick('synthesizer', { from: en, to: es })?.id).toBe('everything');
  });

  test('is one that is installed, if any is; else the first, whose error says what to install', () => {
    const absent = voice('best', 'any', [need('best-voices', false)]);
    expect(registry(absent, voice('plain', 'any')).pick('synthesizer', { to: es })?.id).toBe('plain');
    expect(registry(absent).pick('synthesizer', { to: es })?.id).toBe('best');
    expect(registry(absent).lacks('synthesizer', 'best', { to: es })).toEqual(['best-voices']);
  });

  test('translates in the direction asked for, with what that direction needs', () => {
    const pairs: Pair[] = [
      { from: en, to: es },
      { from: en, to: ca, needs: [need('apertium-eng-cat', false)] },
    ];
    const one = registry(translator('rules', pairs, [need('apertium', true)]));
    expect(one.pick('translator', { from: en, to: es })?.id).toBe('rules');
    expect(one.pick('translator', { from: es, to: en })).toBeUndefined();
    expect(one.lacks('translator', 'rules', { from: en, to: es })).toEqual([]);
    expect(one.lacks('translator', 'rules', { from: en, to: ca })).toEqual(['apertium-eng-cat']);
  });

  test('does not exist for a language nobody knows', () => {
    expect(registry(voice('english', [en])).pick('synthesizer', { to: 'tlh' as Language })).toBeUndefined();
    expect(registry(silent).pick('lipDriver')).toBeUndefined();
  });
});

test('the list has a card for every engine, with its settings as a JSON schema and what is missing', () => {
  const [vad, rules] = registry(silent, translator('rules', [{ from: en, to: es, needs: [need('x', false)] }])).list();
  expect(vad).toMatchObject({ kind: 'vad', id: 'silent', languages: null, pairs: null, missing: [] });
  expect(vad?.config).toMatchObject({ type: 'object', properties: { threshold: { default: 0.5 } } });
  expect(rules?.pairs).toEqual([{ from: en, to: es, missing: ['x'] }]);
});

test('every engine there is has a card', () => {
  for (const engine of everything().list()) {
    expect(engine).toMatchObject({
      summary: expect.stringMatching(/\.$/) as string,
      licence: expect.stringMatching(/./) as string,
    });
    const [pair] = Array.isArray(engine.pairs) ? (engine.pairs as Pair[]) : [];
    const direction = pair ? { from: pair.from, to: pair.to } : engine.pairs === 'any' ? { to: 'es' } : {};
    expect(() => everything().check(engine.kind, engine.id, direction)).not.toThrow();
  }
});
