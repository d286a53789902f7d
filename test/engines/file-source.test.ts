import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FileSource, type FileSourceOptions } from '../../gateway/session/file-source.ts';
import type { VideoFormat } from '../../gateway/session/source.ts';
import { endOf } from '../../media/audio.ts';
import { type Anchor, type Clock, ManualClock } from '../../media/clock.ts';
import { Refusal } from '../../media/refusal.ts';
import { Scope } from '../../media/scope.ts';
import { type ClockTime, at, ms, seconds } from '../../media/time.ts';
import { eventually } from '../fakes/gateway.ts';

const noFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0 ? undefined : 'no ffmpeg: apt-get install ffmpeg';
const folder = mkdtempSync(join(tmpdir(), 'livedub-file-source-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'two-seconds.mkv');

/** A manual clock that knows whether somebody sleeps on it, so that a test can wait for a file to be read. */
class SleptOn implements Clock {
  readonly manual = new ManualClock();
  sleeping = 0;
  now(): ClockTime {
    return this.manual.now();
  }
  async until(when: ClockTime, signal: AbortSignal): Promise<void> {
    this.sleeping += 1;
    try {
      await this.manual.until(when, signal);
    } finally {
      this.sleeping -= 1;
    }
  }
}

interface Came {
  readonly kind: 'audio' | 'video';
  readonly start: number;
  /** When all of it had been heard, or when it was to be seen, µs of media time. */
  readonly due: number;
  /** µs of clock time. */
  readonly at: number;
}

describe.skipIf(noFfmpeg)(`a recorded programme played live (${noFfmpeg ?? 'ffmpeg'})`, () => {
  let clock: SleptOn;
  let scope: Scope;
  beforeAll(() => {
    const input = ['-f', 'lavfi', '-i', 'testsrc2=s=160x90:r=25:d=2', '-f', 'lavfi', '-i', 'sine=r=48000:d=2'];
    const video = [
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-tune',
      'zerolatency',
      '-g',
      '25',
      '-pix_fmt',
      'yuv420p',
    ];
    execFileSync('ffmpeg', ['-v', 'error', ...input, ...video, '-c:a', 'pcm_s16le', path]);
  });
  beforeEach(() => {
    clock = new SleptOn();
    scope = new Scope('test');
    return () => scope.close();
  });

  /** Plays, and says what came when. */
  async function play(options: Partial<FileSourceOptions> = {}) {
    const source = await FileSource.open({ path, loop: false, clock, delay: seconds(1), ...options }, scope);
    const came: Came[] = [];
    const formats: (VideoFormat | null)[] = [];
    const anchors: Anchor[] = [];
    let over = false;
    const playing = source
      .play(
        {
          audio: (chunk) => came.push({ kind: 'audio', start: chunk.start, due: endOf(chunk), at: clock.now() }),
          video: ({ start, payloads }) => {
            expect(payloads.length).toBeGreaterThan(0);
            came.push({ kind: 'video', start, due: start, at: clock.now() });
          },
          format: (format) => formats.push(format),
        },
        (anchor) => {
          expect(came).toEqual([]);
          anchors.push(anchor);
        },
      )
      .then(() => (over = true));
    playing.catch(() => {});
    return {
      source,
      came,
      formats,
      anchors,
      playing,
      over: () => over,
      /** Lets time pass in steps of 10 ms; in each, the file is read as far as it goes. */
      run: async (until: number) => {
        for (;;) {
          await eventually(() => clock.sleeping > 0 || over, 'the file is read');
          if (over || clock.now() >= until) return;
          await clock.manual.advance(ms(10));
        }
      },
    };
  }

  test('comes in when its time has come, not before and not after', async () => {
    await clock.manual.advance(ms(500));
    const { came, formats, anchors, run, over, playing, source } = await play();
    await run(1_500_000);
    expect(formats).toMatchObject([{ codec: 'H264', parameters: { 'packetization-mode': 1 } }]);
    expect(anchors).toEqual([{ media: 0, clock: 500_000 }]);
    // A second has passed: all of it has come, and nothing of the next.
    expect(came.filter(({ kind }) => kind === 'audio').map(({ due }) => due)).toEqual(
      Array.from({ length: 50 }, (_, i) => (i + 1) * 20_000),
    );
    expect(source.end).toBe(1_000_000);
    await run(10_000_000);
    expect(over()).toBe(true);
    await playing;
    expect(source.end).toBe(2_000_000);
    expect(came.filter(({ kind }) => kind === 'video')).toHaveLength(50);
    for (const item of came) {
      expect(item.at).toBeGreaterThanOrEqual(item.due + 500_000);
      // A picture may lie behind a packet of sound in the file that ends after it.
      expect(item.at).toBeLessThanOrEqual(item.due + 500_000 + 40_000);
    }
    expect(clock.now()).toBeLessThan(2_600_000);
  });

  test('begins again at its end, without a seam, when it is to be looped', async () => {
    const { came, run, over } = await play({ loop: true });
    await run(5_000_000);
    expect(over()).toBe(false);
    const sound = came.filter(({ kind }) => kind === 'audio');
    expect(sound.map(({ start }) => start)).toEqual(Array.from({ length: 250 }, (_, i) => i * 20_000));
    const shown = came.filter(({ kind }) => kind === 'video').map(({ start }) => Math.round(start / 40_000));
    expect(shown).toEqual(Array.from({ length: shown.length }, (_, i) => i));
    expect(shown.length).toBeGreaterThanOrEqual(125);
  });

  test('a process that takes over begins at the play-head: what has been played is not read, the rest comes at its time', async () => {
    const resume: Anchor = { media: at(0), clock: 0 as ClockTime };
    await clock.manual.advance(ms(2_300));
    // 2.3 s have come in before, 1.3 s have been played.
    const { came, anchors, run } = await play({ resume });
    await run(2_300_000);
    expect(anchors).toEqual([resume]);
    const [first] = came.filter(({ kind }) => kind === 'audio');
    expect(first!.start).toBe(1_300_000);
    expect(Math.abs(Math.max(...came.map(({ due }) => due)) - 2_000_000)).toBeLessThan(1_000);
    expect(came.every((item) => item.at === 2_300_000)).toBe(true);
  });

  test('the same in a later round of a loop', async () => {
    const resume: Anchor = { media: at(0), clock: 0 as ClockTime };
    await clock.manual.advance(ms(8_500));
    const { came, run } = await play({ resume, loop: true });
    await run(9_000_000);
    const sound = came.filter(({ kind }) => kind === 'audio');
    expect(sound[0]!.start).toBe(7_500_000);
    expect(sound.map(({ start }) => start)).toEqual(sound.map((_, i) => 7_500_000 + i * 20_000));
    expect(sound.at(-1)!.due).toBe(9_000_000);
    for (const item of came) expect(item.at).toBeGreaterThanOrEqual(item.due);
    const pictures = came.filter(({ kind }) => kind === 'video');
    expect(pictures[0]!.start).toBeGreaterThanOrEqual(7_500_000);
    expect(pictures.at(-1)!.start).toBeGreaterThan(8_900_000);
  });

  test('ends with its scope in the middle', async () => {
    const { run, playing, came } = await play();
    await run(300_000);
    const count = came.length;
    await scope.close();
    await expect(playing).rejects.toThrow();
    expect(came).toHaveLength(count);
  });

  test('a file that is not there is refused before anything plays', async () => {
    const refusal = await play({ path: join(folder, 'nothing.mp4') }).catch((failure: unknown) => failure);
    expect(refusal).toBeInstanceOf(Refusal);
    expect(refusal).toMatchObject({ code: 'not_found', field: 'source.path' });
  });
});
