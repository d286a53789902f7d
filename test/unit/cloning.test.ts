import { expect, test } from 'vitest';
import { seconds } from '../../media/time.ts';
import type { Line } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { House, chunk, ears, es } from '../fakes/house.ts';
import { type Said, synthesizerAt, translatorTo } from '../fakes/stages.ts';

/** Two people who take turns, three seconds each, for a minute. */
const talk: Said[] = Array.from({ length: 16 }, (_, n) => ({
  from: n * 4_000 + 500,
  to: n * 4_000 + 3_500,
  text: `Sentence number ${n}.`,
  speaker: n % 2 === 0 ? 's1' : 's2',
}));

function voice(clonesVoice: boolean, lines: Line[]): Stage<'synthesizer'> {
  const plain = synthesizerAt(0.5);
  return {
    ...plain,
    caps: { ...plain.caps, clonesVoice },
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
async function spoken(clonesVoice: boolean, cloning: boolean) {
  const lines: Line[] = [];
  const house = new House(
    ears(talk),
    { es: { translator: translatorTo(es), synthesizer: voice(clonesVoice, lines) } },
    { cloning },
  );
  // Speech stands out of the quiet between its syllables; one level all through would be all noise.
  house.sound = (tick) => {
    const even = chunk(tick);
    return { ...even, pcm: even.pcm.map((x, k) => (k % 4_800 < 1_200 ? x / 300 : k % 2 === 0 ? x : -x)) };
  };
  await house.play(seconds(66));
  return { house, lines };
}

test('a voice that clones is given the speaker, and only the speaker, once enough has been heard', async () => {
  const { house, lines } = await spoken(true, true);
  expect(lines.length).toBeGreaterThan(10);
  expect(lines[0]?.reference).toBeUndefined();
  const given = lines.filter(({ reference }) => reference);
  expect(given.length).toBeGreaterThan(0);
  for (const { reference, speaker } of given) {
    expect(reference?.speaker).toBe(speaker);
    expect(reference!.pcm.length / reference!.rate).toBeGreaterThanOrEqual(15);
  }
  expect(given.at(-1)?.reference?.pcm.some((x) => x !== 0)).toBe(true);
  house.dubbing.close();
  // Nothing of anybody's voice is left.
  expect(given.at(-1)?.reference?.pcm.every((x) => x === 0)).toBe(true);
});

test.for([
  ['a voice that does not clone', false, true],
  ['a voice that clones, where nobody was asked for consent', true, false],
] as const)('%s is given nobody’s voice', async ([, clones, cloning]) => {
  const { lines } = await spoken(clones, cloning);
  expect(lines.length).toBeGreaterThan(10);
  expect(lines.every(({ reference }) => reference === undefined)).toBe(true);
});
