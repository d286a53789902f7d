import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type NalFraming, frameOf, nalUnits } from '../../media/h264.ts';
import { MAX_PAYLOAD } from '../../media/payload.ts';
import { Depacketizer, Packetizer, keyFrameIn, payloadsOf, pictureIdOf, startsFrame } from '../../media/packetize.ts';

const frame = fc.uint8Array({ minLength: 1, maxLength: 6_000, size: 'max' });
const bytes = (...values: number[]) => Uint8Array.from(values);

test.for(['VP8', 'VP9'] as const)('a %s frame is the same after its way through payloads', (codec) => {
  fc.assert(
    fc.property(
      fc.array(frame, { minLength: 1, maxLength: 4, size: 'max' }),
      fc.integer({ min: 0, max: 0x7fff }),
      (frames, pictureId) => {
        const packetizer = new Packetizer(codec, { pictureId });
        for (const whole of frames) {
          const payloads = packetizer.packetize(whole);
          expect(Math.max(...payloads.map((payload) => payload.length))).toBeLessThanOrEqual(MAX_PAYLOAD);
          expect(payloads.map((payload) => startsFrame(codec, payload))).toEqual(payloads.map((_, i) => i === 0));
          expect(Buffer.compare(new Depacketizer(codec).frame(payloads)!, whole)).toBe(0);
        }
        expect(packetizer.pictureId).toBe((pictureId + frames.length) % 0x8000);
      },
    ),
  );
});

/** A NAL unit of any type that stands in a file, with content that needs no escaping. */
const nal = fc
  .tuple(
    fc.integer({ min: 1, max: 23 }),
    fc.integer({ min: 0, max: 3 }),
    fc.uint8Array({ minLength: 1, maxLength: 3_000, size: 'max' }),
  )
  .map(([type, importance, content]) =>
    Uint8Array.from([(importance << 5) | type, ...content.map((byte) => byte || 1)]),
  );

test('an H.264 picture keeps its NAL units on its way through payloads, whatever frames them', () => {
  const framing = fc.constantFrom<NalFraming>('annex-b', 2, 4);
  fc.assert(
    fc.property(
      fc.array(nal, { minLength: 1, maxLength: 8, size: 'max' }),
      framing,
      framing,
      (nals, inside, outside) => {
        const payloads = new Packetizer('H264', { framing: inside }).packetize(frameOf(nals, inside));
        expect(Math.max(...payloads.map((payload) => payload.length))).toBeLessThanOrEqual(MAX_PAYLOAD);
        const back = new Depacketizer('H264', outside).frame(payloads)!;
        expect(nalUnits(back, outside).map((one) => Buffer.from(one).toString('hex'))).toEqual(
          nals.map((one) => Buffer.from(one).toString('hex')),
        );
      },
    ),
  );
});

test('SPS and PPS travel together, a long slice in fragments, a short one alone', () => {
  const sps = bytes(0x67, 1, 2, 3);
  const pps = bytes(0x68, 4);
  const slice = Uint8Array.from({ length: 3_000 }, (_, i) => (i === 0 ? 0x65 : (i % 254) + 1));
  const payloads = new Packetizer('H264').packetize(frameOf([sps, pps, slice, bytes(0x06, 9)], 'annex-b'));
  expect([...payloads[0]!]).toEqual([0x78, 0, 4, 0x67, 1, 2, 3, 0, 2, 0x68, 4]);
  // FU indicator 0x7c: NRI 3, type 28; FU header: S, none, E with type 5.
  expect(payloads.slice(1, 4).map((payload) => [payload[0], payload[1]])).toEqual([
    [0x7c, 0x85],
    [0x7c, 0x05],
    [0x7c, 0x45],
  ]);
  expect([...payloads[4]!]).toEqual([0x06, 9]);
});

test('start codes of three and four bytes and zeros between NAL units are no part of them', () => {
  const read = nalUnits(bytes(0, 0, 0, 1, 0x67, 7, 0, 0, 0, 0, 1, 0x68, 8, 0, 0, 1, 0x65, 0, 5, 0, 0), 'annex-b');
  expect(read.map((one) => [...one])).toEqual([
    [0x67, 7],
    [0x68, 8],
    [0x65, 0, 5],
  ]);
});

test('a frame cut off in the middle gives the NAL units that are whole', () => {
  expect(nalUnits(bytes(0, 0, 0, 2, 0x67, 7, 0, 0, 0, 9, 0x65), 4).map((one) => [...one])).toEqual([[0x67, 7]]);
});

test('a picture with a missing payload is refused', () => {
  const slice = Uint8Array.from({ length: 5_000 }, (_, i) => (i === 0 ? 0x65 : (i % 254) + 1));
  const h264 = new Packetizer('H264').packetize(frameOf([slice], 'annex-b'));
  expect(new Depacketizer('H264').frame(h264.slice(1))).toBeUndefined();
  expect(new Depacketizer('H264').frame(h264.slice(0, -1))).toBeUndefined();
  const vp8 = new Packetizer('VP8').packetize(new Uint8Array(5_000));
  expect(new Depacketizer('VP8').frame(vp8.slice(1))).toBeUndefined();
  expect(new Depacketizer('VP8').frame([])).toBeUndefined();
});

