import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { SLOWEST } from '../../media/time-map.ts';
import { at, ms, samples, seconds } from '../../media/time.ts';
import type { Hypothesis, Language, Line, SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { SpokenLine } from '../../pipeline/fitter.ts';
import { MEASURING, type Refitted, fittedIn, lineKey, roomFor, slowingFor } from '../../pipeline/room.ts';
import { feed } from '../fakes/recordings.ts';

const { signal } = new AbortController();
const second = (s: number) => at(seconds(s));

interface Scripted {
  readonly from: number;
  readonly to: number;
  /** Seconds that the voice takes, in ten words. */
  readonly voice: number;
}
/** A line that is said from `from` to `to`, in seconds, and takes `voice` seconds in the other language. */
function spoken({ from, to, voice }: Scripted, language = 'es'): SpokenLine {
  const line: Line = {
    utterance: `u${from}` as UtteranceId,
    speaker: 's1' as SpeakerId,
    language: language as Language,
    text: 'uno dos tres cuatro cinco seis siete ocho nueve diez',
    start: second(from),
    end: second(to),
  };
  const pcm = new Float32Array(Math.round(voice * 16_000)).fill(0.1);
  const words = Array.from({ length: 10 }, (_, n) => seconds((voice * n) / 10));
  return {
    line,
    rate: 16_000,
    pcm,
    natural: { length: samples(pcm.length, 16_000), words, count: 10 },
    words: [],
    pace: 1,
  };
}
const heardOf = (script: readonly Scripted[]): Hypothesis[] =>
  script.map(({ from, to }, segment) => ({
    segment,
    start: second(from),
    end: second(to),
    stable: [{ text: 'all', start: second(from), end: second(to) }],
    draft: '',
    final: true,
  }));

function programme(...scripts: (readonly Scripted[])[]) {
  const voices = scripts.map((script, n) => {
    const language = ['es', 'ca', 'fr'][n] ?? 'it';
    const lines = script.map((each) => spoken(each, language));
    return { language: language as Language, lines: () => feed(lines) };
  });
  return { voices, heard: heardOf(scripts[0] ?? []), clock: new ManualClock(), signal };
}
async function refitted(options: ReturnType<typeof programme>): Promise<Map<string, Refitted>> {
  const map = await roomFor(options);
  const all = new Map<string, Refitted>();
  for (const { lines } of options.voices) {
    for await (const each of fittedIn(map, lines(), { ...options, ...MEASURING })) all.set(lineKey(each.line), each);
  }
  return all;
}

describe('room for a line that does not fit', () => {
  // 2 s and a pause of 0.5 s: at 1.2× there is room for 3 s of voice.
  const tight = (voice: number): Scripted[] => [
    { from: 1, to: 3, voice },
    { from: 3.5, to: 5, voice: 1.4 },
  ];

  test('is made by slowing the programme there, just as much as it takes', async () => {
    const options = programme(tight(3.4));
    const map = await roomFor(options);
    expect(map.slowed).toHaveLength(1);
    const [{ from }] = map.slowed as [(typeof map.slowed)[0]];
    expect(from).toEqual({ start: second(1), end: second(3.5) });
    expect(map.factor(second(2))).toBeGreaterThan(3.4 / 3);
    expect(map.factor(second(2))).toBeLessThan(3.4 / 3 + 0.01);

    const line = (await refitted(options)).get('es u1');
    expect(line?.clip?.fit.trimmedWords).toBe(0);
    expect(line?.clip?.end).toBeLessThanOrEqual(map.at(second(3.5)));
  });

  test('is made up to a fifth; the words that do not fit even so are cut', async () => {
    const options = programme(tight(4.6));
    const map = await roomFor(options);
    expect(map.factor(second(2))).toBeCloseTo(SLOWEST, 3);
    const fit = (await refitted(options)).get('es u1')?.clip?.fit;
    expect(fit?.trimmedWords).toBeGreaterThan(0);
    expect(fit?.trimmedWords).toBeLessThan(4);
  });

  test('is made beyond a fifth where that is allowed, as far as it is, and voices are no faster for it', async () => {
    const options = { ...programme(tight(4.2)), most: 1.5 };
    const map = await roomFor(options);
    expect(map.factor(second(2))).toBeGreaterThan(4.2 / 3);
    expect(map.factor(second(2))).toBeLessThan(4.2 / 3 + 0.01);
    const fit = (await refitted(options)).get('es u1')?.clip?.fit;
    expect(fit?.trimmedWords).toBe(0);
    expect(fit?.speed).toBeLessThanOrEqual(1.2);

    const more = { ...programme(tight(6)), most: 1.5 };
    expect((await roomFor(more)).slowest).toBeCloseTo(1.5, 3);
    expect((await refitted(more)).get('es u1')?.clip?.fit.trimmedWords).toBeGreaterThan(0);
  });

  test('of a larger most never loses more words, and runs no slower than that', async () => {
    const line = fc.record({ slot: fc.integer({ min: 6, max: 40 }), pause: fc.integer({ min: 0, max: 20 }) });
    const script = fc.array(fc.tuple(line, fc.double({ min: 0.5, max: 2.2, noNaN: true })), {
      minLength: 1,
      maxLength: 5,
    });
    const lost = async (options: ReturnType<typeof programme>) =>
      [...(await refitted(options)).values()].reduce(
        (sum, { clip, spoken: { natural } }) => sum + (clip?.fit.trimmedWords ?? natural.count),
        0,
      );
    await fc.assert(
      fc.asyncProperty(script, fc.constantFrom(1.35, 1.5, 2), async (lines, most) => {
        let from = 1;
        const told = lines.map(([{ slot, pause }, load]) => {
          const each = { from, to: from + slot / 10, voice: (slot / 10) * load };
          from = each.to + pause / 10;
          return each;
        });
        const wide = { ...programme(told), most };
        expect((await roomFor(wide)).slowest).toBeLessThanOrEqual(most);
        expect(await lost(wide)).toBeLessThanOrEqual(await lost(programme(told)));
      }),
      { endOnFailure: true, numRuns: 60 },
    );
  });

  test('is not made where everything fits, nor where it would save no word', async () => {
    expect((await roomFor(programme(tight(2.9)))).slowed).toEqual([]);
    // One word that lasts longer than any room there could be.
    const hopeless = spoken({ from: 1, to: 1.2, voice: 3 });
    const options = programme([
      { from: 1, to: 1.2, voice: 3 },
      { from: 1.3, to: 3, voice: 1.5 },
    ]);
    const one = { ...hopeless, natural: { ...hopeless.natural, words: [], count: 1 } };
    const voices = [{ language: 'es' as Language, lines: () => feed([one]) }];
    expect((await roomFor({ ...options, voices })).slowed).toEqual([]);
  });

  test('of several languages, the one that needs most gets it, and all are heard in the same programme', async () => {
    const options = programme(tight(3.2), tight(3.5), tight(2));
    const map = await roomFor(options);
    expect(map.slowed).toHaveLength(1);
    expect(map.factor(second(2))).toBeGreaterThan(3.5 / 3);
    const all = await refitted(options);
    expect([...all.values()].map(({ clip }) => clip?.fit.trimmedWords)).toEqual([0, 0, 0, 0, 0, 0]);
    for (const u of ['u1', 'u3.5']) {
      const starts = ['es', 'ca', 'fr'].map((language) => all.get(`${language} ${u}`)?.line.start);
      expect(new Set(starts).size).toBe(1);
    }
  });

  test('in an hour of lines, each is slowed for itself', async () => {
    const script = Array.from({ length: 300 }, (_, n) => ({ from: n * 12, to: n * 12 + 4, voice: n % 3 ? 4 : 7 }));
    const options = programme(script);
    const map = await roomFor(options);
    expect(map.slowed).toHaveLength(100);
    expect([...(await refitted(options)).values()].every(({ clip }) => clip?.fit.trimmedWords === 0)).toBe(true);
  });
});

test('what a line is said to need is what it takes', () => {
  const span = (min: number, max: number) => fc.integer({ min, max });
  fc.assert(
    fc.property(span(300, 6_000), span(0, 3_000), span(0, 900), span(500, 9_000), (slot, pause, shifted, voice) => {
      const line = { start: at(0), end: at(ms(slot)) };
      const around = { pauseEnd: at(ms(slot + pause)), shifted: ms(shifted) };
      const factor = slowingFor(line, ms(voice), around);
      expect(factor).toBeGreaterThanOrEqual(1);
      // The pause, slower, up to 1.5 s of it, and the slot, slower, hold the voice at 1.2×.
      const room = (f: number) => slot * f + Math.min(1_500, pause * f) - shifted;
      if (pause <= 1_500 || factor > 1) expect(room(factor) + 1e-6).toBeGreaterThanOrEqual(voice / 1.2);
      if (factor > 1.01) expect(room(factor - 0.01)).toBeLessThan(voice / 1.2 + 4);
    }),
  );
});
