import { describe, expect, test } from 'vitest';
import {
  type Sound,
  SoundMeter,
  compression,
  doubt,
  guardSettings,
  loops,
} from '../../models/recognize/hallucination.ts';
import { attendedBefore, focusOf } from '../../models/recognize/align-att.ts';
import { warp } from '../../models/recognize/whisper-places.ts';
import { flite } from '../fakes/recordings.ts';
import { music, noise, silence } from '../fakes/soundscapes.ts';

const settings = guardSettings.parse({});
/** Two seconds in which somebody speaks clearly. */
const speech: Sound = { length: 2, loudest: -12, voiced: 1.2 };

describe('what was written is', () => {
  test.for([
    ['believed when a voice says it in the time it takes', 'Thank you for watching.', {}, speech, undefined],
    ['believed when it is an ordinary sentence', 'He hoped there would be stew for dinner.', {}, speech, undefined],
    ['believed when a number repeats a digit', 'one zero zero zero one', {}, speech, undefined],
    ['not believed in silence', 'He hoped', {}, { ...speech, loudest: -70 }, 'silence'],
    ['not believed when the model hears no speech', 'He hoped', { noSpeech: 0.9, logprob: -0.7 }, speech, 'no speech'],
    [
      'believed when the model is sure of its words all the same',
      'He hoped',
      { noSpeech: 0.9, logprob: -0.1 },
      speech,
      undefined,
    ],
    [
      'not believed when the model hears no speech and there is no voice',
      'He hoped',
      { noSpeech: 0.9, logprob: -0.1 },
      { ...speech, voiced: 0 },
      'no speech',
    ],
    ['not believed when the model is unsure of its words', 'He hoped', { logprob: -1.2 }, speech, 'unsure'],
    ['not believed when it goes round in circles', 'and so on and so on and so on and so on', {}, speech, 'repetition'],
    ['not believed when nobody can speak so fast', 'abcdefgh '.repeat(9) + 'ijklmnop qrstuv', {}, speech, 'repetition'],
    [
      'not believed when it is twice as dense as speech',
      'Meanwhile the committee that had convened earlier deliberated exhaustively on procurement',
      {},
      { ...speech, length: 1 },
      'too dense',
    ],
    [
      'not believed when it credits subtitles',
      'Sous-titres réalisés par la communauté d’Amara.org',
      {},
      speech,
      'boilerplate',
    ],
    ['not believed when it is a note', '♪ ♪', {}, speech, 'boilerplate'],
    [
      'not believed when it takes leave over a long sound',
      'Thank you for watching.',
      {},
      { ...speech, length: 6, voiced: 5 },
      'boilerplate',
    ],
    [
      'not believed when it takes leave without a voice',
      'Thank you for watching.',
      {},
      { ...speech, voiced: 0 },
      'boilerplate',
    ],
    [
      'not believed yet when it takes leave and the segment goes on',
      'Thank you for watching.',
      { over: false },
      speech,
      'boilerplate',
    ],
  ] as const)('%s', ([, text, more, sound, wanted]) => {
    expect(doubt({ text, over: true, logprob: -0.2, noSpeech: 0.02, ...more }, sound, settings)).toBe(wanted);
  });

  test('packed as openai/whisper packs it', () => {
    // zlib.compress of Python at its default level gives the same lengths.
    expect(compression('three one four three')).toBeCloseTo(20 / 25, 6);
    expect(compression('five '.repeat(31) + 'five')).toBeCloseTo(9.9375, 6);
    expect(loops('la la la la la la')).toBe(true);
    expect(loops('no no no')).toBe(false);
  });
});

test('a meter tells a voice from noise and silence, though not from an organ', () => {
  const measured = (pcm: Float32Array) => {
    const meter = new SoundMeter();
    for (let at = 0; at < pcm.length; at += 500) meter.hear(pcm.subarray(at, at + 500));
    return meter.sound;
  };
  const said = measured(flite('The quick brown fox jumps over the lazy dog.'));
  expect(said.voiced / said.length).toBeGreaterThan(0.4);
  expect(said.loudest).toBeGreaterThan(-20);
  expect(measured(noise(20)).voiced).toBeLessThan(0.4);
  expect(measured(silence(20)).loudest).toBeLessThan(-70);
  expect(measured(music(20)).voiced).toBeGreaterThan(2);
});

describe('attention', () => {
  test('is where its weight is greatest, and what looks at the end is not safe', () => {
    expect(focusOf(Float32Array.of(0.1, 0.5, 0.4))).toBe(1);
    expect(attendedBefore([3, 10, 44, 20], 50, 10)).toBe(2);
    expect(attendedBefore([3, 10, 20], 50, 10)).toBe(3);
    expect(attendedBefore([], 50, 10)).toBe(0);
  });

  test('is warped into places in order, as cheaply as can be', () => {
    const gain = [
      [9, 9, -1, -1, -1, -1],
      [-1, -1, 9, -1, -1, -1],
      [-1, -1, -1, -1, 9, 9],
    ].map((row) => Float64Array.from(row));
    expect(warp(gain)).toEqual([0, 2, 3]);
  });
});
