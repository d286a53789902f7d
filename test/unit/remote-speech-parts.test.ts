import { describe, expect, test } from 'vitest';
import { encodeWav } from '../../media/wav.ts';
import { PcmStream } from '../../models/speak/pcm-stream.ts';
import { excerpt } from '../../models/speak/reference-audio.ts';
import { SpokenWords } from '../../models/speak/spoken-words.ts';
import type { SpeakerId } from '../../pipeline/domain.ts';

const ramp = Float32Array.from({ length: 1_000 }, (_, n) => n / 32_768);
const raw = encodeWav(ramp, 16_000).subarray(44);
function read(bytes: Uint8Array, size: number, rate = 24_000) {
  const stream = new PcmStream({ rate, format: 's16le' });
  const pcm: number[] = [];
  for (let at = 0; at < bytes.length; at += size) pcm.push(...stream.push(bytes.subarray(at, at + size)));
  pcm.push(...stream.end());
  return { pcm, rate: stream.rate };
}

describe('samples that come in pieces', () => {
  test.for([1, 3, 11, 45, 5_000])('are read whatever the pieces, raw or as WAV (%i bytes)', (size) => {
    expect(read(raw, size)).toEqual({ pcm: [...ramp], rate: 24_000 });
    expect(read(encodeWav(ramp, 22_050), size)).toEqual({ pcm: [...ramp], rate: 22_050 });
    expect(read(encodeWav(ramp, 48_000, 'f32'), size)).toEqual({ pcm: [...ramp], rate: 48_000 });
  });
  test.for([0, 0xffff_ffff])('are all read though the header claims a length of %i', (claimed) => {
    const file = encodeWav(ramp, 44_100);
    new DataView(file.buffer).setUint32(40, claimed, true);
    expect(read(file, 100).pcm).toEqual([...ramp]);
  });
  test('end where the header truly says, whatever follows', () => {
    const file = new Uint8Array([...encodeWav(ramp, 16_000), ...new TextEncoder().encode('LIST\x04\0\0\0abcd')]);
    expect(read(file, 33).pcm).toEqual([...ramp]);
  });
  test('of two channels become one', () => {
    const file = encodeWav(Float32Array.of(0.5, 0, 0.25, 0.25), 16_000);
    new DataView(file.buffer).setUint16(22, 2, true);
    expect(read(file, 7).pcm).toEqual([0.25, 0.25]);
  });
  test('that are shorter than a header are read at the end', () => {
    expect(read(raw.subarray(0, 7), 2).pcm).toEqual([...ramp.subarray(0, 3)]);
  });
  test.for([
    ['ID3\x04 an MP3 file', /begin like/],
    ['<html><body>hotel', /begin like/],
    ['{"error":"no such voice"}', /begin like/],
  ] as const)('are no samples: %s', ([text, message]) => {
    expect(() => read(new TextEncoder().encode(text), 100)).toThrow(message);
  });
  test('at a rate nobody can play, of other formats and of no numbers are refused', () => {
    expect(() => read(encodeWav(ramp, 11_025), 100)).toThrow(/11025 Hz/);
    const file = encodeWav(ramp, 16_000);
    new DataView(file.buffer).setUint16(34, 24, true);
    expect(() => read(file, 100)).toThrow(/24 bits/);
    expect(() => read(encodeWav(Float32Array.of(1, NaN), 16_000, 'f32'), 100)).toThrow(/no numbers/);
  });
});

describe('words out of timed characters', () => {
  const said = (text: string, size: number, relative: boolean) => {
    const words = new SpokenWords();
    const all = [...text];
    const out: unknown[] = [];
    for (let at = 0; at < all.length; at += size) {
      const part = all.slice(at, at + size);
      out.push(
        ...words.hear(
          part,
          part.map((_, n) => (relative ? n : at + n) * 0.1),
          at * 0.1,
        ),
      );
    }
    return [...out, ...words.end()] as { text: string; start: number }[];
  };
  test.for([1, 4, 6, 100])('start with their first character, wherever pieces end (%i characters)', (size) => {
    for (const relative of [true, false]) {
      const words = said('«Ja», sagte sie – und ging.', size, relative);
      expect(words.map(({ text }) => text)).toEqual(['Ja', 'sagte', 'sie', 'und', 'ging']);
      const starts = [0, 6, 12, 18, 22].map((n) => n / 10);
      for (const [n, { start }] of words.entries()) expect(start).toBeCloseTo(starts[n]!, 6);
    }
  });
  test('never go back in time', () => {
    const words = new SpokenWords();
    const out = [...words.hear(['a', ' ', 'b'], [0.5, 0.1, 0.2], 0), ...words.end()];
    expect(out).toEqual([
      { text: 'a', start: 0.5 },
      { text: 'b', start: 0.5 },
    ]);
  });
});

test('a reference that is too long is cut where it is quietest, and so are its words', () => {
  const pcm = new Float32Array(24_000 * 20).fill(0.5);
  pcm.fill(0, 24_000 * 9, 24_000 * 9.1);
  const reference = {
    id: 'r',
    speaker: 's1' as SpeakerId,
    rate: 24_000 as const,
    pcm,
    text: 'one two three four five six',
  };
  const short = excerpt(reference, 10);
  expect(short.whole).toBe(false);
  expect(short.pcm.length / 24_000).toBeCloseTo(9, 1);
  expect(short.text).toBe('one two three');
  expect(excerpt(reference, 30)).toMatchObject({ whole: true, text: reference.text });
});
