import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { ms, seconds } from '../../media/time.ts';
import type { Language } from '../../pipeline/domain.ts';
import { fallback } from '../../pipeline/fallback.ts';
import { Fault, type FaultKind } from '../../pipeline/fault.ts';
import type { Stage, StageKind, StageMap } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { failing, silent } from '../fakes/house.ts';
import { recognizerOf, synthesizerAt, translatorTo, vadOf } from '../fakes/stages.ts';
import { audio, es, lines, script, speech, utterances } from '../fakes/talk.ts';

const named = <K extends StageKind>(stage: Stage<K>, engine: string): Stage<K> => ({ ...stage, engine });

conforms('a translator with a stand-in', () => fallback(translatorTo(es), translatorTo(es)), utterances);
conforms(
  'a VAD that always fails, with a stand-in',
  () => fallback(failing(vadOf(script), 'broken'), vadOf(script)),
  audio,
);
conforms('a recognizer with a stand-in', () => fallback(recognizerOf(script), recognizerOf(script)), speech);
conforms(
  'a voice that always fails, with a stand-in',
  () => fallback(failing(synthesizerAt(2), 'unavailable'), synthesizerAt(2)),
  lines,
);

async function* feed<T>(items: readonly T[]): AsyncGenerator<T, void> {
  yield* items;
}
async function collect<K extends StageKind>(
  stage: Stage<K>,
  items: readonly StageMap[K]['in'][],
  clock = new ManualClock(),
  onOut: (out: StageMap[K]['out']) => void | Promise<void> = () => {},
) {
  const out: StageMap[K]['out'][] = [];
  for await (const each of stage.run(feed(items), { signal: new AbortController().signal, clock })) {
    out.push(each);
    await onOut(each);
  }
  return out;
}

/** Fails from its `from`th item of all runs to its `to`th. */
function flaky<K extends StageKind>(
  stage: Stage<K>,
  from: number,
  to: number,
  kind: FaultKind = 'unavailable',
): Stage<K> {
  let count = 0;
  return {
    ...stage,
    async *run(input, scope) {
      const watched = async function* () {
        for await (const item of input) {
          count += 1;
          if (count > from && count <= to) throw new Fault(stage.kind, kind, 'scripted');
          yield item;
        }
      };
      yield* stage.run(watched(), scope);
    },
  };
}

