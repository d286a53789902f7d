import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rssGrowth, hoursText, simulatedVerdicts } from '../../bench/hours/hours.ts';
import { Clicks, type Inspector, Levels, type Track } from '../../bench/hours/inspectors.ts';
import { Outage } from '../../bench/hours/outage.ts';
import { hoursPage, realPage } from '../../bench/hours/page.ts';
import { PING_LENGTH, PingEar, layPing } from '../../bench/hours/ping.ts';
import { type RealResult, type RealSample, realVerdicts } from '../../bench/hours/real.ts';
import type { Minute, Simulation } from '../../bench/hours/simulated.ts';
import { EndlessTalk } from '../../bench/hours/talk.ts';
import { type Ping, Witness } from '../../bench/hours/witness.ts';
import { longTime, progressBar, teller } from '../../bench/progress.ts';
import { pick, randomFrom, wholeWithin } from '../../bench/random.ts';
import { anyFailed, judge, verdictText } from '../../bench/verdicts.ts';
import { type ClockTime, at, later, seconds } from '../../media/time.ts';
import type { Played } from '../../media/timeline.ts';
import type { Clip, Language, Speech, UtteranceId } from '../../pipeline/domain.ts';
import { synthesizerAt } from '../fakes/stages.ts';
import { lines } from '../fakes/talk.ts';

const es = 'es' as Language;
const en = 'en' as Language;

describe('a talk without an end', () => {
  test('is in order, nobody talks over himself, and it forgets what was said long ago', () => {
    const talk = new EndlessTalk(4, en, seconds(30));
    const ends = new Map<string, number>();
    let last = 0;
    let count = 0;
    for (let t = 0; t < 3_600; t += 5) {
      for (const saying of talk.over({ start: at(t * 1e6), end: at((t + 5) * 1e6) })) {
        if (saying.start <= last) continue;
        expect(saying.start).toBeGreaterThanOrEqual(ends.get(saying.speaker) ?? 0);
        ends.set(saying.speaker, saying.end);
        last = saying.start;
        count += 1;
      }
      expect(talk.size).toBeLessThan(100);
    }
    expect(count).toBeGreaterThan(500);
    expect(ends.size).toBe(3);
  });
  test('is the same however finely it is asked for', () => {
    const whole = new EndlessTalk(9, en).over({ start: at(0), end: at(60e6) });
    const talk = new EndlessTalk(9, en);
    const found = new Set(
      Array.from({ length: 3_000 }, (_, n) => talk.over({ start: at(n * 20_000), end: at((n + 1) * 20_000) })).flat(),
    );
    expect([...found].toSorted((a, b) => a.start - b.start)).toEqual(whole);
  });
});

describe('a ping', () => {
  /** Frames of 20 ms, with what the ear makes of them. */
  const heardIn = (pcm: Float32Array) => {
    const ear = new PingEar();
    const found: number[] = [];
    for (let n = 0; n * 960 < pcm.length; n += 1) {
      const t = ear.hear(n * 20_000, pcm.subarray(n * 960, (n + 1) * 960));
      if (t !== undefined) found.push(t);
    }
    return found;
  };
  const noise = (length: number, level: number) => {
    const random = randomFrom(2);
    return Float32Array.from({ length }, () => level * (2 * random() - 1));
  };

  test('is heard to a fifth of a millisecond wherever it begins and however loud it is, among noise', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 12_000, max: 60_000 }),
        fc.double({ min: 0.15, max: 1.2, noNaN: true }),
        (place, gain) => {
          const pcm = noise(96_000, 0.3);
          layPing(pcm, place);
          const found = heardIn(pcm.map((x) => gain * x));
          expect(found).toHaveLength(1);
          // Half as loud in the middle of its edge of 5 ms.
          expect(Math.abs(found[0]! - (place * 1e6) / 48_000 - 2_500)).toBeLessThan(200);
        },
      ),
      { numRuns: 25 },
    );
  });
  test('is not heard in noise, in silence or in another tone, and a short one is none', () => {
    expect(heardIn(noise(96_000, 0.5))).toEqual([]);
    expect(heardIn(new Float32Array(96_000))).toEqual([]);
    expect(
      heardIn(Float32Array.from({ length: 96_000 }, (_, i) => Math.sin((2 * Math.PI * 440 * i) / 48_000))),
    ).toEqual([]);
    const short = new Float32Array(96_000);
    layPing(short, 20_000);
    expect(heardIn(short.map((x, i) => (i < 20_000 + PING_LENGTH / 8 ? x : 0)))).toEqual([]);
  });
});

