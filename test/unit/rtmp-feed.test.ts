import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeAmf0 } from '../../gateway/rtmp/amf0.ts';
import { type FlvTag, TAG, foreignCodec, isOtherTrack, roleOf } from '../../gateway/rtmp/flv.ts';
import { FlvFeed, TagMemory } from '../../gateway/rtmp/flv-feed.ts';
import { StreamKeys, keysIn, newStreamKey, rtmpUrl } from '../../gateway/rtmp/stream-key.ts';
import { TagQueue } from '../../gateway/rtmp/tag-queue.ts';
import { Feed } from '../../gateway/session/feed.ts';
import { Scope } from '../../media/scope.ts';

const META: FlvTag = {
  type: TAG.script,
  timestamp: 0,
  body: encodeAmf0('onMetaData', { videocodecid: 7, audiocodecid: 10 }),
};
const AVC: FlvTag = { type: TAG.video, timestamp: 0, body: Buffer.of(0x17, 0, 0, 0, 0) };
const AAC: FlvTag = { type: TAG.audio, timestamp: 0, body: Buffer.of(0xaf, 0, 0x12) };
const key = (timestamp: number, size = 100): FlvTag => picture(timestamp, size, 0x17);
const picture = (timestamp: number, size = 100, first = 0x27): FlvTag => {
  const body = Buffer.alloc(size);
  Buffer.of(first, 1).copy(body);
  return { type: TAG.video, timestamp, body };
};
const sound = (timestamp: number): FlvTag => ({ type: TAG.audio, timestamp, body: Buffer.of(0xaf, 1, 0) });

/** Roles and times of FLV. */
function told(feed: FlvFeed): string[] {
  const parts: Buffer[] = [];
  for (let part = feed.take(); part; part = feed.take()) parts.push(part);
  const flv = Buffer.concat(parts);
  const lines: string[] = flv.length > 0 ? [`FLV ${flv[4]}`] : [];
  for (let at = 13; at < flv.length;) {
    const size = flv.readUIntBE(at + 1, 3);
    const time = flv.readUIntBE(at + 4, 3) + flv.readUInt8(at + 7) * 2 ** 24;
    const tag: FlvTag = {
      type: flv.readUInt8(at) as FlvTag['type'],
      timestamp: time,
      body: flv.subarray(at + 11, at + 11 + size),
    };
    lines.push(`${roleOf(tag)} ${time}`);
    expect(flv.readUInt32BE(at + 11 + size)).toBe(11 + size);
    at += 15 + size;
  }
  return lines;
}
const put = (memory: TagMemory, feeds: readonly FlvFeed[], ...tags: readonly FlvTag[]) => {
  for (const tag of tags) {
    memory.put(tag);
    for (const feed of feeds) feed.put(tag);
  }
};

test('a reader that is there first gets everything from the first sound on', () => {
  const memory = new TagMemory();
  const feed = new FlvFeed(memory);
  put(memory, [feed], META, AVC, AAC, sound(0), key(0), sound(23), picture(40));
  expect(told(feed)).toEqual([
    ...['FLV 5', 'metadata 0', 'video header 0', 'audio header 0'],
    ...['audio 0', 'key frame 0', 'audio 23', 'picture 40'],
  ]);
});

test('a reader that joins gets what is remembered, at the time of the next key frame, and begins with it', () => {
  const memory = new TagMemory();
  put(memory, [], META, AVC, AAC, key(0), sound(10));
  const late = new FlvFeed(memory);
  put(memory, [late], picture(20_000_000), sound(20_000_010), key(20_000_040), sound(20_000_050));
  expect(told(late)).toEqual([
    ...['FLV 5', 'metadata 20000040', 'video header 20000040', 'audio header 20000040'],
    ...['key frame 20000040', 'audio 20000050'],
  ]);
});

