import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, ms, seconds } from '../../media/time.ts';
import { apertium, installedModes, installedRoute } from '../../models/translate/apertium.ts';
import { programsOf, request } from '../../models/translate/apertium-text.ts';
import { identity } from '../../models/translate/identity.ts';
import { NullFlushPipeline } from '../../models/translate/null-flush.ts';
import { syllables } from '../../models/translate/syllables.ts';
import type { Language, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { sentences } from './sentences.ts';

const clock = new MonotonicClock();
const idle = { signal: new AbortController().signal, clock };
const mode = installedModes().get('eng-spa');

const utterance = (text: string, n = 0): Utterance => ({
  id: `u${n}` as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: 'en' as Language,
  start: at(n * 2_000_000),
  end: at(n * 2_000_000 + 1_500_000),
  text,
  words: [],
});
const from = async function* <T>(items: readonly T[]) {
  yield* items;
};
async function translated(stage: Stage<'translator'>, texts: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of stage.run(from(texts.map(utterance)), idle)) lines.push(line.text);
  return lines;
}
const config = (settings: object) => apertium.config.parse({ to: 'es', ...settings });
async function loaded(settings: object = {}) {
  const scope = new Scope('test');
  onTestFinished(() => scope.close());
  return apertium.load(config(settings), scope);
}
/** A pipeline of our own, so that it can be hurt. */
function pipeline(programs: readonly (readonly string[])[]) {
  const opened = new NullFlushPipeline(programs);
  onTestFinished(() => opened.close());
  return opened;
}
const faultOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no fault',
    (thrown: unknown) => (thrown instanceof Fault ? thrown.kind : thrown),
  );

describe.skipIf(mode === undefined)('Apertium, English to Spanish (needs apertium-eng-spa)', () => {
  const suite = new Scope('suite');
  afterAll(() => suite.close());
  conforms(
    'apertium',
    () => apertium.load(config({}), suite),
    () => sentences.slice(0, 4).map(utterance),
  );

  test('prints what the command line prints', async () => {
    const known = 'Scientists have discovered a new species of bird in the Amazon rainforest.';
    const printed = execFileSync('sh', ['-c', 'cat | apertium -u eng-spa'], { input: known }).toString().trim();
    expect(await translated(await loaded(), [known])).toEqual([printed]);
    expect(printed).toBe('Los científicos han descubierto una especie nueva de pájaro en la selva amazónica.');
  });

  test('keeps a budget by saying less of what was said, and says all where there is room', async () => {
    const stage = await loaded();
    expect(stage.caps).toMatchObject({ budgets: true, shortens: true });
    const said = utterance('Well, you know, I think we really have to sell the old house in order to pay the bank.');
    const line = async (room: Partial<Utterance>) => {
      const lines: string[] = [];
      for await (const { text } of stage.run(from([{ ...said, ...room }]), idle)) lines.push(text);
      expect(lines).toHaveLength(1);
      return lines[0]!;
    };
    const count = (text: string) => syllables(text, 'es' as Language);
    const whole = await line({});
    expect(await line({ budget: { aim: 60, most: 70 } })).toBe(whole);
    const aimed = await line({ budget: { aim: 26, most: 60 } });
    expect(count(aimed)).toBeLessThan(count(whole));
    expect(aimed).toMatch(/casa/);
    const tight = await line({ budget: { aim: 18, most: 20 } });
    expect(count(tight)).toBeLessThan(count(aimed));
    const again = await line({ tooLong: { text: aimed, syllables: count(aimed) } });
    expect(count(again)).toBeLessThan(count(aimed));
    for (const text of [aimed, tight, again]) expect(text).toMatch(/vender.*casa.*pagar.*banco/);
  });

  test('answers ten sentences in order, five runs at once', async () => {
    const stage = await loaded();
    const ten = sentences.slice(0, 10);
    const alone = await translated(stage, ten);
    const together = await Promise.all(Array.from({ length: 5 }, () => translated(stage, ten)));
    expect(alone).toHaveLength(10);
    expect(together).toEqual(Array.from({ length: 5 }, () => alone));
  });

  test('turns what a recogniser writes into sentences, names included', async () => {
    expect(
      await translated(await loaded(), ['i love this city', 'i want to talk to mary on monday', 'what time is it']),
    ).toEqual(['Quiero esta ciudad.', 'Quiero hablar a Mary el lunes.', '¿Qué tiempo es?']);
  });

  test('passes on markup, NULs and nonsense without losing its place', async () => {
    const stage = await loaded();
    const odd = ['a [b] ^c$ {d} <e> f/g \\ h@i', 'one\0two\nthree', '*#@~', '^unknownword$', '日本語 😀'];
    const lines = await translated(stage, [...odd, 'I love this city.']);
    expect(lines.at(-1)).toBe('Quiero esta ciudad.');
    expect(lines[0]).toContain('[b] ^c$ {d} <e> f/g \\ h@i');
  });

  test('has nothing to say about nothing', async () => {
    expect(await translated(await loaded(), ['', '   '])).toEqual([]);
  });

  test.for([0, 4, 10])('loses one utterance when its program %i is killed, and goes on with the next', async (n) => {
    const programs = programsOf(readFileSync(mode!, 'utf8'));
    const opened = pipeline(programs);
    const ask = (text: string) => opened.ask(request(text), clock, seconds(20));
    await ask('Hello.');
    const before = opened.pids;
    expect(before).toHaveLength(programs.length);
    process.kill(before[n]!, 'SIGSTOP');
    const asked = faultOf(ask('I love this city.'));
    process.kill(before[n]!, 'SIGKILL');
    await expect(asked).resolves.toBe('unavailable');
    expect(await ask('I love this city.')).toContain('Quiero esta ciudad.');
    expect(opened.pids.filter((pid) => before.includes(pid))).toEqual([]);
    await sleep(100);
    expect(before.filter(runs)).toEqual([]);
  });

  test('faults by timeout when a program hangs, and goes on with a fresh one', async () => {
    const opened = pipeline(programsOf(readFileSync(mode!, 'utf8')));
    await opened.ask(request('Hello.'), clock, seconds(20));
    process.kill(opened.pids[3]!, 'SIGSTOP');
    const [first, second] = await Promise.all([
      faultOf(opened.ask(request('one'), clock, ms(300))),
      faultOf(opened.ask(request('two'), clock, seconds(20))),
    ]);
    expect([first, second]).toEqual(['timeout', 'unavailable']);
    expect(await opened.ask(request('I love this city.'), clock, seconds(20))).toContain('Quiero esta ciudad.');
  });

  test('leaves no program behind', async () => {
    const scope = new Scope('test');
    const before = childrenNamed('lt-proc');
    const back = config({ from: 'es', to: 'en' });
    const stages = [await apertium.load(back, scope), await apertium.load(back, scope.child('second'))];
    expect(await translated(stages[1]!, ['Quiero pan.'])).toEqual(['I want bread.']);
    const during = childrenNamed('lt-proc').filter((pid) => !before.includes(pid));
    // Two translators of one pair, one pipeline: four of its programs are lt-proc.
    expect(during).toHaveLength(4);
    await scope.close();
    expect(during.filter(runs)).toEqual([]);
  });
});

