import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isRtcp, parseRtp, writeRtp } from '../../media/rtp.ts';

const packet = fc.record({
  payloadType: fc.integer({ min: 0, max: 127 }),
  marker: fc.boolean(),
  sequence: fc.integer({ min: 0, max: 0xffff }),
  timestamp: fc.integer({ min: 0, max: 0xffffffff }),
  ssrc: fc.integer({ min: 0, max: 0xffffffff }),
  payload: fc.uint8Array({ maxLength: 1_200, size: 'max' }),
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(packet, (written) => {
      const read = parseRtp(writeRtp(written))!;
      expect({ ...read, payload: [...read.payload] }).toEqual({ ...written, payload: [...written.payload] });
    }),
  );
});

test('CSRCs, header extension and padding are left out of the payload', () => {
  const datagram = Uint8Array.from([
    ...[0x80 | 0x20 | 0x10 | 2, 0x80 | 111, 0x12, 0x34, 0, 0, 0, 9, 0, 0, 0, 7],
    ...[1, 1, 1, 1, 2, 2, 2, 2],
    ...[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0],
    ...[5, 6, 7],
    ...[0, 0, 3],
  ]);
  const read = parseRtp(datagram)!;
  expect(read).toMatchObject({ payloadType: 111, marker: true, sequence: 0x1234, timestamp: 9, ssrc: 7 });
  expect([...read.payload]).toEqual([5, 6, 7]);
  expect(read.payload.buffer).toBe(datagram.buffer);
});

test.for([
  ['too short', [0x80, 0, 0, 0]],
  ['another version', [0x40, ...Array<number>(19).fill(0)]],
  ['more CSRCs than bytes', [0x8f, ...Array<number>(19).fill(0)]],
  ['an extension that ends behind the datagram', [0x90, ...Array<number>(11).fill(0), 0, 0, 0xff, 0xff]],
  ['padding of nothing', [0xa0, ...Array<number>(12).fill(0)]],
  ['more padding than payload', [0xa0, ...Array<number>(11).fill(0), 0, 9]],
] as const)('%s is no RTP', ([, bytes]) => {
  expect(parseRtp(Uint8Array.from(bytes))).toBeUndefined();
});

test('no datagram makes the parser throw or reach outside it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64, size: 'max' }), fc.boolean(), (bytes, versionTwo) => {
      if (versionTwo && bytes.length > 0) bytes[0] = 0x80 | (bytes[0]! & 0x3f);
      const read = parseRtp(bytes);
      expect(read?.payload.byteLength ?? 0).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: 2_000 },
  );
});

test('RTCP is told from RTP on one port', () => {
  expect(isRtcp(Uint8Array.of(0x80, 200, 0, 6))).toBe(true);
  expect(isRtcp(Uint8Array.of(0x81, 206, 0, 2))).toBe(true);
  expect(isRtcp(Uint8Array.of(0x80, 111, 0, 6))).toBe(false);
  expect(isRtcp(Uint8Array.of(0x80, 0x80 | 111, 0, 6))).toBe(false);
  expect(isRtcp(Uint8Array.of(0x16, 200, 0, 6))).toBe(false);
  expect(isRtcp(new Uint8Array(0))).toBe(false);
});
