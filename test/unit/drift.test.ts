import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProgrammeClock } from '../../media/programme-clock.ts';
import { Timeline } from '../../media/timeline.ts';
import { type ClockTime, at, seconds } from '../../media/time.ts';

const RATE = 8_000;
const FRAME_MS = 20;
const MINUTE = 60_000;
/** The shortest way from the publisher, ms. */
const WAY = 50;
const DELAY = 4;

/** A frame of sound and one of next to none. */
const LOUD = Float32Array.from({ length: 160 }, (_, i) => 0.2 * Math.sin(i * 0.7));
const SOFT = LOUD.map((sample) => sample / 400);

/** Numbers between 0 and 1, the same every time. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface World {
  /** By how many millionths the publisher's clock is fast. */
  readonly ppm: number;
  /** How much longer than the shortest way a packet takes, ms, that was sent at `t` (ms of our clock). */
  readonly late?: (t: number) => number;
  /** How much longer the shortest way is from then on. */
  readonly way?: (t: number) => number;
  readonly lost?: (t: number) => boolean;
  readonly pauses?: boolean;
  readonly follow?: boolean;
}

/** A publisher, the way to us, and a timeline that follows him; nothing of it is real but the code under test. */
class Live {
  readonly #world: World;
  readonly #dice = dice(7);
  readonly #programme = new ProgrammeClock();
  readonly #track = this.#programme.track(1, 'audio', 48_000);
  /** Packets on their way: when they come, and which they are. */
  #coming: { readonly when: number; readonly packet: number }[] = [];
  #sent = 0;
  now = 0;
  timeline!: Timeline;
  /** Every minute: how late what is played is behind its shortest arrival, ms. */
  readonly lags: number[] = [];
  readonly heads: number[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Runs until `until` ms, 10 ms a step. */
  run(until: number, every = MINUTE): this {
    const { ppm, late = () => this.#dice() * 40, way = () => 0, lost = () => false, pauses = true } = this.#world;
    for (; this.now < until; this.now += 10) {
      for (;;) {
        const captured = (this.#sent * FRAME_MS) / (1 + ppm / 1e6);
        if (captured > this.now) break;
        if (!lost(captured)) {
          const when = captured + WAY + way(captured) + late(captured);
          this.#coming.push({ when, packet: this.#sent });
        }
        this.#sent += 1;
      }
      const due = this.#coming.filter(({ when }) => when <= this.now).sort((a, b) => a.when - b.when);
      if (due.length > 0) this.#coming = this.#coming.filter(({ when }) => when > this.now);
      for (const { when, packet } of due) this.#receive(packet, Math.round(when * 1_000) as ClockTime, pauses);
      const { timeline } = this;
      if (!timeline) continue;
      timeline.frames(this.#clock);
      const anchor = this.#programme.anchor;
      if (this.#world.follow !== false && anchor && this.now % 200 === 0) timeline.follow(anchor);
      this.heads.push(timeline.playhead(this.#clock));
      if (this.now % every === 0) this.lags.push(this.lag);
    }
    return this;
  }

  get #clock(): ClockTime {
    return (this.now * 1_000) as ClockTime;
  }
  /** How late what is played is behind its shortest arrival, ms. */
  get lag(): number {
    const media = this.timeline.playhead(this.#clock) / 1_000 + this.#first * FRAME_MS;
    const captured = media / (1 + this.#world.ppm / 1e6);
    return this.now - captured - WAY - (this.#world.way?.(captured) ?? 0);
  }

  /** The packet that media time 0 belongs to. */
  #first = 0;

  #receive(packet: number, when: ClockTime, pauses: boolean): void {
    const track = this.#track;
    if (!track.placed) this.#first = packet;
    const ticks = track.ticks((3_000_000_000 + packet * 960) % 2 ** 32);
    track.arrived(ticks, when);
    const start = track.place(ticks);
    this.timeline ??= new Timeline({ delay: seconds(DELAY), rate: RATE, anchor: this.#programme.anchor! });
    const speaks = !pauses || packet % 150 < 100;
    this.timeline.pushOriginal({ start, rate: RATE, pcm: speaks ? LOUD : SOFT });
  }
}

describe('a publisher whose clock is wrong', () => {
  test.for([500, -500, 37])('by %d ppm is followed for two hours: the lag stays, and the error is told', (ppm) => {
    const live = new Live({ ppm }).run(120 * MINUTE);
    expect(live.timeline.drift).toBeGreaterThan(ppm - 25);
    expect(live.timeline.drift).toBeLessThan(ppm + 25);
    for (const lag of live.lags.slice(2)) expect(Math.abs(lag - DELAY * 1_000)).toBeLessThan(100);
    expect(live.timeline.missing).toBe(0);
    expect(live.timeline.lag / 1_000).toBeCloseTo(live.lag, -2);
  });

  test('whom nobody follows runs away', () => {
    const live = new Live({ ppm: 500, follow: false }).run(60 * MINUTE);
    expect(live.lag).toBeGreaterThan(DELAY * 1_000 + 1_700);
    expect(live.timeline.drift).toBeUndefined();
  });

  test.for([500, -500])(
    'by %d ppm is followed through music without a pause, so slowly that nobody hears it',
    (ppm) => {
      const live = new Live({ ppm, pauses: false }).run(60 * MINUTE);
      for (const lag of live.lags.slice(2)) expect(Math.abs(lag - DELAY * 1_000)).toBeLessThan(100);
      const moved = live.heads.slice(1).map((head, i) => head - live.heads[i]!);
      expect(moved.filter((by) => Math.abs(by - 10_000) > 51)).toEqual([]);
      expect(moved.some((by) => by !== 10_000)).toBe(true);
    },
  );
});

describe('what passes', () => {
  test('bursts of jitter, and a network that stands still for seconds, do not move the play-head', () => {
    const random = dice(3);
    // Every 20 s something: up to a second late for two seconds, or nothing for up to six and then all at once.
    const late = (t: number) => {
      const [turn, into] = [Math.floor(t / 20_000), t % 20_000];
      if (turn % 3 === 1 && into < 2_000) return random() * 1_000;
      if (turn % 3 === 2 && into < 6_000) return 6_000 - into + random() * 20;
      return random() * 20;
    };
    const live = new Live({ ppm: 0, late }).run(20 * MINUTE, 1_000);
    const settled = live.lags.slice(60);
    expect(Math.max(...settled) - Math.min(...settled)).toBeLessThan(15);
    expect(Math.abs(live.timeline.drift!)).toBeLessThan(30);
  });

  test('half a minute of a congested way is waited out', () => {
    const late = (t: number) => (t > 8 * MINUTE && t < 8 * MINUTE + 20_000 ? 400 : 0);
    const live = new Live({ ppm: 200, late: (t) => late(t) + ((t * 7) % 20) }).run(20 * MINUTE, 1_000);
    for (const lag of live.lags.slice(120)) expect(Math.abs(lag - DELAY * 1_000)).toBeLessThan(60);
  });

  test('a way that becomes longer or shorter for good is followed in pauses, and is no drift', () => {
    const way = (t: number) => (t < 10 * MINUTE ? 0 : t < 20 * MINUTE ? 300 : 120);
    const live = new Live({ ppm: 100, way }).run(30 * MINUTE);
    for (const minute of [9, 13, 19, 23, 29]) {
      expect(Math.abs(live.lags[minute - 1]! - DELAY * 1_000)).toBeLessThan(60);
    }
    expect(live.timeline.drift).toBeGreaterThan(75);
    expect(live.timeline.drift).toBeLessThan(125);
  });

  test('minutes without a publisher are played as silence, and the lag is what it was when he is back', () => {
    const lost = (t: number) => t > 5 * MINUTE && t < 9 * MINUTE;
    const live = new Live({ ppm: 300, lost }).run(20 * MINUTE);
    for (const lag of live.lags.slice(12)) expect(Math.abs(lag - DELAY * 1_000)).toBeLessThan(100);
  });
});

test('whatever the network does, the play-head never runs backwards and never by more than a tenth off the clock', () => {
  const weather = fc.record({
    ppm: fc.integer({ min: -500, max: 500 }),
    spells: fc.array(fc.record({ from: fc.nat(170_000), length: fc.nat(20_000), late: fc.nat(5_000) }), {
      maxLength: 6,
    }),
    lost: fc.record({ from: fc.nat(170_000), length: fc.nat(20_000) }),
    step: fc.record({ at: fc.nat(170_000), by: fc.integer({ min: -WAY, max: 900 }) }),
    pauses: fc.boolean(),
  });
  fc.assert(
    fc.property(weather, ({ ppm, spells, lost, step, pauses }) => {
      const random = dice(ppm);
      const live = new Live({
        ppm,
        pauses,
        late: (t) =>
          random() * 20 +
          spells.reduce(
            (sum, { from, length, late }) => sum + (t > from && t < from + length ? late * random() : 0),
            0,
          ),
        lost: (t) => t > lost.from && t < lost.from + lost.length,
        way: (t) => (t > step.at ? step.by : 0),
      }).run(3 * MINUTE);
      const { heads } = live;
      let worst = 0;
      for (let i = 1; i < heads.length; i += 1) worst = Math.max(worst, Math.abs(heads[i]! - heads[i - 1]! - 10_000));
      expect(worst).toBeLessThanOrEqual(1_001);
      expect(live.timeline.skipped).toBe(0);
      expect(live.timeline.position).toBe(at(Math.round(live.timeline.position / 20_000) * 20_000));
    }),
    { numRuns: 25 },
  );
}, 120_000);
