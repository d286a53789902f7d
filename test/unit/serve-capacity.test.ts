import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { ms, seconds } from '../../media/time.ts';
import { Faces, Throughput } from '../../models/serve/capacity.ts';

describe('throughput', () => {
  test('is that of the best size which is quick enough', () => {
    const network = new Throughput(ms(100));
    expect(network.best).toBeUndefined();
    network.note(1, ms(10));
    network.note(4, ms(20));
    network.note(16, ms(160));
    network.note(8, ms(40));
    expect(network.best).toMatchObject({ items: 4, perSecond: 200 });
    // 64 at once would be more a second, but nobody sees them in time.
    network.note(64, ms(200));
    expect(network.perSecond).toBe(200);
  });

  test('is that of one at a time where nothing is quick enough', () => {
    const network = new Throughput(ms(100));
    network.note(4, seconds(2));
    network.note(1, seconds(1));
    expect(network.best).toMatchObject({ items: 1, perSecond: 1 });
  });

  test('follows what runs take now', () => {
    const network = new Throughput();
    network.note(1, ms(10));
    for (let run = 0; run < 100; run += 1) network.note(1, ms(20));
    expect(network.perSecond).toBeCloseTo(50, 1);
  });
});

function setUp(rates: Readonly<Record<string, number>>) {
  const clock = new ManualClock();
  const models = new Map(
    Object.entries(rates).map(([name, perSecond]) => {
      const throughput = new Throughput();
      throughput.note(1, seconds(1 / perSecond));
      return [name, throughput] as const;
    }),
  );
  return { clock, models, faces: new Faces(models, { clock, share: 0.8, keep: seconds(5) }) };
}

describe('faces', () => {
  test('are as many as the measured throughput carries at their rate, in the part that is given away', () => {
    const { faces } = setUp({ warp: 500, unet: 60 });
    // 0.8 × 500 / 25, 0.8 × 60 / 25, 0.8 × 500 / 50.
    expect([faces.most('warp'), faces.most('unet'), faces.most('warp', 50)]).toEqual([16, 1, 8]);
  });

  test('of one model take the device’s time from the others', () => {
    const { faces } = setUp({ a: 500, b: 250 });
    expect(faces.ask('s', 'a', 8)).toBe(true);
    expect(faces.load()).toBeCloseTo(0.4);
    expect([faces.free('a'), faces.free('b')]).toEqual([8, 4]);
    expect([faces.ask('t', 'b', 5), faces.ask('t', 'b', 4), faces.ask('u', 'a', 1)]).toEqual([false, true, false]);
  });

  test('that a session has are replaced by those it asks for, and stay when more are refused', () => {
    const { faces } = setUp({ a: 500 });
    expect([faces.ask('s', 'a', 10), faces.ask('s', 'a', 16), faces.ask('s', 'a', 17)]).toEqual([true, true, false]);
    expect(faces.leases()).toEqual([{ session: 's', model: 'a', faces: 16, fps: 25 }]);
    expect([faces.ask('s', 'a', 2), faces.free('a')]).toEqual([true, 14]);
  });

  test('go back when their session asks for nothing any more, or says so', async () => {
    const { clock, faces } = setUp({ a: 500 });
    faces.ask('s', 'a', 16);
    await clock.advance(seconds(4));
    expect([faces.touch('s', 'a'), faces.touch('guest', 'a')]).toEqual([true, false]);
    await clock.advance(seconds(4));
    expect(faces.free('a')).toBe(0);
    await clock.advance(seconds(2));
    expect([faces.free('a'), faces.touch('guest', 'a')]).toEqual([16, true]);
    faces.ask('s', 'a', 16);
    faces.release('s');
    expect(faces.free('a')).toBe(16);
  });

  test('are kept where the model has become slower, and no more are given away', () => {
    const { models, faces } = setUp({ a: 500 });
    faces.ask('s', 'a', 10);
    for (let run = 0; run < 200; run += 1) models.get('a')!.note(1, seconds(1 / 125));
    expect([faces.most('a'), faces.free('a')]).toEqual([4, 0]);
    expect([faces.ask('s', 'a', 10), faces.ask('t', 'a', 1), faces.ask('s', 'a', 3)]).toEqual([true, false, true]);
  });

  test('that nobody has are for whoever asks, also on a model that is too slow for one', () => {
    const { faces } = setUp({ slow: 10, quick: 500 });
    expect([faces.most('slow'), faces.ask('s', 'slow', 1), faces.touch('guest', 'slow')]).toEqual([0, false, true]);
    faces.ask('s', 'quick', 1);
    expect([faces.touch('guest', 'slow'), faces.touch('guest', 'quick')]).toEqual([false, true]);
  });

  test('of a model that was not measured are not counted', () => {
    const clock = new ManualClock();
    const faces = new Faces(new Map([['new', new Throughput()]]), { clock });
    expect([faces.most('new'), faces.free('new'), faces.ask('s', 'new', 100), faces.touch('t', 'new')]).toEqual([
      undefined,
      undefined,
      true,
      true,
    ]);
  });
});
