import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AudioChunk } from '../../media/audio.ts';
import { at, seconds } from '../../media/time.ts';
import { CHILD_FROM, Cast, FEMALE_FROM, registerOf } from '../../pipeline/casting.ts';
import type { SpeakerId } from '../../pipeline/domain.ts';

const RATE = 8_000;
const id = (name: string) => name as SpeakerId;
/** Somebody's voice, a second and a half of it unless told. */
const voice = (hertz: number, length = 1.5, start = 0): AudioChunk => ({
  start: at(start * 1e6),
  rate: RATE,
  pcm: Float32Array.from({ length: length * RATE }, (_, i) => {
    const phase = (2 * Math.PI * hertz * i) / RATE;
    return (Math.sin(phase) + Math.sin(2 * phase) / 2 + Math.sin(3 * phase) / 3) / 4;
  }),
});
const silence: AudioChunk = { start: at(0), rate: RATE, pcm: new Float32Array(RATE) };

describe('a speaker', () => {
  test('is cast by the pitch that was heard, and counted among those alike', () => {
    const cast = new Cast();
    for (const [who, hertz] of Object.entries({ a: 110, b: 210, c: 140, d: 330, e: 250 })) {
      cast.hears(id(who), voice(hertz));
    }
    expect([...'abcde'].map((who) => cast.of(id(who)))).toEqual([
      { register: 'male', place: 0, pitch: expect.closeTo(110, -0.5) as number },
      { register: 'female', place: 0, pitch: expect.closeTo(210, -0.5) as number },
      { register: 'male', place: 1, pitch: expect.closeTo(140, -0.5) as number },
      { register: 'child', place: 0, pitch: expect.closeTo(330, -0.5) as number },
      { register: 'female', place: 1, pitch: expect.closeTo(250, -0.5) as number },
    ]);
  });

  test('keeps the casting, whatever is heard later', () => {
    const cast = new Cast();
    cast.hears(id('a'), voice(110));
    const first = cast.of(id('a'));
    for (let n = 0; n < 20; n += 1) cast.hears(id('a'), voice(240));
    expect(cast.of(id('a'))).toBe(first);
    expect(cast.has(id('a'))).toBe(true);
  });

  test('is cast by all that was heard before the first line', () => {
    const cast = new Cast();
    cast.hears(id('a'), voice(240, 0.5));
    for (let n = 0; n < 4; n += 1) cast.hears(id('a'), voice(120, 0.5));
    expect(cast.of(id('a')).register).toBe('male');
  });

  test('of whom little was heard is cast by that, and the pitch is not told', () => {
    const cast = new Cast();
    cast.hears(id('a'), voice(230, 0.25));
    expect(cast.of(id('a'))).toEqual({ register: 'female', place: 0 });
  });

  test('is no child before a second of that voice was heard', () => {
    const cast = new Cast();
    cast.hears(id('a'), voice(330, 0.9));
    expect(cast.of(id('a')).register).toBe('female');
  });

  test('of whom nothing was heard gets the register that fewer have, for good', () => {
    const cast = new Cast();
    cast.hears(id('a'), voice(110));
    cast.of(id('a'));
    cast.hears(id('b'), silence);
    expect(cast.of(id('b'))).toEqual({ register: 'female', place: 0 });
    expect(cast.of(id('c'))).toEqual({ register: 'male', place: 1 });
    cast.hears(id('b'), voice(110));
    expect(cast.of(id('b')).register).toBe('female');
  });

  test('is not cast by others who speak at the same time', () => {
    const cast = new Cast();
    const mixed = { ...voice(115, 3), pcm: voice(115, 3).pcm.slice() };
    // A loud child during all but the first and the last half second.
    mixed.pcm.set(
      voice(330, 2).pcm.map((x) => 3 * x),
      0.5 * RATE,
    );
    const child = { start: at(seconds(0.5)), end: at(seconds(2.5)) };
    cast.hears(id('a'), mixed, [child, { start: at(seconds(1)), end: at(seconds(1.2)) }]);
    expect(cast.of(id('a'))).toMatchObject({ register: 'male', pitch: expect.closeTo(115, -0.5) as number });
    const without = new Cast();
    without.hears(id('a'), mixed);
    expect(without.of(id('a')).register).toBe('child');
  });

  test('never shares register and place with another', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0, 100, 200, 320), { maxLength: 12 }), (heights) => {
        const cast = new Cast();
        const castings = heights.map((hertz, n) => {
          if (hertz > 0) cast.hears(id(`s${n}`), voice(hertz, 1.1));
          return cast.of(id(`s${n}`));
        });
        const places = castings.map(({ register, place }) => `${register} ${place}`);
        expect(new Set(places).size).toBe(heights.length);
      }),
      { numRuns: 30 },
    );
  });

  test('who never gets a line is forgotten when many others wait', () => {
    const cast = new Cast();
    cast.hears(id('first'), voice(240, 0.3));
    for (let n = 0; n < 64; n += 1) cast.hears(id(`s${n}`), silence);
    cast.hears(id('again'), voice(240, 0.3));
    expect(cast.of(id('again')).register).toBe('female');
    // Nothing is known of the first one any more: fewer men are cast than women.
    expect(cast.of(id('first')).register).toBe('male');
  });
});

test('registers meet at their limits', () => {
  expect([60, FEMALE_FROM - 1, FEMALE_FROM, CHILD_FROM - 1, CHILD_FROM, 500].map(registerOf)).toEqual([
    'male',
    'male',
    'female',
    'female',
    'child',
    'child',
  ]);
});