test.for([
  // VP8: descriptor (S set, partition 0), then the frame tag whose lowest bit is 0 in a key frame.
  ['VP8', true, bytes(0x10, 0x50)],
  ['VP8', false, bytes(0x10, 0x51)],
  ['VP8', false, bytes(0x00, 0x50)],
  ['VP8', false, bytes(0x11, 0x50)],
  // All of X, I (15 bit), L, T/K.
  ['VP8', true, bytes(0x90, 0xf0, 0x80, 0x01, 0x05, 0x20, 0x50)],
  ['VP8', false, bytes(0x90, 0xf0, 0x80, 0x01, 0x05, 0x20)],
  // VP9 as Chromium sends it: I, L, B, E, V; then with P.
  ['VP9', true, bytes(0x8f | 0x20, 0x80, 0x01, 0x00, 0x05, 0x18, 0x02, 0x80, 0x01, 0x68, 0x01, 0x04, 0x04, 0x82)],
  ['VP9', false, bytes(0xcc, 0x80, 0x01, 0x86)],
  ['VP9', true, bytes(0x8c, 0x80, 0x01, 0x82)],
  ['VP9', false, bytes(0x84, 0x80, 0x01, 0x82)],
  // FFmpeg sends no P bit; the frame says that it is none.
  ['VP9', false, bytes(0x8c, 0x80, 0x01, 0x86)],
  // Spatial layer 1 of a key picture is no start.
  ['VP9', false, bytes(0x88 | 0x20, 0x01, 0x02, 0x00, 0x82)],
  ['H264', true, bytes(0x67, 1, 2)],
  ['H264', true, bytes(0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2)],
  ['H264', true, bytes(0x7c, 0x85, 0x88)],
  ['H264', false, bytes(0x7c, 0x05, 0x88)],
  ['H264', false, bytes(0x41, 0x9a)],
  ['AV1', true, bytes(0x18, 0x0a)],
  ['AV1', false, bytes(0x10, 0x32)],
] as const)('%s: a decoder can start here: %s (%s)', ([codec, expected, payload]) => {
  expect(keyFrameIn(codec, [payload])).toBe(expected);
});

test('a scalability structure is no part of a VP9 frame', () => {
  // V with one layer (Y: its size) and a group (G) of two pictures that refer to one and two earlier ones.
  const structure = [0x18, 0x02, 0x80, 0x01, 0x68, 2, 0x04, 1, 0x08, 1, 2];
  const payload = bytes(0x8e, 0x80, 0x01, ...structure, 0x82, 0x49);
  expect([...new Depacketizer('VP9').frame([payload])!]).toEqual([0x82, 0x49]);
});

test('our own key frames are known as such', () => {
  expect(keyFrameIn('VP8', new Packetizer('VP8').packetize(bytes(0x50, 1, 2, 0x9d, 1, 0x2a)))).toBe(true);
  expect(keyFrameIn('VP8', new Packetizer('VP8').packetize(bytes(0x51, 1, 2)))).toBe(false);
  // VP9 profile 0: frame marker 10, profile 00, show_existing 0, type 0 is a key frame; 1 is not.
  expect(keyFrameIn('VP9', new Packetizer('VP9').packetize(bytes(0x82, 0x49)))).toBe(true);
  expect(keyFrameIn('VP9', new Packetizer('VP9').packetize(bytes(0x86, 0x00)))).toBe(false);
});

test('an AV1 picture in two payloads comes out with sizes, its split OBU in one piece', () => {
  // W=2: a sequence header with its length, then the beginning of a frame (Y); then the rest of it (Z), W=1.
  const first = bytes(0x68, 3, 0x08, 0xaa, 0xbb, 0x30, 1, 2, 3);
  const second = bytes(0x90, 4, 5);
  expect([...new Depacketizer('AV1').frame([first, second])!]).toEqual([0x0a, 2, 0xaa, 0xbb, 0x32, 5, 1, 2, 3, 4, 5]);
  expect(new Depacketizer('AV1').frame([second])).toBeUndefined();
  expect(new Depacketizer('AV1').frame([first])).toBeUndefined();
});

test('no payload makes a parser throw', () => {
  const codec = fc.constantFrom('VP8', 'VP9', 'H264', 'AV1' as const);
  fc.assert(
    fc.property(codec, fc.array(fc.uint8Array({ maxLength: 40, size: 'max' }), { maxLength: 4 }), (name, payloads) => {
      keyFrameIn(name, payloads);
      for (const payload of payloads) startsFrame(name, payload);
      const whole = new Depacketizer(name).frame(payloads);
      expect(whole === undefined || whole.length > 0).toBe(true);
    }),
    { numRuns: 5_000 },
  );
});

test.for(['VP8', 'VP9'] as const)('a %s picture id is read as it was written, of 7 bits, of 15, or none', (codec) => {
  const frame = new Uint8Array(3_000).fill(0x81);
  for (const id of [
    undefined,
    { value: 0, bits: 7 },
    { value: 127, bits: 7 },
    { value: 5, bits: 15 },
    { value: 0x7fff, bits: 15 },
  ] as const) {
    const payloads = payloadsOf(codec, frame, id);
    expect(payloads.map((payload) => pictureIdOf(codec, payload))).toEqual(payloads.map(() => id));
    expect(new Depacketizer(codec).frame(payloads)).toEqual(frame);
    expect(Math.max(...payloads.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(MAX_PAYLOAD);
  }
  expect(pictureIdOf('H264', Uint8Array.of(0x65, 1))).toBeUndefined();
  expect(pictureIdOf(codec, Uint8Array.of(0x80, 0x80))).toBeUndefined();
  expect(pictureIdOf(codec, new Uint8Array())).toBeUndefined();
});
