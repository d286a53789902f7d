import { describe, expect, test } from 'vitest';
import { at, seconds } from '../../media/time.ts';
import type { SpeakerId } from '../../pipeline/domain.ts';
import { Guides } from '../../pipeline/guide.ts';
import { type TalkingClip, FACE1, FACE2, PORTRAIT, followed } from '../fakes/talking-clips.ts';
import { trackerLacks } from '../fakes/tracked-faces.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';

const absent = missing(FACE1.file, FACE2.file, PORTRAIT.file) ?? trackerLacks();
const speaker = 'speaker' as SpeakerId;

async function watched(clip: TalkingClip, count: number): Promise<Guides> {
  const guides = new Guides();
  for (const { start, face } of await followed(clip, count)) guides.saw(speaker, start, face);
  return guides;
}
/** Loudness picture by picture, dB. */
function loudness({ file, fps }: TalkingClip, count: number): number[] {
  const pcm = decode(recording(file), 16_000);
  return Array.from({ length: count }, (_, n) => {
    const part = pcm.subarray(Math.floor((n / fps) * 16_000), Math.floor(((n + 1) / fps) * 16_000));
    return 10 * Math.log10(part.reduce((sum, x) => sum + x * x, 1e-9) / Math.max(1, part.length));
  });
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (x: readonly number[]) => x.reduce((sum, each) => sum + each, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  const along = (x: readonly number[], mx: number, y: readonly number[], my: number) =>
    x.reduce((sum, each, n) => sum + (each - mx) * (y[n]! - my), 0);
  return along(a, ma, b, mb) / Math.sqrt(along(a, ma, a, ma) * along(b, mb, b, mb));
}

describe.skipIf(absent)(`the guide of a real face${absent ? ` (${absent})` : ''}`, () => {
  test.for([
    ['face1', FACE1, 120],
    ['face2', FACE2, 120],
  ] as const)('%s: the mouth is open where speech is heard', async ([, clip, count]) => {
    const guides = await watched(clip, count);
    const { mouth = [] } = guides.of({ speaker, start: at(0), end: at(seconds(count / clip.fps)) })!;
    const isOpen = (n: number) =>
      mouth.some(({ start, end }) => start <= seconds(n / clip.fps) && seconds(n / clip.fps) < end);
    const open = Array.from({ length: count }, (_, n) => Number(isOpen(n)));
    const loud = loudness(clip, count).map((level) => Number(level > -35));
    /** How well both agree when the sound is moved by so many pictures. */
    const agreement = (by: number) =>
      correlation(
        open,
        loud.map((_, n) => loud[(n + by + count) % count]!),
      );
    const elsewhere = Array.from({ length: count - 20 }, (_, n) => agreement(n + 10));
    const here = Math.max(agreement(-1), agreement(0), agreement(1));
    expect(here).toBeGreaterThan(0.2);
    expect(elsewhere.filter((each) => each > here).length).toBeLessThan(0.1 * elsewhere.length);
    expect(mouth.length).toBeGreaterThan(3);
  });

  test('a face that speaks is livelier than the same in a pause', async () => {
    const guides = await watched(FACE1, 120);
    const lively = (from: number, to: number) =>
      guides.of({ speaker, start: at(from * 1e6), end: at(to * 1e6) })!.expression;
    // Measured 1.6 times as lively; the tracker smooths what moves quickly.
    expect(lively(1, 2)).toBeGreaterThan(1.4 * lively(2.3, 3.2));
  });

  test('a mouth that stays closed is never open', async () => {
    const guides = await watched(PORTRAIT, 100);
    expect(guides.of({ speaker, start: at(0), end: at(4e6) })!.mouth).toEqual([]);
  });
});
