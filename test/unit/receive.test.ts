import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AudioChunk } from '../../media/audio.ts';
import { type AudioDecoder, BadOpusPacket } from '../../media/opus.ts';
import { Packetizer } from '../../media/packetize.ts';
import { ProgrammeClock } from '../../media/programme-clock.ts';
import { AudioReceiver, VideoReceiver } from '../../media/receive.ts';
import type { RtpPacket } from '../../media/rtp.ts';
import { type ClockTime, type Span, ms, toMs } from '../../media/time.ts';
import type { AccessUnit } from '../../media/video.ts';

const clock = (millis: number) => ms(millis) as number as ClockTime;

/** SILK, 20 ms, mono, one frame; with the bit that announces a copy of the frame before. */
const opus = (index: number, options: { copy?: boolean; corrupt?: boolean } = {}) =>
  Uint8Array.of(0x48, options.copy ? 0x40 : 0, index & 255, options.corrupt ? 1 : 0);
const CONCEALED = -1;
/** Every sample of frame 7 is 7; what was rebuilt from the copy in frame 7 is 6.5. */
const decoder: AudioDecoder = {
  decode(packet) {
    if (packet[3] === 1) throw new BadOpusPacket('scripted');
    return new Float32Array(960).fill(packet[2]!);
  },
  conceal: (samples) => new Float32Array(samples).fill(CONCEALED),
  recover: (next, samples) => new Float32Array(samples).fill(next[2]! - 0.5),
};

interface Sent {
  readonly at: number;
  readonly frame: number;
  readonly sequence?: number;
  readonly timestamp?: number;
  readonly payload?: Uint8Array;
}
const audio = ({ frame, sequence = frame, timestamp = frame * 960, payload = opus(frame) }: Sent): RtpPacket => ({
  payloadType: 111,
  marker: false,
  sequence: (sequence + 65_530) & 0xffff,
  timestamp: (timestamp + 2 ** 32 - 4_800) % 2 ** 32,
  ssrc: 1,
  payload,
});

function receiver() {
  const track = new ProgrammeClock().track(1, 'audio', 48_000);
  const receiver = new AudioReceiver({ track, decoder, hold: ms(80) });
  const chunks: AudioChunk[] = [];
  return {
    receiver,
    chunks,
    /** Sends in the given order, ticking every 20 ms in between and up to `until`. */
    run: (sent: readonly Sent[], until = 0) => {
      let now = 0;
      const tick = (to: number) => {
        for (; now <= to; now += 20) chunks.push(...receiver.tick(clock(now)));
      };
      for (const one of sent) {
        tick(one.at);
        chunks.push(...receiver.push(audio(one), clock(one.at)));
      }
      tick(until);
    },
  };
}
/** Values in 20 ms steps from the first sample on. */
function heard(chunks: readonly AudioChunk[]): number[] {
  const values: number[] = [];
  let at = 0;
  for (const { pcm } of chunks) {
    for (let i = (960 - (at % 960)) % 960; i < pcm.length; i += 960) values.push(pcm[i]!);
    at += pcm.length;
  }
  expect(at % 960).toBe(0);
  return values;
}
function expectGapless(chunks: readonly AudioChunk[]) {
  let samples = 0;
  const starts = chunks.map((chunk) => {
    const start = Math.round((samples * 1_000_000) / 48_000);
    samples += chunk.pcm.length;
    return start;
  });
  expect(chunks.map((chunk) => chunk.start)).toEqual(starts);
}
const stream = (from: number, to: number, shift = 0): Sent[] =>
  Array.from({ length: to - from }, (_, i) => ({ at: (from + i) * 20 + shift, frame: from + i }));

test('what came while our own process stalled is played: a stall is no absence of the sender', () => {
  const { receiver: stalled, chunks, run } = receiver();
  run(
    Array.from({ length: 10 }, (_, frame) => ({ at: frame * 20, frame })),
    200,
  );
  // Nobody looks for three seconds; then the clock ticks first, and the socket is read after it.
  chunks.push(...stalled.tick(clock(3_200)));
  for (let frame = 10; frame < 160; frame += 1) chunks.push(...stalled.push(audio({ at: 0, frame }), clock(3_201)));
  expect(heard(chunks)).toEqual(Array.from({ length: 160 }, (_, frame) => frame));
  expect(stalled.counts).toMatchObject({ silent: 0, late: 0 });
  // A sender that is gone afterwards is still missed.
  for (let now = 3_220; now <= 5_220; now += 20) chunks.push(...stalled.tick(clock(now)));
  expect(stalled.counts.silent).toBeGreaterThan(40_000);
});

