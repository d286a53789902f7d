import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { Mailbox } from '../../media/mailbox.ts';
import { type ClockTime, type Span, at, later, ms } from '../../media/time.ts';
import type { Language, Line, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { type Shortening, shortening } from '../../pipeline/shorter.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';

const utterance = (text: string): Utterance => ({
  id: text.slice(0, 1) as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: 'en' as Language,
  start: at(0),
  end: at(1_000_000),
  text,
  words: [],
});
const lineOf = ({ id, speaker, start, end }: Utterance, text: string): Line => ({
  utterance: id,
  speaker,
  language: 'es' as Language,
  start,
  end,
  text,
});
type Brief = (said: Utterance) => string | undefined | Fault;
/** Says what it is told; when it is asked for less, `brief` says what it does. */
const translator = (
  brief: Brief = ({ text }) => text.slice(0, 4),
  takes: (said: Utterance) => Span = () => ms(0),
): Stage<'translator'> => ({
  kind: 'translator',
  engine: 'scripted',
  caps: { lookahead: ms(0), from: 'any', to: 'any', shortens: true },
  async *run(input, { clock, signal }) {
    for await (const said of until(input, signal)) {
      if (takes(said) > 0) await clock.until(later(clock.now(), takes(said)), signal);
      const text = said.tooLong ? brief(said) : said.text;
      if (text instanceof Fault) throw text;
      if (text !== undefined) yield lineOf(said, text);
    }
  },
});
/** Lines of more than six letters are too long; there are two seconds. */
const rules: Shortening = {
  tooLong: ({ text }) => (text.length > 6 ? { text, syllables: text.length } : undefined),
  shorter: (a, b) => (a.text.length < b.text.length ? a : b),
  until: () => ms(2_000) as number as ClockTime,
};
const turn = () => new Promise((r) => setImmediate(r));

function work(stage: Stage<'translator'>, more: Partial<Shortening> = {}) {
  const clock = new ManualClock();
  const box = new Mailbox<Utterance>(16);
  const out: string[] = [];
  const failures: string[] = [];
  const signal = new AbortController();
  const done = (async () => {
    for await (const { text } of shortening(stage, { ...rules, ...more }).run(box, { clock, signal: signal.signal })) {
      out.push(text);
    }
  })().catch((fault: unknown) => failures.push(String(fault)));
  const say = async (...texts: string[]) => {
    for (const text of texts) box.put(utterance(text));
    await turn();
    await turn();
  };
  return { clock, box, out, failures, say, done, signal };
}

test('a line that fits goes on at once, one that is too long is asked for once more, and they stay in order', async () => {
  const asked: string[] = [];
  const { out, say, box, done } = work(
    translator(({ text, tooLong }) => {
      asked.push(`${text} ${tooLong?.syllables}`);
      return text.slice(0, 4);
    }),
  );
  await say('a', 'b too long', 'c', 'd too long as well', 'e');
  expect(out).toEqual(['a', 'b to', 'c', 'd to', 'e']);
  expect(asked).toEqual(['b too long 10', 'd too long as well 18']);
  box.end();
  await done;
});

test('the last line of a programme is asked for as well', async () => {
  const { out, box, done, say } = work(translator());
  await say('a too long');
  box.end();
  await done;
  expect(out).toEqual(['a to']);
});

describe('the first line goes on', () => {
  const cases: [string, Brief][] = [
    ['when the second is no shorter', () => 'a much, much longer line'],
    ['when there is none', () => undefined],
    ['when it is refused', () => new Fault('translator', 'rejected', 'no')],
    ['when the translator stumbles', () => new Fault('translator', 'unavailable', 'away')],
  ];
  test.for(cases)('%s, and nothing else is lost', async ([, brief]) => {
    const { out, say, box, done, failures } = work(translator(brief));
    await say('a too long', 'b', 'c');
    box.end();
    await done;
    expect(out).toEqual(['a too long', 'b', 'c']);
    expect(failures).toEqual([]);
  });

  test('when the second takes too long, and the second is not heard after it', async () => {
    const { out, say, clock, box, done } = work(translator(undefined, (said) => ms(said.tooLong ? 3_000 : 0)));
    await say('a too long', 'b');
    expect(out).toEqual([]);
    await clock.advance(ms(2_100));
    expect(out).toEqual(['a too long']);
    await clock.advance(ms(1_000));
    await turn();
    expect(out).toEqual(['a too long', 'b']);
    box.end();
    await done;
  });

  test('when there is no time to ask', async () => {
    const asked: string[] = [];
    const stage = translator(({ text }) => {
      asked.push(text);
      return 'a';
    });
    const { out, say } = work(stage, { until: () => 0 as ClockTime });
    await say('a too long');
    expect(out).toEqual(['a too long']);
    expect(asked).toEqual([]);
  });
});

test('a fault of a first line is the stage’s own', async () => {
  const stage: Stage<'translator'> = {
    ...translator(),
    async *run(input): AsyncGenerator<Line> {
      for await (const said of input) throw new Fault('translator', 'unavailable', `away at ${said.text}`);
      yield* [];
    },
  };
  const { say, failures, done } = work(stage);
  await say('a');
  await done;
  expect(failures[0]).toContain('away at a');
});

test('an abort ends it while it waits', async () => {
  const { out, say, signal, done } = work(translator(undefined, (said) => ms(said.tooLong ? 60_000 : 0)));
  await say('a too long', 'b');
  signal.abort();
  await done;
  expect(out.length).toBeLessThanOrEqual(1);
});

test('a translator that cannot shorten is left as it is', () => {
  const plain: Stage<'translator'> = { ...translator(), caps: { lookahead: ms(0), from: 'any', to: 'any' } };
  expect(shortening(plain, rules)).toBe(plain);
});