describe('what another engine does when the chosen one cannot', () => {
  test.for(['unavailable', 'overloaded', 'timeout', 'rejected', 'broken'] as const)(
    'every sentence is translated though the chosen engine is %s',
    async (kind) => {
      const stage = fallback(failing(named(translatorTo(es), 'good'), kind), named(translatorTo(es), 'plain'));
      const out = await collect(stage, utterances());
      expect(out.map(({ text }) => text)).toEqual(script.map(({ text }) => `es:${text}`));
    },
  );

  test('the sentence that the chosen engine refused is the only one the other is asked', async () => {
    const asked: string[] = [];
    const plain = named(translatorTo(es), 'plain');
    const spare: typeof plain = {
      ...plain,
      async *run(input, scope) {
        const told = async function* () {
          for await (const item of input) {
            asked.push(item.text);
            yield item;
          }
        };
        yield* plain.run(told(), scope);
      },
    };
    const good = translatorTo(es, ms(0), { 'Hello there.': 'rejected' });
    const stage = fallback(good, spare);
    const out = await collect(stage, utterances());
    expect(out.map(({ text }) => text)).toEqual(script.map(({ text }) => `es:${text}`));
    expect(asked).toEqual(['Hello there.']);
  });

  test('a voice that breaks off within a line leaves the whole line to the other', async () => {
    const stage = fallback(synthesizerAt(0.5, { 'Hello there.': 'unavailable' }), synthesizerAt(0.25));
    const out = await collect(stage, lines());
    const second = out.filter(({ line }) => line.text === 'Hello there.');
    expect(second.map(({ chunk, last }) => [chunk.pcm[0], chunk.start === 0, last])).toEqual([
      [0.5, true, false],
      [0.25, true, false],
      [0.25, false, true],
    ]);
  });

  test('no word is lost and none is said twice when a recognizer dies in the middle of a segment', async () => {
    // Its 14th chunk ends at 1.8 s of the programme, when "Good morning everyone." is stable.
    const stage = fallback(flaky(recognizerOf(script), 14, 15), recognizerOf(script));
    const out = await collect(stage, speech());
    const finals = out.filter(({ final }) => final).map(({ stable }) => stable.map(({ text }) => text).join(' '));
    expect(finals).toEqual(['Hello there.', 'This is the second segment.']);
    const first = out.filter(({ segment }) => segment === 0).flatMap(({ stable }) => stable);
    const words = new Map(first.map(({ start, text }) => [start, text]));
    expect([...words.values()]).toEqual(['Good', 'morning', 'everyone.', 'Hello', 'there.']);
  });

  test('activity is told without a gap and nothing is told twice', async () => {
    const stage = fallback(flaky(vadOf(script), 20, 21), vadOf(script));
    const out = await collect(stage, audio());
    expect(out.map(({ start }) => start)).toEqual(audio().map(({ start }) => start));
  });

  test('an engine that is silent is left after its patience, and what it was given is done by the other', async () => {
    const clock = new ManualClock();
    const stage = fallback(silent(translatorTo(es)), translatorTo(es), { patience: seconds(2) });
    const all = collect(stage, utterances(), clock);
    await new Promise((r) => setImmediate(r));
    await clock.advance(seconds(2));
    expect((await all).map(({ text }) => text)).toEqual(script.map(({ text }) => `es:${text}`));
  });

  test('the chosen engine is tried again after a while, between two sentences, and says that it is back', async () => {
    const clock = new ManualClock();
    const good = named(flaky(translatorTo(es), 0, 1), 'good');
    const stage = fallback(good, named(translatorTo('xx' as Language), 'plain'), { retryAfter: () => seconds(5) });
    const working: (string | undefined)[] = [];
    stage.standIn?.watch(() => working.push(stage.standIn?.engine));
    const out = await collect(stage, utterances(), clock, async ({ text }) => {
      if (text === 'xx:Hello there.') await clock.advance(seconds(5));
    });
    expect(out.map(({ text }) => text)).toEqual([
      'xx:Good morning everyone.',
      'xx:Hello there.',
      'es:This is the second segment.',
    ]);
    expect(working).toEqual(['plain', undefined]);
  });

  test('a broken engine is not tried again', async () => {
    const clock = new ManualClock();
    let runs = 0;
    const broken = failing(translatorTo(es), 'broken');
    const counted: typeof broken = { ...broken, run: (input, scope) => ((runs += 1), broken.run(input, scope)) };
    await collect(fallback(counted, translatorTo(es)), utterances(), clock, () => clock.advance(seconds(3_600)));
    expect(runs).toBe(1);
  });

  test('when neither can, the stage fails as the second did', async () => {
    const stage = fallback(failing(translatorTo(es), 'unavailable'), failing(translatorTo(es), 'broken'));
    await expect(collect(stage, utterances())).rejects.toMatchObject({ kind: 'broken' });
  });

  test('together they promise what both can do', () => {
    const one = translatorTo(es);
    const slow = { ...one, caps: { ...one.caps, lookahead: ms(300) } };
    expect(fallback(one, slow).caps).toEqual({ lookahead: ms(300), from: 'any', to: [es] });
    const voice = synthesizerAt(1);
    const mute = { ...voice, caps: { ...voice.caps, marks: [], voices: 7, streams: false } } as Stage<'synthesizer'>;
    expect(fallback(voice, mute).caps).toMatchObject({ marks: [], voices: 1, streams: false });
    const deaf = { ...vadOf(script), caps: { rate: 8_000, lookahead: ms(0) } } as const;
    expect(() => fallback(vadOf(script), deaf)).toThrow('hears 8000 Hz, not 16000 Hz');
  });
});