test('a program that does not exist is said by name', async () => {
  const opened = pipeline([['cat'], ['livedub-has-no-such-program'], ['cat']]);
  const asked = opened.ask('x\0', clock, seconds(5));
  await expect(asked).rejects.toThrow(/livedub-has-no-such-program did not start/);
});

test('what a program said before it died is in the fault', async () => {
  const opened = pipeline([['cat'], ['sh', '-c', 'echo the dictionary is gone >&2; exit 3']]);
  await expect(opened.ask('x\0', clock, seconds(5))).rejects.toThrow(/exit code 3.*the dictionary is gone/s);
});

test('a pair nobody translates is refused with what there is', async () => {
  await expect(loaded({ to: 'de' })).rejects.toThrow(
    'Cannot translate en→de: no Apertium package in Debian 12 brings it',
  );
  expect(() => installedRoute('en' as Language, 'pt' as Language, new Map())).toThrow(
    'apt install apertium-eng-spa apertium-es-pt brings it',
  );
});

describe('a dub into the same language', () => {
  const load = () => identity.load(identity.config.parse({ to: 'en-GB' }), new Scope('test'));
  conforms('identity', load, () => sentences.slice(0, 3).map(utterance));

  test('says the same words as sentences', async () => {
    expect(await translated(await load(), ['what time is it', 'i love Paris'])).toEqual([
      'What time is it?',
      'I love Paris.',
    ]);
  });

  test('is refused between languages', () => {
    expect(identity.config.safeParse({ from: 'en', to: 'es' }).success).toBe(false);
  });
});

function runs(pid: number): boolean {
  try {
    // A zombie has ended; who started it just has not heard.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
function childrenNamed(name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        const [, command, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
        return command === name && Number(parent) === process.pid;
      } catch {
        return false;
      }
    });
}
