import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SessionSpec, delayOf, levelUnder } from '../../gateway/config.ts';
import { mixOf, specOf } from '../../gateway/mix-options.ts';
import { Refusal, invalid } from '../../gateway/refusal.ts';

const refusal = (asked: object) => {
  const parsed = SessionSpec.safeParse(asked);
  if (parsed.success) throw new Error('accepted');
  return invalid(parsed.error.issues).error;
};

describe('a session that says nothing', () => {
  const spec = SessionSpec.parse({});

  test('is five seconds late, ten at most', () => {
    expect(delayOf(spec)).toEqual({ start: 5, least: 5, most: 10 });
  });
  test('lowers the original by 20 dB, at −23 LUFS with peaks below −1 dBTP', () => {
    expect(spec.mix).toEqual({ mode: 'duck', overlap: 'both', loudness: -23, truePeak: -1 });
    expect(levelUnder(spec.mix)).toBeCloseTo(0.1, 12);
  });
  test('imitates nobody’s voice, and leaves the picture as it is', () => {
    expect(spec.voices).toEqual({ cloning: 'off', expression: 1 });
    expect(spec.video).toBe('original');
  });
  test('has its mouths moved wherever that can be done', () => {
    expect(spec.lips).toBe('auto');
    expect(spec.engines).toEqual({});
  });
});

describe('mouths', () => {
  test.for(['auto', 'on', 'off'] as const)('may be %s', (lips) => {
    expect(SessionSpec.parse({ lips }).lips).toBe(lips);
  });
  test.for(['faceTracker', 'activeSpeaker', 'lipDriver', 'restorer'])('%s may be chosen with its settings', (kind) => {
    const engines = { [kind]: { engine: 'x', size: 3 } };
    expect(SessionSpec.parse({ engines }).engines).toEqual(engines);
  });
});

describe('the delay', () => {
  test.for([
    [{ delay: 3 }, { start: 3, least: 3, most: 6 }],
    [
      { delay: 3, delayMost: 3 },
      { start: 3, least: 3, most: 3 },
    ],
    [{ delay: 60 }, { start: 60, least: 60, most: 120 }],
    [{ delay: 'auto' }, { start: 5, least: 2, most: 15 }],
    [
      { delay: 'auto', delayMost: 30 },
      { start: 5, least: 2, most: 30 },
    ],
    [
      { delay: 'auto', delayMost: 4 },
      { start: 4, least: 2, most: 4 },
    ],
  ] as const)('of %j is %j', ([asked, range]) => {
    expect(delayOf(SessionSpec.parse(asked))).toEqual(range);
  });

  test('whatever is accepted begins within its own limits', () => {
    const seconds = fc.double({ min: 0, max: 130, noNaN: true });
    fc.assert(
      fc.property(
        fc.oneof(seconds, fc.constant('auto')),
        fc.option(seconds, { nil: undefined }),
        (delay, delayMost) => {
          const parsed = SessionSpec.safeParse({ delay, delayMost });
          if (!parsed.success) return;
          const { start, least, most } = delayOf(parsed.data);
          expect(least).toBeGreaterThanOrEqual(2);
          expect(start).toBeGreaterThanOrEqual(least);
          expect(most).toBeGreaterThanOrEqual(start);
          expect(most).toBeLessThanOrEqual(120);
        },
      ),
    );
  });

  test.for([
    [{ delay: 1 }, 'delay', 'Give 2 or more.'],
    [{ delay: 61 }, 'delay', 'Give 60 or less.'],
    [{ delay: 'soon' }, 'delay', 'Give "auto" or a number.'],
    [{ delay: 8, delayMost: 7 }, 'delayMost', 'Give the delay or more.'],
    [{ delay: 'auto', delayMost: 1 }, 'delayMost', 'Give 2 or more.'],
  ] as const)('%j is refused at %s: %s', ([asked, field, fix]) => {
    expect(refusal(asked)).toMatchObject({ code: 'invalid', field, fix });
  });
});

describe('the original under the dub', () => {
  test.for([
    [{ mode: 'replace' }, 0],
    [{ mode: 'replace', under: -6 }, 0],
    [{ mode: 'duck' }, 10 ** -1],
    [{ mode: 'duck', under: -60 }, 10 ** -3],
    [{ mode: 'voice-over' }, 10 ** -0.6],
    [{ mode: 'voice-over', under: 0 }, 1],
  ] as const)('with %j is at %d of its amplitude', ([mix, level]) => {
    expect(levelUnder(SessionSpec.parse({ mix }).mix)).toBeCloseTo(level, 12);
  });

  test.for([
    [{ mix: { under: 1 } }, 'mix.under', 'Give 0 or less.'],
    [{ mix: { under: -61 } }, 'mix.under', 'Give -60 or more.'],
    [{ mix: { mode: 'mute' } }, 'mix.mode', 'Use one of "replace", "duck", "voice-over".'],
    [{ mix: { overlap: 'left' } }, 'mix.overlap', 'Use one of "both", "duck", "pan".'],
    [{ mix: { loudness: -9 } }, 'mix.loudness', 'Give -10 or less.'],
    [{ mix: { loudness: 'on' } }, 'mix.loudness', 'Give "off" or a number.'],
    [{ mix: { truePeak: 0.5 } }, 'mix.truePeak', 'Give 0 or less.'],
    [{ mix: { ducking: -20 } }, 'mix.ducking', 'Leave it out, or check its spelling.'],
    [{ voices: { expression: 1.5 } }, 'voices.expression', 'Give 1 or less.'],
    [{ voices: { cloning: 'on' } }, 'voices.cloning', 'Use one of "off", "consented".'],
    [{ video: 'still' }, 'video', 'Use one of "original", "stretch".'],
    [{ lips: 'always' }, 'lips', 'Use one of "auto", "on", "off".'],
    [{ lips: true }, 'lips', 'Use one of "auto", "on", "off".'],
  ] as const)('%j is refused at %s: %s', ([asked, field, fix]) => {
    expect(refusal(asked)).toMatchObject({ code: 'invalid', field, fix });
  });

  test('said in the words of earlier versions is refused with the words of today', () => {
    const { field, fix } = refusal({ nam: 'x', underDub: 0.1 });
    expect(field).toBe('underDub');
    expect(fix).toContain('{ "mix": { "under": -20 } }');
    const [, example = ''] = /dB: (\{.*\}) for 0\.1/.exec(fix ?? '') ?? [];
    expect(levelUnder(SessionSpec.parse(JSON.parse(example)).mix)).toBeCloseTo(0.1, 12);
  });
});

describe('a command', () => {
  test('says only what it was told', () => {
    expect(mixOf({})).toEqual({ mix: {} });
    expect(specOf(mixOf({ mix: 'voice-over', loudness: 'off' })).mix).toMatchObject({
      mode: 'voice-over',
      loudness: 'off',
      truePeak: -1,
    });
    expect(specOf(mixOf({ under: -9, loudness: -16 })).mix).toMatchObject({ mode: 'duck', under: -9, loudness: -16 });
  });
  test('that asks for too much is refused with a sentence', () => {
    expect(() => specOf({ ...mixOf({ under: 5 }), to: ['es'] })).toThrow(Refusal);
    expect(() => specOf({ delay: 1 })).toThrow("'delay' is wrong");
  });
});
