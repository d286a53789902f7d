import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChunkReader } from '../../gateway/rtmp/chunk-reader.ts';
import { ChunkWriter } from '../../gateway/rtmp/chunk-writer.ts';
import { type RtmpMessage, TYPE, uint32 } from '../../gateway/rtmp/message.ts';
import { RtmpError } from '../../gateway/rtmp/rtmp-error.ts';

const LIMITS = { media: 100_000, command: 10_000, streams: 8, unfinished: 150_000 };
const read = (reader: ChunkReader, ...pieces: readonly Buffer[]): RtmpMessage[] =>
  pieces.flatMap((piece) => [...reader.push(piece)]);
const hex = (...parts: readonly string[]) => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');
/** Bytes in pieces, cut at these places. */
const cut = (bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const places = [...new Set(cuts.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, n) => bytes.subarray(from, places[n] ?? bytes.length));
};

const message = fc.record({
  type: fc.constantFrom(TYPE.audio, TYPE.video, TYPE.data, TYPE.command, TYPE.acknowledgement),
  timestamp: fc.oneof(fc.nat(100_000), fc.constantFrom(0xfffffe, 0xffffff, 0x1000000, 0xffffffff)),
  stream: fc.nat(3),
  payload: fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
});

test('messages come out as they went in, whatever the chunk size and however the bytes are cut', () => {
  const input = fc.array(fc.record({ message, chunkSize: fc.option(fc.integer({ min: 128, max: 700 })) }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(input, fc.array(fc.nat(), { maxLength: 20 }), (steps, cuts) => {
      const writer = new ChunkWriter();
      const bytes = steps.flatMap((step) => [
        ...(step.chunkSize === null ? [] : [writer.setChunkSize(step.chunkSize)]),
        writer.message(step.message),
      ]);
      const reader = new ChunkReader(LIMITS);
      expect(read(reader, ...cut(Buffer.concat(bytes), cuts))).toEqual(steps.map((step) => step.message));
      expect(reader.unfinished).toBe(0);
    }),
    { endOnFailure: true },
  );
});

test('headers of every format build on the one before: the specification’s examples', () => {
  // RTMP 1.0 §5.3.2.1: four sounds of 32 bytes, 20 ms apart, on chunk stream 3.
  const sound = 'aa'.repeat(32);
  const bytes = hex(
    ...['03 0003e8 000020 08 39300000', sound], // format 0: 1000 ms, stream 12345
    ...['83 000014', sound], // format 2: 20 ms later
    ...['c3', sound, 'c3', sound], // format 3: the same again
  );
  expect(read(new ChunkReader(), bytes).map(({ timestamp, stream }) => [timestamp, stream])).toEqual([
    [1_000, 12_345],
    [1_020, 12_345],
    [1_040, 12_345],
    [1_060, 12_345],
  ]);
  // §5.3.2.2: a picture of 307 bytes in three chunks of 128 and less.
  const picture = hex('04 0003e8 000133 09 3a300000', 'bb'.repeat(128), 'c4', 'bb'.repeat(128), 'c4', 'bb'.repeat(51));
  expect(read(new ChunkReader(), picture)).toEqual([
    { type: 9, timestamp: 1_000, stream: 12_346, payload: Buffer.alloc(307, 0xbb) },
  ]);
});

test('a format 1 header changes length and type and keeps the stream', () => {
  const bytes = hex('04 00000a 000001 08 01000000 aa', '44 000005 000002 09 bbbb');
  expect(read(new ChunkReader(), bytes).map(({ payload, ...rest }) => ({ ...rest, size: payload.length }))).toEqual([
    { type: 8, timestamp: 10, stream: 1, size: 1 },
    { type: 9, timestamp: 15, stream: 1, size: 2 },
  ]);
});

test('chunks of several messages may alternate', () => {
  const bytes = hex(
    ...['06 000000 0000c8 09 01000000', 'bb'.repeat(128)],
    ...['04 000000 000002 08 01000000', 'aaaa'],
    ...['c6', 'bb'.repeat(72)],
  );
  expect(read(new ChunkReader(), bytes).map(({ type, payload }) => [type, payload.length])).toEqual([
    [8, 2],
    [9, 200],
  ]);
});

test('chunk streams from 64 on have ids of two and three bytes', () => {
  const bytes = hex(
    '00 00 000000 000001 08 00000000 aa',
    '01 0001 000000 000001 08 00000000 bb',
    'c000 cc',
    'c10001 dd',
  );
  expect(read(new ChunkReader(), bytes).map(({ payload }) => payload[0])).toEqual([0xaa, 0xbb, 0xcc, 0xdd]);
});

test('time stamps beyond 24 bits are in every chunk, differences too, and they wrap', () => {
  const bytes = hex(
    ...['04 ffffff 000081 08 01000000 fffffff0', 'aa'.repeat(128), 'c4 fffffff0 aa'],
    ...['44 ffffff 000001 08 01000000 aa'], // 2^24 later
    ...['84 000010 aa'],
  );
  expect(read(new ChunkReader(), bytes).map(({ timestamp }) => timestamp)).toEqual([
    0xfffffff0, 0x00fffff0, 0x01000000,
  ]);
});

test('an aborted message is forgotten, and its chunk stream goes on', () => {
  const writer = new ChunkWriter();
  const abort = writer.message({ type: TYPE.abort, timestamp: 0, stream: 0, payload: uint32(6) });
  const reader = new ChunkReader();
  const begun = hex('06 000000 0000c8 09 01000000', 'bb'.repeat(128));
  expect(read(reader, begun, abort)).toEqual([]);
  expect(reader.unfinished).toBe(0);
  expect(read(reader, hex('06 000005 000001 09 01000000 cc')).map(({ payload }) => payload[0])).toEqual([0xcc]);
});

test.for([
  ['a chunk that continues nothing', hex('c3')],
  ['a message within a message', hex('06 000000 0000c8 09 01000000', 'bb'.repeat(128), '06 000000 000001 09 01000000')],
  ['a picture of 15 MB', hex('06 000000 f00000 09 01000000')],
  ['a command of 20 KB', hex('03 000000 005000 14 00000000')],
  ['a chunk size of 0', hex('02 000000 000004 01 00000000 00000000')],
  ['a chunk size of 2³¹', hex('02 000000 000004 01 00000000 80000000')],
  ['a control message of two bytes', hex('02 000000 000002 01 00000000 0000')],
  [
    'nine chunk streams',
    Buffer.concat(Array.from({ length: 9 }, (_, n) => hex(`0${(n + 3).toString(16)} 000000 000000 08 00000000`))),
  ],
] as const)('%s ends the connection', ([, bytes]) => {
  expect(() => read(new ChunkReader(LIMITS), bytes)).toThrow(RtmpError);
});

test('memory is taken for what has come, not for what was announced, and only so much', () => {
  const reader = new ChunkReader(LIMITS);
  const chunk = 'bb'.repeat(128);
  for (let id = 3; id < 9; id += 1) read(reader, hex(`0${id} 000000 018000 09 01000000`, chunk)); // 98 kB each
  expect(reader.unfinished).toBe(6 * 16_384);
  expect(() => {
    for (let n = 0; n < 600; n += 1) for (let id = 3; id < 9; id += 1) read(reader, hex(`c${id}`, chunk));
  }).toThrow('Too many messages at once');
});

test('whatever bytes come, in whatever pieces, they are the same messages or the same end', () => {
  const header = fc.constantFrom('03', '04', '06', '43', '44', '83', '84', 'c3', 'c4', '02', '00', '01', 'ff');
  const piece = fc.oneof(
    header.map((text) => hex(text)),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    message.map((each) => new ChunkWriter().message(each)),
    fc.constant(hex('02 000000 000004 01 00000000 00000100')),
  );
  const outcome = (pieces: readonly Buffer[]) => {
    const reader = new ChunkReader(LIMITS);
    const messages: RtmpMessage[] = [];
    try {
      for (const bytes of pieces) for (const each of reader.push(bytes)) messages.push(each);
      expect(reader.unfinished).toBeLessThanOrEqual(LIMITS.unfinished);
      return { messages, end: 'open' };
    } catch (failure) {
      expect(failure).toBeInstanceOf(RtmpError);
      return { messages, end: (failure as Error).message };
    }
  };
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 12 }), (pieces, cuts) => {
      const bytes = Buffer.concat(pieces);
      expect(outcome(cut(bytes, cuts))).toEqual(outcome([bytes]));
    }),
    { endOnFailure: true },
  );
});
