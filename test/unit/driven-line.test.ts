import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DrivenLine, type DrivenLineOptions } from '../../media/driven-line.ts';
import { type Interval, type MediaTime, at, later, ms, seconds } from '../../media/time.ts';
import { type Patch, blank } from '../../media/video-frame.ts';
import type { AccessUnit, VideoCodec } from '../../media/video.ts';
import { FakeRecoder, again } from '../fakes/recoder.ts';

const milli = (n: number) => at(n * 1_000);
const interval = (start: number, end: number): Interval => ({ start: milli(start), end: milli(end) });
const patch: Patch = { ...blank(2, 2), left: 0, top: 0 };

const SPS = Uint8Array.of(0x67, 1);
const PPS = Uint8Array.of(0x68, 1);
const IDR = Uint8Array.of(0x65, 0x80);
const SLICE = Uint8Array.of(0x41, 0x80);

/** Pictures 40 ms apart with a key frame every `gop`. */
function stream(count: number, gop: number, codec: VideoCodec = 'VP8'): AccessUnit[] {
  return Array.from({ length: count }, (_, i) => {
    const keyFrame = i % gop === 0;
    const h264 = keyFrame ? [SPS, PPS, IDR] : [SLICE];
    return {
      start: milli(i * 40),
      keyFrame,
      payloads: codec === 'H264' ? h264 : [Uint8Array.of(0x10, keyFrame ? 0 : 1)],
    };
  });
}

/** The line with a play-head that is moved by hand, `delay` behind what has been pushed. */
function bench(options: Partial<DrivenLineOptions> = {}, units = stream(250, 50)) {
  const recoder = new FakeRecoder();
  const line = new DrivenLine({ codec: 'VP8', recoder, ...options });
  const out: AccessUnit[] = [];
  /** When each picture went out. */
  const left = new Map<MediaTime, number>();
  let pushed = 0;
  const delay = 3_000;
  let clock = -delay;
  const bench = {
    recoder,
    line,
    out,
    left,
    patch: (from: number, to: number) => {
      for (const { start } of units)
        if (start >= milli(from) && start < milli(to)) line.patches({ start, patches: [patch] });
    },
    /** Plays up to `millis`; `each` is called before every step. */
    play: (millis: number, each: (now: number) => void = () => {}) => {
      for (; clock <= millis; clock += 10) {
        for (; pushed < units.length && units[pushed]!.start <= milli(clock + delay); pushed += 1)
          line.push(units[pushed]!);
        each(clock);
        for (const unit of line.take(milli(clock))) {
          out.push(unit);
          left.set(unit.start, clock);
        }
      }
    },
    /** `o` for an original, `D` and `d` for encoded key frames and others, with patches in capitals after it. */
    get shape() {
      return out
        .map((unit) => {
          const made = again(unit);
          return made ? (unit.keyFrame ? 'K' : made.patches > 0 ? 'D' : 'd') : unit.keyFrame ? 'k' : 'o';
        })
        .join('');
    },
  };
  return bench;
}
const starts = (units: readonly AccessUnit[]) => units.map(({ start }) => start / 1_000);

test('without driven intervals every picture comes out as it went in, when it is due', () => {
  const units = stream(100, 25);
  const { line, out, play, left } = bench({}, units);
  play(5_000);
  expect(out).toEqual(units);
  expect(out.every((unit, i) => unit === units[i])).toBe(true);
  expect([...left].every(([start, when]) => when * 1_000 - start < 10_000)).toBe(true);
  expect(line.state).toBe('original');
});

test('a driven interval begins with a key frame of its own and ends with one of the original', () => {
  const { line, out, play, patch, left } = bench();
  line.drive(interval(1_000, 1_800));
  patch(1_000, 1_800);
  play(3_000);
  const shape = out.map((unit) =>
    again(unit) ? (unit.keyFrame ? 'K' : again(unit)!.patches ? 'D' : 'd') : unit.keyFrame ? 'k' : 'o',
  );
  // Key frames are at 0, 2 s, 4 s; 1.8 s … 2 s is encoded without patches.
  expect(shape.join('')).toBe(`k${'o'.repeat(24)}K${'D'.repeat(19)}${'d'.repeat(5)}k${'o'.repeat(25)}`);
  expect(starts(out)).toEqual(Array.from({ length: 76 }, (_, i) => i * 40));
  expect(line.counts).toMatchObject({ pictures: 25, late: 0, joins: 1, lost: 0, deaths: 0 });
  expect([...left].every(([start, when]) => when * 1_000 - start < 10_000)).toBe(true);
  expect(line.state).toBe('original');
});

