import { beforeEach, describe, expect, test } from 'vitest';
import type { OutputTrack } from '../../gateway/session/ipc.ts';
import { Output, type PictureLine } from '../../gateway/session/output.ts';
import { formatOf } from '../../gateway/session/source.ts';
import { ManualClock } from '../../media/clock.ts';
import type { Mix } from '../../media/mix.ts';
import { MissingLibrary } from '../../media/native.ts';
import { OPUS_FRAME, OpusDecoder, opusVersion } from '../../media/opus.ts';
import { parseRtcp } from '../../media/rtcp.ts';
import { type RtpPacket, isRtcp, parseRtp } from '../../media/rtp.ts';
import { Scope } from '../../media/scope.ts';
import { type ClockTime, at, later, ms, samples, seconds } from '../../media/time.ts';
import { Timeline } from '../../media/timeline.ts';
import type { AccessUnit } from '../../media/video.ts';

function missing(): string | undefined {
  try {
    opusVersion();
    return undefined;
  } catch (failure) {
    if (failure instanceof MissingLibrary) return failure.message;
    throw failure;
  }
}

const DELAY = seconds(1);
const base = { payloadType: 111, mimeType: 'audio/opus', clockRate: 48_000, channels: 2, parameters: {} } as const;
const ORIGINAL: OutputTrack = {
  ...base,
  id: 'original',
  kind: 'audio',
  language: 'en',
  ssrc: 1,
  rtpBase: 4_294_960_000,
};
const SPANISH: OutputTrack = { ...base, id: 'dub:es', kind: 'audio', language: 'es', ssrc: 2, rtpBase: 5_000 };
const GERMAN: OutputTrack = { ...base, id: 'dub:de', kind: 'audio', language: 'de', ssrc: 3, rtpBase: 6_000 };
const VOICE: OutputTrack = { ...base, id: 'voice:es', kind: 'audio', language: 'es', ssrc: 5, rtpBase: 7_000 };
const VIDEO: OutputTrack = {
  id: 'video',
  kind: 'video',
  language: null,
  ssrc: 4,
  payloadType: 96,
  mimeType: 'video/VP8',
  clockRate: 90_000,
  channels: 1,
  parameters: {},
  rtpBase: 9_000,
};
const VIDEO_ES: OutputTrack = { ...VIDEO, id: 'video:es', language: 'es', ssrc: 6, rtpBase: 4_294_900_000 };
const VIDEO_DE: OutputTrack = { ...VIDEO, id: 'video:de', language: 'de', ssrc: 7, rtpBase: 77 };
const [OLD_NUMBER, UNSENT] = [500, 128];

/** A process of the programme that began at clock 0, on the clock of the test. */
function open(
  clock: ManualClock,
  scope: Scope,
  resumed: boolean | Readonly<Record<string, number>> = false,
  mix: Partial<Mix> = {},
) {
  const timeline = new Timeline({
    delay: DELAY,
    rate: 48_000,
    anchor: { media: at(0), clock: 0 as ClockTime },
    mix,
    ...(resumed !== false && { now: clock.now() }),
  });
  const packets: RtpPacket[] = [];
  const reports: ReturnType<typeof parseRtcp>[] = [];
  const output = new Output(
    {
      clock,
      timeline,
      send: (data) => (isRtcp(data) ? reports.push(parseRtcp(data)) : packets.push(parseRtp(data)!)),
      cname: 'test',
      hold: seconds(4),
      ...(resumed !== false && { videoSequences: resumed === true ? { video: OLD_NUMBER } : resumed }),
    },
    scope,
  );
  /** A tick every 10 ms until `until`. */
  const run = async (until: number) => {
    while (clock.now() < until) {
      await clock.advance(ms(10));
      output.tick();
    }
  };
  return { timeline, output, packets, reports, run, of: (ssrc: number) => packets.filter((one) => one.ssrc === ssrc) };
}
/** Picture `index` of 25 a second, a key frame a second, in `count` packets that say which picture they are. */
const picture = (index: number, count = 1): AccessUnit => ({
  start: at(index * 40_000),
  keyFrame: index % 25 === 0,
  payloads: Array.from({ length: count }, (_, i) => Uint8Array.of(index, i)),
});
/** A line of pictures in which every picture is another one: `99` is put before what it says. */
function marked(closed: () => void = () => {}): PictureLine {
  const waiting: AccessUnit[] = [];
  return {
    get size() {
      return waiting.length;
    },
    counts: { 'marked pictures': 3 },
    push: (unit) => void waiting.push({ ...unit, payloads: unit.payloads.map((each) => Uint8Array.of(99, ...each)) }),
    take: (playhead) => waiting.splice(0, waiting.filter(({ start }) => start <= playhead).length),
    grow: () => {},
    close: closed,
  };
}
const tone = (length: number) =>
  Float32Array.from({ length }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 1_000 * i) / 48_000));

