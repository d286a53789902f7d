import { describe, expect, test } from 'vitest';
import { type Somebody, SpeakerBank } from '../../models/speakers/speaker-bank.ts';

/** A voice at an angle: those of 0° and 60° are half alike. */
const voice = (degrees: number) =>
  Float32Array.of(Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180));
const heard = (degrees: number | undefined, seconds = 2, called: [number, number][] = []): Somebody => ({
  voice: degrees === undefined ? undefined : voice(degrees),
  seconds,
  called: new Map(called),
});
const bankOf = (...angles: number[]) => {
  const bank = new SpeakerBank({ threshold: 0.7, most: 4 });
  for (const [n, angle] of angles.entries()) {
    expect(bank.name([heard(angle)])).toEqual([n]);
    bank.learn(n, voice(angle), 3);
  }
  return bank;
};

describe('the bank of speakers', () => {
  test('names whoever is like nobody, and knows again whoever is like somebody', () => {
    const bank = bankOf(0, 90, 180);
    expect(bank.name([heard(95)])).toEqual([1]);
    expect(bank.name([heard(-10)])).toEqual([0]);
    expect([0, 1, 2].map((n) => bank.idOf(n))).toEqual(['s1', 's2', 's3']);
  });

  test('never takes two who are heard at the same time for one', () => {
    const bank = bankOf(0, 90);
    expect(bank.name([heard(2), heard(1)])).toEqual([2, 0]);
  });

  test('takes somebody for one who has stopped when the voice is clearly theirs, and not when it might be another’s', () => {
    const stopped = { ...heard(0, 2, [[0, 1]]), past: true };
    expect(bankOf(0, 90).name([stopped, heard(5)])).toEqual([0, 0]);
    expect(bankOf(0, 90).name([{ ...stopped, past: false }, heard(5)])).toEqual([0, 2]);
    // Voices that are all alike, as on the telephone, are told apart by the segmentation alone.
    const alike = bankOf(0);
    expect(alike.name([stopped, heard(1)])).toEqual([0, 1]);
    alike.learn(1, voice(10), 3);
    expect(alike.name([stopped, heard(2)])).toEqual([0, 1]);
  });

  test('follows whoever was followed, though their voice says little', () => {
    const bank = bankOf(0, 90);
    expect(bank.name([heard(50, 1, [[0, 2]])])).toEqual([0]);
    expect(bank.name([heard(undefined, 0.2, [[1, 2]])])).toEqual([1]);
  });

  test('does not follow a voice that is somebody else’s, until it was called a name for three seconds', () => {
    const bank = bankOf(0, 90);
    expect(bank.name([heard(88, 2, [[0, 2]])])).toEqual([1]);
    expect(bank.name([heard(88, 2, [[0, 3.1]])])).toEqual([0]);
  });

  test('makes nobody new of a moment of speech or when there is no room', () => {
    const bank = bankOf(0, 90, 180, 270);
    expect(bank.name([heard(45, 3)])[0]).toBeLessThan(4);
    const fresh = bankOf(0);
    expect(fresh.name([heard(undefined, 0.2, [[0, 1]]), heard(undefined, 0.2)])).toEqual([0, undefined]);
  });

  test('is not certain that a short piece is somebody new', () => {
    const bank = bankOf(0);
    expect(bank.name([heard(55, 0.7)])).toEqual([0]);
    expect(bank.name([heard(55, 2)])).toEqual([1]);
  });

  test('learns nothing from what is unlike a speaker', () => {
    const bank = bankOf(0);
    bank.learn(0, voice(80), 60);
    expect(bank.name([heard(75)])).toEqual([1]);
  });

  test('takes two names for one speaker’s while the younger is new, and uses the older from then on', () => {
    const bank = bankOf(0, 55);
    bank.learn(1, voice(20), 30);
    expect(bank.merge()).toEqual(new Map([[1, 0]]));
    expect([bank.resolve(1), bank.active]).toEqual([0, [0]]);
    expect(bank.name([heard(30)])).toEqual([0]);
    // The name is not used for somebody else.
    const next = bank.name([heard(180)])[0]!;
    expect(bank.idOf(next)).toBe('s3');
  });

  test('never takes a name back that was given out for three seconds', () => {
    const bank = bankOf(0, 55);
    bank.give(1, 3);
    bank.learn(1, voice(20), 30);
    expect(bank.merge()).toEqual(new Map());
    expect(bank.active).toEqual([0, 1]);
  });

  test('never merges two who were heard at the same time', () => {
    const bank = bankOf(0, 55);
    bank.apart([0, 1]);
    bank.learn(1, voice(20), 30);
    expect(bank.merge()).toEqual(new Map());
  });
});
