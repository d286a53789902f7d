import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { aacChannels, adts } from '../../media/aac.ts';
import { ManualClock } from '../../media/clock.ts';
import { OPUS_FRAME, OpusDecoder, OpusEncoder } from '../../media/opus.ts';
import { Packetizer } from '../../media/packetize.ts';
import { RtpTrack } from '../../media/send.ts';
import { type MediaTime, at, ms } from '../../media/time.ts';
import { VideoDecoder } from '../../media/video-decoder.ts';
import type { TapTrack } from '../../gateway/outlet/ipc.ts';
import type { OutPicture, OutSound, OutTrack, Outlet, Wants } from '../../gateway/outlet/outlet.ts';
import { Tap } from '../../gateway/outlet/tap.ts';
import { clip, codecsLack, moving } from '../fakes/clips.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';

const CLIP = 'talking/video-retalking/face1.mp4';
const ORIGIN = 41_000_000;

class Kept implements Outlet {
  readonly wants: Wants;
  readonly told: (readonly OutTrack[])[] = [];
  readonly pictures: OutPicture[] = [];
  readonly sounds: OutSound[] = [];
  position: MediaTime | undefined;
  readonly counts = {};

  constructor(pictures: Wants['pictures'], sound: Wants['sound']) {
    this.wants = { pictures, sound };
  }
  tracks(tracks: readonly OutTrack[]) {
    this.told.push(tracks);
  }
  picture(picture: OutPicture) {
    this.pictures.push(picture);
  }
  sound(sound: OutSound) {
    this.sounds.push(sound);
  }
  cue() {}
  tick(_now: unknown, position: MediaTime) {
    this.position = position;
  }
  close = () => Promise.resolve();
}

const audio = (id: 'original' | 'dub:es', ssrc: number): TapTrack => ({
  id,
  kind: 'audio',
  language: id === 'original' ? 'en' : 'es',
  title: id,
  codec: 'Opus',
  ssrc,
  rtp: { base: 4_294_000_000, rate: 48_000 },
});
const video = (codec: 'VP8' | 'H264'): TapTrack => ({
  id: 'video',
  kind: 'video',
  language: null,
  title: 'Picture',
  codec,
  ssrc: 9,
  rtp: { base: 77, rate: 90_000 },
});
const sender = ({ ssrc, rtp }: TapTrack) =>
  new RtpTrack({
    ssrc,
    payloadType: 100,
    rate: rtp.rate,
    rtpBase: rtp.base,
    cname: 'x',
    numbering: { by: 'packet', next: 65_500 },
  });

const taps: Tap[] = [];
afterEach(() => taps.splice(0).forEach((tap) => tap.close()));
function tapped(tracks: readonly TapTrack[], ...outlets: Kept[]) {
  const clock = new ManualClock();
  const first: MediaTime[] = [];
  const tap = new Tap(
    clock,
    () => outlets,
    (media) => first.push(media),
  );
  taps.push(tap);
  tap.tracks(tracks);
  return { tap, clock, first };
}

/** Packets of real speech, 20 ms each. */
function speech(track: TapTrack): { readonly pcm: Float32Array; readonly packets: Buffer[] } {
  const pcm = decode(recording(CLIP), 48_000).subarray(0, 150 * OPUS_FRAME);
  using encoder = new OpusEncoder({ bitrate: 64_000 });
  const rtp = sender(track);
  const packets = Array.from({ length: 150 }, (_, i) =>
    rtp.packet(encoder.encode(pcm.subarray(i * OPUS_FRAME, (i + 1) * OPUS_FRAME)), at(ORIGIN + i * 20_000), false),
  );
  return { pcm, packets };
}

