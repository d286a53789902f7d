import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Playhead } from '../../media/playhead.ts';
import { Timeline, type TimelineOptions } from '../../media/timeline.ts';
import { type ClockTime, type Span, at, later, ms, seconds } from '../../media/time.ts';

const RATE = 8_000;
const now = (millis: number) => (millis * 1_000) as ClockTime;
const anchor = { media: at(0), clock: now(0) };

/** Speech of two seconds and pauses of one, over a soft room: every 3 s, from `offset` on. */
const speaks = (index: number) => index % (3 * RATE) < 2 * RATE;
function programme(from: number, count: number, sound = speaks): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const n = from + i;
    return (sound(n) ? 0.2 : 0.0005) * Math.sin(n * 0.7) * (1 + 0.5 * Math.sin(n * 0.011));
  });
}

/** A session in small: what comes in goes in on time, and every 10 ms it plays. */
class Played {
  readonly timeline: Timeline;
  readonly lags: { readonly clock: number; readonly media: number; readonly lag: number; readonly speech: boolean }[] =
    [];
  readonly sound: (index: number) => boolean;
  clock = 0;
  #pushed = 0;
  frames: number[] = [];
  /** The Spanish voice, sample by sample. */
  readonly voice = new Float32Array(120 * RATE);

  constructor(options: Partial<TimelineOptions> = {}, sound = speaks) {
    this.timeline = new Timeline({ delay: seconds(4), rate: RATE, anchor, ...options });
    this.sound = sound;
  }
  run(until: number, between: (played: Played) => void = () => {}): this {
    for (; this.clock < until; this.clock += 10) {
      const size = RATE / 100;
      this.timeline.pushOriginal({
        start: at(this.#pushed * 10_000),
        rate: RATE,
        pcm: programme(this.#pushed * size, size, this.sound),
      });
      this.#pushed += 1;
      between(this);
      for (const { start, dubs } of this.timeline.frames(now(this.clock))) {
        this.frames.push(start);
        const es = dubs.get('es');
        if (es) this.voice.set(es.voice, (start * RATE) / 1e6);
      }
      const media = this.timeline.playhead(now(this.clock));
      const lag = this.clock * 1_000 - media;
      // Of the frame that is played next: it is what comes later or sooner.
      const speech = this.sound(Math.ceil(media / 20_000) * (RATE / 50));
      this.lags.push({ clock: this.clock, media, lag, speech });
    }
    return this;
  }
}
/** How the lag changes from reading to reading, 10 ms apart, µs. */
const changes = ({ lags }: Played) =>
  lags.slice(1).map((one, i) => ({ ...one, by: one.lag - lags[i]!.lag, before: lags[i]!.speech }));

describe('the delay', () => {
  test.for([
    [4, 6],
    [6, 3],
    [2, 2.05],
  ])(
    'goes from %d s to %d s in pauses only, by 100 ms a second at most, and stays there to the microsecond',
    ([from, to]) => {
      const played = new Played({ delay: seconds(from!), keep: seconds(20) }).run(8_000);
      expect(played.timeline.delay).toBe(seconds(from!));
      played.timeline.aim(seconds(to!));
      expect(played.timeline.wanted).toBe(seconds(to!));
      played.run(130_000);
      expect(played.timeline.delay).toBe(seconds(to!));
      expect(played.lags.at(-1)?.lag).toBe(seconds(to!));
      const moves = changes(played).filter(({ by }) => by !== 0);
      expect(moves.length).toBeGreaterThan(2);
      for (const { by, speech, before, clock } of moves) {
        expect(Math.abs(by)).toBeLessThanOrEqual(1_001);
        if (speech && before) expect({ clock, by }).toBeNull();
      }
    },
  );

  test('frames come a little later while it is raised, a little sooner while it is lowered, none left out and none twice', () => {
    const played = new Played({ keep: seconds(20) }).run(8_000);
    played.timeline.aim(seconds(5));
    played.run(60_000);
    played.timeline.aim(seconds(3));
    played.run(140_000);
    expect(played.frames).toEqual(played.frames.map((_, k) => k * 20_000));
    expect(played.timeline.skipped).toBe(0);
    expect(played.frames).toHaveLength(Math.floor((140_000 - 10 - 3_000) / 20) + 1);
  });

  test('does not move while a clip sounds in any dub, and never where sound goes on for ever', () => {
    const busy = new Played({ keep: seconds(20) }, () => false).run(8_000);
    busy.timeline.aim(seconds(5));
    const held = busy.timeline.delay;
    const pcm = new Float32Array(RATE * 30).fill(0.1);
    expect(busy.timeline.dub('es').place({ start: at(5_000_000), end: at(35_000_000), pcm })).toBe(true);
    busy.run(9_500);
    const moved = busy.timeline.delay - held;
    busy.run(38_000);
    expect(busy.timeline.delay - held).toBe(moved);
    busy.run(60_000);
    expect(busy.timeline.delay).toBe(seconds(5));

    const music = new Played({ keep: seconds(20) }, () => true).run(20_000);
    music.timeline.aim(seconds(5));
    expect(music.run(90_000).timeline.delay).toBe(seconds(4));
  });

  test('a stall in a pause does not carry a change into the speech after it', () => {
    const played = new Played({ keep: seconds(20) }).run(30_000);
    played.timeline.aim(seconds(6));
    played.run(30_300);
    const { lag } = played.lags.at(-1)!;
    const { timeline } = played;
    expect(timeline.playhead(now(40_000))).toBeGreaterThanOrEqual(40_000_000 - lag - 100_000);
  });
});

describe('the play-head', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('turn' as const),
        after: fc.nat(400),
        pause: fc.nat(900),
        slowly: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('aim' as const), lag: fc.integer({ min: 1_000, max: 9_000 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('ask' as const), ahead: fc.oneof(fc.nat(500), fc.nat(12_000)) }),
    },
  );

