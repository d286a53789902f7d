import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseRtp, writeRtp } from '../../media/rtp.ts';
import { Splice } from '../../gateway/whip/splice.ts';

/** Opus: a packet of 20 ms. */
const STEP = 960;
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const out = fc.record({ ssrc: uint32, payloadType: fc.integer({ min: 0, max: 127 }), base: uint32 });
/** A language: where its numbers begin, what it has lost on the way, which neighbours change places, how far it is behind. */
const source = fc.record({
  sequence: uint16,
  base: uint32,
  ssrc: uint32,
  lost: fc.uniqueArray(fc.nat(29), { maxLength: 8 }),
  swapped: fc.uniqueArray(fc.nat(28), { maxLength: 4 }),
  lag: fc.nat(6),
});
type Source = typeof source extends fc.Arbitrary<infer T> ? T : never;

/** The n-th packet of media time as a source has it; the payload says whose it is. */
const packet = ({ sequence, base, ssrc }: Pick<Source, 'sequence' | 'base' | 'ssrc'>, n: number, who: number) =>
  Buffer.from(
    writeRtp({
      payloadType: 100,
      marker: n % 7 === 0,
      sequence: (sequence + n) & 0xffff,
      timestamp: (base + n * STEP) >>> 0,
      ssrc,
      payload: Uint8Array.of(who, n & 0xff, n >> 8),
    }),
  );
/** Which packets of `count` arrive, in which order. */
function arrivals({ lost, swapped }: Source, from: number, count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i).filter((i) => !lost.includes(i));
  for (const i of swapped) {
    const [a, b] = [order[i], order[i + 1]];
    if (a !== undefined && b !== undefined) [order[i], order[i + 1]] = [b, a];
  }
  return order.map((i) => from + i);
}
const ahead = (a: number, b: number) => ((a - b) << 16) >> 16;
const later = (a: number, b: number) => (a - b) | 0;

test('languages that follow one another are one stream: one SSRC, one payload type, media time, every number once', () => {
  fc.assert(
    fc.property(
      out,
      fc.array(source, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 10, max: 0xffff }),
      (joined, sources, start) => {
        const splice = new Splice(joined);
        const sent: { sequence: number; timestamp: number; who: number; n: number }[] = [];
        for (const [who, each] of sources.entries()) {
          splice.cut(each.base);
          for (const n of arrivals(each, start + who * 30 - each.lag, 30)) {
            const spliced = splice.push(packet(each, n, who));
            if (!spliced) continue;
            const { payload, marker, ...header } = parseRtp(spliced)!;
            expect(header).toMatchObject({ ssrc: joined.ssrc, payloadType: joined.payloadType });
            expect(header.timestamp).toBe((joined.base + n * STEP) >>> 0);
            expect(marker).toBe(n % 7 === 0);
            expect(payload[0]).toBe(who);
            sent.push({ ...header, who, n });
          }
        }
        expect(new Set(sent.map(({ sequence }) => sequence)).size).toBe(sent.length);
        // In the order of their numbers no packet is earlier than the one before, and sources do not mix.
        const [first] = sent;
        const ordered = sent.toSorted(
          (a, b) => ahead(a.sequence, first!.sequence) - ahead(b.sequence, first!.sequence),
        );
        for (const [i, each] of ordered.entries()) {
          const before = ordered[i - 1];
          if (!before) continue;
          expect(later(each.timestamp, before.timestamp)).toBeGreaterThan(0);
          expect(each.who).toBeGreaterThanOrEqual(before.who);
          // A gap is what the source itself lost; where it changes there is none.
          const gap = ahead(each.sequence, before.sequence);
          expect(gap).toBe(each.who === before.who ? each.n - before.n : 1);
        }
      },
    ),
    { endOnFailure: true },
  );
});

test('sequence numbers and time stamps come round in the middle of a language and at the change', () => {
  const joined = { ssrc: 9, payloadType: 111, base: 0xffff_ffff - 5 * STEP };
  const splice = new Splice(joined);
  const spanish = { sequence: 0xfffd, base: 0xffff_fff0, ssrc: 1 };
  const german = { sequence: 0xffff, base: 3, ssrc: 2 };
  splice.cut(spanish.base);
  const before = [0, 1, 2, 3, 4].map((n) => parseRtp(splice.push(packet(spanish, n, 0))!)!);
  expect(before.map(({ sequence }) => sequence)).toEqual([0xfffd, 0xfffe, 0xffff, 0, 1]);
  splice.cut(german.base);
  const after = [5, 6, 7].map((n) => parseRtp(splice.push(packet(german, n, 1))!)!);
  expect(after.map(({ sequence }) => sequence)).toEqual([2, 3, 4]);
  expect(after.map(({ timestamp }) => timestamp)).toEqual([0xffff_ffff, STEP - 1, 2 * STEP - 1]);
});

test('what was heard in one language is not heard again in the next, which lags behind', () => {
  const splice = new Splice({ ssrc: 9, payloadType: 111, base: 77 });
  const [spanish, german] = [
    { sequence: 10, base: 0, ssrc: 1 },
    { sequence: 500, base: 1_000, ssrc: 2 },
  ];
  splice.cut(spanish.base);
  for (const n of [100, 101, 102]) splice.push(packet(spanish, n, 0));
  splice.cut(german.base);
  const heard = [101, 102, 103, 104].map((n) => splice.push(packet(german, n, 1)));
  expect(heard.map((each) => each && parseRtp(each)!.sequence)).toEqual([undefined, undefined, 113, 114]);
});

test('a source that is far behind, since its session began anew, is heard', () => {
  const splice = new Splice({ ssrc: 9, payloadType: 111, base: 0 });
  splice.cut(0);
  splice.push(packet({ sequence: 10, base: 0, ssrc: 1 }, 5_000, 0));
  splice.cut(0);
  expect(splice.push(packet({ sequence: 10, base: 0, ssrc: 1 }, 0, 1))).toBeDefined();
});

test('a late packet from before the change is not sent into the next language', () => {
  const splice = new Splice({ ssrc: 9, payloadType: 111, base: 0 });
  const german = { sequence: 500, base: 0, ssrc: 2 };
  splice.cut(0);
  splice.push(packet({ sequence: 10, base: 0, ssrc: 1 }, 0, 0));
  splice.cut(0);
  expect(splice.push(packet(german, 3, 1))).toBeDefined();
  expect(splice.push(packet(german, 2, 1))).toBeUndefined();
  expect(parseRtp(splice.push(packet(german, 4, 1))!)!.sequence).toBe(12);
});

test('a language that is on for more than a round of numbers is heard all the while', () => {
  const splice = new Splice({ ssrc: 9, payloadType: 111, base: 0 });
  splice.cut(0);
  splice.push(packet({ sequence: 1, base: 0, ssrc: 1 }, 0, 0));
  splice.cut(0);
  const wrong: number[] = [];
  for (let n = 1; n < 150_000; n += 1)
    if (splice.push(packet({ sequence: 7, base: 0, ssrc: 2 }, n, 1))?.readUInt16BE(2) !== ((n + 1) & 0xffff))
      wrong.push(n);
  expect(wrong).toEqual([]);
});

test('nothing is sent before a source is chosen, nor of what is no RTP packet', () => {
  const splice = new Splice({ ssrc: 9, payloadType: 111, base: 0 });
  expect(splice.push(packet({ sequence: 1, base: 0, ssrc: 1 }, 0, 0))).toBeUndefined();
  splice.cut(0);
  expect(splice.push(Buffer.alloc(11))).toBeUndefined();
});