describe.skipIf(missing(CLIP))('sound', () => {
  test('comes out as it was sent, in order and at its place, whatever the order it came in', () => {
    const outlet = new Kept('none', 'Opus');
    const { tap, first } = tapped([audio('dub:es', 5)], outlet);
    const { packets } = speech(audio('dub:es', 5));
    for (let i = 0; i < packets.length; i += 2) [packets[i + 1], packets[i]].forEach((packet) => tap.datagram(packet!));
    expect(outlet.told[0]?.map(({ id }) => id)).toEqual(['dub:es']);
    // The very first packet that comes is where it begins.
    expect(first).toEqual([at(ORIGIN + 20_000)]);
    expect(outlet.sounds.map(({ start }) => start)).toEqual(
      packets.slice(1).map((_, i) => at(ORIGIN + (i + 1) * 20_000)),
    );
    expect(outlet.sounds.map(({ data }) => Buffer.from(data))).toEqual(
      packets.slice(1).map((packet) => packet.subarray(12)),
    );
  });

  test('that was lost is made up for: no outlet sees a hole', () => {
    const [opus, aac] = [new Kept('none', 'Opus'), new Kept('none', 'AAC')];
    const { tap, clock } = tapped([audio('original', 5)], opus, aac);
    const { packets } = speech(audio('original', 5));
    for (const [i, packet] of packets.entries()) {
      void clock.advance(ms(20));
      if (i < 40 || i >= 90) tap.datagram(packet);
      tap.tick();
    }
    expect(opus.sounds.map(({ start }) => start)).toEqual(packets.map((_, i) => at(ORIGIN + i * 20_000)));
    using decoder = new OpusDecoder();
    for (const { data } of opus.sounds) expect(decoder.decode(data)).toHaveLength(OPUS_FRAME);
    const steps = new Set(aac.sounds.slice(1).map(({ start }, i) => start - aac.sounds[i]!.start));
    expect([...steps].sort()).toEqual([21_333, 21_334]);
    expect(aac.sounds[0]?.start).toBe(ORIGIN);
    expect(tap.counts).toMatchObject({ 'packets lost': 50, 'sound packets made up': 50 });
    expect(aac.position).toBe(at(ORIGIN + 150 * 20_000));
  });

  test('of two sides has two in AAC: a voice on the left stays there', () => {
    const [opus, aac] = [new Kept('none', 'Opus'), new Kept('none', 'AAC')];
    const { tap, clock } = tapped([audio('dub:es', 5)], opus, aac);
    const pcm = decode(recording(CLIP), 48_000).subarray(0, 150 * OPUS_FRAME);
    using encoder = new OpusEncoder({ channels: 2, bitrate: 96_000 });
    const rtp = sender(audio('dub:es', 5));
    for (let i = 0; i < 150; i += 1) {
      const left = pcm.slice(i * OPUS_FRAME, (i + 1) * OPUS_FRAME);
      const packet = rtp.packet(
        encoder.encode(
          left,
          left.map((one) => one / 8),
        ),
        at(ORIGIN + i * 20_000),
        false,
      );
      void clock.advance(ms(20));
      // A hole is made up for on both sides.
      if (i < 60 || i > 62) tap.datagram(packet);
      tap.tick();
    }
    const stream = Buffer.concat(aac.sounds.map(({ data }) => adts(data, aacChannels(data)!)));
    const probe = ['-v', 'error', '-f', 'aac', '-i', '-', '-f', 'f32le', '-ac', '2', '-'];
    const decoded = execFileSync('ffmpeg', probe, { input: stream, maxBuffer: 1 << 26 });
    const both = new Float32Array(decoded.buffer, decoded.byteOffset, decoded.byteLength / 4);
    const power = (side: number) => both.reduce((sum, one, n) => (n % 2 === side ? sum + one * one : sum), 0);
    expect(both.length / 2).toBeGreaterThan(140 * OPUS_FRAME);
    // 18 dB.
    expect(10 * Math.log10(power(0) / power(1))).toBeGreaterThan(14);
    expect(10 * Math.log10(power(0) / power(1))).toBeLessThan(22);
    expect(opus.sounds).toHaveLength(150);
  });

  test('goes on where it is when another language comes', () => {
    const outlet = new Kept('none', 'AAC');
    const { tap } = tapped([audio('original', 5)], outlet);
    const { packets } = speech(audio('original', 5));
    for (const packet of packets.slice(0, 75)) tap.datagram(packet);
    tap.tracks([audio('original', 5), audio('dub:es', 6)]);
    for (const packet of packets.slice(75)) tap.datagram(packet);
    expect(outlet.told).toHaveLength(2);
    const starts = outlet.sounds.map(({ start }) => start);
    expect(starts).toEqual(starts.map((_, i) => Math.round(ORIGIN + (i * 1_024 * 1e6) / 48_000)));
  });
});

