import { beforeAll, describe, expect, test } from 'vitest';
import { soundOf } from '../../bench/fit/scripted.ts';
import { simulatedVerdicts } from '../../bench/hours/hours.ts';
import { type Simulation, simulate } from '../../bench/hours/simulated.ts';
import { EndlessTalk } from '../../bench/hours/talk.ts';
import { Scope } from '../../media/scope.ts';
import { at } from '../../media/time.ts';
import { espeak } from '../../models/speak/espeak.ts';
import type { Language } from '../../pipeline/domain.ts';

const silent = espeak.needs.filter((need) => !need.present()).map((need) => need.install);
describe.skipIf(silent.length > 0)(
  `three minutes of a live programme, simulated (needs ${silent.join(', ') || 'espeak'})`,
  () => {
    let result: Simulation;
    beforeAll(async () => {
      await using scope = new Scope('test');
      const talk = new EndlessTalk(3, 'en' as Language);
      const { pcm: sound } = soundOf(talk, { start: at(0), count: 48_000 * 20, rate: 48_000 });
      result = await simulate({ minutes: 3, drift: 500, outage: 30, delay: 5, seed: 1, sound }, scope);
    });
    const verdict = (what: RegExp) => simulatedVerdicts(result).find((each) => what.test(each.what));

    test('are played without a break, and most of what is said is dubbed', () => {
      expect(result.frames).toBeGreaterThan(8_700);
      expect(result.breaks).toBe(0);
      expect(result.unsettled).toBe(0);
      const { dubbed = 0, trimmed = 0, refused = 0, expired = 0, late = 0 } = result.lines;
      expect(dubbed + trimmed).toBeGreaterThan(30);
      expect(late).toBeLessThan(3);
      expect(refused + expired).toBeGreaterThan(0);
      expect(verdict(/beyond/)).toMatchObject({ passed: true });
      expect(verdict(/clips heard/)).toMatchObject({ passed: true });
    });
    test('every ping is heard, about as late as was asked for, with its picture', () => {
      expect(result.minutes).toHaveLength(3);
      for (const { lag, avMs } of result.minutes) {
        expect(lag).toBeGreaterThan(4.9);
        expect(lag).toBeLessThan(5.3);
        expect(Math.abs(avMs!)).toBeLessThan(20);
      }
    });
    test('while the voice is stopped the original is heard, and then the dub again as it was', () => {
      expect(result.outage).not.toBeNull();
      expect(verdict(/likeness/)).toMatchObject({ passed: true });
      expect(verdict(/voice is back/)).toMatchObject({ passed: true });
      expect(verdict(/same delay/)).toMatchObject({ passed: true });
      expect(Object.keys(result.faults)).toEqual(['synthesizer:es: the voice is stopped for a while']);
    });
  },
);

test.skipIf(silent.length > 0)(
  'a minute simulated twice comes to the same, whatever the machine does meanwhile',
  async () => {
    await using scope = new Scope('test');
    const once = () =>
      simulate({ minutes: 1, drift: -300, outage: 0, delay: 4, seed: 7, sound: new Float32Array(48_000) }, scope);
    const [a, b] = [await once(), await once()];
    const facts = ({ lines, rungs, starts, clips, losses, minutes }: Simulation) => ({
      lines,
      rungs,
      starts,
      clips,
      losses,
      lag: minutes.map(({ lag, avMs }) => [lag, avMs]),
    });
    expect(a.clips.placed).toBeGreaterThan(5);
    expect(facts(a)).toEqual(facts(b));
  },
);
