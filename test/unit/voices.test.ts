import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hurriedRate, marksOf } from '../../models/speak/espeak.ts';
import { type Ensemble, byName, byPitch, inTurn, placeOf, sizeOf, voiceOf } from '../../models/speak/cast-voices.ts';
import { voiceFor } from '../../models/speak/espeak-voices.ts';
import { trimmed } from '../../models/speak/flite.ts';
import { levelled } from '../../models/dsp/loudness.ts';
import type { Language, Register, SpeakerId } from '../../pipeline/domain.ts';

const speaker = (label: string) => label as SpeakerId;

describe('a speaker’s voice', () => {
  test('differs from those of as many others as there are voices', () => {
    expect([1, 2, 3, 4, 5].map((n) => placeOf(speaker(`s${n}`), 5))).toEqual([0, 1, 2, 3, 4]);
  });

  test('is one of the voices, and the same each time', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 20 }), (label, count) => {
        const place = placeOf(speaker(label), count);
        expect(Number.isInteger(place) && place >= 0 && place < count).toBe(true);
        expect(placeOf(speaker(label), count)).toBe(place);
      }),
    );
  });

  test.for([
    ['es', 'es'],
    ['es-AR', 'es'],
    ['es-MX', 'es-419'],
    ['en-GB', 'en'],
    ['en', 'en-us'],
    ['zh-Hans-CN', 'cmn-latn-pinyin'],
    ['pt-BR', 'pt-br'],
    ['ca-valencia', 'ca'],
    ['ja', undefined],
    ['xx', undefined],
  ] as const)('in %s is %s', ([language, voice]) => {
    expect(voiceFor(language as Language)).toBe(voice);
  });
});

describe('a speaker who is cast', () => {
  const ensemble: Ensemble<string> = { male: ['m0', 'm1', 'm2'], female: ['f0', 'f1'], child: ['c0'] };
  const voice = (register: Register, place: number, from = ensemble) =>
    voiceOf({ speaker: speaker('anybody'), casting: { register, place } }, from);

  test('has a voice of the register, another than all before while there are any', () => {
    const said = (['male', 'female', 'child'] as const).map((register) => [0, 1, 2].map((n) => voice(register, n)));
    expect(said).toEqual([
      ['m0', 'm1', 'm2'],
      ['f0', 'f1', 'f0'],
      ['c0', 'c0', 'c0'],
    ]);
  });

  test('has the nearest there is where no voice is of the register', () => {
    expect([0, 1, 2].map((n) => voice('child', n, { male: ['m0'], female: ['f0', 'f1'] }))).toEqual(['f1', 'f0', 'f1']);
    expect(voice('female', 0, { male: ['m0'], female: [] })).toBe('m0');
    expect(voice('child', 1, { male: ['m0', 'm1'], female: [] })).toBe('m1');
    expect(() => voice('male', 0, { male: [], female: [] })).toThrow(RangeError);
  });

  test('has the voice whatever the label, and others have theirs by their label', () => {
    const labelled = (label: string) => voiceOf({ speaker: speaker(label) }, ensemble);
    expect(['s1', 's2', 's3', 's4', 's5', 's6', 's7'].map(labelled)).toEqual([
      'm0',
      'f0',
      'm1',
      'f1',
      'm2',
      'c0',
      'm0',
    ]);
    expect(inTurn(ensemble).length).toBe(sizeOf(ensemble));
  });

  test('finds voices sorted by how high they are, or by what is known of their names', () => {
    const heights: Record<string, number | undefined> = { a: 110, b: 205, c: undefined, d: 320, e: undefined };
    expect(byPitch(Object.keys(heights), (name) => heights[name])).toEqual({
      male: ['a', 'c'],
      female: ['b', 'e'],
      child: ['d'],
    });
    expect(byName(['x', 'onyx', 'nova', 'y'], { onyx: 'male', nova: 'female' })).toEqual({
      male: ['x', 'onyx'],
      female: ['nova', 'y'],
      child: [],
    });
  });
});

