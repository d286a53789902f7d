import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { StreamSource, type StreamSourceOptions } from '../../gateway/session/stream-source.ts';
import { Unbroken } from '../../gateway/session/unbroken.ts';
import { endOf } from '../../media/audio.ts';
import { type Anchor, ManualClock } from '../../media/clock.ts';
import type { ProgrammeItem } from '../../media/programme.ts';
import { Refusal } from '../../media/refusal.ts';
import { Scope } from '../../media/scope.ts';
import { type ClockTime, at, ms, samples, seconds } from '../../media/time.ts';
import { type Reading, infoOf, merged, opener, shifted, soundItems } from '../fakes/programmes.ts';

const SECOND = 1_000_000;
/** Sound whose samples are never 0, so that silence is told from it. */
const sound = (length: number) => soundItems(new Float32Array(length * 48_000).fill(0.5));
const pictures = (length: number, every = 0.04): ProgrammeItem[] =>
  Array.from({ length: Math.round(length / every) }, (_, n) => ({
    kind: 'video',
    start: at(n * every * SECOND),
    keyFrame: n % 25 === 0,
    codec: 'VP8',
    data: Uint8Array.of(n % 25 === 0 ? 0 : 1, 2, 3, n & 0xff),
  }));
const both = (length: number) => merged(sound(length), pictures(length));

