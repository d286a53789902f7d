import { expect, test } from 'vitest';
import { CLASSES, whoSpeaks } from '../../models/speakers/pyannote-powerset.ts';

test('each class of the powerset is who speaks, one bit per speaker', () => {
  const scores = new Float32Array(CLASSES.length * CLASSES.length).fill(-5);
  for (const n of CLASSES.keys()) scores[n * CLASSES.length + n] = -0.1;
  expect([...whoSpeaks(scores)]).toEqual([0b000, 0b001, 0b010, 0b100, 0b011, 0b101, 0b110]);
});

test('the likeliest class counts, however unlikely', () => {
  expect([...whoSpeaks(Float32Array.of(-1.95, -1.94, -1.96, -1.95, -1.95, -1.93, -1.97))]).toEqual([0b101]);
});

test('scores that are no rows of seven are refused', () => {
  expect(() => whoSpeaks(new Float32Array(8))).toThrow('Cannot read powerset scores: 8 numbers are no rows of 7');
});