test('sound comes out as it came in, 20 ms a chunk from media time 0, over a wrap of both counters', () => {
  const { run, chunks, receiver: r } = receiver();
  run(stream(0, 20));
  expect(heard(chunks)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expectGapless(chunks);
  expect(r.counts).toMatchObject({ received: 20, lost: 0, concealed: 0, silent: 0, discontinuities: 0 });
});

test('a lost packet is rebuilt from the copy in the next one', () => {
  const { run, chunks, receiver: r } = receiver();
  run([...stream(0, 3), { at: 80, frame: 4, payload: opus(4, { copy: true }) }, { at: 100, frame: 5 }], 200);
  expect(heard(chunks)).toEqual([0, 1, 2, 3.5, 4, 5]);
  expect(r.counts).toMatchObject({ lost: 1, recovered: 1, concealed: 0 });
});

test('of several lost packets the copy rebuilds the last, the others are concealed', () => {
  const { run, chunks, receiver: r } = receiver();
  run([...stream(0, 3), { at: 100, frame: 5, payload: opus(5, { copy: true }) }, { at: 120, frame: 6 }], 240);
  expect(heard(chunks)).toEqual([0, 1, 2, CONCEALED, 4.5, 5, 6]);
  expect(r.counts).toMatchObject({ lost: 2, recovered: 1, concealed: 960 });
});

test('a long loss is concealed for 100 ms and silent after', () => {
  const { run, chunks, receiver: r } = receiver();
  run([...stream(0, 2), ...stream(12, 14)], 400);
  expect(heard(chunks)).toEqual([0, 1, ...Array<number>(5).fill(CONCEALED), ...Array<number>(5).fill(0), 12, 13]);
  expectGapless(chunks);
  expect(r.counts).toMatchObject({ lost: 10, concealed: 4_800, silent: 4_800 });
});

test('every loss has its own 100 ms', () => {
  const { run, chunks, receiver: r } = receiver();
  run([...stream(0, 2), ...stream(5, 7), ...stream(10, 12)], 400);
  expect(heard(chunks)).toEqual([0, 1, -1, -1, -1, 5, 6, -1, -1, -1, 10, 11]);
  expect(r.counts).toMatchObject({ lost: 6, silent: 0 });
});

test('where the sender sends nothing there is silence, and nothing is called lost', () => {
  const { run, chunks, receiver: r } = receiver();
  run([...stream(0, 2), { at: 400, frame: 20, sequence: 2 }], 400);
  expect(heard(chunks)).toEqual([0, 1, ...Array<number>(18).fill(0), 20]);
  expect(r.counts).toMatchObject({ lost: 0, concealed: 0, silent: 18 * 960 });
});

test('while nothing comes for long, silence goes on, and sound is in its place when it is back', () => {
  const { run, chunks, receiver: r } = receiver();
  run(stream(0, 5), 4_000);
  expect(toMs(chunks.at(-1)!.start as number as Span)).toBeGreaterThan(2_900);
  chunks.push(...r.push(audio({ at: 4_000, frame: 200, sequence: 5 }), clock(4_000)));
  expectGapless(chunks);
  expect(chunks.at(-1)).toMatchObject({ start: 4_000_000 });
  expect(chunks.at(-1)!.pcm[0]).toBe(200);
  expect(r.counts).toMatchObject({ lost: 0, discontinuities: 0 });
});

test('packets that a stall held back so long that silence took their place are late', () => {
  const { run, chunks, receiver: r } = receiver();
  run(stream(0, 5), 1_500);
  const made = heard(chunks).length;
  expect(made).toBeGreaterThan(20);
  for (let frame = 5; frame < 75; frame += 1) chunks.push(...r.push(audio({ at: 0, frame }), clock(1_500)));
  expect(heard(chunks)).toEqual(Array.from({ length: 75 }, (_, i) => (i < 5 || i >= made ? i : 0)));
  expect(r.counts).toMatchObject({ late: made - 5, discontinuities: 0 });
});

test.for([
  ['forward', 5_000_000],
  ['backward', -200 * 960],
] as const)('a sender that counts anew, %s, is followed without a gap', ([, jump]) => {
  const { run, chunks, receiver: r } = receiver();
  const anew = stream(300, 310).map((one) => ({ ...one, timestamp: one.frame * 960 + jump }));
  run([...stream(0, 300), ...anew]);
  expect(heard(chunks)).toEqual(Array.from({ length: 310 }, (_, i) => i & 255));
  expectGapless(chunks);
  expect(r.counts.discontinuities).toBe(1);
});

test('a sender that counts anew after a pause is placed where it arrives', () => {
  const { run, chunks, receiver: r } = receiver();
  run(
    [
      ...stream(0, 300),
      ...stream(340, 343).map((one) => ({ ...one, sequence: one.frame - 40, timestamp: 77 * 960 })),
    ].slice(0, 301),
  );
  expect(heard(chunks).length).toBe(341);
  expectGapless(chunks);
  expect(chunks.at(-1)!.start).toBe(340 * 20_000);
  expect(r.counts.discontinuities).toBe(1);
});

test('a corrupt packet is concealed and counted, the next one is heard', () => {
  const { run, chunks, receiver: r } = receiver();
  run([
    ...stream(0, 2),
    { at: 40, frame: 2, payload: opus(2, { corrupt: true }) },
    { at: 60, frame: 3, payload: new Uint8Array([0x4b]) },
    { at: 80, frame: 4 },
  ]);
  expect(heard(chunks)).toEqual([0, 1, CONCEALED, CONCEALED, 4]);
  expect(r.counts).toMatchObject({ corrupt: 2, concealed: 2 * 960, lost: 0 });
});

test('a decoder that fails for another reason is not hushed up', () => {
  const broken = {
    ...decoder,
    decode: (): Float32Array => {
      throw new TypeError('disposed');
    },
  };
  const r = new AudioReceiver({ track: new ProgrammeClock().track(1, 'audio', 48_000), decoder: broken });
  expect(() => r.push(audio({ at: 0, frame: 0 }), clock(0))).toThrow('disposed');
});

test('whatever the network does, there is a sample for every place, and what came in time is in its place', () => {
  const packet = fc.record({
    delay: fc.integer({ min: 0, max: 150 }),
    copies: fc.constantFrom(0, 1, 1, 1, 1, 1, 2),
    dtx: fc.nat(20),
  });
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 150, size: 'max' }), (network) => {
      const { run, chunks, receiver: r } = receiver();
      let sequence = 0;
      const sent = network.flatMap(({ delay, copies, dtx }, i): Sent[] => {
        if (i > 0 && dtx === 0) return [];
        const one = { at: i * 20 + (i === 0 ? 0 : delay), frame: i, sequence: sequence++ };
        return Array.from({ length: i === 0 ? 1 : copies }, () => one);
      });
      run(
        [...sent].sort((a, b) => a.at - b.at),
        network.length * 20 + 300,
      );
      expectGapless(chunks);
      const values = heard(chunks);
      expect(values.filter((value, i) => ![i & 255, CONCEALED, 0].includes(value))).toEqual([]);
      const { received, late, duplicate } = r.counts;
      expect(received).toBe(sent.length);
      expect(
        values.filter((value, i) => value === (i & 255) && sent.some((one) => one.frame === i)).length,
      ).toBeGreaterThanOrEqual(received - late - duplicate);
    }),
  );
});

