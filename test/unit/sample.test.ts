import { describe, expect, test } from 'vitest';
import { sampleIndex, seconds } from '../../media/time.ts';
import { SCRIPT, SPEAKERS, type ScriptLine } from '../../gateway/sample-script.ts';
import { compose, speaking, trimmed, wavSamples } from '../../gateway/sample.ts';

/** A mono 16 bit WAV file as flite writes it. */
function wav(pcm: readonly number[], rate = 16_000): Buffer {
  const file = Buffer.alloc(44 + 2 * pcm.length);
  file.write('RIFF', 0).toString();
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(rate, 24);
  file.write('data', 36);
  file.writeUInt32LE(2 * pcm.length, 40);
  pcm.forEach((sample, i) => file.writeInt16LE(sample, 44 + 2 * i));
  return file;
}

describe('the sample programme', () => {
  const script: ScriptLine[] = [
    { speaker: 'anna', text: 'One.', pause: 500 },
    { speaker: 'ben', text: 'Two.', pause: 250 },
  ];
  const spoken = [Int16Array.from({ length: 1_600 }, () => 5_000), Int16Array.from({ length: 3_200 }, () => 6_000)];

  test('every sentence is heard exactly where the ground truth says', () => {
    const { pcm, sentences } = compose(script, spoken);
    expect(sentences).toEqual([
      { start: 1_000_000, end: 1_100_000, speaker: 'anna', text: 'One.' },
      { start: 1_600_000, end: 1_800_000, speaker: 'ben', text: 'Two.' },
    ]);
    for (const [i, { start, end }] of sentences.entries()) {
      const from = sampleIndex(seconds(start / 1e6), 16_000);
      const to = sampleIndex(seconds(end / 1e6), 16_000);
      expect(pcm.subarray(from, to)).toEqual(spoken[i]);
      expect(Math.abs(pcm[from - 1]!)).toBeLessThan(10);
      expect(Math.abs(pcm[to]!)).toBeLessThan(10);
    }
  });

  test('it lasts a whole number of seconds, so that it loops without a seam', () => {
    expect(compose(script, spoken).pcm.length % 16_000).toBe(0);
  });

  test('it is the same each time it is made', () => {
    expect(compose(script, spoken)).toEqual(compose(script, spoken));
  });

  test('silence around a sentence is cut, a margin is kept', () => {
    const pcm = new Int16Array(4_000);
    pcm.fill(1_000, 1_000, 2_000);
    expect(trimmed(pcm)).toEqual(pcm.subarray(840, 2_160));
    expect(trimmed(new Int16Array(10))).toHaveLength(0);
  });

  test('a voice at another rate is refused, not played at the wrong speed', () => {
    expect([...wavSamples(wav([1, -2, 3]))]).toEqual([1, -2, 3]);
    expect(() => wavSamples(wav([1], 8_000))).toThrow('it speaks at 8000 Hz, expected 16000');
  });

  test('a speaker’s lamp is lit while that speaker speaks', () => {
    const { sentences } = compose(script, spoken);
    expect(speaking(sentences, 'ben')).toBe('between(t,1.6,1.8)');
  });

  test('it has two speakers, sentences that fit a caption, and pauses a recogniser can cut at', () => {
    expect(new Set(SCRIPT.map((line) => line.speaker))).toEqual(new Set(Object.keys(SPEAKERS)));
    for (const { text, pause } of SCRIPT) {
      expect(text).toMatch(/^[A-Z][a-z, ]+[a-z]\.$|^[A-Z][A-Za-z, ]+\.$/);
      expect(text.split(' ').length).toBeLessThanOrEqual(10);
      expect(pause).toBeGreaterThanOrEqual(600);
      expect(pause).toBeLessThanOrEqual(1_200);
    }
  });
});
