import { describe, expect, test } from 'vitest';
import { at, seconds } from '../../media/time.ts';
import type { Language, SpeakerId, SpeechChunk, Turn, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { ReferenceVoices, type Referring, speechToNoise } from '../../pipeline/reference-voice.ts';

const RATE = 8_000;
const id = (name: string) => name as SpeakerId;

/** Speech with pauses: a tone of each speaker's own pitch over noise of this level. */
function sound(from: number, to: number, pitch: number, noise: number): Float32Array {
  let seed = 1 + Math.round(from * 7);
  const random = () => (seed = (seed * 1_664_525 + 1_013_904_223) >>> 0) / 2 ** 31 - 1;
  return Float32Array.from({ length: Math.round((to - from) * RATE) }, (_, i) => {
    const speaking = Math.floor(i / 800) % 5 < 4 ? 0.5 : 0;
    return speaking * Math.sin((2 * Math.PI * pitch * i) / RATE) + noise * random();
  });
}
const chunk = (from: number, to: number, pitch: number, noise = 0.001): SpeechChunk => ({
  start: at(seconds(from)),
  rate: RATE,
  pcm: sound(from, to, pitch, noise),
  segment: 0,
  last: false,
});
const turn = (speaker: string, from: number, to: number, ...overlap: string[]): Turn => ({
  speaker: id(speaker),
  start: at(seconds(from)),
  end: at(seconds(to)),
  ...(overlap.length > 0 && { overlap: overlap.map(id) }),
});
const RULES: Partial<Referring> = { least: 4, most: 10, longest: 6, every: 5, longer: 3 };
const PITCH = { s1: 200, s2: 310 };

/** Somebody speaks for a while, and the diarizer says so. */
function speak(voices: ReferenceVoices, speaker: 's1' | 's2', from: number, to: number, noise?: number) {
  voices.speech(chunk(from, to, PITCH[speaker], noise));
  voices.turn(turn(speaker, from, to));
  voices.settle();
}
/** How much of a sound is a tone of this pitch: 0 … 1. */
function share(pcm: Float32Array, pitch: number): number {
  let [best, total] = [0, 0];
  for (let from = 0; from + 400 <= pcm.length; from += 400) {
    let [re, im] = [0, 0];
    for (let i = from; i < from + 400; i += 1) {
      re += pcm[i]! * Math.cos((2 * Math.PI * pitch * i) / RATE);
      im += pcm[i]! * Math.sin((2 * Math.PI * pitch * i) / RATE);
      total += pcm[i]! ** 2;
    }
    best += (2 * (re * re + im * im)) / 400;
  }
  return best / total;
}
const lengthOf = (pcm: Float32Array) => pcm.length / RATE;

describe('a reference voice', () => {
  test('is there when there is enough of it, and holds that speaker alone', () => {
    const voices = new ReferenceVoices(RULES);
    speak(voices, 's1', 0, 3);
    speak(voices, 's2', 3, 6);
    expect(voices.of(id('s1'))).toBeUndefined();
    speak(voices, 's1', 6, 9);
    speak(voices, 's2', 9, 12);
    for (const [name, other] of [
      ['s1', 's2'],
      ['s2', 's1'],
    ] as const) {
      const { pcm, speaker, rate } = voices.of(id(name))!;
      expect([speaker, rate]).toEqual([name, RATE]);
      expect(lengthOf(pcm)).toBeGreaterThan(4);
      expect(share(pcm, PITCH[name])).toBeGreaterThan(0.95);
      expect(share(pcm, PITCH[other])).toBeLessThan(0.02);
    }
  });

  test('is never longer than it may be', () => {
    const voices = new ReferenceVoices(RULES);
    for (let n = 0; n < 20; n += 1) speak(voices, 's1', 6 * n, 6 * n + 5);
    expect(lengthOf(voices.of(id('s1'))!.pcm)).toBeLessThanOrEqual(10);
    expect(lengthOf(voices.of(id('s1'))!.pcm)).toBeGreaterThan(9);
  });

  test('holds nothing of what somebody else says at the same time, nor the edges of turns', () => {
    const voices = new ReferenceVoices({ ...RULES, most: 20, every: 0 });
    voices.speech(chunk(0, 8, PITCH.s1));
    voices.speech(chunk(8, 12, PITCH.s2));
    voices.turn(turn('s1', 0, 8));
    voices.turn(turn('s1', 8, 12, 's2'));
    voices.settle();
    const { pcm } = voices.of(id('s1'))!;
    // Two turns of 8 s at most, cut at 0.1 s from each end.
    expect(lengthOf(pcm)).toBeCloseTo(7.8, 2);
    expect(share(pcm, PITCH.s2)).toBeLessThan(0.02);
  });

  test('begins with the cleanest and longest, and leaves what is too short', () => {
    const voices = new ReferenceVoices(RULES);
    speak(voices, 's1', 0, 4, 0.2);
    speak(voices, 's1', 5, 6);
    speak(voices, 's1', 10, 15);
    const { pcm } = voices.of(id('s1'))!;
    const [first, last] = [pcm.subarray(0, 4.7 * RATE), pcm.subarray(-3.7 * RATE)];
    expect(speechToNoise(first, RATE)).toBeGreaterThan(30);
    expect(speechToNoise(last, RATE)).toBeLessThan(20);
    expect(lengthOf(pcm)).toBeCloseTo(4.8 + 0.2 + 3.8, 2);
  });

  test('holds those words that lie in it, in its order', () => {
    const voices = new ReferenceVoices(RULES);
    const said = (from: number, texts: readonly string[], speaker = 's1'): Utterance => ({
      id: `u${from}` as UtteranceId,
      speaker: id(speaker),
      language: 'en' as Language,
      text: texts.join(' '),
      start: at(seconds(from)),
      end: at(seconds(from + texts.length)),
      words: texts.map((text, n) => ({ text, start: at(seconds(from + n)), end: at(seconds(from + n + 0.9)) })),
    });
    voices.utterance(said(0, ['it', 'is', 'noisy']));
    voices.utterance(said(10, ['it', 'is', 'quiet', 'here']));
    voices.utterance(said(10, ['somebody', 'else'], 's2'));
    speak(voices, 's1', 0, 3, 0.1);
    speak(voices, 's1', 10, 14);
    expect(voices.of(id('s1'))!.text).toBe('it is quiet here it is noisy');
  });

  test('stays the same object until the sound is much better, and not before its time', () => {
    const voices = new ReferenceVoices({ ...RULES, every: 20 });
    speak(voices, 's1', 0, 5, 0.2);
    speak(voices, 's1', 6, 11, 0.2);
    const first = voices.of(id('s1'))!;
    speak(voices, 's1', 12, 17);
    expect(voices.of(id('s1'))).toBe(first);
    speak(voices, 's1', 30, 35);
    const second = voices.of(id('s1'))!;
    expect(second.id).not.toBe(first.id);
    expect(speechToNoise(second.pcm, RATE)).toBeGreaterThan(speechToNoise(first.pcm, RATE) + 10);
    for (let n = 0; n < 5; n += 1) speak(voices, 's1', 60 + 10 * n, 65 + 10 * n);
    expect(voices.of(id('s1'))).toBe(second);
  });

  test('leaves out what does not sound like the speaker, when it is told how to hear that', () => {
    const strangeness = (_: SpeakerId, pcm: Float32Array) => (share(pcm, PITCH.s1) > 0.5 ? 0 : 1);
    const voices = new ReferenceVoices(RULES, strangeness);
    speak(voices, 's1', 0, 5);
    voices.speech(chunk(6, 11, PITCH.s2));
    voices.turn(turn('s1', 6, 11));
    voices.settle();
    expect(share(voices.of(id('s1'))!.pcm, PITCH.s1)).toBeGreaterThan(0.95);
  });

  test('leaves out what is clipped', () => {
    const voices = new ReferenceVoices(RULES);
    const loud = chunk(0, 5, PITCH.s1);
    voices.speech({ ...loud, pcm: loud.pcm.map((x) => Math.max(-1, Math.min(1, 4 * x))) });
    voices.turn(turn('s1', 0, 5));
    voices.settle();
    expect(voices.of(id('s1'))).toBeUndefined();
  });

  test('leaves out what was not heard whole', () => {
    const voices = new ReferenceVoices(RULES);
    voices.speech(chunk(0, 2, PITCH.s1));
    voices.speech(chunk(3, 6, PITCH.s1));
    voices.turn(turn('s1', 0, 6));
    voices.settle();
    expect(voices.of(id('s1'))).toBeUndefined();
  });

  test('copies what it keeps', () => {
    const voices = new ReferenceVoices(RULES);
    const borrowed = chunk(0, 5, PITCH.s1);
    voices.speech(borrowed);
    borrowed.pcm.fill(0.9);
    voices.turn(turn('s1', 0, 5));
    voices.settle();
    expect(share(voices.of(id('s1'))!.pcm, PITCH.s1)).toBeGreaterThan(0.95);
  });

  test('is deleted with everything it was made of, sound included, and begins anew', () => {
    const voices = new ReferenceVoices(RULES);
    speak(voices, 's1', 0, 5);
    speak(voices, 's2', 5, 10);
    const { pcm } = voices.of(id('s1'))!;
    voices.forget(id('s1'));
    expect(voices.of(id('s1'))).toBeUndefined();
    expect(pcm.every((sample) => sample === 0)).toBe(true);
    // A turn over what was heard before it was forgotten comes too late.
    voices.turn(turn('s1', 0, 5));
    voices.settle();
    expect(voices.of(id('s1'))).toBeUndefined();
    expect(voices.of(id('s2'))).toBeDefined();
    speak(voices, 's1', 10, 15);
    expect(voices.of(id('s1'))).toBeDefined();
  });

  test('is nobody’s after the end', () => {
    const voices = new ReferenceVoices(RULES);
    speak(voices, 's1', 0, 5);
    const { pcm } = voices.of(id('s1'))!;
    voices.close();
    voices.close();
    speak(voices, 's1', 5, 10);
    expect(voices.of(id('s1'))).toBeUndefined();
    expect(pcm.every((sample) => sample === 0)).toBe(true);
  });

  test('cannot be longer than it may be, nor of no passages', () => {
    expect(() => new ReferenceVoices({ least: 70 })).toThrow('Cannot collect voices: 70 … 60 s');
    expect(() => new ReferenceVoices({ shortest: 0.1 })).toThrow(RangeError);
  });
});