const KEY = 4;
/** VP8 pictures of three packets each, 40 ms apart; every fourth one is a key frame. */
function pictures(count: number): { at: number; packet: RtpPacket; picture: number }[] {
  const packetizer = new Packetizer('VP8');
  let sequence = 65_530;
  return Array.from({ length: count }, (_, picture) => {
    const frame = new Uint8Array(3_000).fill(picture);
    frame[0] = picture % KEY === 0 ? 0 : 1;
    return packetizer.packetize(frame).map((payload, i, all) => ({
      at: picture * 40 + i,
      picture,
      packet: {
        payloadType: 96,
        marker: i === all.length - 1,
        sequence: sequence++ & 0xffff,
        timestamp: (picture * 3_600 + 2 ** 32 - 7_200) % 2 ** 32,
        ssrc: 2,
        payload,
      },
    }));
  }).flat();
}
const video = () =>
  new VideoReceiver({ track: new ProgrammeClock().track(2, 'video', 90_000), codec: 'VP8', hold: ms(100) });
const shown = (units: readonly AccessUnit[]) => units.map((unit) => toMs(unit.start as number as Span) / 40);
function play(r: VideoReceiver, sent: readonly { at: number; packet: RtpPacket }[]): AccessUnit[] {
  return sent.flatMap(({ at, packet }) => [...r.tick(clock(at)), ...r.push(packet, clock(at))]);
}

