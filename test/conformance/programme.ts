import { describe, expect, test } from 'vitest';
import { isIdr, nalUnits } from '../../media/h264.ts';
import type { OpenProgramme, Programme, ProgrammeItem } from '../../media/programme.ts';
import { Scope } from '../../media/scope.ts';
import { toMs } from '../../media/time.ts';

type Sound = Extract<ProgrammeItem, { kind: 'audio' }>;
type Picture = Extract<ProgrammeItem, { kind: 'video' }>;

/** All that a programme said. */
export interface Read {
  readonly sounds: readonly Sound[];
  readonly pictures: readonly Picture[];
  /** What it threw. */
  readonly failure: unknown;
}

export async function readAll(programme: Programme, until = Number.POSITIVE_INFINITY): Promise<Read> {
  const sounds: Sound[] = [];
  const pictures: Picture[] = [];
  let failure: unknown;
  try {
    for await (const item of programme) {
      if (item.start >= until) break;
      if (item.kind === 'audio') sounds.push(item);
      else pictures.push(item);
    }
  } catch (thrown) {
    failure = thrown;
  }
  return { sounds, pictures, failure };
}

/** Sound is in chunks of 20 ms that follow each other from 0 on; only the last is shorter. */
export function expectGapless(sounds: readonly Sound[]): void {
  expect(sounds.map(({ start }) => start)).toEqual(sounds.map((_, n) => n * 20_000));
  expect(sounds.slice(0, -1).filter(({ pcm, rate }) => pcm.length !== 960 || rate !== 48_000)).toEqual([]);
}

/** Each picture is later than the one before; the first can be decoded alone. */
export function expectInOrder(pictures: readonly Picture[]): void {
  expect(pictures.filter(({ start }, n) => n > 0 && start <= pictures[n - 1]!.start)).toEqual([]);
  const [first] = pictures;
  expect(first?.keyFrame).toBe(true);
  if (first?.codec === 'H264') expect(isIdr(nalUnits(first.data, 'annex-b'))).toBe(true);
}

export const soundOf = (sounds: readonly Sound[]): Float32Array =>
  Float32Array.from(sounds.flatMap(({ pcm }) => [...pcm]));

/** A source whose programme has sound and pictures that go on for at least 4 s. */
export interface ProgrammeCase {
  readonly name: string;
  /** Opens it; may be called again after the scope has closed. */
  readonly open: OpenProgramme;
  /**
   * In a clip with a beep at each of some pictures: the time of a picture less that of the sound which belongs to it, s.
   * `null` where the clip has no such mark.
   */
  readonly apart: ((read: Read) => number) | null;
  readonly fps: number;
  /** Seconds of programme at least. */
  readonly length: number;
  /** RTP does not wait for who is slow. */
  readonly waits?: boolean;
}

/** What {@link Programme} promises, of every kind of source. */
export function programmeConformance({ name, open, apart, fps, length, waits = true }: ProgrammeCase): void {
  describe(`programme: ${name}`, () => {
    test('sound is without a gap, pictures go forward from a key frame on, and both stay together', async () => {
      await using scope = new Scope('test');
      const programme = await open(scope);
      const read = await readAll(programme);
      expect(read.failure).toBeUndefined();
      expectGapless(read.sounds);
      expectInOrder(read.pictures);
      expect(programme.info.video).toMatchObject({ codec: read.pictures[0]!.codec });
      expect(programme.info.audio).not.toBeNull();
      expect(read.sounds.length / 50).toBeGreaterThan(length);
      const [first, last] = [read.pictures[0]!, read.pictures.at(-1)!];
      expect((last.start - first.start) / 1_000_000).toBeGreaterThan(length - 2);
      // Near 0; joined in the middle it waits for a key frame.
      expect(Math.min(read.sounds[0]!.start, first.start)).toBeLessThan(1_000_000);
      if (apart) expect(Math.abs(apart(read))).toBeLessThan(1 / fps);
    });

    test('is read once, and ends within a second of its scope', async () => {
      const scope = new Scope('test');
      const programme = await open(scope);
      const items = programme[Symbol.asyncIterator]();
      expect((await items.next()).done).toBe(false);
      // A file may be read again; what is live may not.
      if (programme.info.duration === null) expect(() => programme[Symbol.asyncIterator]()).toThrow(TypeError);
      const closed = scope.close();
      const from = process.hrtime.bigint();
      const failure = await (async () => {
        while (!(await items.next()).done);
      })().catch((thrown: unknown) => thrown);
      await closed;
      expect(failure).toMatchObject({ name: 'AbortError' });
      expect(Number(process.hrtime.bigint() - from) / 1e9).toBeLessThan(toMs(1_000_000 as never) / 1_000);
    });

    test.runIf(waits)('waits for who takes it, and then goes on without a loss', async () => {
      await using scope = new Scope('test');
      const programme = await open(scope);
      const sounds: Sound[] = [];
      let taken = 0;
      for await (const item of programme) {
        if (item.kind === 'audio') sounds.push(item);
        if ((taken += 1) % 100 === 0) await new Promise((wake) => setTimeout(wake, 50));
      }
      expectGapless(sounds);
      expect(sounds.length / 50).toBeGreaterThan(length);
    });
  });
}