test('the recoder is given everything from the key frame before, in order, before it is needed', () => {
  const units = stream(250, 50);
  const { line, play, patch, recoder } = bench({}, units);
  line.drive(interval(3_000, 3_400));
  patch(3_000, 3_400);
  play(1_500);
  expect(line.state).toBe('original');
  expect(recoder.given).toEqual([]);
  // 1 s of decoding ahead, 0.3 s of encoding ahead.
  play(1_710);
  expect(line.state).toBe('preparing');
  expect(recoder.given).toEqual(units.slice(50, 75));
  play(2_690);
  expect(line.state).toBe('preparing');
  play(2_700);
  expect(line.state).toBe('driven');
  play(6_000);
  expect(recoder.given).toEqual(units.slice(50, 100));
  expect(recoder.options).toMatchObject({ codec: 'VP8', fps: 25 });
});

test.for([
  ['none of its patches have come', 0, 5, 'patches'],
  ['one of the first five is missing', 4, 5, 'patches'],
  ['the first five have come', 5, 5, undefined],
  ['all it has, fewer than five, have come', 3, 3, undefined],
] as const)('an interval of which %s by then', ([, come, length, refusal]) => {
  const { line, out, play, patch } = bench();
  line.drive(interval(1_000, 1_000 + (length === 3 ? 120 : 400)));
  patch(1_000, 1_000 + come * 40);
  play(3_000);
  expect(out.some(again)).toBe(refusal === undefined);
  expect(line.counts.joins).toBe(refusal ? 0 : 1);
  if (refusal) expect(line.counts.refused[refusal]).toBe(1);
});

test('patches that come late, or never, stop nothing: their pictures go out as they were', () => {
  const b = bench();
  b.line.drive(interval(1_000, 1_800));
  b.patch(1_000, 1_200);
  b.play(2_500, (now) => {
    if (now === 1_300) b.patch(1_500, 1_700);
  });
  // 1.2 … 1.6 s had not come when they were encoded, 1.6 … 1.68 s had, 1.7 s on never came.
  expect(b.shape).toBe(`k${'o'.repeat(24)}K${'D'.repeat(4)}${'d'.repeat(10)}DDD${'d'.repeat(7)}k${'o'.repeat(12)}`);
  expect(b.line.counts.late).toBe(12);
  expect([...b.left].every(([start, when]) => when * 1_000 - start < 10_000)).toBe(true);
});

test('an answer without patches is an answer', () => {
  const b = bench();
  b.line.drive(interval(1_000, 1_400));
  for (let i = 25; i < 35; i += 1) b.line.patches({ start: milli(i * 40), patches: i < 30 ? [] : [patch] });
  b.play(1_500);
  expect(b.line.counts).toMatchObject({ joins: 1, late: 0 });
});

test('patches of two faces in one picture are both laid on', () => {
  const b = bench();
  b.line.drive(interval(1_000, 1_400));
  b.patch(1_000, 1_400);
  b.patch(1_000, 1_400);
  b.play(1_300);
  expect(again(b.out.at(-1)!)?.patches).toBe(2);
});

test('intervals less than a second apart are encoded in one go, others go back in between', () => {
  const near = bench({}, stream(250, 25));
  near.line.drive(interval(1_000, 1_900));
  near.line.drive(interval(2_900, 3_200));
  near.patch(1_000, 5_000);
  near.play(6_000);
  expect(near.line.counts).toMatchObject({ joins: 1, pictures: 75 });
  const far = bench({}, stream(250, 25));
  far.line.drive(interval(1_000, 1_900));
  far.line.drive(interval(3_000, 3_200));
  far.patch(1_000, 5_000);
  far.play(6_000);
  expect(far.line.counts).toMatchObject({ joins: 2, pictures: 50 });
});

