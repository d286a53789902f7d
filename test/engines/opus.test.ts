import { execFile, execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AudioChunk } from '../../media/audio.ts';
import { samplesFrom } from '../../media/bytes.ts';
import { MissingLibrary } from '../../media/native.ts';
import {
  BadOpusPacket,
  OPUS_FRAME,
  OpusDecoder,
  OpusEncoder,
  type OpusEncoderOptions,
  carriesRecovery,
  opusDuration,
  opusVersion,
} from '../../media/opus.ts';
import { ProgrammeClock } from '../../media/programme-clock.ts';
import { AudioReceiver } from '../../media/receive.ts';
import { type RtpPacket, isRtcp, parseRtp } from '../../media/rtp.ts';
import { type ClockTime, ms } from '../../media/time.ts';

const media = process.env['LIVEDUB_MEDIA'] ?? fileURLToPath(new URL('../../../shared/media', import.meta.url));
const speechFile = join(media, 'speech/librispeech_1089/1089-134686-0000.flac');
const clock = (millis: number) => ms(millis) as number as ClockTime;

function missing(): string | undefined {
  try {
    opusVersion();
    return undefined;
  } catch (failure) {
    if (failure instanceof MissingLibrary) return failure.message;
    throw failure;
  }
}
const noOpus = missing();
const noSpeech = noOpus ?? (existsSync(speechFile) ? undefined : `no real speech: ${speechFile}`);