test('pictures come out whole, untouched and at their time, over a wrap of both counters', () => {
  const r = video();
  const sent = pictures(8);
  expect(r.needsKeyFrame).toBe(true);
  const units = play(r, sent);
  expect(shown(units)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(units.map((unit) => unit.keyFrame)).toEqual([true, false, false, false, true, false, false, false]);
  expect(units.flatMap((unit) => unit.payloads)).toEqual(sent.map(({ packet }) => packet.payload));
  expect(r.needsKeyFrame).toBe(false);
});

test('packets out of order make whole pictures', () => {
  const sent = pictures(8);
  [sent[4], sent[6]] = [sent[6]!, sent[4]!];
  expect(shown(play(video(), sent))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test.for([3, 4, 5])(
  'a picture that lost a part is dropped with all that follow it up to the next key frame (packet %s)',
  (lost) => {
    const r = video();
    const sent = pictures(9);
    const units = play(
      r,
      sent.filter((_, i) => i !== lost),
    );
    expect(shown(units)).toEqual([0, 4, 5, 6, 7, 8]);
    expect(r.counts).toMatchObject({ lost: 1, incomplete: 1, undecodable: 2, units: 6 });
  },
);

test('a key frame is asked for as soon as a loss is certain', () => {
  const r = video();
  const sent = pictures(4).filter((_, i) => i !== 4);
  play(r, sent.slice(0, 5));
  expect(r.needsKeyFrame).toBe(false);
  r.tick(clock(200));
  expect(r.needsKeyFrame).toBe(true);
});

test('a receiver that joins in the middle of a picture begins with the next key frame', () => {
  const r = video();
  // Picture 2 has no beginning, picture 3 is where media time begins and cannot be decoded, picture 4 is a key frame.
  expect(shown(play(r, pictures(8).slice(7)))).toEqual([1, 2, 3, 4]);
});

test('after a broken picture that was seen to end, the next one need not look like a beginning', () => {
  const r = new VideoReceiver({ track: new ProgrammeClock().track(2, 'video', 90_000), codec: 'H264' });
  // The end of a picture; then one that begins with a NAL unit of type 14, as layered streams do, and an IDR slice.
  const sent = [
    [0x01, 0x10],
    [0x6e, 1],
    [0x65, 0x88],
  ].map(([head, next], i) => ({
    at: i * 40,
    packet: {
      payloadType: 96,
      marker: i !== 1,
      sequence: i,
      timestamp: i === 0 ? 0 : 3_600,
      ssrc: 2,
      payload: Uint8Array.of(head!, next!),
    },
  }));
  expect(play(r, sent)).toMatchObject([{ start: 0, keyFrame: true, payloads: [{ length: 2 }, { length: 2 }] }]);
  expect(r.counts).toMatchObject({ incomplete: 1, units: 1 });
});

test('a picture without its marker bit ends where the next one begins', () => {
  const sent = pictures(3).map(({ at, packet }) => ({ at, packet: { ...packet, marker: false } }));
  expect(shown(play(video(), sent))).toEqual([0, 1]);
});

test('time stamps that jump are followed by arrival, and time does not run back', () => {
  const r = video();
  const sent = pictures(8).map(({ at, packet, picture }) => ({
    at,
    packet: picture < 4 ? packet : { ...packet, timestamp: (packet.timestamp + 2_000_000_000) % 2 ** 32 },
  }));
  expect(shown(play(r, sent))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(r.counts.discontinuities).toBe(1);
});

test('whatever is lost, only whole pictures that can be decoded come out', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(9), { minLength: 90, maxLength: 90, size: 'max' }),
      fc.array(fc.integer({ min: 0, max: 180 }), { minLength: 90, maxLength: 90, size: 'max' }),
      (losses, delays) => {
        const r = video();
        const sent = pictures(30);
        const network = sent
          .map((one, i) => ({ ...one, at: one.at + (i === 0 ? 0 : delays[i]!) }))
          .filter((_, i) => losses[i] !== 0)
          .sort((a, b) => a.at - b.at);
        const units = [...play(r, network), ...r.tick(clock(1e6))];
        let before = -1;
        for (const unit of units) {
          const first = sent.findIndex(({ packet }) => packet.payload === unit.payloads[0]);
          const { picture } = sent[first]!;
          const whole = sent.filter((one) => one.picture === picture);
          expect(whole.length).toBe(unit.payloads.length);
          expect(whole.every(({ packet }, i) => packet.payload === unit.payloads[i])).toBe(true);
          expect(unit.keyFrame).toBe(picture % KEY === 0);
          expect(unit.keyFrame || picture === before + 1).toBe(true);
          before = picture;
        }
      },
    ),
    { numRuns: 300 },
  );
});