describe('a witness', () => {
  const frame = (n: number, dub?: Float32Array, pcm = new Float32Array(960)): Played => ({
    start: at(n * 20_000),
    rate: 48_000,
    pcm,
    dubs: new Map([['es', { left: dub ?? pcm, right: dub ?? pcm, voice: pcm }]]),
  });
  const witness = (pings: Ping[] = []) =>
    new Witness({ language: 'es', pingOffset: 2_500, inspectors: [], onPing: (ping) => pings.push(ping) });
  const voice = (() => {
    const random = randomFrom(3);
    return Float32Array.from({ length: 48_000 }, () => 0.3 * (2 * random() - 1));
  })();
  const clipAt = (start: number, utterance = 'u1'): Clip => ({
    utterance: utterance as UtteranceId,
    language: es,
    start: at(start),
    end: later(at(start), seconds(1)),
    pcm: voice,
    fit: {} as Clip['fit'],
  });
  /** Plays two seconds with the voice from `sample` on. */
  const play = (to: Witness, sample: number) => {
    const dub = new Float32Array(96_000);
    dub.set(voice.subarray(0, Math.min(voice.length, dub.length - sample)), sample);
    for (let n = 0; n < 100; n += 1)
      to.take({ frames: [frame(n, dub.subarray(n * 960, (n + 1) * 960))], units: [] }, (n * 20_000) as ClockTime);
  };

  test('hears a clip in its place, and says so when it is elsewhere or not there', () => {
    const [here, elsewhere] = [witness(), witness()];
    here.clip(clipAt(500_000));
    play(here, 24_000);
    expect([here.heard, here.unheard, here.again]).toEqual([1, 0, 0]);
    elsewhere.clip(clipAt(500_000));
    play(elsewhere, 25_000);
    expect([elsewhere.heard, elsewhere.unheard]).toEqual([0, 1]);
  });
  test('notices a line that is placed twice, a frame that is played again, and one that is left out', () => {
    const one = witness();
    one.clip(clipAt(0));
    one.clip(clipAt(2_000_000));
    one.clip(clipAt(4_000_000, 'u2'));
    expect(one.again).toBe(1);
    for (const n of [0, 1, 2, 2, 3, 5]) one.take({ frames: [frame(n)], units: [] }, 0 as ClockTime);
    expect([one.played, one.breaks]).toEqual([6, 2]);
  });
  test('measures when a ping is heard and how far from its picture', () => {
    const pings: Ping[] = [];
    const one = witness(pings);
    const pcm = new Float32Array(96_000);
    layPing(pcm, 48_000);
    const unit = { start: at(990_000), keyFrame: true, payloads: [Uint8Array.of(0x10, 0, 0, 1)] };
    for (let n = 0; n < 100; n += 1) {
      // Everything is played 5 s later than it was said.
      one.take(
        { frames: [frame(n, undefined, pcm.subarray(n * 960, (n + 1) * 960))], units: n === 49 ? [unit] : [] },
        (5_000_000 + n * 20_000) as ClockTime,
      );
    }
    expect(pings).toHaveLength(1);
    expect(Math.abs(pings[0]!.heard - 6_000_000)).toBeLessThan(300);
    expect(pings[0]!.avMs).toBeCloseTo(10, 0);
  });
  test('tells the original from anything else, while that is what should be heard', () => {
    const [same, other] = [witness(), witness()];
    expect(same.likeness).toBeNull();
    for (const [to, dub] of [
      [same, undefined],
      [other, voice.subarray(0, 960)],
    ] as const) {
      to.original(true);
      for (let n = 0; n < 50; n += 1)
        to.take({ frames: [frame(n, dub, voice.subarray(n * 960, (n + 1) * 960))], units: [] }, 0 as ClockTime);
    }
    expect(same.likeness).toBeCloseTo(1, 6);
    expect(other.likeness).toBeLessThan(0.5);
  });
});

