import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type SampleFormat, SampleStream, bytesFrom, int16From, samplesFrom, viewBytes } from '../../media/bytes.ts';

/** The same bytes at an offset at which no Int16Array or Float32Array could lie. */
function shifted(bytes: Uint8Array, by: number): Uint8Array {
  const memory = new Uint8Array(bytes.length + by);
  memory.set(bytes, by);
  return memory.subarray(by);
}
const int16 = fc.integer({ min: -32_768, max: 32_767 });

test('16 bit samples survive the way to floats and back, from any byte offset', () => {
  fc.assert(
    fc.property(fc.array(int16), fc.integer({ min: 0, max: 7 }), (values, offset) => {
      const bytes = shifted(viewBytes(Int16Array.from(values)), offset);
      const pcm = samplesFrom(bytes, 's16le');
      expect([...int16From(pcm)]).toEqual(values);
      expect([...bytesFrom(pcm, 's16le')]).toEqual([...bytes]);
    }),
  );
});

test('float samples survive bit for bit, from any byte offset', () => {
  fc.assert(
    fc.property(fc.float32Array({ noNaN: true }), fc.integer({ min: 0, max: 7 }), (pcm, offset) => {
      expect(samplesFrom(shifted(bytesFrom(pcm, 'f32le'), offset), 'f32le')).toEqual(pcm);
    }),
  );
});

test('a stream cut anywhere gives the samples of the whole', () => {
  const format = fc.constantFrom<SampleFormat>('s16le', 'f32le');
  fc.assert(
    fc.property(format, fc.array(int16), fc.array(fc.integer({ min: 0, max: 9 })), (kind, values, sizes) => {
      const pcm = Float32Array.from(values, (value) => value / 32_768);
      const bytes = bytesFrom(pcm, kind);
      const stream = new SampleStream(kind);
      const out: number[] = [];
      let at = 0;
      for (const size of [...sizes, bytes.length]) {
        out.push(...stream.push(bytes.subarray(at, at + size)));
        at = Math.min(bytes.length, at + size);
      }
      expect(out).toEqual([...pcm]);
      expect(stream.unfinished).toBe(0);
    }),
  );
});

test('half a sample is refused with what was received', () => {
  expect(() => samplesFrom(new Uint8Array(5), 'f32le')).toThrow('expected a multiple of 4 bytes, received 5');
});

test('what exceeds full scale is clipped, not wrapped', () => {
  expect([...int16From(Float32Array.of(1, 1.5, -1, -7))]).toEqual([32_767, 32_767, -32_768, -32_768]);
});
