import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Levelling } from '../../media/levelling.ts';
import { Limiter, type Stereo } from '../../media/limiter.ts';
import { LoudnessMeter } from '../../media/loudness.ts';
import { Master } from '../../media/mastering.ts';
import { type SampleRate, at, samples } from '../../media/time.ts';
import { factor } from '../../media/decibels.ts';
import { truePeak } from '../../media/true-peak.ts';

const RATE = 8_000;
/** A voice as far as a meter is concerned: 3 syllables a second, a breath every 3 s; −3 dB from full scale or `db` lower. */
const talk = (seconds: number, db = 0, rate: SampleRate = RATE) =>
  Float32Array.from({ length: Math.round(seconds * rate) }, (_, i) => {
    const t = i / rate;
    const syllable = t % 3 < 2.5 ? Math.max(0, Math.sin(2 * Math.PI * 1.5 * t)) ** 2 : 0;
    return 0.7 * factor(db) * syllable * Math.sin(2 * Math.PI * 200 * t + Math.sin(2 * Math.PI * 2 * t));
  });
const random = (seed: number) => () => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return seed / 2 ** 30 - 1;
};
const noise = (length: number, level: number, seed = 1) =>
  Float32Array.from(
    { length },
    (
      (next) => () =>
        level * next()
    )(random(seed)),
  );
const joined = (...parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));
const loudness = (pcm: Float32Array, rate: SampleRate = RATE) => {
  const meter = new LoudnessMeter(rate);
  meter.push(pcm);
  return meter.integrated;
};
const chunk = (pcm: Float32Array, index: number) => ({ start: at(samples(index, RATE)), rate: RATE, pcm }) as const;

/** The gain each 100 ms, as it is played `ahead` seconds after it came in. */
function gains(pcm: Float32Array, ahead: number, target: number | undefined = -23): number[] {
  const levelling = new Levelling({ rate: RATE, target });
  const hop = RATE / 10;
  const said: number[] = [];
  for (let i = -ahead * RATE; i < pcm.length; i += hop) {
    const heard = i + ahead * RATE;
    if (heard < pcm.length) levelling.push(chunk(pcm.subarray(heard, heard + hop), heard));
    if (i >= 0) said.push(levelling.gainAt(i));
  }
  return said;
}

describe('levelling', () => {
  test.for([2, 4, 30])('a programme heard %d s ahead has its level from the first word on', (ahead) => {
    for (const db of [0, -12, -24]) {
      const pcm = talk(60, db);
      const wanted = -23 - loudness(pcm);
      const said = gains(pcm, ahead);
      expect(Math.abs(said[0]! - wanted)).toBeLessThan(1.5);
      expect(Math.abs(said.at(-1)! - wanted)).toBeLessThan(0.5);
    }
  });
  test('it changes by no more than 1 dB a second while somebody speaks', () => {
    for (const first of [7, 30]) {
      const said = gains(joined(talk(first), talk(40, -8)), 4);
      const steps = said.slice(1).map((gain, n) => Math.abs(gain - said[n]!));
      expect(Math.max(...steps)).toBeLessThanOrEqual(0.1001);
      expect(said.at(-1)! - said[50]!).toBeGreaterThan(3);
    }
  });
  test('a programme that gets far too loud is brought down faster', () => {
    const said = gains(joined(talk(20, -30), talk(10)), 4);
    expect(said[150]! - said[250]!).toBeGreaterThan(15);
  });
  test('a pause leaves the gain as it is', () => {
    const pause = noise(15 * RATE, 0.0005);
    const said = gains(joined(talk(30, -10), pause, talk(10, -10)), 4).slice(290, 450);
    expect(Math.max(...said) - Math.min(...said)).toBeLessThan(0.5);
  });
  test('silence is not raised, nor is quiet noise, and neither keeps a voice after it from its level', () => {
    for (const before of [new Float32Array(20 * RATE), noise(20 * RATE, 0.003)]) {
      const voice = talk(30, -15);
      const said = gains(joined(before, voice), 4);
      expect(Math.max(...said.slice(0, 150).map(Math.abs))).toBe(0);
      expect(Math.abs(said[205]! + 23 + loudness(voice))).toBeLessThan(2);
    }
  });
  test('gain is bounded', () => {
    expect(Math.max(...gains(talk(40, -35), 4).map(Math.abs))).toBeLessThanOrEqual(30);
    const levelling = new Levelling({ rate: RATE, target: -23, most: 5 });
    levelling.push(chunk(talk(10, -20), 0));
    expect(levelling.gainAt(0)).toBe(5);
  });
  test('without a target there is no gain', () => {
    const levelling = new Levelling({ rate: RATE });
    levelling.push(chunk(talk(10, -20), 0));
    expect(levelling.gainAt(5)).toBe(0);
  });
  test('what was said about a place stays so, whoever asks again', () => {
    const levelling = new Levelling({ rate: RATE, target: -23 });
    levelling.push(chunk(talk(4), 0));
    const first = [0, 100, 5_000, 9_000].map((index) => levelling.gainAt(index));
    levelling.push(chunk(talk(20, -20), 4 * RATE));
    expect([0, 100, 5_000, 9_000].map((index) => levelling.gainAt(index))).toEqual(first);
  });
  test('original that comes again, late, or after an hour of nothing, disturbs nothing', () => {
    const once = new Levelling({ rate: RATE, target: -23 });
    const twice = new Levelling({ rate: RATE, target: -23 });
    const hour = 3_600 * RATE;
    for (const levelling of [once, twice]) levelling.push(chunk(talk(10, -20), 0));
    twice.push(chunk(talk(5), 2 * RATE));
    for (const levelling of [once, twice]) levelling.push(chunk(talk(10, -20), hour + 17));
    expect(twice.gainAt(hour)).toBe(once.gainAt(hour));
    expect(Math.abs(once.gainAt(hour + 5 * RATE) + 23 + loudness(talk(10, -20)))).toBeLessThan(1.5);
  });
});