describe('what looks at every frame', () => {
  const tone = (level: number) =>
    Float32Array.from({ length: 480_000 }, (_, i) => level * Math.sin((2 * Math.PI * 997 * i) / 48_000));
  const show = (inspector: Inspector, track: Track, pcm: Float32Array) => {
    for (let n = 0; n * 960 < pcm.length; n += 1) {
      inspector.frame(track, at(n * 20_000), pcm.subarray(n * 960, (n + 1) * 960));
    }
  };
  const passed = (inspector: Inspector) => inspector.verdicts().map((verdict) => verdict.passed);

  test('loudness and true peak are of the dub alone', () => {
    const right = new Levels();
    show(right, 'original', tone(1));
    // A sine of −23 dBFS in both channels is −23 LUFS (EBU Tech 3341, case 1).
    show(right, 'dub', tone(10 ** (-23 / 20)));
    expect(right.minute()['integrated, LUFS']).toBeCloseTo(-23, 1);
    expect(passed(right)).toEqual([true, true]);
    const loud = new Levels();
    show(loud, 'dub', tone(0.95));
    expect(passed(loud)).toEqual([false, false]);
  });

  test('clicks are the dub’s own: what the original has as well is not counted', () => {
    const torn = tone(0.3);
    torn.fill(0, 200_000, 200_010);
    const [clean, own, both] = [new Clicks(), new Clicks(), new Clicks()];
    for (const inspector of [clean, own]) show(inspector, 'original', tone(0.3));
    show(both, 'original', torn);
    show(clean, 'dub', tone(0.3));
    for (const inspector of [own, both]) show(inspector, 'dub', torn);
    expect([clean, own, both].map(passed)).toEqual([[true], [false], [true]]);
    expect(own.minute()).toEqual({ 'clicks a minute': expect.any(Number) as number });
  });
});

test('a voice that is stopped fails on every line, and speaks again when it is back', async () => {
  const outage = new Outage();
  const stage = outage.over(synthesizerAt(0.5));
  const say = async () => {
    const said: Speech[] = [];
    const input = async function* () {
      yield lines()[0]!;
    };
    const clock = { now: () => 0 as ClockTime, until: async () => {} };
    for await (const speech of stage.run(input(), { signal: new AbortController().signal, clock })) said.push(speech);
    return said.length;
  };
  expect(await say()).toBe(2);
  outage.stopped = true;
  await expect(say()).rejects.toMatchObject({ stage: 'synthesizer', kind: 'unavailable' });
  outage.stopped = false;
  expect(await say()).toBe(2);
  expect(outage.refused).toBe(1);
});

const minute = (t: number, more: Partial<Minute> = {}): Minute => ({
  t,
  lag: 5.05,
  avMs: 1,
  rssMiB: 200,
  heapMiB: 50,
  loopMs: 3,
  speed: 40,
  lines: 20,
  dubbed: 18,
  inspected: { 'level, dBFS': -20 },
  ...more,
});
const simulation = (more: Partial<Simulation> = {}): Simulation => ({
  options: { minutes: 60, drift: 500, outage: 60, delay: 5, seed: 1 },
  simulated: 3_600,
  elapsed: 60,
  cpu: 60,
  minutes: Array.from({ length: 60 }, (_, n) => minute(n + 1)),
  lines: { dubbed: 1_000, expired: 20 },
  rungs: { natural: 1_000 },
  fastest: 1.2,
  slowest: 0.9,
  beyond: 0,
  starts: [0, 10, -5],
  frames: 180_000,
  breaks: 0,
  clips: { placed: 1_000, heard: 998, unheard: 0, again: 0, missed: [] },
  losses: { 'samples missing': 0, 'samples late': 0 },
  dropped: { 'fit:es': 0 },
  unheard: 0,
  faults: { 'synthesizer:es: stopped': 7 },
  outage: { from: 1_800, until: 1_860, likeness: 1, during: 1, backAfter: 6, startBefore: 0, startAfter: 2 },
  unsettled: 0,
  inspected: [],
  ...more,
});
const failing = (result: Simulation) =>
  simulatedVerdicts(result).flatMap(({ what, passed }) => (passed === false ? [what] : []));

