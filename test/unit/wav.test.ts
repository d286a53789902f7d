import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { createWav, decodeWav, encodeWav } from '../../media/wav.ts';

const pcm = Float32Array.of(0, 0.5, -0.5, 0.25, 1, -1);

test('float WAV comes back bit for bit, 16-bit WAV within half a step and a part in 32768', () => {
  expect(decodeWav(encodeWav(pcm, 48_000, 'f32'))).toEqual({ rate: 48_000, pcm });
  const { rate, pcm: heard } = decodeWav(encodeWav(pcm, 22_050));
  expect(rate).toBe(22_050);
  heard.forEach((x, i) => expect(Math.abs(x - pcm[i]!)).toBeLessThan(1.5 / 32_768));
});

test('what is louder than full scale is held there, not turned over', () => {
  const heard = decodeWav(encodeWav(Float32Array.of(1.5, -3), 8_000)).pcm;
  expect(heard[0]).toBeGreaterThan(0.99);
  expect(heard[1]).toBeLessThan(-0.99);
});

test('a WAV file cut short gives what is there; what is no WAV is refused with a sentence', () => {
  expect(decodeWav(encodeWav(pcm, 8_000).subarray(0, 50)).pcm).toHaveLength(3);
  expect(() => decodeWav(new TextEncoder().encode('hello, world'))).toThrow('does not start with RIFF');
  expect(() => decodeWav(encodeWav(pcm, 8_000).subarray(0, 30))).toThrow('has no samples');
  const wide = encodeWav(pcm, 8_000);
  wide[34] = 24;
  expect(() => decodeWav(wide)).toThrow('received format 1 with 24 bits');
});

test('a file written in pieces is the file written at once, and closing twice is closing once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'livedub-wav-'));
  const scope = new Scope('wav');
  try {
    const file = await createWav(join(folder, 'a.wav'), 48_000, scope);
    await file.write(pcm.subarray(0, 2));
    await file.write(pcm.subarray(2));
    expect(file.length).toBe(6);
    await file.close();
    await scope.close();
    expect(new Uint8Array(await readFile(file.path))).toEqual(encodeWav(pcm, 48_000));
  } finally {
    await rm(folder, { recursive: true });
  }
});
