import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at } from '../../media/time.ts';
import type { Guide, Language, Line, SpeakerId } from '../../pipeline/domain.ts';
import type { Face, FaceId } from '../../pipeline/face.ts';
import { GUIDING, Guides, type Look, guideFor, livelinessOf, lookOf, mouthOpen } from '../../pipeline/guide.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { livelinessOf as voiceLiveliness } from '../../models/speak/delivery.ts';
import { DUB, ears, en, es, hear, spanish } from '../fakes/house.ts';
import { synthesizerAt, translatorTo } from '../fakes/stages.ts';

const EVERY = 40_000;
const look = (n: number, change: Partial<Look> = {}): Look => ({
  start: at(n * EVERY),
  opening: 0,
  brows: 0.3,
  jaw: 1.2,
  yaw: 0,
  pitch: 0,
  roll: 0,
  ...change,
});
/** A mouth that is as far open as the digits say, in twentieths, picture by picture. */
const mouth = (digits: string) => [...digits].map((digit, n) => look(n, { opening: Number(digit) / 20 }));
const pictures = (digits: string, usual = digits) =>
  mouthOpen(
    mouth(digits),
    mouth(usual).map(({ opening }) => opening),
  ).map(({ start, end }) => [start / EVERY, end / EVERY]);

describe('when a mouth is open', () => {
  test.for([
    ['from where it opens to where it closes', '000555500000', [[3, 7]]],
    ['not closed where it only narrows', '000522500000', [[3, 7]]],
    ['not open where it only twitches', '000111100005', []],
    ['still open where it closes for a picture', '000550550000', [[3, 8]]],
    [
      'closed in between for more than that',
      '000550005500',
      [
        [3, 5],
        [8, 10],
      ],
    ],
    ['open to the end of what is seen', '000005555', [[5, 8]]],
    ['not for a single picture', '000005000000', []],
  ] as const)('%s', ([, digits, expected]) => {
    expect(pictures(digits, '0000055555')).toEqual(expected);
  });

  test('never for somebody who has not parted the lips', () => {
    expect(mouthOpen(mouth('2222'), Array(20).fill(0.1))).toEqual([]);
    expect(mouthOpen(mouth('2222'), [])).toEqual([]);
  });

  test('still open while it narrows to less than what opened it', () => {
    expect(pictures('000933900000', '0000099999')).toEqual([[3, 7]]);
    expect(pictures('000333300000', '0000099999')).toEqual([]);
  });

  test('what counts as open is the speaker’s own', () => {
    expect(pictures('0002220000', '0000022222')).toEqual([[3, 6]]);
    expect(pictures('0002220000', '0000099999')).toEqual([]);
  });

  test('a face that was away closes its mouth where it was seen last', () => {
    const looks = [look(0, { opening: 0.2 }), look(1, { opening: 0.2 }), look(2, { opening: 0.2 }), look(30), look(31)];
    expect(mouthOpen(looks, [0, 0, 0, 0.2, 0.2, 0.2])).toEqual([{ start: at(0), end: at(2 * EVERY) }]);
  });

  test('intervals lie in what was seen, in order, apart, and are no shorter than the rules say', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.float({ min: 0, max: 1, noNaN: true }))),
        (raw) => {
          let t = 0;
          const looks = raw.map(([gap, opening]) => look(0, { start: at((t += gap * 1_000)), opening }));
          const found = mouthOpen(
            looks,
            looks.map(({ opening }) => opening),
          );
          let edge = -Infinity;
          for (const { start, end } of found) {
            expect(start - edge).toBeGreaterThan(edge === -Infinity ? 0 : GUIDING.bridge);
            expect(end - start).toBeGreaterThanOrEqual(GUIDING.shortest);
            edge = end;
          }
          if (found.length > 0) expect(edge).toBeLessThanOrEqual(looks.at(-1)!.start);
        },
      ),
    );
  });
});

/** Eyes 40 apart, brows 12 above them and a chin 48 below, moved, turned by degrees and made larger. */
function face({ x = 0, y = 0, scale = 1, tilt = 0, brows = 12, chin = 48 } = {}): Face {
  const landmarks = new Float32Array(136);
  const put = (n: number, px: number, py: number) => {
    const angle = (tilt * Math.PI) / 180;
    landmarks[2 * n] = x + scale * (px * Math.cos(angle) - py * Math.sin(angle));
    landmarks[2 * n + 1] = y + scale * (px * Math.sin(angle) + py * Math.cos(angle));
  };
  for (let n = 36; n < 42; n += 1) put(n, -20, 0);
  for (let n = 42; n < 48; n += 1) put(n, 20, 0);
  for (let n = 17; n < 27; n += 1) put(n, 0, -brows);
  for (let n = 7; n < 10; n += 1) put(n, 0, chin);
  const box = { left: x, top: y, width: 1, height: 1 };
  return { id: 'f' as FaceId, box, landmarks, pose: { yaw: 0, pitch: 0, roll: tilt }, opening: 0, score: 1 };
}

