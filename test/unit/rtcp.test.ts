import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type NtpTime,
  compactNtp,
  ntpFromParts,
  ntpFromUnix,
  ntpParts,
  parseRtcp,
  unixFromNtp,
  writePli,
  writeSenderReport,
} from '../../media/rtcp.ts';
import { isRtcp } from '../../media/rtp.ts';

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const word = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

test('a sender report and its description are read back, to the microsecond', () => {
  const state = fc.record({
    ssrc: uint32,
    ntp: fc.integer({ min: 0, max: 4_294_967_295_000_000 }).map((n) => n as NtpTime),
    rtp: uint32,
    packets: uint32,
    octets: uint32,
    cname: fc.string({ maxLength: 60 }),
  });
  fc.assert(
    fc.property(state, ({ cname, ...report }) => {
      const datagram = writeSenderReport({ ...report, cname });
      expect(isRtcp(datagram)).toBe(true);
      expect(datagram.length % 4).toBe(0);
      const well = Buffer.from(cname, 'utf8').toString('utf8');
      expect(parseRtcp(datagram)).toEqual([
        { type: 'sender-report', ...report, blocks: [] },
        { type: 'description', ssrc: report.ssrc, cname: well },
      ]);
    }),
  );
});

test('NTP time counts from 1900 in 2⁻³² s', () => {
  // RFC 5905 figure 4: the first day of Unix is 2 208 988 800 s after NTP's.
  expect(ntpParts(ntpFromUnix(500_000))).toEqual({ seconds: 2_208_988_800, fraction: 0x80000000 });
  expect(unixFromNtp(ntpFromParts(2_208_988_801, 0x40000000))).toBe(1_250_000);
  expect(compactNtp(ntpFromParts(0x00012345, 0x40000000))).toBe(0x23454000);
});

test('a receiver report says what was lost, also when duplicates make it negative', () => {
  const block = [...word(7), 64, 0xff, 0xff, 0xfe, ...word(0x10005), ...word(90), ...word(0x11112222), ...word(65_536)];
  expect(parseRtcp(Uint8Array.from([0x81, 201, 0, 7, ...word(1), ...block]))).toEqual([
    {
      type: 'receiver-report',
      ssrc: 1,
      blocks: [
        {
          ssrc: 7,
          fractionLost: 0.25,
          lost: -2,
          highestSequence: 0x10005,
          jitter: 90,
          lastReport: 0x11112222,
          sinceLastReport: 65_536,
        },
      ],
    },
  ]);
});

test('feedback in one datagram: picture loss, intra request, missing packets over a wrap, farewell', () => {
  const datagram = Buffer.concat([
    writePli(1, 2),
    Uint8Array.from([0x84, 206, 0, 4, ...word(1), ...word(0), ...word(2), 9, 0, 0, 0]),
    Uint8Array.from([0x81, 205, 0, 3, ...word(1), ...word(2), 0xff, 0xfe, 0x80, 0x03]),
    Uint8Array.from([0x81, 203, 0, 2, ...word(2), 3, 0x65, 0x6e, 0x64]),
  ]);
  expect(parseRtcp(datagram)).toEqual([
    { type: 'pli', ssrc: 1, media: 2 },
    { type: 'fir', ssrc: 1, requests: [{ ssrc: 2, sequence: 9 }] },
    { type: 'nack', ssrc: 1, media: 2, missing: [0xfffe, 0xffff, 0, 14] },
    { type: 'bye', ssrcs: [2], reason: 'end' },
  ]);
});

test('an unknown kind is skipped and what follows is read', () => {
  const unknown = Uint8Array.from([0x80, 207, 0, 1, 0, 0, 0, 1]);
  expect(parseRtcp(Buffer.concat([unknown, writePli(1, 2)]))).toEqual([{ type: 'pli', ssrc: 1, media: 2 }]);
});

test('descriptions of several sources in one packet, their names ending anywhere in a word', () => {
  const chunk = (ssrc: number, name: string) => {
    const item = [1, name.length, ...Buffer.from(name)];
    return [...word(ssrc), ...item, ...Array<number>(4 - (item.length % 4)).fill(0)];
  };
  const chunks = ['a', 'bc', 'def', 'ghij'].flatMap((name, i) => chunk(i, name));
  const read = parseRtcp(Uint8Array.from([0x84, 202, 0, chunks.length / 4, ...chunks]));
  expect(read.map((one) => one.type === 'description' && one.cname)).toEqual(['a', 'bc', 'def', 'ghij']);
});

test('no datagram makes the parser throw', () => {
  const type = fc.integer({ min: 198, max: 208 });
  const length = fc.integer({ min: 0, max: 12 });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 80, size: 'max' }), type, length, (bytes, kind, words) => {
      bytes.set([0x80 | (bytes[0]! & 0x3f), kind, 0, words]);
      expect(parseRtcp(bytes).length).toBeLessThan(32);
    }),
    { numRuns: 3_000 },
  );
});