test('an interval that is announced after its beginning is due is refused', () => {
  const b = bench();
  b.patch(1_000, 3_000);
  b.play(1_200, (now) => {
    if (now === 1_100) b.line.drive(interval(1_000, 1_800));
  });
  expect(b.line.counts.refused.passed).toBe(1);
  b.play(3_000);
  expect(b.out.some(again)).toBe(false);
});

test('a recoder that is not there, or not prepared in time, costs nothing', () => {
  const absent = bench();
  absent.recoder.ready = false;
  const slow = bench();
  slow.recoder.hangs = true;
  for (const b of [absent, slow]) {
    b.line.drive(interval(1_000, 1_800));
    b.patch(1_000, 1_800);
    b.play(3_000);
    expect(b.out.some(again)).toBe(false);
    expect(starts(b.out)).toEqual(Array.from({ length: 76 }, (_, i) => i * 40));
    expect(b.line.counts.refused.recoder).toBe(1);
  }
});

test('a recoder that dies in the middle costs the pictures up to the next key frame of the original', () => {
  const b = bench();
  b.line.drive(interval(1_000, 5_800));
  b.patch(1_000, 5_800);
  b.play(1_400, () => {});
  b.recoder.die();
  b.play(1_600);
  expect(b.line.state).toBe('waiting');
  b.play(9_000);
  // Encoded ahead and handed over before it died: up to 1.7 s.
  expect(b.shape.startsWith(`k${'o'.repeat(24)}K${'D'.repeat(17)}k`)).toBe(true);
  expect(starts(b.out).slice(42, 44)).toEqual([1_680, 2_000]);
  expect(b.line.counts).toMatchObject({ joins: 1, deaths: 1, lost: 7 });
  expect(b.line.lastDeath).toBe('killed');
  // The rest of the interval is not tried again; the next one is.
  expect(b.shape.slice(43)).toMatch(/^[ko]+$/);
  const more = bench();
  more.line.drive(interval(1_000, 1_800));
  more.line.drive(interval(5_000, 5_400));
  more.patch(1_000, 6_000);
  more.play(1_200);
  more.recoder.die();
  more.play(9_000);
  expect(more.line.counts).toMatchObject({ joins: 2, deaths: 1 });
});

test('a recoder that hangs is given up after a second, and is told so', () => {
  const b = bench({}, stream(250, 75));
  b.line.drive(interval(1_000, 6_000));
  b.patch(1_000, 6_000);
  b.play(1_200);
  b.recoder.hangs = true;
  b.play(6_500);
  expect(b.recoder.stuck).toBe(1);
  expect(b.line.counts).toMatchObject({ deaths: 1 });
  expect(b.out.slice(-1)[0]!.start).toBe(milli(6_480));
  expect(b.line.lastDeath).toBe('it is too slow');
});

test.for(['VP8', 'H264'] as const)(
  'a recoder that hangs at the end of what it was given holds up nothing for long: %s',
  (codec) => {
    const b = bench({ codec }, stream(250, 25, codec));
    b.line.drive(interval(1_000, 1_800));
    b.patch(1_000, 1_800);
    b.play(1_500);
    b.recoder.hangs = true;
    b.play(3_500);
    expect(b.line.counts).toMatchObject({ deaths: 1, joins: 1 });
    expect(b.line.state).toBe('original');
    expect(b.recoder.stuck).toBe(1);
    expect(starts(b.out).slice(-1)).toEqual([3_480]);
  },
);

test('a recoder that falls behind is left at the next key frame of the original', () => {
  const b = bench({}, stream(250, 25));
  b.line.drive(interval(1_000, 6_000));
  b.patch(1_000, 6_000);
  b.play(1_500);
  b.recoder.delay = 50;
  b.play(8_000);
  expect(b.line.counts).toMatchObject({ cutShort: 1, lost: 0, deaths: 0 });
  expect(starts(b.out)).toEqual(Array.from({ length: 201 }, (_, i) => i * 40));
});

test('a picture that cannot be decoded is passed over', () => {
  const b = bench();
  b.line.drive(interval(1_000, 1_800));
  b.patch(1_000, 1_800);
  b.recoder.undecodable.add(milli(1_200));
  b.play(3_000);
  expect(b.line.counts).toMatchObject({ lost: 1, pictures: 24 });
  expect(starts(b.out)).not.toContain(1_200);
});