/** Passes sound through something in blocks of these sizes, over and over. */
function blocks(sound: Stereo, sizes: readonly number[], take: (block: Stereo, from: number) => Stereo): Stereo {
  const left = new Float32Array(sound.left.length);
  const right = new Float32Array(sound.left.length);
  for (let from = 0, n = 0; from < left.length; n += 1) {
    const to = Math.min(left.length, from + sizes[n % sizes.length]!);
    const one = sound.left.subarray(from, to);
    const out = take({ left: one, right: sound.left === sound.right ? one : sound.right.subarray(from, to) }, from);
    left.set(out.left, from);
    right.set(out.right, from);
    from = to;
  }
  return { left, right };
}
const mono = (pcm: Float32Array): Stereo => ({ left: pcm, right: pcm });
const sizes = fc.array(fc.integer({ min: 1, max: 2_500 }), { minLength: 1, maxLength: 8 });

describe('limiter', () => {
  test('no peak is above the ceiling, not between samples either', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(8_000, 22_050, 48_000),
        fc.integer({ min: 1, max: 1e6 }),
        fc.double({ min: 0.1, max: 20, noNaN: true }),
        fc.boolean(),
        (rate, seed, level, bursts) => {
          const pcm = noise(rate, level, seed).map((x, i) => (bursts && (i >> 9) % 5 !== 0 ? x / 40 : x));
          const limiter = new Limiter(rate, 0.5);
          const out = limiter.process({ left: pcm, right: noise(rate, level / 3, seed + 1) });
          // Only that the gain moves between two samples can lift the curve between them, and it moves slowly: from
          // sample to sample six times as fast at 8 kHz as at 48.
          const most = -6.02 + (rate === 8_000 ? 0.3 : 0.1);
          expect(truePeak(out.left)).toBeLessThan(most);
          expect(truePeak(out.right)).toBeLessThan(most);
        },
      ),
      { numRuns: 40, endOnFailure: true },
    );
  });
  test('what stays below the ceiling comes out bit for bit, a look-ahead later', () => {
    const pcm = talk(2, -6);
    const limiter = new Limiter(RATE, 0.5);
    const { left, right } = limiter.process(mono(pcm));
    expect(right).toBe(left);
    expect(left.subarray(limiter.lookahead)).toEqual(pcm.subarray(0, pcm.length - limiter.lookahead));
  });
  test('both channels share one gain, and it moves without edges', () => {
    const rate = 48_000;
    const steady = Float32Array.from({ length: rate }, () => 0.25);
    const loud = noise(rate, 0.1, 3);
    for (let i = 20_000; i < 20_100; i += 1) loud[i] = 3 * Math.sin(i / 5);
    const { right } = new Limiter(rate, 0.5).process({ left: loud, right: steady });
    const gain = right.subarray(600).map((x) => x / 0.25);
    expect(Math.min(...gain)).toBeLessThan(0.2);
    expect(Math.max(...gain)).toBe(1);
    const steps = gain.subarray(1).map((x, i) => Math.abs(x - gain[i]!));
    expect(Math.max(...steps)).toBeLessThan(0.01);
    const bends = steps.subarray(1).map((x, i) => Math.abs(x - steps[i]!));
    expect(Math.max(...bends)).toBeLessThan(0.0002);
  });
  test('however sound is cut, and whether it is one buffer or two, what comes out is the same', () => {
    const pcm = joined(noise(3_000, 0.3), noise(2_000, 2, 5), noise(9_000, 0.2), noise(500, 1, 7), noise(16_000, 0.1));
    const whole = new Limiter(RATE, 0.5).process(mono(pcm)).left;
    fc.assert(
      fc.property(sizes, fc.boolean(), (cuts, one) => {
        const limiter = new Limiter(RATE, 0.5);
        const out = blocks({ left: pcm, right: one ? pcm : pcm.slice() }, cuts, (block) => limiter.process(block));
        expect(out.left).toEqual(whole);
        expect(out.right).toEqual(whole);
      }),
      { numRuns: 40 },
    );
  });
  test('channels may part and join again; nothing of one is heard in the other', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 600 }), (cuts, from, length) => {
        const left = noise(6_000, 0.1);
        const right = left.map((x, i) => (i >= from && i < from + length ? -x : x));
        const limiter = new Limiter(RATE, 0.5);
        const out = blocks({ left, right }, cuts, (block, start) => {
          const same = block.left.every((x, i) => x === right[start + i]);
          return limiter.process(same ? mono(block.left) : block);
        });
        const late = (pcm: Float32Array) => joined(new Float32Array(limiter.lookahead), pcm).subarray(0, pcm.length);
        expect(out.left).toEqual(late(left));
        expect(out.right).toEqual(late(right));
      }),
      { numRuns: 60 },
    );
  });
});

