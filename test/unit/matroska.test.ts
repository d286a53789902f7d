import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MatroskaReader } from '../../media/matroska.ts';

const bytes = (...parts: (number | number[] | Uint8Array)[]) =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...part])));
const id = (value: number) => {
  const digits = value.toString(16);
  return digits.match(/../g)!.map((pair) => Number.parseInt(pair, 16));
};
/** An element with its size in four bytes. */
const element = (name: number, ...body: (number | number[] | Uint8Array)[]) => {
  const content = bytes(...body);
  const size = content.length;
  return bytes(id(name), [0x10 | (size >> 24), (size >> 16) & 255, (size >> 8) & 255, size & 255], content);
};
/** An element whose end nobody knows yet, as a live stream's segment and clusters are. */
const open = (name: number) => bytes(id(name), [0x01, 255, 255, 255, 255, 255, 255, 255]);
const text = (value: string) => [...value].map((c) => c.charCodeAt(0));
const block = (name: number, track: number, at: number, flags: number, ...data: number[]) =>
  element(name, 0x80 | track, [(at >> 8) & 255, at & 255], flags, data);

const head = bytes(
  element(0x1a45dfa3, element(0x4282, text('matroska'))),
  open(0x18538067),
  element(0xec, new Uint8Array(50)),
  element(0x1549a966, element(0x2ad7b1, [0x0f, 0x42, 0x40])),
  element(
    0x1654ae6b,
    element(
      0xae,
      element(0xd7, 1),
      element(0x83, 1),
      element(0x86, text('V_MPEG4/ISO/AVC')),
      element(0x63a2, [1, 66, 0, 30]),
    ),
    element(0xae, element(0xd7, 2), element(0x83, 2), element(0x86, text('A_PCM/FLOAT/IEEE'))),
  ),
);
const stream = bytes(
  head,
  open(0x1f43b675),
  element(0xe7, [0x03, 0xe8]),
  block(0xa3, 1, 0, 0x80, 10, 11, 12),
  block(0xa3, 2, -3 & 0xffff, 0x80, 20),
  element(0xa0, block(0xa1, 1, 40, 0, 13), element(0xfb, 0xd8)),
  element(0xa0, block(0xa1, 1, 80, 0, 14)),
  open(0x1f43b675),
  element(0xe7, [0x07, 0xd0]),
  block(0xa3, 1, 0, 0, 15),
  block(0xa3, 7, 0, 0x80, 99),
);
const brief = (reader: MatroskaReader, input: Uint8Array) =>
  reader.push(input).map(({ track, start, keyFrame, data }) => [track.kind, start, keyFrame, ...data]);
const wanted = [
  ['video', 1_000_000, true, 10, 11, 12],
  ['audio', 997_000, true, 20],
  ['video', 1_040_000, false, 13],
  ['video', 1_080_000, true, 14],
  ['video', 2_000_000, false, 15],
];

test('a live stream gives its packets with track, time and key frames', () => {
  expect(brief(new MatroskaReader(), stream)).toEqual(wanted);
  const [packet] = new MatroskaReader().push(stream);
  expect(packet?.track).toEqual({
    number: 1,
    kind: 'video',
    codec: 'V_MPEG4/ISO/AVC',
    header: Uint8Array.of(1, 66, 0, 30),
  });
});

test('however a pipe cuts it, the same packets come, each as soon as it is whole', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40), { maxLength: 60, size: 'max' }), (cuts) => {
      const reader = new MatroskaReader();
      const heard: unknown[] = [];
      let at = 0;
      for (const cut of cuts) heard.push(...brief(reader, stream.subarray(at, (at += cut))));
      heard.push(...brief(reader, stream.subarray(at)));
      expect(heard).toEqual(wanted);
    }),
  );
  const reader = new MatroskaReader();
  const end = stream.length - 7 - 8;
  expect(brief(reader, stream.subarray(0, end - 1)).length).toBeLessThan(wanted.length);
});

test('a packet is its own memory', () => {
  const input = stream.slice();
  const [packet] = new MatroskaReader().push(input);
  input.fill(0);
  expect([...packet!.data]).toEqual([10, 11, 12]);
});

describe('what is no Matroska, or not what ffmpeg writes to a pipe, is said', () => {
  test.for([
    ['another format', Uint8Array.of(0x52, 0x49, 0x46, 0x46, 0, 0, 0, 0), 'does not start with EBML'],
    ['nonsense', Uint8Array.of(0, 1, 2), 'not a variable-size integer'],
    ['lacing', bytes(head, open(0x1f43b675), block(0xa3, 1, 0, 0x82, 1)), 'laced'],
    ['an absurd size', bytes(head, id(0xa3), [0x08, 0x7f, 0xff, 0xff, 0xff]), 'an element of'],
  ] as const)('%s', ([, input, message]) => {
    expect(() => new MatroskaReader().push(input)).toThrow(message);
  });
});
