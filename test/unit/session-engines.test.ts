import { expect, test } from 'vitest';
import { z } from 'zod';
import { SessionSpec } from '../../gateway/config.ts';
import { Engines } from '../../gateway/session/engines.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, ms } from '../../media/time.ts';
import { EngineRegistry, defineEngine } from '../../models/engine.ts';
import type { Activity, Language, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';

const [en, es, de] = ['en', 'es', 'de'] as Language[] as [Language, Language, Language];
const card = { host: 'inline', summary: 'For tests.', licence: 'MIT', needs: [] } as const;
const activity: Activity = { start: at(0), end: at(32_000), probability: 0.5 };

/** Engines of every kind; the detector does not load as often as `failures` says, or for ever. */
function scripted({ failures = 0, why = new Error('no such library') } = {}) {
  const loaded: string[] = [];
  const closed: string[] = [];
  const opened = (name: string, scope: Scope) => {
    loaded.push(name);
    scope.defer(() => closed.push(name));
  };
  let left = failures;
  const vad = defineEngine({
    ...card,
    kind: 'vad',
    id: 'ears',
    config: z.strictObject({ threshold: z.number().default(0.5) }),
    load: async ({ threshold }, scope) => {
      if (left > 0) {
        left -= 1;
        throw why;
      }
      opened(`vad@${threshold}`, scope);
      return {
        kind: 'vad',
        engine: 'ears',
        caps: { rate: 16_000, lookahead: ms(32) },
        async *run(input) {
          for await (const _ of input) yield activity;
        },
      };
    },
  });
  const recognizer = (id: string, languages: readonly Language[]) =>
    defineEngine({
      ...card,
      kind: 'recognizer',
      id,
      languages,
      config: z.strictObject({}),
      load: async (_, scope) => {
        opened(id, scope);
        const caps = { rate: 16_000, lookahead: ms(0), languages, drafts: true, wordTimes: true } as const;
        return { kind: 'recognizer', engine: id, caps, async *run() {} };
      },
    });
  const enhancer = defineEngine({
    ...card,
    kind: 'enhancer',
    id: 'broom',
    config: z.strictObject({}),
    load: async (_, scope) => {
      opened('broom', scope);
      return { kind: 'enhancer', engine: 'broom', caps: { rate: 48_000, lookahead: ms(10) }, async *run() {} };
    },
  });
  const translator = defineEngine({
    ...card,
    kind: 'translator',
    id: 'rules',
    pairs: [{ from: en, to: es }],
    config: z.strictObject({ from: z.string(), to: z.string(), polite: z.boolean().default(false) }),
    load: async ({ from, to, polite }, scope) => {
      opened(`rules ${from}→${to}${polite ? ' politely' : ''}`, scope);
      return { kind: 'translator', engine: 'rules', caps: { lookahead: ms(0), from: [en], to: [es] }, async *run() {} };
    },
  });
  const registry = new EngineRegistry(
    [vad, recognizer('german ears', [de]), recognizer('english ears', [en]), enhancer, translator],
    '/nowhere.js',
  );
  return { registry, loaded, closed };
}

function engines(registry: EngineRegistry, spec: object, scope: Scope) {
  const faults: Fault[] = [];
  const parsed = SessionSpec.parse(spec);
  return { faults, engines: new Engines({ registry, spec: parsed, onFault: (fault) => faults.push(fault) }, scope) };
}
async function* one<T>(item: T) {
  yield item;
}
const running = () => ({ signal: new AbortController().signal, clock: new MonotonicClock() });

test('a session gets the engines that know its language; noise is left alone unless it is asked for', async () => {
  await using scope = new Scope('test');
  const { registry, loaded } = scripted();
  const shared = await engines(registry, { from: 'en' }, scope).engines.shared();
  expect(Object.keys(shared).sort()).toEqual(['recognizer', 'vad']);
  expect(shared.recognizer?.engine).toBe('english ears');
  expect(loaded.sort()).toEqual(['english ears', 'vad@0.5']);
  const cleaned = await engines(registry, { from: 'en', denoise: true }, scope).engines.shared();
  expect(cleaned.enhancer?.engine).toBe('broom');
});

test('an engine named in the spec is taken, with its settings', async () => {
  await using scope = new Scope('test');
  const { registry, loaded } = scripted();
  const spec = {
    from: 'en',
    engines: {
      vad: { engine: 'ears', threshold: 0.9 },
      recognizer: { engine: 'german ears' },
      enhancer: { engine: 'broom' },
      translator: { engine: 'rules', polite: true },
    },
  };
  const { engines: choice } = engines(registry, spec, scope);
  expect((await choice.shared()).recognizer?.engine).toBe('german ears');
  await choice.language(es, scope);
  expect(loaded.sort()).toEqual(['broom', 'german ears', 'rules en→es politely', 'vad@0.9']);
});

test('where no engine can do a stage the session goes without it, and says so once', async () => {
  await using scope = new Scope('test');
  const { registry } = scripted();
  const { engines: choice, faults } = engines(registry, { from: 'en' }, scope);
  const shared = await choice.shared();
  expect(shared.diarizer).toBeUndefined();
  const german = await choice.language(de, scope);
  expect(german).toEqual({});
  expect(faults.map(({ stage, kind, message }) => [stage, kind, message])).toEqual([
    ['diarizer', 'broken', 'no diarizer for this session'],
    ['translator', 'broken', 'no translator for en → de'],
    ['synthesizer', 'broken', 'no synthesizer for de'],
  ]);
});

test('what a language opens closes with it, and the rest stays', async () => {
  await using scope = new Scope('test');
  const { registry, closed } = scripted();
  const { engines: choice } = engines(registry, { from: 'en' }, scope);
  await choice.shared();
  const language = scope.child('es');
  const stages = await choice.language(es, language);
  expect(stages.translator?.caps).toMatchObject({ from: [en], to: [es] });
  await language.close();
  expect(closed).toEqual(['rules en→es']);
  await scope.close();
  expect(closed.sort()).toEqual(['english ears', 'rules en→es', 'vad@0.5']);
});

test('an engine that does not load is reported, costs nothing else, and is loaded when it is run', async () => {
  await using scope = new Scope('test');
  const { registry, loaded } = scripted({ failures: 3 });
  const { engines: choice, faults } = engines(registry, { from: 'en' }, scope);
  const shared = await choice.shared();
  expect(shared.recognizer?.engine).toBe('english ears');
  expect(faults.find(({ stage }) => stage === 'vad')).toMatchObject({
    kind: 'unavailable',
    message: 'no such library',
  });
  const vad = shared.vad!;
  expect(vad).toMatchObject({ kind: 'vad', engine: 'ears', caps: { rate: 16_000, lookahead: 0 } });
  const run = async () => {
    const heard: Activity[] = [];
    const chunk = { start: at(0), rate: 16_000, pcm: new Float32Array(512) } as const;
    for await (const each of vad.run(one(chunk), running())) heard.push(each);
    return heard;
  };
  // Twice more it is not there; each time whoever runs it hears why.
  for (let again = 0; again < 2; again += 1) {
    const failure = await run().catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(Fault);
    expect(failure).toMatchObject({ stage: 'vad', kind: 'unavailable', message: 'no such library' });
  }
  expect(await run()).toEqual([activity]);
  expect(await run()).toEqual([activity]);
  expect(loaded.filter((name) => name.startsWith('vad'))).toEqual(['vad@0.5']);
});

test('a fault says itself what kind it is', async () => {
  await using scope = new Scope('test');
  const { registry } = scripted({ failures: 1, why: new Fault('vad', 'broken', 'wrong machine') });
  const { engines: choice, faults } = engines(registry, {}, scope);
  await choice.shared();
  expect(faults.find(({ stage }) => stage === 'vad')).toMatchObject({ kind: 'broken', message: 'wrong machine' });
});

/** Two engines that translate; the good one does as `behaves`, the plain one always works. */
function translators(behaves: (text: string) => string | Error) {
  const loaded: string[] = [];
  const translator = (id: string, say: (text: string) => string | Error, byName: boolean) =>
    defineEngine({
      ...card,
      kind: 'translator',
      id,
      ...(byName && { byName: true as const }),
      pairs: [{ from: en, to: es }],
      config: z.strictObject({ from: z.string(), to: z.string() }),
      load: async () => {
        loaded.push(id);
        return {
          kind: 'translator',
          engine: id,
          caps: { lookahead: ms(0), from: [en], to: [es] },
          async *run(input) {
            for await (const { id: utterance, start, end, speaker, text } of input) {
              const said = say(text);
              if (said instanceof Error) throw said;
              yield { utterance, start, end, speaker, language: es, text: said };
            }
          },
        };
      },
    });
  const registry = new EngineRegistry(
    [translator('good', behaves, true), translator('plain', (text) => `plain ${text}`, false)],
    '/nowhere.js',
  );
  return { registry, loaded };
}
const utterance = (text: string): Utterance => ({
  id: `u-${text}` as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: en,
  start: at(0),
  end: at(1_000_000),
  text,
  words: [],
});
async function translated(registry: EngineRegistry, scope: Scope, spec: object, ...texts: string[]) {
  const { engines: choice, faults } = engines(registry, { from: 'en', ...spec }, scope);
  const { translator } = await choice.language(es, scope);
  const said: string[] = [];
  for await (const { text } of translator!.run(feedOf(texts.map(utterance)), running())) said.push(text);
  return { translator: translator!, said, faults };
}
async function* feedOf<T>(items: readonly T[]) {
  yield* items;
}

test('an engine that must be named is never what a session finds by itself', async () => {
  await using scope = new Scope('test');
  const { registry, loaded } = translators((text) => `good ${text}`);
  expect((await translated(registry, scope, {}, 'yes')).said).toEqual(['plain yes']);
  expect(loaded).toEqual(['plain']);
});

test('a named engine has a stand-in that is not even loaded while it is not needed', async () => {
  await using scope = new Scope('test');
  const { registry, loaded } = translators((text) => `good ${text}`);
  const { said, translator } = await translated(
    registry,
    scope,
    { engines: { translator: { engine: 'good' } } },
    'a',
    'b',
  );
  expect(said).toEqual(['good a', 'good b']);
  expect(translator.standIn?.engine).toBeUndefined();
  expect(loaded).toEqual(['good']);
});

test.for<[string, string | Error, boolean]>([
  ['dies', new Error('connection refused'), true],
  ['is broken', new Fault('translator', 'broken', 'wrong key'), true],
  ['refuses a sentence', new Fault('translator', 'rejected', 'cannot translate that'), false],
  ['lies', '   ', false],
])('when a named engine %s, what the session would have found by itself does its work', async ([, answer, gone]) => {
  await using scope = new Scope('test');
  const { registry } = translators((text) => (text === 'b' ? answer : `good ${text}`));
  const { said, faults, translator } = await translated(
    registry,
    scope,
    { engines: { translator: { engine: 'good' } } },
    'a',
    'b',
    'c',
  );
  expect(said).toEqual(['good a', 'plain b', gone ? 'plain c' : 'good c']);
  expect(faults.filter(({ stage }) => stage === 'translator')).toHaveLength(1);
  expect(translator.standIn?.engine).toBe(gone ? 'plain' : undefined);
});