describe.skipIf(missing())(`what a session sends (${missing() ?? 'libopus'})`, () => {
  let clock: ManualClock;
  let scope: Scope;
  beforeEach(() => {
    clock = new ManualClock();
    scope = new Scope('test');
    return () => scope.close();
  });

  test('every track gets every frame once, numbered and stamped by its place in the programme', async () => {
    const { timeline, output, of } = open(clock, scope);
    for (const track of [ORIGINAL, SPANISH]) output.addAudio(track);
    timeline.pushOriginal({ start: at(0), rate: 48_000, pcm: new Float32Array(3 * 48_000) });
    // However badly the ticks come.
    for (const step of [999, 1, 1, 7, 33, 20, 20, 140, 3, 60, 251, 465]) {
      await clock.advance(ms(step));
      output.tick();
      output.tick();
    }
    expect(clock.now()).toBe(2_000_000);
    for (const { ssrc, rtpBase } of [ORIGINAL, SPANISH]) {
      const sent = of(ssrc);
      // Frame k is due when the programme's k · 20 ms has come a second ago.
      expect(sent.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 51 }, (_, k) => k));
      expect(sent.map(({ timestamp }) => timestamp)).toEqual(
        Array.from({ length: 51 }, (_, k) => (rtpBase + k * 960) % 2 ** 32),
      );
      expect(new Set(sent.map(({ payloadType, marker }) => `${payloadType} ${marker}`))).toEqual(
        new Set(['111 false']),
      );
    }
  });

  test('a dub is in its own track alone, where it was placed', async () => {
    const { timeline, output, run, of } = open(clock, scope);
    for (const track of [ORIGINAL, SPANISH, GERMAN]) output.addAudio(track);
    timeline.pushOriginal({ start: at(0), rate: 48_000, pcm: new Float32Array(3 * 48_000) });
    const pcm = tone(24_000);
    expect(timeline.dub('es').place({ start: at(500_000), end: at(1_000_000), pcm })).toBe(true);
    await run(3_000_000);
    const loud = (ssrc: number) => {
      using decoder = new OpusDecoder();
      return of(ssrc).flatMap(({ payload }, k) => {
        const frame = decoder.decode(payload);
        expect(frame).toHaveLength(OPUS_FRAME);
        return frame.some((x) => Math.abs(x) > 0.05) ? [k] : [];
      });
    };
    expect(loud(ORIGINAL.ssrc)).toEqual([]);
    expect(loud(GERMAN.ssrc)).toEqual([]);
    const heard = loud(SPANISH.ssrc);
    // libopus is 6.5 ms behind what it is given: the last of it comes in a frame of its own.
    expect([heard[0], heard.at(-1)]).toEqual([25, 50]);
    expect(heard).toHaveLength(26);
  });

  test('the voices of a dub go out alone: silence where nobody is dubbed, and never the original', async () => {
    const { timeline, output, run, of } = open(clock, scope);
    output.addAudio(VOICE);
    const pcm = tone(24_000).map((x) => x / 2);
    expect(timeline.dub('es').place({ start: at(500_000), end: at(1_000_000), pcm })).toBe(true);
    await run(2_500_000);
    using decoder = new OpusDecoder();
    const peaks = of(VOICE.ssrc).map(({ payload }) => Math.max(...decoder.decode(payload).map(Math.abs)));
    expect(Math.max(...peaks.slice(0, 23))).toBeLessThan(0.001);
    expect(Math.min(...peaks.slice(28, 48))).toBeCloseTo(0.25, 1);
    expect(Math.max(...peaks.slice(54))).toBeLessThan(0.001);
  });

  test('where speakers have their places, dubs are stereo and the original is not', async () => {
    const { timeline, output, run, of } = open(clock, scope, false, { overlap: 'pan' });
    for (const track of [ORIGINAL, SPANISH]) output.addAudio(track);
    const pcm = tone(24_000);
    expect(timeline.dub('es').place({ start: at(500_000), end: at(1_000_000), pcm, pan: -1 })).toBe(true);
    await run(2_500_000);
    const stereo = (ssrc: number) => of(ssrc).map(({ payload }) => (payload[0]! & 0x04) !== 0);
    expect(new Set(stereo(ORIGINAL.ssrc))).toEqual(new Set([false]));
    expect(new Set(stereo(SPANISH.ssrc))).toEqual(new Set([true]));
    using decoder = new OpusDecoder();
    const loudest = of(SPANISH.ssrc).map(({ payload }) => Math.max(...decoder.decode(payload)));
    // All of it on the left, 3 dB up; half of that in mono.
    expect(loudest[40]).toBeCloseTo((0.5 * Math.SQRT2) / 2, 1);
  });

  test('pictures are held for as long as the delay may have become', async () => {
    const { timeline, output, run, of } = open(clock, scope);
    output.setVideo(VIDEO, formatOf('VP8'));
    timeline.aim(seconds(20));
    for (let index = 0; index * 40_000 < 50_000_000; index += 1) {
      await run(Math.max(clock.now(), index * 40_000));
      output.push(picture(index));
    }
    expect(timeline.delay).toBeGreaterThan(seconds(4.5));
    const sent = of(VIDEO.ssrc);
    expect(sent.length).toBeGreaterThan(1_000);
    expect(sent.map(({ payload }) => payload[0])).toEqual(sent.map((_, index) => index % 256));
    expect(output.dropped['video line']).toBe(0);
  });

  test('a language that comes later is numbered as if it had always been there; one that is gone gets nothing', async () => {
    const { output, run, of } = open(clock, scope);
    output.addAudio(ORIGINAL);
    output.addAudio(SPANISH);
    await run(1_200_000);
    output.removeAudio('dub:es');
    output.addAudio(GERMAN);
    await run(1_400_000);
    expect(of(SPANISH.ssrc).at(-1)?.sequence).toBe(10);
    expect(of(GERMAN.ssrc).map(({ sequence }) => sequence)).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  });

  test('pictures go out when the play-head reaches them, whole and in order', async () => {
    const { output, packets, run, of } = open(clock, scope);
    expect(output.setVideo(VIDEO, formatOf('VP8'))).toMatchObject({ id: 'video', mimeType: 'video/VP8', ssrc: 4 });
    for (let index = 0; index < 30; index += 1) output.push(picture(index, 3));
    await run(990_000);
    expect(packets).toEqual([]);
    expect(output.live).toBe(false);
    await run(1_000_000);
    expect(output.live).toBe(true);
    await run(2_000_000);
    const sent = of(VIDEO.ssrc);
    expect(sent).toHaveLength(26 * 3);
    sent.forEach(({ payload, timestamp, marker, sequence }, i) => {
      expect([...payload]).toEqual([Math.floor(i / 3), i % 3]);
      expect(timestamp).toBe(9_000 + Math.floor(i / 3) * 3_600);
      expect(marker).toBe(i % 3 === 2);
      expect(sequence).toBe((sent[0]!.sequence + i) & 0xffff);
    });
    expect(output.videoSequences['video']).toBe(sent.at(-1)!.sequence);
  });

  test('after a stall no more leaves at once than the SFU takes, and all of it leaves', async () => {
    const { output, packets, of } = open(clock, scope);
    output.setVideo(VIDEO, formatOf('VP8'));
    for (let index = 0; index < 50; index += 1) output.push(picture(index, 10));
    await clock.advance(seconds(3));
    const bursts: number[] = [];
    for (let tick = 0; tick < 20; tick += 1) {
      const before = packets.length;
      output.tick();
      bursts.push(packets.length - before);
      await clock.advance(ms(10));
    }
    expect(Math.max(...bursts)).toBeLessThan(32 + 10);
    expect(of(VIDEO.ssrc).map(({ payload }) => payload[0])).toEqual(
      Array.from({ length: 500 }, (_, i) => Math.floor(i / 10)),
    );
  });

  test('once a second every track says what is played at one and the same instant', async () => {
    const { output, reports, run } = open(clock, scope);
    for (const track of [ORIGINAL, SPANISH]) output.addAudio(track);
    output.setVideo(VIDEO, formatOf('VP8'));
    for (let index = 0; index < 100; index += 1) output.push(picture(index));
    await run(3_500_000);
    const said = reports.map(([report]) => report!);
    expect(said.length).toBe(3 * 3);
    for (let second = 0; second < 3; second += 1) {
      const same = said.slice(3 * second, 3 * second + 3);
      const micros = same.map((report) => {
        if (report.type !== 'sender-report') throw new TypeError(report.type);
        const track = [ORIGINAL, SPANISH, VIDEO].find(({ ssrc }) => ssrc === report.ssrc)!;
        return { ntp: report.ntp, media: (((report.rtp - track.rtpBase) >>> 0) * 1e6) / track.clockRate };
      });
      expect(new Set(micros.map(({ ntp }) => ntp)).size).toBe(1);
      expect(new Set(micros.map(({ media }) => Math.round(media / 100))).size).toBe(1);
    }
  });

  test('another codec begins with its own key frame and goes on with the numbers', async () => {
    const { output, run, of } = open(clock, scope);
    output.setVideo(VIDEO, formatOf('VP8'));
    // A backlog that does not leave in one tick.
    for (let index = 0; index < 5; index += 1) output.push(picture(index, 30));
    await run(1_160_000);
    const before = of(VIDEO.ssrc).at(-1)!;
    for (let index = 5; index < 12; index += 1) output.push(picture(index, 30));
    await clock.advance(ms(300));
    output.tick();
    const last = of(VIDEO.ssrc).at(-1)!;
    expect(last.payload[0]).toBeLessThan(11);
    expect(output.setVideo(VIDEO, formatOf('H264'))).toMatchObject({ mimeType: 'video/H264' });
    output.push(picture(20));
    output.push({ ...picture(25), payloads: [Uint8Array.of(77)] });
    await run(2_500_000);
    const [next, ...more] = of(VIDEO.ssrc).slice(of(VIDEO.ssrc).indexOf(last) + 1);
    expect(before.sequence).not.toBe(last.sequence);
    expect([...next!.payload]).toEqual([77]);
    expect(more).toEqual([]);
    expect((next!.sequence - last.sequence) & 0xffff).toBeLessThanOrEqual(2);
    expect(output.dropped['video without key frame']).toBe(1);
  });

  describe('with a picture for every language', () => {
    test('each goes out on its own track, with its own numbers, at the same times', async () => {
      const { output, run, of } = open(clock, scope);
      output.setVideo(VIDEO, formatOf('VP8'));
      expect(output.setVideo(VIDEO_ES, formatOf('VP8'), () => marked())).toMatchObject({
        ...{ id: 'video:es', language: 'es', mimeType: 'video/VP8', ssrc: 6 },
      });
      for (let index = 0; index < 30; index += 1) output.push(picture(index, 3));
      await run(2_000_000);
      const [plain, spanish] = [of(VIDEO.ssrc), of(VIDEO_ES.ssrc)];
      expect(plain).toHaveLength(26 * 3);
      expect(spanish.map(({ payload }) => [...payload])).toEqual(plain.map(({ payload }) => [99, ...payload]));
      const times = (packets: readonly RtpPacket[], base: number) =>
        packets.map(({ timestamp }) => (timestamp - base) >>> 0);
      expect(times(spanish, VIDEO_ES.rtpBase)).toEqual(times(plain, VIDEO.rtpBase));
      for (const sent of [plain, spanish]) {
        sent.forEach(({ sequence }, i) => expect(sequence).toBe((sent[0]!.sequence + i) & 0xffff));
      }
      expect(output.videoSequences).toEqual({
        video: plain.at(-1)!.sequence,
        'video:es': spanish.at(-1)!.sequence,
      });
      expect(output.dropped).toMatchObject({ 'video line': 0, 'marked pictures': 3 });
    });

    test('one that is taken away gets nothing more, and goes on with later numbers when it comes back', async () => {
      const { output, run, of } = open(clock, scope);
      let closed = 0;
      output.setVideo(VIDEO, formatOf('VP8'));
      output.setVideo(VIDEO_ES, formatOf('VP8'), () => marked(() => (closed += 1)));
      for (let index = 0; index < 100; index += 1) output.push(picture(index));
      await run(2_000_000);
      output.removeVideo('video:es');
      expect(closed).toBe(1);
      expect(output.line('video:es')).toBeUndefined();
      const before = of(VIDEO_ES.ssrc).length;
      await run(3_000_000);
      expect(of(VIDEO_ES.ssrc)).toHaveLength(before);
      expect(of(VIDEO.ssrc)).toHaveLength(51);
      const last = of(VIDEO_ES.ssrc).at(-1)!.sequence;
      expect(output.videoSequences['video:es']).toBe(last);
      output.setVideo(VIDEO_ES, formatOf('VP8'), () => marked());
      for (let index = 100; index < 110; index += 1) output.push(picture(index));
      await run(5_500_000);
      const next = of(VIDEO_ES.ssrc)[before]!;
      expect([...next.payload]).toEqual([99, 100, 0]);
      expect((next.sequence - last) & 0xffff).toBeGreaterThan(0);
      expect((next.sequence - last) & 0xffff).toBeLessThanOrEqual(UNSENT + 1);
      // The original's never noticed.
      const numbers = of(VIDEO.ssrc).map(({ sequence }) => sequence);
      expect(numbers).toEqual(numbers.map((_, i) => (numbers[0]! + i) & 0xffff));
    });

    test('another codec opens every line anew, and the numbers of each go on', async () => {
      const { output, run, of } = open(clock, scope);
      let opened = 0;
      const line = () => {
        opened += 1;
        return marked();
      };
      const offer = (codec: 'VP8' | 'H264') => {
        output.setVideo(VIDEO, formatOf(codec));
        return output.setVideo(VIDEO_ES, formatOf(codec), line);
      };
      offer('VP8');
      for (let index = 0; index < 10; index += 1) output.push(picture(index));
      await run(1_500_000);
      offer('VP8');
      expect(opened).toBe(1);
      const before = [VIDEO, VIDEO_ES].map(({ ssrc }) => of(ssrc).at(-1)!.sequence);
      expect(offer('H264')).toMatchObject({ mimeType: 'video/H264', ssrc: VIDEO_ES.ssrc });
      expect(opened).toBe(2);
      for (let index = 25; index < 30; index += 1) output.push(picture(index));
      await run(2_300_000);
      [VIDEO, VIDEO_ES].forEach(({ ssrc }, i) => {
        const packets = of(ssrc);
        expect(packets).toHaveLength(15);
        expect(packets[10]!.sequence).toBe((before[i]! + 1) & 0xffff);
      });
    });

    test('a process that takes over goes on with the numbers of each; one that is new has its own', async () => {
      await clock.advance(ms(3_600));
      const { output, run, of } = open(clock, scope, { video: OLD_NUMBER, 'video:es': 65_500 });
      output.setVideo(VIDEO, formatOf('VP8'));
      output.setVideo(VIDEO_ES, formatOf('VP8'), () => marked());
      output.setVideo(VIDEO_DE, formatOf('VP8'), () => marked());
      for (let index = 50; index < 100; index += 1) output.push(picture(index));
      await run(4_800_000);
      expect(of(VIDEO.ssrc)[0]!.sequence).toBe(OLD_NUMBER + UNSENT);
      expect(of(VIDEO_ES.ssrc)[0]!.sequence).toBe((65_500 + UNSENT) & 0xffff);
      // What nobody sent before has nothing to catch up with: it is not held back, and stamped as it is.
      const german = of(VIDEO_DE.ssrc).map(({ timestamp }) => (timestamp - VIDEO_DE.rtpBase) >>> 0);
      expect(german[0]).toBe(50 * 3_600);
      // What a predecessor sent and nobody has opened yet is told to the successor all the same.
      const other = open(clock, scope, { video: 1, 'video:es': 2 });
      expect(other.output.videoSequences).toEqual({ video: 1, 'video:es': 2 });
    });
  });

  describe('when it takes over', () => {
    test('sound goes on with the numbers it would have had', async () => {
      const first = open(clock, scope);
      first.output.addAudio(ORIGINAL);
      await first.run(2_000_000);
      await clock.advance(ms(333));
      const second = open(clock, scope, true);
      second.output.addAudio(ORIGINAL);
      await second.run(3_000_000);
      const numbers = [...first.of(1), ...second.of(1)].map(({ sequence }) => sequence);
      expect(numbers).toEqual([...Array(51).keys(), ...Array.from({ length: 34 }, (_, i) => 67 + i)]);
    });

    test.for([0, 1, 17, 39.999])(
      'the pictures before the play-head go out in one burst from the last key frame on, stamped between what was sent and what comes (%d ms into a picture)',
      async (into) => {
        // The play-head is at 2.0 s and a bit: picture 50 is the last key frame.
        await clock.advance((3_000_000 + 15 * 40_000 + into * 1_000) as never);
        const { output, timeline, run, of } = open(clock, scope, true);
        const began = timeline.position;
        output.setVideo(VIDEO, formatOf('VP8'));
        for (let index = 25; index <= 60; index += 1) output.push(picture(index));
        output.tick();
        expect(of(VIDEO.ssrc)).toEqual([]);
        for (let index = 61; index < 100; index += 1) output.push(picture(index));
        output.tick();
        const burst = of(VIDEO.ssrc);
        expect(burst.map(({ payload }) => payload[0])).toEqual(Array.from({ length: 16 }, (_, i) => 50 + i));
        await run(clock.now() + 500_000);
        const all = of(VIDEO.ssrc);
        expect(all.length).toBeGreaterThan(25);
        const media = all.map(({ timestamp }) => (((timestamp - VIDEO.rtpBase) >>> 0) * 1e6) / 90_000);
        media.forEach((time, i) => i > 0 && expect(time).toBeGreaterThan(media[i - 1]!));
        // Nothing older than 100 ms: the process before was shown the like of it and died longer ago than that.
        expect(media[0]).toBeGreaterThan(began - 100_000);
        all.slice(16).forEach(({ payload }, i) => {
          expect(payload[0]).toBe(66 + i);
          expect(Math.abs(media[16 + i]! - payload[0]! * 40_000)).toBeLessThan(12);
        });
        // The numbers of what was sent last are not known exactly.
        expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, i) => OLD_NUMBER + UNSENT + i));
      },
    );

    test('it does not wait for ever for what does not come', async () => {
      await clock.advance(ms(3_600));
      const { output, run, of } = open(clock, scope, true);
      output.setVideo(VIDEO, formatOf('VP8'));
      for (let index = 50; index <= 60; index += 1) output.push(picture(index));
      await run(4_590_000);
      expect(of(VIDEO.ssrc)).toEqual([]);
      await run(4_610_000);
      expect(of(VIDEO.ssrc)).toHaveLength(11);
    });
  });

  test('nothing is encoded any more once its scope is closed', async () => {
    const { output, packets, run } = open(clock, scope);
    output.addAudio(ORIGINAL);
    await run(1_100_000);
    const before = packets.length;
    await scope.close();
    await run(1_300_000);
    expect(packets).toHaveLength(before);
    expect(later(at(0), samples(OPUS_FRAME * before, 48_000))).toBe(120_000);
  });
});