describe.skipIf(codecsLack())('pictures', () => {
  const packetsOf = (codec: 'VP8' | 'H264', lose?: number) => {
    const encoder = codec === 'VP8' ? ['libvpx', '-deadline', 'realtime'] : ['libx264', '-bf', '0'];
    const { pictures } = clip([...moving('320x240', 60), '-c:v', ...encoder, '-b:v', '400k', '-g', '20']);
    const packetizer = new Packetizer(codec);
    const rtp = sender(video(codec));
    const sent = pictures.map(({ data, start }) => {
      const payloads = packetizer.packetize(data);
      return payloads.map((payload, i) => rtp.packet(payload, at(ORIGIN + start), i === payloads.length - 1));
    });
    return { pictures, packets: sent.flatMap((packets, i) => (i === lose ? packets.slice(1) : packets)) };
  };

  test('of H.264 pass bit for bit, those after a loss from the next key frame on', () => {
    const [h264, sent] = [new Kept('H264', 'Opus'), new Kept('as sent', 'Opus')];
    const { tap, clock } = tapped([video('H264')], h264, sent);
    const { pictures, packets } = packetsOf('H264', 25);
    for (const packet of packets) {
      void clock.advance(ms(10));
      tap.datagram(packet);
    }
    void clock.advance(ms(200));
    tap.tick();
    const whole = pictures.filter((_, i) => i < 25 || i >= 40);
    expect(h264.pictures.map(({ start }) => start)).toEqual(whole.map(({ start }) => ORIGIN + start));
    expect(h264.pictures.map(({ data }) => Buffer.from(data))).toEqual(whole.map(({ data }) => Buffer.from(data)));
    expect(sent.pictures).toEqual(h264.pictures);
    expect(h264.pictures[0]).toMatchObject({ width: 320, height: 240, keyFrame: true, codec: 'H264' });
  });

  test('of VP8 are made H.264 for whom that is wanted, with key frames where they were', () => {
    const [h264, sent] = [new Kept('H264', 'Opus'), new Kept('as sent', 'Opus')];
    const { tap } = tapped([video('VP8')], h264, sent);
    const { pictures, packets } = packetsOf('VP8');
    for (const packet of packets) tap.datagram(packet);
    expect(sent.pictures.map(({ data }) => Buffer.from(data))).toEqual(pictures.map(({ data }) => Buffer.from(data)));
    expect(h264.pictures.map(({ start, keyFrame }) => [start, keyFrame])).toEqual(
      pictures.map(({ start, keyFrame }) => [ORIGIN + start, keyFrame]),
    );
    using decoder = new VideoDecoder({ codec: 'H264' });
    const frames = h264.pictures.flatMap(({ data, start }) => decoder.decode(data, start));
    expect([frames.length, decoder.damaged]).toEqual([60, 0]);
    expect(frames.every(({ width, height }) => width === 320 && height === 240)).toBe(true);
  });

  test('are not made for an outlet that wants none', () => {
    const outlet = new Kept('none', 'Opus');
    const { tap } = tapped([video('VP8')], outlet);
    for (const packet of packetsOf('VP8').packets) tap.datagram(packet);
    expect(outlet.pictures).toEqual([]);
  });
});
