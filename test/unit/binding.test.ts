import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Interval, type MediaTime, at } from '../../media/time.ts';
import { Binding, type Bound } from '../../pipeline/binding.ts';
import type { SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { FaceId, Seen } from '../../pipeline/face.ts';
import { faceAt } from '../fakes/seen-faces.ts';

const speaker = (name: string) => name as SpeakerId;
const STEP = 40_000;
const box = { left: 0, top: 0, width: 100, height: 100 };
/** Looks of the persons: unit vectors a right angle apart. */
const looks = (n: number) => Float32Array.from({ length: 8 }, (_, i) => (i === n ? 1 : 0));

interface Act {
  /** Seconds. */
  readonly from: number;
  readonly to: number;
  /** Score of each face that is in the picture; `undefined` where there is none. */
  readonly faces: Readonly<Record<string, number | undefined>>;
  readonly cut?: boolean;
  /** Who the faces look like. */
  readonly looks?: Readonly<Record<string, number>>;
}

/** A stage on which acts follow each other, and what was said in them. */
class Stage {
  readonly binding = new Binding();
  #utterance = 0;

  play(...acts: readonly Act[]): this {
    for (const { from, to, faces, cut = false, looks: like = {} } of acts) {
      const count = Math.round((to - from) / 0.04);
      for (let n = 0; n < count; n += 1) {
        const seen: Seen = {
          start: at(from * 1e6 + n * STEP),
          cut: cut && n === 0,
          faces: Object.keys(faces).map((id) =>
            faceAt(id, box, n === 1 && like[id] !== undefined ? { embedding: looks(like[id]) } : {}),
          ),
        };
        this.binding.see(seen);
      }
      const scored = Object.entries(faces).filter(([, score]) => score !== undefined);
      this.binding.score({
        start: at(from * 1e6),
        end: at(to * 1e6),
        faces: scored.map(([id, score]) => ({ id: id as FaceId, scores: new Float32Array(count).fill(score!) })),
      });
    }
    return this;
  }
  says(who: string, from: number, to: number): UtteranceId {
    const id = `u${(this.#utterance += 1)}` as UtteranceId;
    this.binding.hear({ id, speaker: speaker(who), start: at(from * 1e6), end: at(to * 1e6) });
    return id;
  }
  /** What was said is dubbed where it was said, or until `dub`. */
  bound(who: string, from: number, to: number, dub = to): Bound[] {
    const utterance = this.says(who, from, to);
    return this.binding.bind({ utterance, speaker: speaker(who), start: at(from * 1e6), end: at(dub * 1e6) });
  }
}
const faces = (bounds: readonly Bound[]) => bounds.map(({ face, why }) => face ?? why);
const places = (bounds: readonly Bound[]) => bounds.map(({ start, face }) => [start / 1e6, face ?? 'nobody']);
const [YES, NO] = [4, -5];

describe('one utterance', () => {
  test.for<[string, Act[], string[]]>([
    ['a face alone that speaks', [{ from: 0, to: 3, faces: { a: YES } }], ['a']],
    ['of two faces, the one that speaks', [{ from: 0, to: 3, faces: { a: NO, b: YES } }], ['b']],
    [
      'of two mouths that move, the one that goes better with the voice',
      [{ from: 0, to: 3, faces: { a: 1, b: YES } }],
      ['b'],
    ],
    ['no face at all', [{ from: 0, to: 3, faces: {} }], ['absent']],
    ['a face that listens to a voice-over', [{ from: 0, to: 3, faces: { a: NO } }], ['silent']],
    ['several that listen', [{ from: 0, to: 3, faces: { a: NO, b: -2, c: -3 } }], ['silent']],
    ['a face without scores', [{ from: 0, to: 3, faces: { a: undefined } }], ['unknown']],
    ['a face that neither speaks nor does not', [{ from: 0, to: 3, faces: { a: 0 } }], ['silent']],
    [
      'a change of who speaks',
      [
        { from: 0, to: 1.6, faces: { a: YES, b: NO } },
        { from: 1.6, to: 3, faces: { a: NO, b: YES } },
      ],
      ['a', 'b'],
    ],
    [
      'a short doubt',
      [
        { from: 0, to: 1.4, faces: { a: YES, b: NO } },
        { from: 1.4, to: 1.6, faces: { a: NO, b: YES } },
        { from: 1.6, to: 3, faces: { a: YES, b: NO } },
      ],
      ['a'],
    ],
    [
      'a pause of the speaker',
      [
        { from: 0, to: 1.2, faces: { a: YES } },
        { from: 1.2, to: 2, faces: { a: NO } },
        { from: 2, to: 3, faces: { a: YES } },
      ],
      ['a'],
    ],
    [
      'a short time between two who speak in which neither seems to',
      [
        { from: 0, to: 1.2, faces: { a: YES, b: NO } },
        { from: 1.2, to: 1.8, faces: { a: -3, b: NO } },
        { from: 1.8, to: 3, faces: { a: NO, b: YES } },
      ],
      ['a', 'b'],
    ],
    [
      'a cut to who listens, and back',
      [
        { from: 0, to: 1, faces: { a: YES } },
        { from: 1, to: 2, faces: { b: NO }, cut: true },
        { from: 2, to: 3, faces: { c: YES }, cut: true },
      ],
      ['a', 'absent', 'c'],
    ],
    [
      'a speaker who goes out of the picture while speaking',
      [
        { from: 0, to: 2, faces: { a: YES } },
        { from: 2, to: 3, faces: {} },
      ],
      ['a', 'absent'],
    ],
  ])('%s', ([, acts, expected]) => {
    expect(faces(new Stage().play(...acts).bound('S', 0, 3))).toEqual(expected);
  });

  test('a change is followed at the picture in which it happens', () => {
    const stage = new Stage().play(
      { from: 0, to: 1.6, faces: { a: YES, b: NO } },
      { from: 1.6, to: 3, faces: { a: NO, b: YES } },
    );
    expect(places(stage.bound('S', 0, 3))).toEqual([
      [0, 'a'],
      [1.6, 'b'],
    ]);
  });

  test('what lies in silence says nothing', () => {
    const stage = new Stage();
    stage.play({ from: 0, to: 2, faces: { a: undefined } });
    const scores = Float32Array.from({ length: 50 }, (_, n) => (n < 25 ? 2 : -9));
    const pcm = Float32Array.from({ length: 32_000 }, (_, n) => (n < 16_000 ? 0.3 * Math.sin(n / 3) : 0));
    const speaking = { start: at(0), end: at(2e6), faces: [{ id: 'a' as FaceId, scores }] };
    stage.binding.score(speaking);
    expect(faces(stage.bound('S', 0, 2))).toEqual(['a', 'silent']);
    stage.binding.score(speaking, pcm);
    expect(faces(stage.bound('S', 0, 2))).toEqual(['a']);
  });

  test('a dub that is longer than what was said holds on to who said it, while they are seen', () => {
    const stage = new Stage().play(
      { from: 0, to: 2, faces: { a: YES, b: NO } },
      { from: 2, to: 3, faces: { a: NO, b: YES } },
      { from: 3, to: 4, faces: { b: YES }, cut: true },
    );
    const bounds = stage.bound('S', 0, 2, 4);
    expect(bounds.map(({ start, face, why }) => [start / 1e6, face, why])).toEqual([
      [0, 'a', 'speaking'],
      [2, 'a', 'held'],
      [3, undefined, 'absent'],
    ]);
  });

  test('after a cut the same person’s new face goes on', () => {
    const stage = new Stage().play(
      { from: 0, to: 2, faces: { a: YES, b: NO }, looks: { a: 1, b: 2 } },
      { from: 2, to: 4, faces: { c: NO, d: NO }, looks: { c: 2, d: 1 }, cut: true },
    );
    expect(places(stage.bound('S', 0, 2, 4))).toEqual([
      [0, 'a'],
      [2, 'd'],
    ]);
  });

  test('certainty grows with the evidence', () => {
    const of = (score: number, to: number) =>
      new Stage().play({ from: 0, to, faces: { a: score } }).bound('S', 0, to)[0]!.confidence;
    expect(of(YES, 3)).toBeGreaterThan(0.95);
    expect(of(YES, 3)).toBeGreaterThan(of(0.7, 3));
    expect(of(1.5, 3)).toBeGreaterThan(of(1.5, 1));
  });
});

describe('over a session', () => {
  /** Two people who took turns, ten seconds in all. */
  const met = () => {
    const stage = new Stage().play(
      { from: 0, to: 5, faces: { a: YES, b: NO }, looks: { a: 1, b: 2 } },
      { from: 5, to: 10, faces: { a: NO, b: YES } },
    );
    stage.says('S', 0, 5);
    stage.says('T', 5, 10);
    return stage;
  };

  test.for<[string, string, Act['faces'], string]>([
    ['a known speaker without scores is bound at once', 'S', { a: undefined, b: undefined }, 'a remembered'],
    ['and so is the other', 'T', { a: undefined, b: undefined }, 'b remembered'],
    ['a known speaker is bound by weak evidence', 'S', { a: -1 }, 'a remembered'],
    ['somebody else is not', 'X', { a: -1 }, 'silent'],
    ['two who both look a little like it: the known one', 'S', { a: 0.5, b: 1 }, 'a speaking'],
    ['a closed mouth is no speaker, whatever is remembered', 'S', { a: NO }, 'silent'],
    ['a known speaker who is not there is nobody', 'S', { b: -1 }, 'silent'],
    ['the wrong label: whoever speaks is bound', 'S', { a: NO, b: YES }, 'b speaking'],
    ['a voice-over on somebody else who talks a little', 'S', { b: 1 }, 'silent'],
  ])('%s', ([, who, seen, expected]) => {
    const [bound, ...others] = met().play({ from: 11, to: 13, faces: seen, cut: true }).bound(who, 11, 13);
    expect(others).toEqual([]);
    expect(bound!.face ? `${bound!.face} ${bound!.why}` : bound!.why).toBe(expected);
  });

  test('a face that looks like somebody known takes over what is remembered', () => {
    const stage = met().play({ from: 11, to: 13, faces: { c: undefined, d: -0.5 }, looks: { c: 2, d: 1 }, cut: true });
    expect(faces(stage.bound('S', 11, 13))).toEqual(['d']);
  });

  test('a face that only came where a known one was does not', () => {
    const stage = met().play({ from: 11, to: 13, faces: { c: -1 }, looks: { c: 3 }, cut: true });
    expect(faces(stage.bound('S', 11, 13))).toEqual(['silent']);
  });

  test('two faces in one picture are two persons, however alike', () => {
    const stage = new Stage().play({ from: 0, to: 3, faces: { a: YES, b: NO }, looks: { a: 1, b: 1 } });
    stage.says('S', 0, 3);
    stage.play({ from: 3, to: 5, faces: { a: undefined, b: undefined } });
    expect(faces(stage.bound('S', 3, 5))).toEqual(['a']);
  });

  test('a followed face that turns into somebody else loses what is remembered', () => {
    const stage = new Stage().play({ from: 0, to: 5, faces: { a: YES }, looks: { a: 1 } });
    stage.says('S', 0, 5);
    stage.play({ from: 5, to: 6, faces: { a: undefined }, looks: { a: 4 } });
    stage.play({ from: 6, to: 7, faces: { a: undefined }, looks: { a: 4 } });
    expect(faces(stage.bound('S', 6, 7))).toEqual(['unknown']);
  });

  test('a wrong memory is talked out of within a few utterances, and once', () => {
    const stage = met();
    const order: string[] = [];
    for (let n = 0; n < 8; n += 1) {
      const from = 11 + 2 * n;
      stage.play({ from, to: from + 2, faces: { a: 1.2, b: 2.4 } });
      order.push(...faces(stage.bound('S', from, from + 2)));
    }
    expect(order.at(-1)).toBe('b');
    expect(order.join('')).toMatch(/^a{0,5}b+$/);
  });

  test('a doubt now and then changes nothing', () => {
    const stage = met();
    for (let n = 0; n < 10; n += 1) {
      const from = 11 + 2 * n;
      stage.play({ from, to: from + 2, faces: n % 3 === 2 ? { a: 0, b: 0.8 } : { a: YES, b: NO } });
      expect(faces(stage.bound('S', from, from + 2))).toEqual(['a']);
    }
  });

  test('a narrator who is never seen makes new faces less likely', () => {
    const weak = { c: 0.6 };
    expect(faces(new Stage().play({ from: 20, to: 22, faces: weak }).bound('N', 20, 22))).toEqual(['c']);
    const stage = new Stage().play({ from: 0, to: 10, faces: { a: NO } });
    stage.says('N', 0, 10);
    expect(faces(stage.play({ from: 20, to: 22, faces: weak, cut: true }).bound('N', 20, 22))).toEqual(['silent']);
  });

  test('an answer stays the same whatever is learned after it', () => {
    const stage = met();
    const utterance = stage.says('S', 0, 5);
    const take = { utterance, speaker: speaker('S'), start: at(0), end: at(5e6) };
    const before = stage.binding.bind(take);
    stage.play({ from: 11, to: 21, faces: { a: NO, b: YES } });
    stage.says('S', 11, 21);
    expect(stage.binding.bind(take)).toEqual(before);
  });

  test('says who it knows', () => {
    const [first, second] = met()
      .binding.bonds()
      .filter(({ spoke }) => spoke > 1)
      .toSorted((a, b) => (a.speaker < b.speaker ? -1 : 1));
    expect([first!.speaker, first!.faces]).toEqual(['S', ['a']]);
    expect([second!.speaker, second!.faces]).toEqual(['T', ['b']]);
    expect(first!.spoke).toBeCloseTo(5, 0);
  });

  test('holds a bounded number of people over hours', () => {
    const stage = new Stage();
    for (let n = 0; n < 300; n += 1) {
      const from = n * 30;
      const id = `f${n}`;
      const embedding = Float32Array.from({ length: 400 }, (_, i) => (i === n ? 1 : 0));
      for (let k = 0; k < 3; k += 1) {
        stage.binding.see({ start: at(from * 1e6 + k * STEP), cut: k === 0, faces: [faceAt(id, box, { embedding })] });
      }
      stage.binding.score({
        start: at(from * 1e6),
        end: at(from * 1e6 + 3 * STEP),
        faces: [{ id: id as FaceId, scores: new Float32Array(3).fill(YES) }],
      });
      stage.says(`s${n}`, from, from + 0.12);
    }
    expect(stage.binding.bonds().length).toBeLessThanOrEqual(32);
  });
});

const acts = fc
  .array(
    fc.record({
      length: fc.integer({ min: 1, max: 40 }),
      faces: fc.dictionary(
        fc.constantFrom('a', 'b', 'c'),
        fc.option(fc.double({ min: -12, max: 12, noNaN: true }), { nil: undefined }),
      ),
      cut: fc.boolean(),
      gap: fc.integer({ min: 0, max: 10 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((some) => {
    let place = 0;
    return some.map(({ length, faces, cut, gap }): Act => {
      const from = place + gap;
      place = from + length;
      return { from: (from * STEP) / 1e6, to: (place * STEP) / 1e6, faces, cut };
    });
  });
const within = ({ start, end }: Interval, acts: readonly Act[], face: string) => {
  // Every picture of the piece is one in which the face is, or that the tracker may have missed.
  const shown = acts
    .filter(({ faces }) => face in faces)
    .map(({ from, to }) => [from * 1e6 - 200_000, to * 1e6 + 200_000] as const);
  for (let t = start; t < end; t = (t + STEP) as MediaTime)
    if (!shown.some(([from, to]) => from <= t && t < to)) return false;
  return true;
};

test('whatever happens: an answer covers the take, and drives nobody who is not there', () => {
  fc.assert(
    fc.property(acts, fc.nat(8e6), fc.nat(4e6), fc.nat(3e6), (some, from, long, more) => {
      const stage = new Stage().play(...some);
      const [start, end, dub] = [from / 1e6, (from + long + 1) / 1e6, (from + long + 1 + more) / 1e6];
      const bounds = stage.bound('S', start, end, dub);
      expect(bounds[0]!.start).toBe(at(start * 1e6));
      expect(bounds.at(-1)!.end).toBe(at(dub * 1e6));
      for (const [n, bound] of bounds.entries()) {
        if (n > 0) expect(bound.start).toBe(bounds[n - 1]!.end);
        expect(bound.end).toBeGreaterThan(bound.start);
        expect(bound.confidence).toBeGreaterThanOrEqual(0);
        expect(bound.confidence).toBeLessThanOrEqual(1);
        if (bound.face) expect(within(bound, some, bound.face)).toBe(true);
        expect(bound.face !== undefined).toBe(['speaking', 'remembered', 'held'].includes(bound.why));
      }
    }),
    { endOnFailure: true, numRuns: 200 },
  );
});

test('whatever else is seen: the one who speaks clearly is followed within half a second', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 15, max: 75 }),
      fc.integer({ min: 15, max: 75 }),
      fc.double({ min: 2.5, max: 12, noNaN: true }),
      fc.double({ min: 2.5, max: 12, noNaN: true }),
      (before, after, lead, next) => {
        const [swap, end] = [(before * STEP) / 1e6, ((before + after) * STEP) / 1e6];
        const stage = new Stage().play(
          { from: 0, to: swap, faces: { a: lead, b: -3, c: -4 } },
          { from: swap, to: end, faces: { a: -3, b: next, c: -4 } },
        );
        const bounds = stage.bound('S', 0, end);
        expect(faces(bounds)).toEqual(['a', 'b']);
        expect(Math.abs(bounds[1]!.start / 1e6 - swap)).toBeLessThan(0.5);
      },
    ),
    { endOnFailure: true, numRuns: 100 },
  );
});