test('sound alone needs no key frame, and sound whose pictures stay away does not wait for ever', () => {
  const memory = new TagMemory();
  put(memory, [], { ...META, body: encodeAmf0('onMetaData', { audiocodecid: 10 }) }, AAC, sound(0));
  const late = new FlvFeed(memory);
  put(memory, [late], sound(23));
  expect(told(late)).toEqual(['FLV 4', 'metadata 23', 'audio header 23', 'audio 23']);

  put(memory, [], AVC, key(40));
  const later = new FlvFeed(memory);
  put(memory, [later], sound(50), sound(10_050));
  expect(told(later)).toEqual([]);
  put(memory, [later], sound(10_051), picture(10_060), key(10_100));
  expect(told(later).slice(4)).toEqual(['audio 10051', 'key frame 10100']);
});

test('a queue that is too full loses its oldest group, with its sound, and keeps new headers', () => {
  const queue = new TagQueue({ bytes: 1_000, span: 60_000 });
  for (const tag of [key(0, 300), sound(10), AVC, picture(20, 300), key(40, 200), sound(50), key(60, 300)])
    queue.put(tag);
  const left: FlvTag[] = [];
  for (let tag = queue.take(); tag; tag = queue.take()) left.push(tag);
  expect(left.map(roleOf)).toEqual(['video header', 'key frame', 'audio', 'key frame']);
  expect(queue.dropped).toEqual({ groups: 1, tags: 3 });
  expect(queue.bytes).toBe(0);
});

test('a group that is too long is lost as a whole, and pictures wait for the next', () => {
  const queue = new TagQueue({ bytes: 1_000, span: 60_000 });
  for (const tag of [key(0, 500), picture(40, 600), picture(80), sound(90), key(120)]) queue.put(tag);
  expect([queue.take(), queue.take(), queue.take()]).toEqual([sound(90), key(120), undefined]);
  expect(queue.dropped.tags).toBe(3);
});

test('what is too old is lost too, even where the clock of 32 bits wraps', () => {
  const queue = new TagQueue({ bytes: 1e6, span: 1_000 });
  for (const tag of [key(0xfffffe00), key(0xffffff00), key(300)]) queue.put(tag);
  expect(queue.dropped.groups).toBe(0);
  queue.put(key(500));
  expect(queue.take()).toEqual(key(0xffffff00));
});

test('whatever comes and however it is taken, a queue stays within its limits and every gap ends in a key frame', () => {
  const step = fc.record({
    tag: fc.constantFrom('key', 'picture', 'sound', 'header'),
    size: fc.integer({ min: 5, max: 400 }),
    take: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const queue = new TagQueue({ bytes: 1_500, span: 400 });
      let [last, headers, taken] = [undefined as number | undefined, 0, 0];
      let pictures = -1;
      const numbers = new Map<FlvTag, number>();
      steps.forEach(({ tag, size, take }, n) => {
        const made =
          tag === 'key'
            ? key(10 * n, size)
            : tag === 'picture'
              ? picture(10 * n, size)
              : tag === 'sound'
                ? sound(10 * n)
                : { ...AVC };
        if (tag === 'key' || tag === 'picture') numbers.set(made, (pictures += 1));
        if (tag === 'header') headers += 1;
        queue.put(made);
        expect(queue.bytes).toBeLessThanOrEqual(1_500 + 20 * headers);
        for (let each = 0; each < take; each += 1) {
          const out = queue.take();
          if (!out) break;
          taken += 1;
          if (out.body[1] === 0) headers -= 1;
          const number = numbers.get(out);
          if (number === undefined) continue;
          if (number !== (last ?? -1) + 1) expect(roleOf(out)).toBe('key frame');
          last = number;
        }
      });
      expect(taken + queue.size + queue.dropped.tags).toBe(steps.length);
    }),
    { endOnFailure: true },
  );
});

test.for([
  [TAG.video, '\x90hvc1', 'HEVC (H.265) by Enhanced RTMP'],
  [TAG.video, '\x91av01', 'AV1 by Enhanced RTMP'],
  [TAG.video, '\x80vp09', 'VP9 by Enhanced RTMP'],
  [TAG.video, '\x90', 'a codec not known here by Enhanced RTMP'],
  [TAG.video, '\x1c\x01', 'HEVC (H.265)'],
  [TAG.audio, '\x90Opus', 'Opus by Enhanced RTMP'],
  [TAG.video, '\x17\x01', undefined],
  [TAG.audio, '\xaf\x01', undefined],
  [TAG.script, '\x90', undefined],
] as const)('a tag of type %i that begins with %j holds %s', ([type, text, codec]) => {
  expect(foreignCodec({ type, timestamp: 0, body: Buffer.from(text, 'latin1') })).toBe(codec);
});