describe('master', () => {
  const heard = (pcm: Float32Array) => {
    const levelling = new Levelling({ rate: RATE, target: -23 });
    levelling.push(chunk(pcm, 0));
    return levelling;
  };
  test('however sound is cut, what comes out is the same, in one buffer or in two', () => {
    const pcm = joined(talk(4, -20), talk(2, 10), talk(3, -3));
    const whole = new Master({ rate: RATE, levelling: heard(pcm) }).process(mono(pcm), 0);
    expect(whole.right).toBe(whole.left);
    fc.assert(
      fc.property(sizes, fc.boolean(), (cuts, one) => {
        const master = new Master({ rate: RATE, levelling: heard(pcm) });
        const out = blocks({ left: pcm, right: one ? pcm : pcm.slice() }, cuts, (block, from) =>
          master.process(block, from),
        );
        expect(out.left).toEqual(whole.left);
        expect(out.right).toEqual(whole.left);
      }),
      { numRuns: 25 },
    );
  });
  test('a track quieter than the programme is trimmed by up to 3 dB', () => {
    const programme = talk(60, -10);
    const quiet = programme.map((x) => x * factor(-2));
    const levelling = heard(programme);
    const [same, lower] = [new Master({ rate: RATE, levelling }), new Master({ rate: RATE, levelling })];
    blocks(mono(programme), [160], (block, from) => same.process(block, from));
    const out = blocks(mono(quiet), [160], (block, from) => lower.process(block, from)).left;
    expect(Math.abs(loudness(out) + 23)).toBeLessThan(0.7);
    expect(lower.levels.gain - same.levels.gain).toBeGreaterThan(1.5);
    expect(lower.levels.gain - same.levels.gain).toBeLessThanOrEqual(3.5);
  });
  test('its levels are those of what came out', () => {
    const programme = talk(20, -10);
    const master = new Master({ rate: RATE, levelling: heard(programme) });
    const out = master.process(mono(programme), 0).left;
    const meter = new LoudnessMeter(RATE);
    meter.push(out);
    expect(master.levels.integrated).toBeCloseTo(meter.integrated, 6);
    expect(master.levels.momentary).toBeCloseTo(meter.momentary, 6);
    expect(master.levels.shortTerm).toBeCloseTo(meter.shortTerm, 6);
    expect(Math.abs(master.levels.truePeak - truePeak(out))).toBeLessThan(0.01);
  });
  test('a sample that is not a number does not end the sound', () => {
    const programme = talk(6, -10);
    const broken = programme.slice();
    broken[8_000] = Number.NaN;
    const master = new Master({ rate: RATE, levelling: heard(programme) });
    const out = master.process(mono(broken), 0).left;
    expect(out.filter(Number.isNaN)).toHaveLength(1);
    expect(Number.isFinite(master.levels.integrated)).toBe(true);
  });
});