describe('verdicts on hours', () => {
  test('pass when everything stays where it is', () => {
    expect(failing(simulation())).toEqual([]);
    expect(simulatedVerdicts(simulation()).every(({ passed }) => passed === true)).toBe(true);
  });
  test.for([
    [
      'lag that grows',
      { minutes: Array.from({ length: 60 }, (_, n) => minute(n + 1, { lag: 5 + n * 0.002 })) },
      [/lag at the end/, /furthest from minute 1/],
    ],
    [
      'lag that shrinks',
      { minutes: Array.from({ length: 60 }, (_, n) => minute(n + 1, { lag: 5 - n * 0.002 })) },
      [/lag at the end/, /furthest/],
    ],
    [
      'lag that grows and comes back',
      { minutes: [1, 2, 3].map((t) => minute(t, { lag: t === 2 ? 5.2 : 5.05 })) },
      [/furthest from minute 1/],
    ],
    [
      'a ping that is not heard',
      { minutes: [1, 2, 3].map((t) => minute(t, { lag: t === 2 ? null : 5 })) },
      [/ping was heard/],
    ],
    ['sound that leaves the picture', { minutes: [minute(1), minute(2, { avMs: -21 })] }, [/A\/V/]],
    [
      'memory that grows',
      { minutes: Array.from({ length: 60 }, (_, n) => minute(n + 1, { rssMiB: 200 + n })) },
      [/RSS/],
    ],
    ['samples that go missing', { losses: { 'samples missing': 260 } }, [/drift of 500 ppm/]],
    ['a frame that is played twice', { breaks: 1 }, [/do not follow/]],
    [
      'a clip that is not heard',
      { clips: { placed: 10, heard: 9, unheard: 1, again: 0, missed: [] } },
      [/clips heard/],
    ],
    [
      'a clip that is placed twice',
      { clips: { placed: 10, heard: 10, unheard: 0, again: 1, missed: [] } },
      [/clips heard/],
    ],
    ['a phrase that is too fast', { beyond: 1 }, [/beyond/]],
    [
      'an outage in which the original is not heard',
      { outage: { ...simulation().outage!, likeness: 0.9 } },
      [/likeness/],
    ],
    ['a dub that does not come back', { outage: { ...simulation().outage!, backAfter: null } }, [/voice is back/]],
    [
      'a dub that comes back later than it was',
      { outage: { ...simulation().outage!, startAfter: 80 } },
      [/same delay/],
    ],
  ] as const)('fail with %s', ([, more, expected]) => {
    const failed = failing(simulation(more));
    expect(failed).toHaveLength(expected.length);
    expected.forEach((what, n) => expect(failed[n]).toMatch(what));
  });
  test('say nothing about memory after minutes', () => {
    expect(rssGrowth(Array.from({ length: 29 }, (_, n) => minute(n)))).toBeUndefined();
    const short = simulatedVerdicts(simulation({ minutes: [minute(1), minute(2)] }));
    expect(short.find(({ what }) => what === 'RSS growth')?.passed).toBeNull();
  });
  test('are a page and a text without nonsense in them, also of nothing', () => {
    for (const result of [simulation(), simulation({ minutes: [], starts: [], outage: null, frames: 0, lines: {} })]) {
      const page = hoursPage({
        ...result,
        machine: 'm',
        when: '2026-01-01T00:00:00.000Z',
        verdicts: simulatedVerdicts(result),
      });
      expect(page).not.toMatch(/NaN|Infinity|undefined|https?:/);
      expect(page).toContain('A/V offset');
      expect(hoursText(result)).not.toMatch(/NaN|undefined/);
    }
  });
});

