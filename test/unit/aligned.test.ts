import { describe, expect, test } from 'vitest';
import { at, later, ms, samples, seconds } from '../../media/time.ts';
import { Aligned, spokenOf } from '../../pipeline/aligned.ts';
import { AudioMemory } from '../../pipeline/audio-memory.ts';
import type { Alignment, Language, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import type { SharedStages } from '../../pipeline/ear.ts';
import { Fault } from '../../pipeline/fault.ts';
import { honest } from '../../pipeline/honest.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { DUB, ears, es, failing, hear, script, silent, spanish, House } from '../fakes/house.ts';
import { alignerOf, recognizerOf, separatorAt, vadOf } from '../fakes/stages.ts';

const word = (text: string, from: number, to: number) => ({ text, start: at(from * 1_000), end: at(to * 1_000) });
const utterance = (n: number, from: number, to: number): Utterance => ({
  id: `u0.${n}` as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: 'en' as Language,
  start: at(from * 1_000),
  end: at(to * 1_000),
  text: 'one two',
  words: [word('one', from, (from + to) / 2), word('two', (from + to) / 2, to)],
});
const alignment = (n: number, ...words: ReturnType<typeof word>[]): Alignment => ({
  utterance: `u0.${n}` as UtteranceId,
  start: at(0),
  end: at(0),
  words,
  phones: words.map(({ start, end }, index) => ({ start, end, text: 'AA', word: index })),
  final: true,
});

describe('utterances that are being aligned', () => {
  test('come out in order, each once, with the times that were found', () => {
    const aligned = new Aligned();
    expect(aligned.said(utterance(0, 0, 1_000))).toEqual([]);
    expect(aligned.said(utterance(1, 1_000, 2_000))).toEqual([]);
    expect(aligned.found(alignment(1, word('one', 1_100, 1_400), word('two', 1_400, 1_900)))).toEqual([]);
    const out = aligned.without('u0.0' as UtteranceId);
    expect(out.map(({ id, start, end }) => [id, start, end])).toEqual([
      ['u0.0', 0, 1_000_000],
      ['u0.1', 1_100_000, 1_900_000],
    ]);
    expect(out[1]?.phones).toHaveLength(2);
    expect(aligned.found(alignment(0, word('one', 1, 2), word('two', 2, 3)))).toEqual([]);
    expect(aligned.end()).toEqual([]);
  });

  test('keep their own times when nothing was found, or something else than they said', () => {
    const aligned = new Aligned();
    aligned.said(utterance(0, 0, 1_000));
    expect(aligned.found(alignment(0))[0]).toEqual(utterance(0, 0, 1_000));
    aligned.said(utterance(1, 0, 1_000));
    expect(aligned.found(alignment(1, word('one', 0, 5)))[0]).toEqual(utterance(1, 0, 1_000));
  });

  test('are not held back by the dozen', () => {
    const aligned = new Aligned();
    const out = Array.from({ length: 40 }, (_, n) => aligned.said(utterance(n, n * 1_000, n * 1_000 + 900))).flat();
    expect(out.length).toBe(24);
    expect([...out, ...aligned.end()].map(({ id }) => id)).toEqual(Array.from({ length: 40 }, (_, n) => `u0.${n}`));
  });
});

describe('what was heard of late', () => {
  const ramp = (n: number) => ({
    start: later(at(0), samples(n * 1_600, 16_000)),
    rate: 16_000 as const,
    pcm: Float32Array.from({ length: 1_600 }, (_, k) => n * 1_600 + k),
  });

  test('is there to the sample, with silence where nothing was heard, and what is older is forgotten', () => {
    const memory = new AudioMemory(16_000, seconds(1));
    for (let n = 0; n < 30; n += 1) if (n !== 25) memory.push(ramp(n));
    const cut = memory.cut({ start: at(2_450_000), end: at(2_650_000) });
    expect(cut).toHaveLength(3_200);
    expect([cut[0], cut[799], cut[800], cut[2_399], cut[2_400], cut[3_199]]).toEqual([
      39_200, 39_999, 0, 0, 41_600, 42_399,
    ]);
    expect(memory.within({ start: at(0), end: at(9_000_000) })).toEqual({ start: 2_000_000, end: 3_000_000 });
    expect(memory.cut({ start: at(0), end: at(100_000) }).every((x) => x === 0)).toBe(true);
  });

  test('an aligner hears an utterance with a little around it, and nothing of the one before', () => {
    const memory = new AudioMemory(16_000, seconds(10));
    for (let n = 0; n < 40; n += 1) memory.push(ramp(n));
    const said = utterance(1, 1_000, 2_000);
    expect(spokenOf(said, at(950_000), memory)).toMatchObject({ start: 950_000, text: 'one two', last: true });
    expect(spokenOf(said, at(0), memory)).toMatchObject({ start: 850_000 });
    expect(spokenOf(said, at(0), memory).pcm).toHaveLength(16_000 * 1.3);
    // The one before was said to end after this one began: then they share that much.
    expect(spokenOf(said, at(1_200_000), memory).start).toBe(1_000_000);
  });
});

/** Says every word 120 ms later than the script. */
const off = script.map((said) => ({ ...said, from: said.from + 120, to: said.to + 120 }));
const drifting = (): SharedStages => ({ vad: vadOf(off), recognizer: recognizerOf(off) });

describe('a programme with an aligner', () => {
  test('has its dubs where the aligner found the words', async () => {
    const house = await hear({ ...drifting(), aligner: alignerOf(script) }, { es: spanish() });
    expect(house.lines.map(({ start, end }) => [start / 1_000, end / 1_000])).toEqual(
      script.map(({ from, to }) => [from, to]),
    );
    expect(house.faults).toEqual([]);
  });

  const scripted = alignerOf(script);
  const liar: Stage<'aligner'> = {
    ...scripted,
    async *run(input, scope) {
      for await (const each of scripted.run(input, scope)) {
        yield { ...each, words: each.words.map((one) => ({ ...one, start: at(9e9), end: at(9e9) })) };
      }
    },
  };
  const dying: Stage<'aligner'> = {
    ...scripted,
    async *run(input) {
      for await (const _ of input) throw new Fault('aligner', 'unavailable', 'killed');
    },
  };
  test.for([
    ['is killed', dying],
    ['is broken', failing(scripted, 'broken')],
    ['refuses everything', failing(scripted, 'rejected')],
    ['never answers', silent(scripted)],
    ['lies', honest(liar)],
  ] as const)('has every dub all the same when the aligner %s', async ([, aligner]) => {
    const house = await hear({ ...drifting(), aligner }, { es: spanish() }, { stall: seconds(1) });
    expect(house.lines.map(({ start, outcome }) => [start / 1_000, outcome])).toEqual(
      off.map(({ from }) => [from, 'dubbed']),
    );
    expect(house.lineLevels(es, off)).toEqual([DUB, DUB, DUB]);
    expect(house.dubbing.stages.find(({ kind }) => kind === 'aligner')?.faults).toBeGreaterThan(0);
  });
});

describe('a programme with a separator', () => {
  test('is heard without its accompaniment, which is kept', async () => {
    const heard: number[] = [];
    const vad = vadOf(script);
    const listening: typeof vad = {
      ...vad,
      async *run(input, scope) {
        const told = async function* () {
          for await (const chunk of input) {
            heard.push(chunk.pcm[chunk.pcm.length >> 1] ?? 0);
            yield chunk;
          }
        };
        yield* vad.run(told(), scope);
      },
    };
    const house = new House({ ...ears(), vad: listening, separator: separatorAt(48_000, ms(200)) }, { es: spanish() });
    const kept: number[] = [];
    house.dubbing.accompaniment$.subscribe(({ pcm }) => kept.push(pcm[0] ?? 0));
    await house.play(seconds(12));
    expect(house.lineLevels()).toEqual([DUB, DUB, DUB]);
    expect(new Set(kept)).toEqual(new Set([0.125]));
    expect(heard.slice(5).every((x) => Math.abs(x - 0.125) < 1e-3)).toBe(true);
  });

  test('is dubbed as it came when the separator dies, and says that something is missing', async () => {
    const house = await hear({ ...ears(), separator: failing(separatorAt(), 'unavailable') }, { es: spanish() });
    expect(house.lineLevels()).toEqual([DUB, DUB, DUB]);
    expect(house.dubbing.stages.find(({ kind }) => kind === 'separator')?.state).toBe('down');
  });
});