describe('how lively a face is', () => {
  test('is not where it stands, how large it is or how it is tilted', () => {
    const plain = lookOf(at(0), face());
    expect(plain.brows).toBeCloseTo(0.3, 5);
    expect(plain.jaw).toBeCloseTo(1.2, 5);
    const moved = lookOf(at(0), face({ x: 300, y: -20, scale: 2.5, tilt: 17 }));
    expect(moved.brows).toBeCloseTo(plain.brows, 4);
    expect(moved.jaw).toBeCloseTo(plain.jaw, 4);
  });

  test.for(['brows', 'jaw', 'yaw', 'pitch', 'roll'] as const)('grows with the motion of %s', (part) => {
    const speed = (by: number) =>
      livelinessOf(Array.from({ length: 50 }, (_, n) => look(n, { [part]: by * Math.sin(n / 3) }))) ?? NaN;
    expect(speed(0)).toBe(0);
    expect(speed(2)).toBeCloseTo(2 * speed(1), 5);
    expect(speed(1)).toBeGreaterThan(0);
  });

  test('is not told from less than a second, nor across a cut', () => {
    expect(livelinessOf(Array.from({ length: 10 }, (_, n) => look(n, { yaw: n })))).toBeUndefined();
    const cut = (n: number) => look(n, { start: at(n * EVERY + (n >= 25 ? 5e6 : 0)), yaw: n >= 25 ? 60 : 0 });
    expect(livelinessOf(Array.from({ length: 50 }, (_, n) => cut(n)))).toBe(0);
  });

  const anna = 'anna' as SpeakerId;
  const watched = () => {
    const guides = new Guides();
    // Two seconds with small motion, two with three times as much.
    for (let n = 0; n < 100; n += 1) {
      const by = n < 50 ? 1 : 3;
      guides.saw(anna, at(n * EVERY), face({ brows: 12 + by * Math.sin(n), chin: 48 + by * Math.cos(n) }));
    }
    return guides;
  };
  test('is told against the speaker’s usual', () => {
    const guides = watched();
    const calm = guides.of({ speaker: anna, start: at(0), end: at(2e6) })!.expression;
    const lively = guides.of({ speaker: anna, start: at(2e6), end: at(4e6) })!.expression;
    expect(calm).toBeLessThan(0.3);
    expect(lively).toBeGreaterThan(0.6);
    expect(guides.of({ speaker: anna, start: at(0), end: at(4e6) })!.expression).toBeCloseTo(0.5, 5);
  });

  test('nothing is said of somebody who was not to be seen', () => {
    const guides = watched();
    expect(guides.of({ speaker: 'bert' as SpeakerId, start: at(0), end: at(1e6) })).toBeUndefined();
    expect(guides.of({ speaker: anna, start: at(3.5e6), end: at(6e6) })).toBeUndefined();
    const blurred = new Guides();
    for (let n = 0; n < 50; n += 1) blurred.saw(anna, at(n * EVERY), { ...face(), unfit: 'fast' });
    expect(blurred.of({ speaker: anna, start: at(0), end: at(2e6) })).toBeUndefined();
  });

  test('a minute and a half is remembered', () => {
    const guides = new Guides();
    for (let n = 0; n < 3_000; n += 1) guides.saw(anna, at(n * EVERY), face());
    expect(guides.of({ speaker: anna, start: at(0), end: at(10e6) })).toBeUndefined();
    expect(guides.of({ speaker: anna, start: at(40e6), end: at(50e6) })).toBeDefined();
  });
});

const GUIDE: Guide = { mouth: [{ start: at(0), end: at(1) }], expression: 0.7 };
test('lips guide a voice within one language alone, the face across languages', () => {
  const tag = (name: string) => name as Language;
  expect(guideFor(GUIDE, en, tag('en-GB'))).toEqual(GUIDE);
  expect(guideFor(GUIDE, tag('es-419'), es)).toEqual(GUIDE);
  expect(guideFor(GUIDE, en, es)).toEqual({ expression: 0.7 });
});

describe('in the graph', () => {
  const listening = (guides: boolean) => {
    const lines: Line[] = [];
    const voice = synthesizerAt(DUB);
    const synthesizer: Stage<'synthesizer'> = {
      ...voice,
      caps: { ...voice.caps, ...(guides && { guides: true }) },
      run: (input, scope) =>
        voice.run(
          (async function* () {
            for await (const line of input) {
              lines.push(line);
              yield line;
            }
          })(),
          scope,
        ),
    };
    return { lines, synthesizer };
  };
  const told = async (to: Language, guides: boolean) => {
    const { lines, synthesizer } = listening(guides);
    const guideOf = (id: string) => (id.endsWith('1') ? undefined : GUIDE);
    await hear(ears(), { [to]: { translator: translatorTo(to), synthesizer } }, { guideOf });
    return lines.map(({ guide }) => guide);
  };

  test('an engine that takes a guide has one with each line whose face was seen', async () => {
    expect(await told(es, true)).toEqual([{ expression: 0.7 }, undefined, { expression: 0.7 }]);
    expect(await told('en-GB' as Language, true)).toEqual([GUIDE, undefined, GUIDE]);
  });

  test('other engines have none', async () => {
    expect(await told(es, false)).toEqual([undefined, undefined, undefined]);
  });

  test('no guide is asked for where nobody looks at faces', async () => {
    const house = await hear(ears(), { es: spanish() });
    expect(house.lineLevels()).toEqual([DUB, DUB, DUB]);
  });
});

test('a lively face makes a voice livelier, a still one steadier, within what engines take', () => {
  const delivery = { rate: 1, energy: 0, pitch: 0 };
  expect(voiceLiveliness({ delivery })).toBe(0);
  expect(voiceLiveliness({ delivery, guide: { expression: 0.5 } })).toBe(0);
  expect(voiceLiveliness({ delivery, guide: { expression: 1 } })).toBeGreaterThan(3);
  expect(voiceLiveliness({ delivery, guide: { expression: 0 } })).toBeLessThan(-3);
  expect(voiceLiveliness({ delivery: { ...delivery, energy: 6 }, guide: { expression: 1 } })).toBe(6);
});