describe('a stream', () => {
  let scope: Scope;
  beforeEach(() => {
    scope = new Scope('test');
    return () => scope.close();
  });

  function start(
    next: (opening: number) => Reading,
    more: Partial<StreamSourceOptions> = {},
    clock = new ManualClock(),
  ) {
    const open = opener(clock, next);
    const heard: { start: number; end: number; silent: boolean; at: number }[] = [];
    const seen: { start: number; keyFrame: boolean; at: number }[] = [];
    const states: [string, string | null, number][] = [];
    const anchors: Anchor[] = [];
    const source = new StreamSource(
      {
        ...{ clock, open, pace: 'arrival', random: () => 0.5 },
        sink: {
          audio: (chunk) =>
            heard.push({
              start: chunk.start,
              end: endOf(chunk),
              silent: chunk.pcm.every((v) => v === 0),
              at: clock.now(),
            }),
          video: ({ start, keyFrame }) => seen.push({ start, keyFrame, at: clock.now() }),
          format: () => {},
        },
        onFirst: (anchor) => anchors.push(anchor),
        onState: (state, reason) => states.push([state, reason, clock.now() / SECOND]),
        ...more,
      },
      scope,
    );
    /** Lets time pass as a session does: in ticks. */
    const pass = async (span: number) => {
      for (let n = 0; n < span * 50; n += 1) {
        await clock.advance(ms(20));
        await new Promise((wake) => setImmediate(wake));
        source.tick();
      }
    };
    return { clock, open, heard, seen, states, anchors, source, pass };
  }
  const unbroken = (heard: readonly { start: number; end: number }[]) =>
    heard.slice(1).every(({ start }, n) => Math.abs(start - heard[n]!.end) <= 1);
  const increasing = (seen: readonly { start: number }[]) =>
    seen.slice(1).every(({ start }, n) => start > seen[n]!.start);

  test('that comes in real time is handed on as it comes', async () => {
    const { heard, seen, anchors, states, pass } = start(() => ({
      info: infoOf('VP8'),
      items: both(3),
      paced: true,
      hangs: true,
    }));
    await pass(4);
    // The first 20 ms of sound were there when they had been heard.
    expect(anchors).toHaveLength(1);
    expect(anchors[0]!.media).toBe(0);
    expect(anchors[0]!.clock).toBeLessThanOrEqual(20_000);
    expect(heard.filter(({ silent }) => !silent)).toHaveLength(150);
    expect(unbroken(heard)).toBe(true);
    expect(seen.map(({ start }) => start)).toEqual(pictures(3).map(({ start }) => start));
    for (const { start, at } of seen.filter(({ start }) => start > 0.5 * SECOND))
      expect(at - start).toBeLessThan(25_000);
    expect(states.map(([state]) => state)).toEqual(['opening', 'live']);
  });

  test('that does not come back to a process that takes over is away; one that never came is waited for', async () => {
    const never = () => new Promise<never>(() => {});
    const nobody = { info: infoOf('VP8'), items: [] };
    const successor = start(() => nobody, { open: never, resume: { media: at(0), clock: 0 as ClockTime } });
    await successor.pass(16);
    expect(successor.states).toEqual([
      ['opening', null, 0],
      ['away', 'nothing comes from it', expect.closeTo(15.02, 1)],
    ]);
    const first = start(() => nobody, { open: never });
    await first.pass(16);
    expect(first.states).toEqual([['opening', null, 0]]);
  });

  test('that begins with a burst is placed by what came the shortest way', async () => {
    const { heard, source, clock, anchors, pass } = start(() => ({
      ...{ info: infoOf('VP8'), items: both(4), paced: true, burst: 150, hangs: true },
    }));
    await pass(1.5);
    // Some 2 s came at once, of which the newest was there in time.
    expect(anchors[0]!.clock).toBeLessThan(-1.5 * SECOND);
    expect(heard[0]!.start).toBe(0);
    expect(source.losses['jumps of source time']).toBe(0);
    const { media, clock: came } = source.anchor!;
    expect(Math.abs(media - heard.at(-1)!.end)).toBeLessThan(25_000);
    expect(clock.now() - came).toBeLessThan(45_000);
  });

  test('that may come in bursts and comes in real time is as late as what comes the shortest way', async () => {
    const { heard, source, clock, pass } = start(
      () => ({ ...{ info: infoOf('VP8'), items: both(9), paced: true, burst: 225, hangs: true } }),
      { pace: 'clock' },
    );
    await pass(0.9);
    expect(heard).toEqual([]);
    await pass(4);
    // Some 3 s came at once.
    const { media, clock: came } = source.anchor!;
    expect(Math.abs(media - heard.at(-1)!.end)).toBeLessThan(25_000);
    expect(clock.now() - came).toBeLessThan(45_000);
    expect(unbroken(heard)).toBe(true);
    expect(source.losses['jumps of source time']).toBe(0);
  });

  test('that begins with more than it may be late has not jumped, at first nor when it is back', async () => {
    const { clock, heard, seen, source, pass } = start(
      (opening) => {
        const [items, burst] = [both(opening === 0 ? 6 : 9), 3 * 75];
        if (opening === 0) return { ...{ info: infoOf('VP8'), items, burst, paced: true }, fails: new Error('reset') };
        if (clock.now() < 10 * SECOND) return { fails: new Error('refused') };
        return { ...{ info: infoOf('VP8'), items, burst, paced: true, hangs: true } };
      },
      { behind: seconds(1) },
    );
    await pass(16);
    expect(source.losses['jumps of source time']).toBe(0);
    expect(unbroken(heard)).toBe(true);
    expect(increasing(seen)).toBe(true);
    // All of it lies where it belongs: three seconds back, where there is silence already, and then in time.
    const back = seen.find(({ at }) => at > 9 * SECOND)!;
    expect(Math.abs(back.start - source.expected(back.at as ClockTime)! + 3 * SECOND)).toBeLessThan(0.5 * SECOND);
    const ahead = seen.at(-1)!.start - source.expected(seen.at(-1)!.at as ClockTime)!;
    expect(Math.abs(ahead)).toBeLessThan(0.1 * SECOND);
    expect(source.losses['items late']).toBeGreaterThan(75);
    const again = heard.findIndex(({ silent, at }) => !silent && at > 9 * SECOND);
    expect(heard[again]!.at - heard[again]!.start).toBeLessThan(1.1 * SECOND);
  });

  test.each([
    ['a list', 'hls', 3],
    ['a file that does not say how long it is', 'mpegts', 30],
  ] as const)('that comes in bursts is held until its time: %s', async (_, container, length) => {
    const info = { ...infoOf('VP8'), container };
    const { heard, seen, states, pass } = start(() => ({ info, items: both(length), hangs: true }), { pace: 'clock' });
    await pass(2);
    expect(Math.abs(heard.at(-1)!.end - 2 * SECOND)).toBeLessThan(45_000);
    expect(Math.abs(seen.at(-1)!.start - 2 * SECOND)).toBeLessThan(65_000);
    for (const { end, at } of heard) expect(at).toBeGreaterThanOrEqual(end);
    expect(states.at(-1)![0]).toBe('live');
  });

  test.each(['arrival', 'clock'] as const)('goes on with the clock when it has been away (%s)', async (pace) => {
    const { clock, heard, seen, states, anchors, source, pass } = start(
      (opening) => {
        if (opening === 0)
          return { info: infoOf('VP8'), items: both(3), paced: true, fails: new Error('Connection reset.\nstack') };
        if (clock.now() < 23 * SECOND) return { fails: new Error('connection refused') };
        // It begins with pictures that follow another one.
        return { info: infoOf('VP8'), items: shifted(both(6).slice(10), 900 * SECOND), paced: true, hangs: true };
      },
      { pace, behind: seconds(3) },
    );
    await pass(45);
    expect(anchors).toHaveLength(1);
    expect(unbroken(heard)).toBe(true);
    expect(increasing(seen)).toBe(true);
    const hole = seen.findIndex(({ start }, n) => n > 0 && start - seen[n - 1]!.start > SECOND);
    expect(seen[hole]!.keyFrame).toBe(true);
    // What comes back lies where the clock says.
    const { start: again, at: came } = seen[hole + 5]!;
    expect(Math.abs(came - again)).toBeLessThan(350_000);
    // A second of silence has come soon, and the rest in time all along.
    const silence = heard.filter(({ silent }) => silent);
    expect(silence.length).toBeGreaterThan(18 * 50);
    for (const { end, at } of silence.filter(({ start }) => start < 20 * SECOND)) {
      const late = end < 4.01 * SECOND ? SECOND : 3 * SECOND;
      expect(at - end).toBeGreaterThanOrEqual(0.98 * late);
      expect(at - end).toBeLessThan(late + 50_000);
    }
    expect(states.slice(0, 5).map(([state, reason]) => [state, reason])).toEqual([
      ['opening', null],
      ['live', null],
      ['away', 'Connection reset'],
      ['away', 'connection refused'],
      ['live', null],
    ]);
    expect(source.losses['pictures before a key frame']).toBeGreaterThan(0);
    expect(source.losses['seconds of silence put in']).toBeGreaterThan(18);
  });

  test('is tried at once when it had been there, and then ever more rarely', async () => {
    const { open, pass } = start((opening) =>
      opening === 0 ? { items: both(6), info: infoOf('VP8'), paced: true } : { fails: new Error('connection refused') },
    );
    await pass(70);
    const waits = open.times.slice(1).map((time, n) => Math.round((time - open.times[n]!) / 100_000) / 10);
    expect(waits[0]).toBeLessThan(6.1);
    expect(waits.slice(1, 8)).toEqual([0.5, 1, 2, 4, 8, 15, 15]);
  });

  test('that cannot be opened as it is asked for is told why, and tried rarely', async () => {
    const refusal = new Refusal({
      code: 'not_found',
      field: 'source.url',
      message: 'There is no such playlist.',
      fix: 'Look.',
    });
    const { open, states, pass } = start(() => ({ fails: refusal }));
    await pass(32);
    expect(open.times.map((time) => Math.round(time / SECOND))).toEqual([0, 15, 30]);
    expect(states.map(([state, reason]) => [state, reason])).toEqual([
      ['opening', null],
      ['away', 'There is no such playlist'],
    ]);
  });

  test('that was there and is refused then is tried soon, and ever more rarely', async () => {
    const refusal = new Refusal({ code: 'not_found', field: 'source.url', message: 'There is none.', fix: 'Look.' });
    const { open, pass } = start((opening) => (opening === 0 ? { items: sound(6), paced: true } : { fails: refusal }));
    await pass(20);
    const waits = open.times.slice(1).map((time, n) => Math.round((time - open.times[n]!) / 100_000) / 10);
    expect(waits).toEqual([6, 0.5, 1, 2, 4]);
  });

  test('that brings nothing any more is away, and opened again in the end', async () => {
    const { open, states, heard, pass } = start(() => ({
      info: infoOf('VP8'),
      items: both(2),
      paced: true,
      hangs: true,
    }));
    await pass(16);
    expect(states.at(-1)!.slice(0, 2)).toEqual(['away', 'nothing comes from it']);
    expect(heard.at(-1)!.end).toBeGreaterThan(10.9 * SECOND);
    await pass(3);
    expect(open.times.length).toBe(2);
    expect(unbroken(heard)).toBe(true);
  });

  test.each([40, -40, 2])(
    'whose time stamps jump by %d s goes on where it was, sound and pictures alike',
    async (jump) => {
      const [before, after] = [both(3), shifted(both(3), (3 + jump) * SECOND)];
      const items = [...before, ...after];
      const clock = new ManualClock();
      const { heard, seen, source, pass } = start(
        () => ({
          info: infoOf('VP8'),
          items: [],
          hangs: true,
        }),
        {
          open: (scope) =>
            Promise.resolve({
              info: infoOf('VP8'),
              async *[Symbol.asyncIterator]() {
                for (const [n, item] of items.entries()) {
                  const due = item.start - (n < before.length ? 0 : jump * SECOND) + 20_000;
                  await clock.until(due as ClockTime, scope.signal);
                  yield item;
                }
                await new Promise((_, ended) => scope.signal.addEventListener('abort', ended));
              },
            }),
        },
        clock,
      );
      await pass(6.1);
      expect(source.losses['jumps of source time']).toBe(1);
      expect(unbroken(heard)).toBe(true);
      expect(increasing(seen)).toBe(true);
      expect(seen).toHaveLength(150);
      expect(Math.abs(seen.at(-1)!.start - 5.96 * SECOND)).toBeLessThan(50_000);
      expect(heard.filter(({ silent }) => silent).length).toBeLessThan(5);
      expect(Math.abs(heard.at(-1)!.end - 6 * SECOND)).toBeLessThan(50_000);
    },
  );

  test('that another process takes over goes on where the clock is', async () => {
    const clock = new ManualClock();
    await clock.advance(seconds(100));
    const resume = { media: at(7 * SECOND), clock: (60 * SECOND) as ClockTime };
    const { heard, seen, anchors, pass } = start(
      () => ({ info: infoOf('VP8'), items: both(3), paced: true, hangs: true }),
      { resume },
      clock,
    );
    await pass(2);
    expect(anchors).toEqual([]);
    expect(Math.abs(heard[0]!.start - 47 * SECOND)).toBeLessThan(25_000);
    expect(Math.abs(seen[0]!.start - 47 * SECOND)).toBeLessThan(25_000);
  });
});

test('sound is unbroken whatever places its pieces have', () => {
  const pieces = fc.array(fc.tuple(fc.integer({ min: -5_000, max: 200_000 }), fc.integer({ min: 1, max: 4_000 })), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(pieces, (list) => {
      const line = new Unbroken();
      let place = 0;
      let count = 0;
      let first: number | undefined;
      for (const [gap, length] of list) {
        place += gap;
        for (const { start, pcm } of line.push(at(place), new Float32Array(length).fill(1))) {
          first ??= start;
          expect(start).toBe(first + samples(count, 48_000));
          count += pcm.length;
        }
        place += samples(length, 48_000);
      }
    }),
    { endOnFailure: true },
  );
});
