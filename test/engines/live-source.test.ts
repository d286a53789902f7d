import { spawnSync } from 'node:child_process';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { InputTrack } from '../../gateway/session/ipc.ts';
import { LiveSource } from '../../gateway/session/live-source.ts';
import type { VideoFormat } from '../../gateway/session/source.ts';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { ManualClock } from '../../media/clock.ts';
import { OPUS_FRAME, OpusEncoder } from '../../media/opus.ts';
import { ntpFromUnix, parseRtcp, writeSenderReport } from '../../media/rtcp.ts';
import { writeRtp } from '../../media/rtp.ts';
import { Scope } from '../../media/scope.ts';
import { ms } from '../../media/time.ts';
import type { AccessUnit } from '../../media/video.ts';
import { pictures, units } from '../fakes/pictures.ts';

const noFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0 ? undefined : 'no ffmpeg: apt-get install ffmpeg';

const AUDIO: InputTrack = {
  kind: 'audio',
  ssrc: 1111,
  payloadType: 100,
  mimeType: 'audio/opus',
  clockRate: 48_000,
  channels: 2,
};
const VIDEO: InputTrack = {
  kind: 'video',
  ssrc: 2222,
  payloadType: 101,
  mimeType: 'video/VP8',
  clockRate: 90_000,
  channels: 1,
};
/** Time stamps begin anywhere: here they wrap soon. */
const FIRST = { audio: 2 ** 32 - 9_600, video: 2 ** 32 - 45_000 };

/** A tone of 1 kHz that starts at 400 ms, in packets. */
let tone: Uint8Array[] = [];
let moving: AccessUnit[] = [];

/** A live source on a manual clock, and what it made of its packets. */
function listen(clock: ManualClock, scope: Scope, options: Partial<ConstructorParameters<typeof LiveSource>[0]> = {}) {
  const chunks: AudioChunk[] = [];
  const shown: AccessUnit[] = [];
  const formats: (VideoFormat | null)[] = [];
  const asked: { at: number; ssrc: number }[] = [];
  const source = new LiveSource(
    {
      clock,
      sink: {
        audio: (chunk) => chunks.push({ ...chunk, pcm: chunk.pcm.slice() }),
        video: (unit) => shown.push(unit),
        format: (format) => formats.push(format),
      },
      reply: (data) => {
        for (const packet of parseRtcp(data))
          if (packet.type === 'pli') asked.push({ at: clock.now() / 1_000, ssrc: packet.media });
      },
      ...options,
    },
    scope,
  );
  return {
    source,
    chunks,
    shown,
    formats,
    asked,
    /** Frame `k` of a track's sound, 20 ms each. */
    sound: (k: number, { ssrc, payloadType } = AUDIO) =>
      source.datagram(
        writeRtp({
          ssrc,
          payloadType,
          marker: false,
          sequence: (65_500 + k) & 0xffff,
          timestamp: (FIRST.audio + k * OPUS_FRAME) % 2 ** 32,
          payload: tone[k % tone.length]!,
        }),
      ),
    /** Picture `index`, 40 ms each; all packets but those named in `lost`. */
    picture: (() => {
      let sequence = 65_000;
      return (index: number, lost: readonly number[] = []) => {
        const { payloads } = moving[index % moving.length]!;
        payloads.forEach((payload, i) => {
          sequence = (sequence + 1) & 0xffff;
          if (lost.includes(i)) return;
          const timestamp = (FIRST.video + index * 3_600) % 2 ** 32;
          const { ssrc, payloadType } = VIDEO;
          source.datagram(
            writeRtp({ ssrc, payloadType, marker: i === payloads.length - 1, sequence, timestamp, payload }),
          );
        });
      };
    })(),
    /** Runs to `until` ms, doing `work` and ticking every 10 ms. */
    run: async (until: number, work: (now: number) => void = () => {}) => {
      while (clock.now() < until * 1_000) {
        work(clock.now() / 1_000);
        source.tick();
        await clock.advance(ms(10));
      }
    },
  };
}

function expectGapless(chunks: readonly AudioChunk[]): void {
  expect(chunks.length).toBeGreaterThan(0);
  let samples = 0;
  for (const chunk of chunks) {
    expect(Math.abs(chunk.start - chunks[0]!.start - (samples * 1e6) / 48_000)).toBeLessThanOrEqual(1);
    samples += chunk.pcm.length;
  }
}