/** Mono, 48 kHz, in whole frames. */
function speech(): Float32Array {
  const args = ['-v', 'error', '-i', speechFile, '-f', 'f32le', '-ac', '1', '-ar', '48000', '-'];
  const pcm = samplesFrom(execFileSync('ffmpeg', args, { maxBuffer: 1 << 28 }), 'f32le');
  return pcm.subarray(0, pcm.length - (pcm.length % OPUS_FRAME));
}
function encodeAll(pcm: Float32Array, options: OpusEncoderOptions): { packets: Uint8Array[]; lookahead: number } {
  using encoder = new OpusEncoder(options);
  const packets = Array.from({ length: pcm.length / OPUS_FRAME }, (_, i) =>
    encoder.encode(pcm.subarray(i * OPUS_FRAME, (i + 1) * OPUS_FRAME)),
  );
  return { packets, lookahead: encoder.lookahead };
}
const rtp = (payload: Uint8Array, i: number): RtpPacket => ({
  payloadType: 111,
  marker: false,
  sequence: (65_500 + i) & 0xffff,
  timestamp: (2 ** 32 - 48_000 + i * OPUS_FRAME) % 2 ** 32,
  ssrc: 1,
  payload,
});
/** Everything of `packets` that gets through, as the session would hear it. */
function receive(packets: readonly RtpPacket[], passes: (i: number) => boolean) {
  using decoder = new OpusDecoder();
  const track = new ProgrammeClock().track(1, 'audio', 48_000);
  const receiver = new AudioReceiver({ track, decoder });
  const chunks: AudioChunk[] = [];
  packets.forEach((packet, i) => {
    chunks.push(...receiver.tick(clock(i * 20)));
    if (passes(i)) chunks.push(...receiver.push(packet, clock(i * 20)));
  });
  chunks.push(...receiver.tick(clock(packets.length * 20 + 500)));
  return { chunks, counts: receiver.counts, pcm: joined(chunks) };
}
function joined(chunks: readonly AudioChunk[]): Float32Array {
  const pcm = new Float32Array(chunks.reduce((sum, chunk) => sum + chunk.pcm.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    expect(chunk.start).toBe(Math.round((at * 1_000_000) / 48_000));
    pcm.set(chunk.pcm, at);
    at += chunk.pcm.length;
  }
  return pcm;
}

/** 10·log₁₀ of signal to difference. */
function snr(original: Float32Array, heard: Float32Array): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < Math.min(original.length, heard.length); i += 1) {
    signal += original[i]! ** 2;
    noise += (original[i]! - heard[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
/** Mean correlation of those 20 ms segments in which there is speech. */
function segmentalCorrelation(original: Float32Array, heard: Float32Array): number {
  const values: number[] = [];
  for (let at = 0; at + OPUS_FRAME <= Math.min(original.length, heard.length); at += OPUS_FRAME) {
    let [xx, yy, xy] = [0, 0, 0];
    for (let i = at; i < at + OPUS_FRAME; i += 1) {
      xx += original[i]! ** 2;
      yy += heard[i]! ** 2;
      xy += original[i]! * heard[i]!;
    }
    if (xx / OPUS_FRAME > 1e-4) values.push(yy === 0 ? 0 : xy / Math.sqrt(xx * yy));
  }
  expect(values.length).toBeGreaterThan(100);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
/** The same pseudo-random loss on every machine. */
function losing(share: number): (i: number) => boolean {
  let state = 1;
  const lost = Array.from({ length: 10_000 }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32 < share;
  });
  return (i) => i === 0 || !lost[i];
}

describe.skipIf(noSpeech)(`real speech (${noSpeech ?? 'librispeech'})`, () => {
  test('speech survives the codec, every sample in its place', async ({ annotate }) => {
    const original = speech();
    const { packets, lookahead } = encodeAll(original, { bitrate: 64_000 });
    const { pcm, counts } = receive(packets.map(rtp), () => true);
    expect(pcm.length).toBe(original.length);
    expect(counts).toMatchObject({ lost: 0, concealed: 0, silent: 0, corrupt: 0 });
    const delayed = pcm.subarray(lookahead);
    await annotate(
      `64 kbit/s: SNR ${snr(original, delayed).toFixed(1)} dB, segmental correlation ${segmentalCorrelation(original, delayed).toFixed(3)}`,
    );
    expect(snr(original, delayed)).toBeGreaterThan(8);
    expect(segmentalCorrelation(original, delayed)).toBeGreaterThan(0.9);
    // A frame off in either direction is no longer speech in its place.
    expect(snr(original, delayed.subarray(OPUS_FRAME))).toBeLessThan(1);
  });

  test('of 5 % lost packets none leaves a hole, and the copies in the next packets make it better', async ({
    annotate,
  }) => {
    const original = speech();
    const scores: number[] = [];
    for (const fec of [true, false]) {
      const { packets, lookahead } = encodeAll(original, { bitrate: 32_000, fec });
      const whole = receive(packets.map(rtp), () => true);
      const { pcm, counts } = receive(packets.map(rtp), losing(0.05));
      expect(pcm.length).toBe(original.length);
      expect(counts.lost).toBeGreaterThan(10);
      expect(counts.recovered * OPUS_FRAME + counts.concealed).toBe(counts.lost * OPUS_FRAME);
      expect(counts.silent).toBe(0);
      expect(counts.recovered > 0).toBe(fec);
      const kept = segmentalCorrelation(original, whole.pcm.subarray(lookahead));
      const score = segmentalCorrelation(original, pcm.subarray(lookahead));
      const damage = snr(whole.pcm, pcm);
      await annotate(
        `5 % loss, fec ${fec}: ${counts.lost} lost, ${counts.recovered} recovered, correlation ${kept.toFixed(3)} → ${score.toFixed(3)}, SNR against no loss ${damage.toFixed(1)} dB`,
      );
      expect(kept - score).toBeLessThan(0.06);
      scores.push(damage);
    }
    const [rebuilt, concealed] = scores;
    expect(rebuilt).toBeGreaterThan(concealed!);
  });

  test('what another sender (ffmpeg) sends over UDP is decoded without a gap', async ({ annotate }) => {
    const socket = createSocket('udp4');
    const datagrams: Buffer[] = [];
    socket.on('message', (datagram) => datagrams.push(datagram));
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const encode = ['-c:a', 'libopus', '-b:a', '48k', '-ac', '2', '-ar', '48000', '-frame_duration', '20'];
    const url = `rtp://127.0.0.1:${socket.address().port}`;
    await promisify(execFile)('ffmpeg', [
      '-v',
      'error',
      '-readrate',
      '8',
      '-i',
      speechFile,
      ...encode,
      '-f',
      'rtp',
      url,
    ]);
    await new Promise((done) => setTimeout(done, 100));
    socket.close();
    const packets = datagrams.filter((datagram) => !isRtcp(datagram)).flatMap((datagram) => parseRtp(datagram) ?? []);
    expect(packets.length).toBeGreaterThan(500);
    expect(new Set(packets.map((packet) => opusDuration(packet.payload)))).toEqual(new Set([OPUS_FRAME]));
    const { pcm, counts } = receive(packets, () => true);
    expect(counts).toMatchObject({ lost: 0, corrupt: 0, concealed: 0 });
    const original = speech();
    const best = Math.max(...Array.from({ length: 40 }, (_, i) => snr(original, pcm.subarray(300 + i))));
    await annotate(`ffmpeg, stereo, 48 kbit/s: ${packets.length} packets, SNR ${best.toFixed(1)} dB`);
    expect(best).toBeGreaterThan(8);
  });

  test('a frame is encoded and decoded in a small part of its 20 ms', async ({ annotate }) => {
    const original = speech();
    for (const complexity of [3, 5, 8, 10]) {
      const before = process.cpuUsage();
      const { packets } = encodeAll(original, { bitrate: 48_000, complexity });
      const encoding = process.cpuUsage(before).user / 1_000 / packets.length;
      const middle = process.cpuUsage();
      using decoder = new OpusDecoder();
      for (const packet of packets) decoder.decode(packet);
      const decoding = process.cpuUsage(middle).user / 1_000 / packets.length;
      await annotate(
        `complexity ${complexity}: encode ${encoding.toFixed(3)} ms, decode ${decoding.toFixed(3)} ms of CPU a frame`,
      );
      expect(encoding).toBeLessThan(10);
      expect(decoding).toBeLessThan(5);
    }
  });
});

describe.skipIf(noOpus)(`libopus (${noOpus ?? opusVersion()})`, () => {
  const tone = () =>
    Float32Array.from({ length: OPUS_FRAME * 50 }, (_, i) => 0.3 * Math.sin(i / 30) * Math.sin(i / 3_000));

  test('20 000 corrupt packets are decoded or refused; none crashes and sound goes on after them', () => {
    const { packets } = encodeAll(tone(), { bitrate: 32_000, fec: true });
    using decoder = new OpusDecoder();
    let refused = 0;
    const attempt = (packet: Uint8Array) => {
      for (const use of [() => decoder.decode(packet), () => decoder.recover(packet, OPUS_FRAME)]) {
        try {
          expect([opusDuration(packet), OPUS_FRAME]).toContain(use().length);
        } catch (failure) {
          if (!(failure instanceof BadOpusPacket)) throw failure;
          refused += 1;
        }
      }
      expect(decoder.conceal(OPUS_FRAME).length).toBe(OPUS_FRAME);
    };
    const random = fc.uint8Array({ maxLength: 400, size: 'max' });
    const damaged = fc
      .tuple(
        fc.constantFrom(...packets),
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 8, size: 'max' }),
        fc.nat(120),
      )
      .map(([packet, hits, cut]) => {
        const copy = packet.slice(0, Math.max(1, packet.length - cut));
        for (const [where, value] of hits) copy[where % copy.length] = value;
        return copy;
      });
    fc.assert(fc.property(fc.oneof(random, damaged), attempt), { numRuns: 20_000 });
    expect(refused).toBeGreaterThan(100);
    const after = packets.map((packet) => decoder.decode(packet));
    expect(after.every((pcm) => pcm.length === OPUS_FRAME && pcm.every(Number.isFinite))).toBe(true);
  });

  test('speech at a low rate carries copies when asked for, and says so', () => {
    const original = noSpeech ? tone() : speech();
    const share = (fec: boolean) => {
      const { packets } = encodeAll(original, { bitrate: 24_000, fec, expectedLoss: 0.1 });
      return packets.filter(carriesRecovery).length / packets.length;
    };
    expect(share(true)).toBeGreaterThan(0.3);
    expect(share(false)).toBe(0);
  });

  test('two sides are two sides: what is opposite on both is gone in mono, what is the same is not', () => {
    const left = tone().subarray(0, 50 * OPUS_FRAME);
    const opposite = left.map((sample) => -sample);
    const loudness = (right: Float32Array) => {
      using encoder = new OpusEncoder({ channels: 2, bitrate: 64_000 });
      using decoder = new OpusDecoder();
      let sum = 0;
      for (let at = 0; at < left.length; at += OPUS_FRAME) {
        const packet = encoder.encode(left.subarray(at, at + OPUS_FRAME), right.subarray(at, at + OPUS_FRAME));
        expect(packet[0]! & 0x04).toBe(0x04);
        for (const sample of decoder.decode(packet)) sum += sample * sample;
      }
      return sum;
    };
    expect(loudness(left)).toBeGreaterThan(1_000 * loudness(opposite));
  });

  test('mistakes are refused with what was received', () => {
    using encoder = new OpusEncoder();
    using decoder = new OpusDecoder();
    expect(() => encoder.encode(new Float32Array(480))).toThrow('expected 960 samples, received 480 and 480');
    expect(() => encoder.encode(new Float32Array(960), new Float32Array(960))).toThrow('two sides for a mono encoder');
    expect(() => decoder.conceal(100)).toThrow('received 100');
    expect(() => decoder.decode(new Uint8Array(0))).toThrow(BadOpusPacket);
    expect(() => new OpusEncoder({ bitrate: -1 })).toThrow('must be 6000…510000, received -1');
    expect(() => new OpusEncoder({ complexity: 11 })).toThrow('Cannot set complexity of Opus encoder to 11');
    encoder[Symbol.dispose]();
    encoder[Symbol.dispose]();
    expect(() => encoder.encode(new Float32Array(960))).toThrow('it is disposed');
  });

  test('a thousand codecs made and disposed of leave no memory behind', () => {
    const round = () => {
      for (let i = 0; i < 200; i += 1) {
        using encoder = new OpusEncoder();
        using decoder = new OpusDecoder();
        decoder.decode(encoder.encode(new Float32Array(OPUS_FRAME)));
      }
    };
    round();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 4; i += 1) round();
    // A leak of both would be about 45 kB a pair: 36 MB.
    expect(process.memoryUsage().rss - before).toBeLessThan(24 * 1024 * 1024);
  });
});

test.for([
  [[0x00, 0], 480],
  [[0x48, 0], 960],
  [[0x18, 0], 2_880],
  [[0x49, 0], 1_920],
  [[0x4b, 3], 2_880],
  [[0x60, 0], 480],
  [[0x68, 0], 960],
  [[0x80, 0], 120],
  [[0xf8, 0], 960],
  [[0xfb, 0], undefined],
  [[0xfb, 7], undefined],
  [[0xfb], undefined],
  [[], undefined],
] as const)('the first bytes %j say how long a packet lasts', ([bytes, duration]) => {
  expect(opusDuration(Uint8Array.from(bytes))).toBe(duration);
});