const sample = (t: number, more: Partial<RealSample> = {}): RealSample => ({
  t,
  lag: 5.02,
  glass: 7.5,
  avMs: 3,
  rssMiB: { gateway: 100, session: 200, chromium: 900 },
  cpu: { gateway: 0.1, session: 0.4, chromium: 1 },
  loopMs: 4,
  drops: 0,
  lines: t / 4,
  dubbed: t / 5,
  ...more,
});
const real = (read: (t: number) => Partial<RealSample> = () => ({}), length = 1_800): RealResult => ({
  programme: 'talk.mp4',
  path: 'chromium',
  delay: 5,
  seconds: length,
  samples: Array.from({ length: length / 10 }, (_, n) => sample((n + 1) * 10, read((n + 1) * 10))),
  glassFirst: 7.5,
  drops: { 'video line': 0 },
  restarts: 0,
});
describe('verdicts on a run in real time', () => {
  const failed = (result: RealResult) =>
    realVerdicts(result).flatMap(({ what, passed }) => (passed === false ? [what] : []));
  test('pass when everything stays where it is, whatever the browser’s memory does', () => {
    expect(failed(real((t) => ({ rssMiB: { gateway: 100, session: 200, chromium: 900 + t } })))).toEqual([]);
    expect(realVerdicts(real()).every(({ passed }) => passed)).toBe(true);
  });
  test('fail with lag, picture or memory that moves', () => {
    expect(failed(real((t) => ({ lag: 5 + t / 10_000 })))).toEqual([expect.stringMatching(/by the session/)]);
    expect(failed(real((t) => ({ glass: 7 + t / 10_000 })))).toEqual([expect.stringMatching(/end to end/)]);
    expect(failed(real((t) => ({ avMs: t / 80 })))).toEqual([expect.stringMatching(/A\/V offset at the end/)]);
    expect(failed(real((t) => ({ rssMiB: { gateway: 100, session: 200 + t / 60 } })))).toEqual([
      expect.stringMatching(/session/),
    ]);
    expect(failed({ ...real(), restarts: 1 })).toEqual([expect.stringMatching(/restarts/)]);
  });
  test('judge nothing that is too short', () => {
    const short = realVerdicts(real(() => ({}), 60));
    expect(short.filter(({ passed }) => passed === null).length).toBeGreaterThanOrEqual(5);
    expect(anyFailed(short)).toBe(false);
  });
  test('are a page without nonsense in it, also of nothing', () => {
    for (const result of [real(), { ...real(), samples: [], glassFirst: null }]) {
      const page = realPage({
        ...result,
        machine: 'm',
        when: '2026-01-01T00:00:00.000Z',
        verdicts: realVerdicts(result),
      });
      expect(page).not.toMatch(/NaN|Infinity|undefined|https?:/);
    }
  });
});

describe('what a bench says on the way', () => {
  test('is a bar as wide as the terminal at most', () => {
    expect(progressBar(0.5, 'half', 80)).toBe('[############------------]  50 %  half');
    expect(progressBar(7, 'x'.repeat(200), 60)).toHaveLength(59);
    expect(progressBar(-1, '', 80)).toContain('  0 %');
  });
  test('is a time that a person reads', () => {
    expect([5, 100, 7_500, Number.POSITIVE_INFINITY].map(longTime)).toEqual(['5 s', '2 min', '2 h 05 min', '–']);
  });
  test('is written over on a terminal, and now and then elsewhere', () => {
    const written: string[] = [];
    const stream = (isTTY: boolean) =>
      ({ isTTY, columns: 80, write: (text: string) => written.push(text) }) as unknown as NodeJS.WriteStream;
    const terminal = teller(stream(true));
    terminal(0.5, 'half');
    terminal(1, '');
    expect(written[0]).toMatch(/^\r.*50 %  half$/);
    expect(written[1]).not.toContain('%');
    written.length = 0;
    const log = teller(stream(false), 60_000);
    for (const share of [0.1, 0.2, 0.3]) log(share, 'on');
    expect(written).toHaveLength(1);
  });
  test('is a verdict that says what is wanted', () => {
    const verdicts = [judge('a', '< 1', 2, String, (x) => x < 1), judge('b', '< 1', null, String, () => true)];
    expect(verdictText(verdicts)).toMatch(/FAIL {8}a {2}< 1 {2}2\nnot judged {2}b/);
    expect(anyFailed(verdicts)).toBe(true);
    expect(anyFailed(verdicts.slice(1))).toBe(false);
  });
});

test('numbers are the same for the same seed, evenly spread, with both ends', () => {
  const values = Array.from({ length: 10_000 }, randomFrom(1));
  expect(values.slice(0, 5)).toEqual(Array.from({ length: 5 }, randomFrom(1)));
  expect(values.reduce((sum, x) => sum + x) / values.length).toBeCloseTo(0.5, 1);
  expect(values.every((x) => x >= 0 && x < 1)).toBe(true);
  const random = randomFrom(1);
  expect(new Set(Array.from({ length: 500 }, () => wholeWithin(random, 1, 3)))).toEqual(new Set([1, 2, 3]));
  expect(() => pick(random, [])).toThrow(RangeError);
});