test('driving goes on until a key frame comes, which is asked for', () => {
  const units = stream(250, 1_000).map((unit, i) => (i === 170 ? { ...unit, keyFrame: true } : unit));
  const b = bench({}, units);
  b.line.drive(interval(1_000, 1_800));
  b.patch(1_000, 1_800);
  b.play(600);
  expect(b.line.wantsKeyFrame).toBe(false);
  b.play(1_100);
  expect(b.line.wantsKeyFrame).toBe(true);
  b.play(5_000);
  expect(b.line.state).toBe('driven');
  expect(b.line.wantsKeyFrame).toBe(false);
  b.play(7_000);
  expect(b.line.counts.pictures).toBe(170 - 25);
  expect(b.out.at(-1)).toBe(units[175]);
});

test('a long driven stretch holds no more than the line may', () => {
  const b = bench({ duration: ms(3_500) }, stream(2_000, 5_000));
  b.line.drive(interval(1_000, 79_000));
  b.patch(1_000, 40_000);
  b.play(70_000, (now) => {
    if (now % 10_000 === 0) b.patch(now + 2_000, now + 20_000);
  });
  expect([b.line.dropped, b.line.size <= 90]).toEqual([0, true]);
  expect(b.line.counts.pictures).toBe(1_751 - 25);
});

test('AV1 is not driven, and said so', () => {
  const b = bench({ codec: 'AV1' });
  b.line.drive(interval(1_000, 1_800));
  b.play(3_000);
  expect(b.line.counts.refused.codec).toBe(1);
  expect(b.out).toHaveLength(76);
});

test('far from a key frame nothing is driven', () => {
  const b = bench({ duration: seconds(10) }, stream(2_000, 5_000));
  b.play(60_000);
  b.line.drive(interval(62_000, 63_000));
  b.patch(62_000, 63_000);
  b.play(65_000);
  expect(b.line.counts.refused['no key frame']).toBe(1);
});

test('what is asked of the line is checked', () => {
  const recoder = new FakeRecoder();
  expect(() => new DrivenLine({ codec: 'VP8', recoder, capacity: 0 })).toThrow(RangeError);
  expect(() => new DrivenLine({ codec: 'VP8', recoder, lead: ms(-1) })).toThrow(RangeError);
  const line = new DrivenLine({ codec: 'VP8', recoder });
  for (let i = 0; i < 70; i += 1) line.drive(interval(1_000 * i, 1_000 * i + 500));
  expect(line.counts.refused['too many']).toBe(6);
  for (let i = 0; i < 1_300; i += 1) line.patches({ start: milli(i), patches: [] });
  expect(line.counts.droppedPatches).toBe(100);
});

test('a full line drops up to a key frame even while it is driven', () => {
  const b = bench();
  b.line.drive(interval(1_000, 1_800));
  b.patch(1_000, 1_800);
  b.play(1_200);
  expect(b.line.state).toBe('driven');
  for (let i = 0; i < 400; i += 1)
    b.line.push({ ...stream(1, 1)[0]!, start: milli(5_000 + i * 40), keyFrame: i % 50 === 0 });
  expect(b.line.dropped).toBeGreaterThan(0);
  expect(b.line.state).toBe('original');
  expect(b.line.take(milli(30_000))[0]!.keyFrame).toBe(true);
  b.line.clear();
  expect([b.line.size, b.line.needsKeyFrame]).toEqual([0, true]);
  expect(b.line.push({ ...stream(2, 2)[1]!, start: milli(40_000) })).toBe(false);
  expect(b.line.refused).toBe(1);
});