describe.skipIf(noFfmpeg)(`a publisher's programme (${noFfmpeg ?? 'ffmpeg'})`, () => {
  let clock: ManualClock;
  let scope: Scope;
  beforeAll(() => {
    using encoder = new OpusEncoder();
    tone = Array.from({ length: 200 }, (_, k) =>
      encoder.encode(
        Float32Array.from({ length: OPUS_FRAME }, (_, i) =>
          k < 20 ? 0 : 0.5 * Math.sin((2 * Math.PI * (k * OPUS_FRAME + i)) / 48),
        ),
      ),
    );
    moving = units('VP8', pictures('VP8', { count: 50 }));
  });
  beforeEach(() => {
    clock = new ManualClock();
    scope = new Scope('test');
    return () => scope.close();
  });

  test('its sound is without a gap, at its time stamps, whatever was lost or overtaken on the way', async () => {
    const { source, chunks, sound, run } = listen(clock, scope);
    source.tracks([AUDIO]);
    const late = new Map([
      [30, 60],
      [31, 20],
      [55, 40],
    ]);
    await run(3_000, (now) => {
      if (now % 20 !== 0) return;
      const k = now / 20;
      if (!late.has(k) && ![36, 73, 110].includes(k)) sound(k);
      for (const [frame, delay] of late) if (k * 20 === frame * 20 + delay) sound(frame);
    });
    expectGapless(chunks);
    expect(chunks[0]!.start).toBe(0);
    const pcm = Float32Array.from(chunks.flatMap(({ pcm }) => [...pcm]));
    const onset = pcm.findIndex((x) => Math.abs(x) > 0.1) / 48;
    expect(onset).toBeGreaterThan(400);
    expect(onset).toBeLessThan(410);
    expect(source.losses).toEqual({ 'audio packets lost': 3 });
    expect(source.anchor).toMatchObject({ media: expect.any(Number) as number });
  });

  test('the publisher is asked for a key frame at once and every second until it sends one', async () => {
    const { source, asked, shown, formats, picture, run } = listen(clock, scope);
    source.tracks([VIDEO]);
    expect(formats).toEqual([{ codec: 'VP8', parameters: {} }]);
    await run(2_500, (now) => now % 40 === 0 && picture(1 + ((now / 40) % 20)));
    expect(asked).toEqual([0, 1_000, 2_000].map((when) => ({ at: when, ssrc: VIDEO.ssrc })));
    expect(shown).toEqual([]);
    // Picture 75 is a key frame, and it is whole: nobody is asked any more.
    await run(4_900, (now) => now >= 2_520 && now % 40 === 0 && picture(75 + (now - 2_520) / 40));
    expect(asked).toHaveLength(3);
    expect(shown[0]).toMatchObject({ keyFrame: true });
    expect(shown.map(({ start }) => start - shown[0]!.start)).toEqual(shown.map((_, i) => i * 40_000));
  });

  test('a picture that lost a part costs the pictures up to the next key frame, which is asked for', async () => {
    const { source, asked, shown, picture, run } = listen(clock, scope);
    source.tracks([VIDEO]);
    await run(3_000, (now) => {
      if (now % 40 === 0) picture(now / 40, now === 1_200 ? [0] : []);
    });
    // The lost packet is waited for, for 400 ms. The next key frame comes at 2 s.
    expect(asked).toEqual([{ at: 1_600, ssrc: VIDEO.ssrc }]);
    expect(shown.map(({ start }) => start / 40_000)).toEqual([
      ...Array.from({ length: 30 }, (_, i) => i),
      ...Array.from({ length: 25 }, (_, i) => 50 + i),
    ]);
    expect(source.losses).toMatchObject({
      'video packets lost': 1,
      'pictures incomplete': expect.any(Number) as number,
    });
  });

  test('tracks come and go; what comes after is as much later in the programme as it came later', async () => {
    const { source, chunks, shown, sound, picture, run } = listen(clock, scope);
    source.tracks([AUDIO, VIDEO]);
    await run(1_000, (now) => {
      if (now % 20 === 0) sound(now / 20);
      if (now % 40 === 0) picture(now / 40);
    });
    const before = { audio: endOf(chunks.at(-1)!), video: shown.length };
    expect(before).toEqual({ audio: 1_000_000, video: 25 });
    source.tracks([]);
    await run(3_000);
    const again = { ...AUDIO, ssrc: 3333 };
    source.tracks([again, VIDEO]);
    await run(4_000, (now) => {
      if (now % 20 === 0) sound((now - 3_000) / 20, again);
      if (now % 40 === 0) picture(25 + (now - 3_000) / 40);
    });
    const [first] = chunks.filter(({ start }) => start >= before.audio);
    expect(Math.abs(first!.start - 3_000_000)).toBeLessThan(1_000);
    expect(Math.abs(shown[before.video]!.start - 3_000_000)).toBeLessThan(1_000);
    expectGapless(chunks.filter(({ start }) => start >= before.audio));
  });

  test('picture and sound that come together are shown together; the reports of the publisher say it better', async () => {
    const { source, chunks, shown, sound, picture, run } = listen(clock, scope);
    source.tracks([AUDIO, VIDEO]);
    // The picture takes 60 ms longer on its way than the sound.
    const LATER = 60;
    const report = (now: number) => {
      source.report({
        ssrc: AUDIO.ssrc,
        ntp: ntpFromUnix(1e15 + now * 1_000),
        rtp: (FIRST.audio + now * 48) % 2 ** 32,
      });
      source.report({
        ssrc: VIDEO.ssrc,
        ntp: ntpFromUnix(1e15 + now * 1_000),
        rtp: (FIRST.video + now * 90) % 2 ** 32,
      });
    };
    await run(25_000, (now) => {
      if (now % 20 === 0) sound(now / 20);
      if (now >= LATER && (now - LATER) % 40 === 0) picture((now - LATER) / 40);
      if (now >= 2_000 && now % 1_000 === 0) report(now);
    });
    // Picture i was taken together with the sound of i · 40 ms.
    const behind = shown.map(({ start }, i) => start - i * 40_000);
    expect(chunks[0]!.start).toBe(0);
    expect(behind[0]).toBe(LATER * 1_000);
    expect(behind[40]).toBe(LATER * 1_000);
    expect(Math.abs(behind.at(-1)!)).toBeLessThanOrEqual(5_000);
    // Slowly: nobody sees it happen.
    behind.forEach((each, i) => i > 0 && expect(behind[i - 1]! - each).toBeLessThanOrEqual(201));
  });

  test('a process that takes over goes on with every track where it was', async () => {
    const first = listen(clock, scope);
    first.source.tracks([AUDIO, VIDEO]);
    const both =
      ({ sound, picture }: typeof first) =>
      (now: number) => {
        if (now % 20 === 0) sound(now / 20);
        if (now % 40 === 0) picture(now / 40);
      };
    await first.run(2_000, both(first));
    const { anchor, positions } = first.source;
    expect(positions.map(({ ssrc }) => ssrc)).toEqual([AUDIO.ssrc, VIDEO.ssrc]);
    await clock.advance(ms(480));
    const second = listen(clock, scope, { anchor, resume: positions });
    expect(second.source.anchor).toEqual(anchor);
    second.source.tracks([AUDIO, VIDEO]);
    await second.run(4_000, both(second));
    expect(second.chunks[0]!.start).toBe(2_480_000);
    expect(second.shown[0]!.start).toBe(50 * 40_000 + 1_000_000);
    expectGapless(second.chunks);
  });

  test('what belongs to no track is counted, and the reports of the SFU are not listened to', () => {
    const { source, chunks, sound } = listen(clock, scope);
    sound(0);
    source.datagram(new Uint8Array([1, 2, 3]));
    expect(source.strangers).toBe(2);
    source.datagram(
      writeSenderReport({ ssrc: AUDIO.ssrc, ntp: ntpFromUnix(0), rtp: 0, packets: 1, octets: 1, cname: 'sfu' }),
    );
    expect(source.strangers).toBe(2);
    expect(chunks).toEqual([]);
    expect(source.anchor).toBeUndefined();
    expect(source.positions).toEqual([]);
  });
});