describe('a line is hurried', () => {
  test('when it is more than 15 % too long, by what it lacks and no further than allowed', () => {
    expect(hurriedRate(2_200_000, 2_000_000, 175, 200)).toBeUndefined();
    expect(hurriedRate(2_400_000, 2_000_000, 160, 220)).toBe(192);
    expect(hurriedRate(4_000_000, 2_000_000, 175, 200)).toBe(200);
    expect(hurriedRate(4_000_000, 0, 175, 200)).toBe(200);
    expect(hurriedRate(4_000_000, 2_000_000, 250, 200)).toBeUndefined();
  });
});

describe('a voice’s level', () => {
  test('is the same however loud it came, and never clips', () => {
    const wave = fc
      .record({ amplitude: fc.integer({ min: 50, max: 32_000 }), quiet: fc.integer({ min: 0, max: 4_000 }) })
      .map(({ amplitude, quiet }) =>
        Int16Array.from({ length: 8_000 }, (_, i) => (i < quiet ? 0 : Math.round(amplitude * Math.sin(i / 3)))),
      );
    fc.assert(
      fc.property(wave, (pcm) => {
        const out = levelled(pcm, 320).subarray(4_320);
        const rms = Math.sqrt(out.reduce((sum, sample) => sum + sample * sample, 0) / out.length);
        expect(20 * Math.log10(rms)).toBeCloseTo(-20, 0);
        expect(Math.max(...out.map(Math.abs))).toBeLessThanOrEqual(0.8913);
      }),
    );
  });

  test('leaves room above a lone peak', () => {
    const pcm = new Int16Array(3_200).fill(100);
    pcm[1_000] = 30_000;
    expect(Math.max(...levelled(pcm, 320))).toBeLessThanOrEqual(0.8913);
  });

  test('of silence is silence', () => {
    expect(levelled(new Int16Array(100), 20)).toEqual(new Float32Array(100));
    expect(levelled(new Int16Array(), 20)).toEqual(new Float32Array());
  });
});

describe('eSpeak NG’s events', () => {
  const phoneme = (at: number, position: number, ipa: string) =>
    ({ type: 'phoneme', at, position, length: 0, ipa }) as const;

  test('become words where their first phoneme sounds, though the library names no word', () => {
    const events = [
      { type: 'word', at: 0, position: 1, length: 6, ipa: '' } as const,
      phoneme(12, 1, 'b'),
      phoneme(40, 1, 'w'),
      phoneme(300, 9, ''),
      phoneme(500, 9, 'k'),
      phoneme(560, 9, '(en)'),
    ];
    expect(marksOf('¡Buenos ¿Cómo?', events, 1_000_000)).toEqual([
      { type: 'word', offset: 12_000, text: 'Buenos' },
      { type: 'phoneme', offset: 12_000, text: 'b' },
      { type: 'phoneme', offset: 40_000, text: 'w' },
      { type: 'word', offset: 500_000, text: 'Cómo' },
      { type: 'phoneme', offset: 500_000, text: 'k' },
    ]);
  });

  test('count characters, not the halves of them', () => {
    expect(marksOf('😀 sí', [phoneme(0, 2, 's')], 1_000)[0]).toEqual({ type: 'word', offset: 0, text: 'sí' });
  });
});

test('flite’s silence around a line goes, and its marks move along', () => {
  const pcm = new Int16Array(16_000).fill(1);
  const segments = [
    { name: 'pau', start: 0, end: 0.2 },
    { name: 'hh', start: 0.2, end: 0.3 },
    { name: 'ay', start: 0.3, end: 0.5 },
    { name: 'pau', start: 0.5, end: 1 },
  ];
  const { pcm: kept, marks } = trimmed({ pcm, rate: 16_000, segments, tokens: [{ text: 'Hi', start: 0.2 }] });
  expect(kept.length).toBe(0.36 * 16_000);
  expect(marks).toEqual([
    { type: 'word', offset: 30_000, text: 'Hi' },
    { type: 'phoneme', offset: 30_000, text: 'h' },
    { type: 'phoneme', offset: 130_000, text: 'aɪ' },
  ]);
});
