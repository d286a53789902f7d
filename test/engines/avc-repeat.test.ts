import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { Repeater } from '../../media/avc-repeat.ts';
import { frameOf, nalUnits, typeOf } from '../../media/h264.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';

const why = missing(WEBCAM.file);
const COUNT = 24;

describe.skipIf(why)(`pictures of a real face, once more (${why ?? 'there'})`, () => {
  const pictures = (profile: string, params: string): Uint8Array[] => {
    const stream = execFileSync(
      'ffmpeg',
      ['-v', 'error', '-i', recording(WEBCAM.file), '-an', '-frames:v', String(COUNT), '-vf', 'scale=318:210', '-pix_fmt', 'yuv420p',
        '-c:v', 'libx264', '-profile:v', profile, '-x264-params', `aud=1:repeat-headers=1:keyint=12:${params}`, '-f', 'h264', '-'],
      { maxBuffer: 1 << 26 },
    ); // prettier-ignore
    const groups: Uint8Array[][] = [];
    for (const nal of nalUnits(stream, 'annex-b')) {
      if (typeOf(nal) === 9) groups.push([]);
      else groups.at(-1)?.push(nal);
    }
    return groups.map((nals) => frameOf(nals, 4));
  };
  const decoded = (samples: readonly Uint8Array[]): string[] => {
    const input = Buffer.concat(samples.map((one) => frameOf(nalUnits(one, 4), 'annex-b')));
    const args = ['-v', 'error', '-xerror', '-f', 'h264', '-i', '-', '-fps_mode', 'passthrough', '-f', 'framemd5', '-'];
    const lines = execFileSync('ffmpeg', args, { input, stdio: 'pipe' }).toString().trim().split('\n');
    return lines.filter((line) => !line.startsWith('#')).map((line) => line.split(',').at(-1)!.trim());
  };

  test.for([
    ['baseline, as encoders for calls send it', 'baseline', 'bframes=0'],
    ['baseline in slices', 'baseline', 'bframes=0:slices=3'],
    ['main, with weights and several references', 'main', 'bframes=0:weightp=2:ref=4'],
    ['high, as encoders of broadcasters send it', 'high', 'bframes=0:ref=3'],
    ['high with an order of its own', 'high', 'bframes=1:b-bias=-100:ref=2'],
    ['main without arithmetic', 'main', 'bframes=1:b-bias=-100:cabac=0:ref=1'],
  ] as const)('%s: every decoder sees what it saw, and goes on unharmed', ([, profile, params]) => {
    const all = pictures(profile, params);
    expect(all).toHaveLength(COUNT);
    const plain = decoded(all);
    const repeater = new Repeater();
    const twice = all.flatMap((one) => {
      repeater.push(one);
      const more = repeater.repeat()!;
      expect(more.byteLength).toBeLessThan(64);
      return [one, more, more];
    });
    expect(decoded(twice)).toEqual(plain.flatMap((sum) => [sum, sum, sum]));
  });

  test('without a stream, and behind what is no picture, there is nothing to repeat', () => {
    const repeater = new Repeater();
    expect(repeater.repeat()).toBeUndefined();
    repeater.push(Uint8Array.of(0, 0, 0, 2, 0x41, 0x9a));
    expect(repeater.repeat()).toBeUndefined();
    const [first] = pictures('baseline', 'bframes=0');
    repeater.push(first!);
    expect(repeater.repeat()).toBeDefined();
    repeater.push(Uint8Array.of(0, 0, 0, 2, 0x41, 0x00));
    expect(repeater.repeat()).toBeUndefined();
  });
});
