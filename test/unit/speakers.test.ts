import { expect, test } from 'vitest';
import { speechLoudness } from '../../media/loudness.ts';
import { at, seconds } from '../../media/time.ts';
import { AudioMemory } from '../../pipeline/audio-memory.ts';
import type { Language, Line, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { Speakers } from '../../pipeline/speakers.ts';

/** Something like speech: a harmonic tone in syllables, at a level; the same for the same numbers. */
function speech(length: number, rate: number, level: number, hertz = 120): Float32Array {
  return Float32Array.from({ length: Math.round(length * rate) }, (_, i) => {
    const t = i / rate;
    const syllable = Math.max(0, Math.sin(2 * Math.PI * 4 * t)) ** 0.5;
    let x = 0;
    for (let n = 1; n <= 12; n += 1) x += Math.sin(2 * Math.PI * hertz * n * t) / n;
    return level * syllable * x;
  });
}
const utterance = (n: number, from: number, to: number, speaker = 's1'): Utterance => ({
  id: `u0.${n}` as UtteranceId,
  speaker: speaker as SpeakerId,
  language: 'en' as Language,
  start: at(from * 1e6),
  end: at(to * 1e6),
  text: 'so it goes',
  words: [{ text: 'so', start: at(from * 1e6), end: at(to * 1e6) }],
});
const lineOf = ({ id, ...said }: Utterance): Line => ({
  ...said,
  utterance: id,
  language: 'es' as Language,
  text: 'así',
});
/** Speakers that have heard `levels`, one utterance of two seconds each, three seconds apart. */
function heard(levels: readonly number[], options: { expression?: number; level?: 'matched' | 'own' } = {}) {
  const memory = new AudioMemory(16_000, seconds(60));
  const speakers = new Speakers({ memory, rate: 16_000, expression: 1, level: 'matched', ...options });
  const said = levels.map((level, n) => {
    memory.push({ start: at(3e6 * n), rate: 16_000, pcm: speech(2, 16_000, level) });
    memory.push({ start: at(3e6 * n + 2e6), rate: 16_000, pcm: new Float32Array(16_000) });
    const each = utterance(n, 3 * n, 3 * n + 2);
    speakers.hears(each);
    return each;
  });
  const clipOf = (n: number, level: number) => {
    const line = lineOf(said[n]!);
    const pcm = speech(2, 48_000, level, 200);
    const { start, end } = line;
    speakers.about(line.utterance)!.finish({ line, pcm, start, phrases: [{ start, end, source: line, speed: 1 }] });
    return pcm;
  };
  return { speakers, said, clipOf };
}
const loudness = (pcm: Float32Array, rate: 16_000 | 48_000) => speechLoudness(pcm, rate)!;

test('a dub is as loud as what it stands for, whatever its voice', () => {
  const { clipOf } = heard([0.05]);
  const wanted = loudness(speech(2, 16_000, 0.05), 16_000);
  for (const level of [0.01, 0.05, 0.4]) expect(loudness(clipOf(0, level), 48_000)).toBeCloseTo(wanted, 0);
});

test('a quiet line among loud ones is quieter, and with no expression it is not', () => {
  const levels = [0.1, 0.1, 0.1, 0.05];
  const quieter = (expression: number) => {
    const { clipOf } = heard(levels, { expression });
    return loudness(clipOf(3, 0.1), 48_000) - loudness(clipOf(2, 0.1), 48_000);
  };
  expect(quieter(1)).toBeLessThan(-4);
  expect(Math.abs(quieter(0))).toBeLessThan(2);
});

test('a shout raises its dub by six decibels over the speaker’s usual at most', () => {
  const { clipOf } = heard([0.02, 0.02, 0.02, 0.02, 0.6]);
  const [usual, shout] = [loudness(clipOf(3, 0.1), 48_000), loudness(clipOf(4, 0.1), 48_000)];
  expect(shout - usual).toBeGreaterThan(4);
  // The shout itself has raised what is usual a little.
  expect(shout - usual).toBeLessThan(6 + 0.2 * 30);
});

test('a voice may be left as loud as it is', () => {
  const { clipOf } = heard([0.05], { level: 'own', expression: 0 });
  expect(clipOf(0, 0.3)).toEqual(speech(2, 48_000, 0.3, 200));
});

test('what is known of an utterance is forgotten when many have followed it', () => {
  const { speakers, said } = heard([0.1]);
  expect(speakers.about(said[0]!.id)?.words).toHaveLength(1);
  expect(speakers.howSaid(said[0]!.id)?.casting.register).toBe('male');
  for (let n = 1; n <= 256; n += 1) speakers.hears(utterance(n, 3 * n, 3 * n + 2));
  expect(speakers.about(said[0]!.id)).toBeUndefined();
});

test('the first speaker sits in the middle, others beside', () => {
  const { speakers } = heard([0.1]);
  for (const [n, speaker] of ['s2', 's3', 's1'].entries()) speakers.hears(utterance(10 + n, 30, 31, speaker));
  const seats = [0, 10, 11, 12].map((n) => speakers.about(`u0.${n}` as UtteranceId)!.seat);
  expect(seats[0]).toBe(0);
  expect(seats[3]).toBe(0);
  expect(new Set(seats).size).toBe(3);
  for (const seat of seats) expect(Math.abs(seat)).toBeLessThan(1);
});