  test('whatever is aimed at, it never runs backwards, never steps, and reaches nothing before it said it would', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 200, size: 'max' }), (steps) => {
        const head = new Playhead(at(0), now(4_000));
        const promises: { readonly media: number; readonly clock: number }[] = [];
        let clock = 4_000_000;
        let media = 0;
        for (const it of steps) {
          if (it.do === 'aim') head.aim(it.lag * 1_000);
          else if (it.do === 'ask') {
            const asked = at(media + it.ahead * 1_000);
            promises.push({ media: asked, clock: head.earliest(asked, seconds(12)) });
          } else {
            const after = it.after * 1_000;
            for (const part of [0.3, 0.7, 1]) {
              const then = Math.round(clock + after * part);
              const reached = head.at(then as ClockTime);
              expect(reached).toBeGreaterThanOrEqual(media);
              expect(reached - media).toBeLessThanOrEqual(after * 1.1 + 2);
              for (const promise of promises) {
                if (then < promise.clock && reached >= promise.media) expect({ then, reached }).toBe(promise);
              }
            }
            clock += after;
            media = head.at(clock as ClockTime);
            head.turn(clock as ClockTime, at(media + it.pause * 1_000), it.slowly);
            expect(head.at(clock as ClockTime)).toBe(media);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test('gets where it is aimed at and is exact there, up and down', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 500, max: 9_000 }), { minLength: 1, maxLength: 8 }), (aims) => {
        const head = new Playhead(at(0), now(4_000));
        let clock = 4_000_000;
        for (const aim of aims) {
          head.earliest(at(head.at(clock as ClockTime) + 3_000_000), seconds(12));
          head.aim(aim * 1_000);
          for (let i = 0; i < 3 && head.lag !== aim * 1_000; i += 1) {
            for (let k = 0; k < 5_000; k += 1) {
              clock += 20_000;
              head.turn(clock as ClockTime, later(head.at(clock as ClockTime), ms(100)), false);
            }
          }
          expect(head.lag).toBe(aim * 1_000);
          expect(head.at(clock as ClockTime)).toBe(clock - aim * 1_000);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('many small steps down get there as well, however often deadlines are asked for', () => {
    const head = new Playhead(at(0), now(5_000));
    let clock = 5_000_000;
    for (let lag = 5_000; lag > 3_000; lag -= 10) {
      head.aim(lag * 1_000);
      for (let k = 0; k < 50; k += 1) {
        clock += 20_000;
        const media = head.at(clock as ClockTime);
        head.earliest(later(media, seconds(3)), seconds(12));
        head.turn(clock as ClockTime, later(media, ms(100)), false);
      }
    }
    expect(head.lag).toBeLessThan(3_200_000);
  });
});

describe('a deadline', () => {
  const event = fc.record({
    after: fc.integer({ min: 10, max: 3_000 }),
    aim: fc.option(fc.integer({ min: 1_000, max: 9_000 })),
    ahead: fc.integer({ min: 100, max: 8_000 }),
    length: fc.integer({ min: 50, max: 3_000 }),
    late: fc.boolean(),
  });
  test('is kept whatever is aimed at: a clip that comes by it is accepted, and every accepted clip is heard whole', () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 5, maxLength: 25 }), (events) => {
        const played = new Played({ keep: seconds(20) }, (index) => index % 1_600 < 800 && index % 24_000 < 12_000);
        const { timeline } = played;
        const es = timeline.dub('es');
        const due: {
          clip: { start: ReturnType<typeof at>; end: ReturnType<typeof at>; pcm: Float32Array };
          by: number;
          late: boolean;
        }[] = [];
        const placed: number[] = [];
        for (const it of events) {
          if (it.aim !== null) timeline.aim(ms(it.aim));
          const start = at(Math.round((timeline.position + it.ahead * 1_000) / 125) * 125);
          const pcm = new Float32Array(it.length * 8).fill(0.01);
          const clip = { start, end: later(start, ms(it.length)), pcm };
          due.push({ clip, by: timeline.deadline(start), late: it.late });
          played.run(played.clock + it.after, () => {
            for (const one of due.splice(0)) {
              // The last call before the deadline, or the first one: both are in time.
              if (one.late && played.clock * 1_000 + 10_000 <= one.by) due.push(one);
              else if (played.clock * 1_000 <= one.by) {
                expect(es.place(one.clip)).toBe(true);
                placed.push(one.clip.start, one.clip.end);
              }
            }
          });
        }
        expect(es.late).toBe(0);
        expect(played.frames).toEqual(played.frames.map((_, k) => k * 20_000));
        played.run(played.clock + 15_000);
        const heard = (t: number) => played.voice[Math.floor((t * RATE) / 1e6)] ?? 0;
        for (let i = 0; i < placed.length; i += 2) {
          for (const share of [0.45, 0.5, 0.55]) {
            expect(heard(placed[i]! * (1 - share) + placed[i + 1]! * share)).toBeGreaterThan(0.009);
          }
        }
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});

test('a wanted delay that is none is our mistake, said at once', () => {
  expect(() => new Played().timeline.aim(0 as Span)).toThrow('delay must be positive, received 0');
});
