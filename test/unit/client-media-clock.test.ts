import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hold } from '../../client/lip-sync.ts';
import { mediaAt, MediaClock } from '../../client/media-clock.ts';

const audio = { base: 4_294_960_000, rate: 48_000 };

describe('media time of an RTP time stamp', () => {
  test.for([
    [4_294_960_000, 0],
    [4_294_960_000 + 4_800, 100_000],
    [(4_294_960_000 + 48_000) % 2 ** 32, 1_000_000],
  ])('%d is %d µs, also when the counter has come round', ([rtp, media]) => {
    expect(mediaAt(rtp ?? 0, audio)).toBe(media);
  });

  test('a stamp is found again however long the programme runs, when the last position was not hours away', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 32 - 1),
        fc.constantFrom(48_000, 90_000),
        fc.integer({ min: 0, max: 10 * 24 * 3600 }),
        fc.integer({ min: -600, max: 600 }),
        (base, rate, second, away) => {
          const rtp = (base + second * rate) % 2 ** 32;
          expect(mediaAt(rtp, { base, rate }, Math.max(0, second + away) * 1e6)).toBe(second * 1e6);
        },
      ),
    );
  });
});

describe('the media clock', () => {
  test('runs with the page between readings and stands after half a second without one', () => {
    const clock = new MediaClock();
    expect(clock.now(0)).toBeNull();
    clock.read({ rtp: 48_000, at: 1_000 }, { base: 0, rate: 48_000 });
    expect(clock.now(1_000)).toBe(1_000_000);
    expect(clock.now(1_250)).toBe(1_250_000);
    expect(clock.now(1_501)).toBeNull();
    expect(clock.position).toBe(1_000_000);
  });

  test('takes a jitter of 20 ms in small steps and a jump at once', () => {
    const clock = new MediaClock();
    const base = { base: 0, rate: 1_000 };
    clock.read({ rtp: 1_000, at: 0 }, base);
    clock.read({ rtp: 1_120, at: 100 }, base);
    expect(clock.now(100)).toBe(1_104_000);
    clock.read({ rtp: 5_000, at: 200 }, base);
    expect(clock.now(200)).toBe(5_000_000);
  });
});

describe('lip sync', () => {
  const start = { audio: 80, video: 80 };

  test('a sound that is late by less than anybody sees is left alone', () => {
    expect(hold(start, -15, 80)).toEqual(start);
  });

  test('what comes out early is held longer, and what was held is let go first', () => {
    expect(hold(start, 50, 80)).toEqual({ audio: 100, video: 80 });
    expect(hold(start, -50, 80)).toEqual({ audio: 80, video: 100 });
    expect(hold({ audio: 80, video: 110 }, 100, 80)).toEqual({ audio: 90, video: 80 });
  });

  test('any steady offset up to 400 ms is taken away, with one of the two at the least hold', () => {
    fc.assert(
      fc.property(fc.integer({ min: -400, max: 400 }), (offset) => {
        let holds = { audio: 80, video: 80 };
        const seen = () => offset - (holds.audio - holds.video);
        for (let i = 0; i < 40; i++) holds = hold(holds, seen(), 80);
        expect(Math.abs(seen())).toBeLessThanOrEqual(15);
        expect(Math.min(holds.audio, holds.video)).toBeCloseTo(80);
      }),
    );
  });
});