describe('H.264', () => {
  /** I0 P3 B1 B2 P6 B4 B5 …, key frames every `gop` groups, closed unless said otherwise. */
  function reordered(groups: number, gop: number, open = false): AccessUnit[] {
    const units: AccessUnit[] = [];
    for (let g = 0; g < groups; g += 1) {
      const first = g * 3;
      const key = g % gop === 0;
      const one = (n: number, keyFrame = false): AccessUnit => ({
        start: milli(n * 40),
        keyFrame,
        payloads: keyFrame ? [SPS, PPS, IDR] : [SLICE],
      });
      // An open group's B-frames come after the key frame that is shown after them.
      if (open) units.push(one(first + 2, key), one(first), one(first + 1));
      else if (key) units.push(one(first, true), one(first + 2), one(first + 1));
      else units.push(one(first + 2), one(first), one(first + 1));
    }
    return units;
  }

  test('no B-frame reaches across a join', () => {
    // The interval begins in the middle of a group: encoding begins with the group.
    const units = reordered(80, 10);
    const b = bench({ codec: 'H264' }, units);
    b.recoder.reorder = 2;
    b.line.drive(interval(680, 1_000));
    b.patch(600, 1_000);
    b.play(3_000);
    const first = b.out.findIndex(again);
    expect(b.out.slice(0, first)).toEqual(units.slice(0, first));
    const before = Math.max(...starts(b.out.slice(0, first)));
    expect(starts(b.out)[first]).toBe(600);
    expect(before).toBe(560);
    const back = b.out.findIndex((unit, i) => i > first && !again(unit));
    expect(b.out[back]).toBe(units[30]);
    expect(starts(b.out.slice(first, back))).toEqual(Array.from({ length: 15 }, (_, i) => 600 + i * 40));
    expect(starts(b.out).sort((x, y) => x - y)).toEqual(b.out.map((_, i) => i * 40));
  });

  test('a source that pauses while a decoder waits for its next picture is waited for', () => {
    const units = reordered(200, 100).map((unit, i) =>
      i < 150 ? unit : { ...unit, start: later(unit.start, seconds(8)) },
    );
    const b = bench({ codec: 'H264' }, units);
    b.recoder.reorder = 2;
    b.line.drive(interval(1_080, 5_800));
    b.patch(1_000, 5_800);
    b.play(14_500);
    expect(b.line.counts).toMatchObject({ deaths: 0, lost: 0 });
    expect(starts(b.out).sort((x, y) => x - y)).toEqual(
      starts(units)
        .sort((x, y) => x - y)
        .slice(0, b.out.length),
    );
    expect(Math.max(...starts(b.out))).toBe(14_480);
  });

  test('where pictures of the interval are shown after later decoded ones, encoding begins earlier', () => {
    const units = Array.from({ length: 40 }, (_, group) =>
      [0, 2, 4, 1, 3].map((n, i) => {
        const keyFrame = i === 0;
        return { start: milli((group * 5 + n) * 40), keyFrame, payloads: keyFrame ? [SPS, PPS, IDR] : [SLICE] };
      }),
    ).flat();
    const b = bench({ codec: 'H264' }, units);
    b.recoder.reorder = 2;
    // Its first picture is the one at 1.12 s, but 1.16 s is decoded before 1.04 s is shown.
    b.line.drive(interval(1_120, 1_200));
    b.patch(1_000, 1_200);
    b.play(2_000);
    const made = b.out.filter(again);
    expect(starts(made)).toEqual([1_040, 1_080, 1_120, 1_160]);
    expect(starts(b.out).sort((x, y) => x - y)).toEqual(b.out.map((_, i) => i * 40));
  });

  test('the original does not go on at a key frame that B-frames reach across, nor at one that is none', () => {
    const open = bench({ codec: 'H264' }, reordered(80, 10, true).slice(0));
    open.line.drive(interval(400, 800));
    open.patch(0, 800);
    open.play(3_000);
    expect(open.line.counts).toMatchObject({ joins: 0 });
    const units = stream(250, 50, 'H264').map((unit, i) =>
      i === 50 ? { ...unit, payloads: [SPS, PPS, SLICE] } : unit,
    );
    const intra = bench({ codec: 'H264' }, units);
    intra.line.drive(interval(1_000, 1_800));
    intra.patch(1_000, 1_800);
    intra.play(6_000);
    expect(intra.line.counts.pictures).toBe(75);
  });

  test('an original key frame that came without parameter sets gets those that hold, whichever came later', () => {
    const old = [Uint8Array.of(0x67, 9), Uint8Array.of(0x68, 9)];
    const units = stream(250, 50, 'H264').map((unit, i) =>
      i === 0 ? { ...unit, payloads: [...old, IDR] } : i === 50 ? { ...unit, payloads: [IDR] } : unit,
    );
    const b = bench({ codec: 'H264' }, units);
    b.line.drive(interval(1_000, 1_800));
    b.patch(1_000, 1_800);
    b.play(6_000);
    const [stap, ...rest] = b.out[50]!.payloads;
    expect(rest).toEqual(units[50]!.payloads);
    expect([...stap!]).toEqual([0x78, 0, 2, 0x67, 9, 0, 2, 0x68, 9]);
    expect(b.out[100]).toBe(units[100]);
  });
});