test.for([
  ['sound of the second track', TAG.audio, '\x95\x01mp4a\x01rest', true],
  ['sound of the first track', TAG.audio, '\x95\x01mp4a\x00rest', false],
  ['sound of many tracks at once', TAG.audio, '\x95\x11mp4a\x01rest', false],
  ['sound by Enhanced RTMP', TAG.audio, '\x91Opus\x01\x01', false],
  ['AAC', TAG.audio, '\xaf\x01\x00\x00\x00\x00\x01', false],
  ['a picture of the third track', TAG.video, '\x96\x01avc1\x02rest', true],
  ['HEVC of the first track', TAG.video, '\x91hvc1\x00\x00\x01', false],
  ['AVC', TAG.video, '\x17\x01\x00\x00\x00\x00\x01', false],
  ['nothing', TAG.video, '', false],
] as const)('%s', ([, type, text, other]) => {
  expect(isOtherTrack({ type, timestamp: 0, body: Buffer.from(text, 'latin1') })).toBe(other);
});

test('an end of sequence is no key frame', () => {
  expect(roleOf({ type: TAG.video, timestamp: 0, body: Buffer.of(0x17, 2, 0, 0, 0) })).toBe('picture');
});

test.for([
  ['live', 'KEY', ['KEY']],
  ['live', 'KEY?x=1', ['KEY']],
  ['live', 'stream?key=KEY', ['KEY', 'stream']],
  ['live?key=KEY', 'x', ['KEY', 'x']],
  ['live/KEY', '', ['KEY']],
  ['live', 'more/KEY', ['more/KEY', 'KEY']],
] as const)('in app %s and name %s these are looked up: %j', ([app, name, keys]) => {
  expect(keysIn(app, name).filter((each) => each !== 'live')).toEqual(keys);
});

test('a key belongs to one session until it is given back', () => {
  const keys = new StreamKeys<string>();
  const remove = keys.add('one', 'first');
  expect(keys.add('one', 'second')).toBeUndefined();
  expect([keys.find('one'), keys.find('on'), keys.find('')]).toEqual(['first', undefined, undefined]);
  remove?.();
  expect(keys.find('one')).toBeUndefined();
});

test('a new key is not told twice and fits in an address', () => {
  const keys = new Set(Array.from({ length: 100 }, newStreamKey));
  expect(keys.size).toBe(100);
  for (const each of keys) expect(each).toMatch(/^[A-Za-z0-9_-]{24}$/);
  expect(rtmpUrl('::1', 1935)).toBe('rtmp://[::1]:1935/live');
});

test('a feed is silent to the gateway until somebody reads, and takes the newest that stands by', async () => {
  await using scope = new Scope('test');
  const feed = await Feed.open(scope);
  const call = async (from: string) => {
    const socket = connect(feed.port, '127.0.0.1');
    scope.defer(() => void socket.destroy());
    socket.on('error', () => {});
    socket.on('data', () => socket.write(from));
    await once(socket, 'connect');
    return socket;
  };
  const old = await call('old');
  const gone = once(old, 'close');
  const newest = await call('new');
  await gone;
  expect(newest.bytesRead).toBe(0);
  const bytes = await feed.next(scope.signal);
  expect(newest.bytesRead).toBe(1);
  for await (const part of bytes) {
    expect(Buffer.from(part).toString()).toBe('new');
    newest.end();
  }
  await call('again');
  for await (const part of await feed.next(scope.signal)) {
    expect(Buffer.from(part).toString()).toBe('again');
    break;
  }
});

test('waiting for a publisher ends with its signal', async () => {
  await using scope = new Scope('test');
  const feed = await Feed.open(scope);
  const abort = new AbortController();
  const waiting = feed.next(abort.signal);
  await expect(feed.next(abort.signal)).rejects.toThrow(TypeError);
  abort.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});
