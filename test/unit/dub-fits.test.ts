import { expect, test } from 'vitest';
import { seconds } from '../../media/time.ts';
import type { Line, Utterance } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { House, ears, es, fr } from '../fakes/house.ts';
import { type Said, synthesizerAt, translatorTo } from '../fakes/stages.ts';

const talk: Said[] = [
  { from: 500, to: 2_500, text: 'one two three four five six', speaker: 's1' },
  { from: 3_500, to: 5_500, text: 'seven eight nine ten eleven twelve', speaker: 's2' },
  { from: 6_500, to: 8_500, text: 'and so on and so forth', speaker: 's1' },
];

/** Tells what it is asked, and says twenty times too much unless it is asked for less. */
function wordy(asked: Utterance[], shortens: boolean): Stage<'translator'> {
  const plain = translatorTo(es);
  return {
    ...plain,
    caps: { ...plain.caps, budgets: true, shortens },
    async *run(input, { signal }) {
      for await (const said of until(input, signal)) {
        asked.push(said);
        const { id: utterance, start, end, speaker } = said;
        const text = said.tooLong ? 'ya' : Array.from({ length: 60 }, () => 'bla').join(' ');
        yield { utterance, start, end, speaker, language: es, text };
      }
    },
  };
}
/** A voice that remembers what it was given; `rates` as told. */
function remembering(lines: Line[]): Stage<'synthesizer'> {
  const plain = synthesizerAt(0.5);
  return {
    ...plain,
    caps: { ...plain.caps, rates: { slowest: 0.9, fastest: 1.15 } },
    async *run(input, scope) {
      const told = async function* () {
        for await (const line of input) {
          lines.push(line);
          yield line;
        }
      };
      yield* plain.run(told(), scope);
    },
  };
}

test('a translator that can is told how long a line may be, and asked once more when it says too much', async () => {
  const asked: Utterance[] = [];
  const lines: Line[] = [];
  const house = new House(ears(talk), { es: { translator: wordy(asked, true), synthesizer: remembering(lines) } });
  await house.play(seconds(16));
  expect(asked.map(({ id, tooLong }) => [id, tooLong?.syllables])).toEqual([
    ['u0.0', undefined],
    ['u0.0', 60],
    ['u0.1', undefined],
    ['u0.1', 60],
    ['u0.2', undefined],
    ['u0.2', 60],
  ]);
  // Two seconds at six and a half syllables a second, and what can be made of them.
  for (const { budget } of asked) {
    expect(budget!.aim).toBeGreaterThanOrEqual(9);
    expect(budget!.aim).toBeLessThanOrEqual(14);
    expect(budget!.most).toBeGreaterThan(budget!.aim);
    expect(budget!.most).toBeLessThan(30);
  }
  expect(lines.map(({ text }) => text)).toEqual(['ya', 'ya', 'ya']);
  expect(house.lines.map(({ outcome, text, rung }) => [outcome, text, rung])).toEqual(
    new Array(3).fill(['dubbed', 'ya', 'shortened']),
  );
});

test('one that cannot is not asked twice: its line is spoken as far as it fits', async () => {
  const asked: Utterance[] = [];
  const lines: Line[] = [];
  const house = new House(ears(talk), { es: { translator: wordy(asked, false), synthesizer: remembering(lines) } });
  await house.play(seconds(16));
  expect(asked).toHaveLength(3);
  expect(lines.every(({ text }) => text.length > 100)).toBe(true);
});

test('a line that is too long for its place is said faster, within what sounds natural', async () => {
  const lines: Line[] = [];
  await new House(ears(talk), { es: { translator: wordy([], false), synthesizer: remembering(lines) } }).play(
    seconds(16),
  );
  expect(lines.map(({ delivery }) => delivery?.rate)).toEqual([1.15, 1.15, 1.15]);
  expect(lines[0]?.delivery?.aim).toBe(2_000_000);
});

test('a speaker has one casting, in every language and every line', async () => {
  const spanish: Line[] = [];
  const french: Line[] = [];
  const house = new House(ears(talk), {
    es: { translator: translatorTo(es), synthesizer: remembering(spanish) },
    fr: { translator: translatorTo(fr), synthesizer: remembering(french) },
  });
  await house.play(seconds(16));
  const casting = (lines: readonly Line[]) => lines.map((line) => [line.speaker, line.casting]);
  expect(casting(spanish)).toEqual(casting(french));
  const [first, second, again] = spanish.map((line) => line.casting);
  expect(first).toBeDefined();
  expect(again).toEqual(first);
  expect(second).not.toEqual(first);
});

test('a clip knows when its words are heard, and is as long as its phrases', async () => {
  const house = new House(ears(talk), { es: { translator: translatorTo(es), synthesizer: remembering([]) } });
  await house.play(seconds(16));
  expect(house.clips).toHaveLength(3);
  for (const { start, end, words, fit } of house.clips) {
    expect(words!.length).toBeGreaterThan(3);
    expect(words![0]!.start).toBeGreaterThanOrEqual(start);
    expect(words!.at(-1)!.end).toBeLessThanOrEqual(end + 1_000);
    for (let n = 1; n < words!.length; n += 1) expect(words![n]!.start).toBeGreaterThanOrEqual(words![n - 1]!.end);
    expect(fit.phrases[0]!.start).toBe(start);
    expect(Math.abs(fit.phrases.at(-1)!.end - end)).toBeLessThan(1_000);
  }
});