test('whatever comes late, dies or is lost: what comes out can be decoded, in order, once, and is accounted for', () => {
  const plan = fc.record({
    gops: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 8, maxLength: 20 }),
    intervals: fc.array(
      fc.record({
        start: fc.integer({ min: 0, max: 9_000 }),
        length: fc.integer({ min: 1, max: 2_500 }),
        said: fc.integer({ min: 0, max: 3_000 }),
        patched: fc.integer({ min: 0, max: 2_000 }),
        share: fc.integer({ min: 0, max: 10 }),
      }),
      { maxLength: 8 },
    ),
    troubles: fc.array(
      fc.record({
        when: fc.integer({ min: 0, max: 9_000 }),
        what: fc.constantFrom('die', 'slow', 'fast', 'hang', 'absent', 'there'),
      }),
      { maxLength: 6 },
    ),
    delay: fc.integer({ min: 0, max: 25 }),
    lost: fc.array(fc.integer({ min: 0, max: 249 }), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(plan, ({ gops, intervals, troubles, delay, lost }) => {
      const keys = new Set<number>();
      for (let i = 0, n = 0; n < 250; i += 1) {
        keys.add(n);
        n += gops[i % gops.length]!;
      }
      const units = stream(250, 1_000).map((unit, i) => ({ ...unit, keyFrame: keys.has(i) }));
      const b = bench({}, units);
      b.recoder.delay = delay;
      for (const i of lost) b.recoder.undecodable.add(milli(i * 40));
      let healthy = delay < 25 && lost.length === 0;
      b.play(10_100, (now) => {
        for (const { start, length, said, patched, share } of intervals) {
          if (Math.floor((start - said) / 10) * 10 === now) b.line.drive(interval(start, start + length));
          if (Math.floor((start - patched) / 10) * 10 === now) b.patch(start, start + (length * share) / 10);
        }
        for (const { when, what } of troubles) {
          if (Math.floor(when / 10) * 10 !== now) continue;
          healthy = false;
          if (what === 'die') b.recoder.die();
          else if (what === 'hang') b.recoder.hangs = true;
          else if (what === 'absent') b.recoder.ready = false;
          else if (what === 'there') [b.recoder.ready, b.recoder.hangs] = [true, false];
          else b.recoder.delay = what === 'slow' ? 40 : 1;
        }
        // Given up: a new one takes its place.
        if (b.recoder.stuck > 0) [b.recoder.hangs, b.recoder.stuck] = [false, 0];
      });
      const index = new Map(units.map((unit, i) => [unit, i]));
      let before: { readonly run?: number; readonly original?: number } = {};
      let last = -1;
      for (const unit of b.out) {
        expect(unit.start).toBeGreaterThan(last);
        last = unit.start;
        const made = again(unit);
        const i = index.get(unit);
        expect((made === undefined) !== (i === undefined)).toBe(true);
        if (made && !unit.keyFrame) expect(before.run).toBe(made.run);
        if (i !== undefined && !unit.keyFrame) expect(before.original).toBe(i - 1);
        before = made ? { run: made.run } : { original: i! };
      }
      const { counts } = b.line;
      expect(b.out.filter(again)).toHaveLength(counts.pictures);
      // A driven stretch may still be waiting for its last pictures.
      expect(b.out.length + counts.lost + b.line.size).toBe(250);
      if (healthy) {
        expect(counts.lost + counts.deaths + counts.cutShort).toBe(0);
        expect(starts(b.out)).toEqual(units.map(({ start }) => start / 1_000));
        expect([...b.left].every(([start, when]) => when * 1_000 - start < 10_000)).toBe(true);
      }
      const asked = intervals.filter(({ start, said }) => start - said >= -3_000).length;
      const refused = Object.values(counts.refused).reduce((sum, one) => sum + one, 0);
      expect(counts.joins + refused).toBeLessThanOrEqual(asked);
    }),
    { numRuns: 150, endOnFailure: true },
  );
});
