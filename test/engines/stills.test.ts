import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jfif, jpegFile } from '../../media/jpeg.ts';
import { blank } from '../../media/video-frame.ts';
import { type ClockTime, at } from '../../media/time.ts';
import type { OutletContext } from '../../gateway/outlet/outlet.ts';
import { Stills } from '../../gateway/outlet/stills.ts';
import { CLIP, type Given, ORIGIN, TRACKS, programme, startOf } from '../fakes/recorded-programme.ts';
import { missing, recording } from '../fakes/recordings.ts';

const why = spawnSync('ffmpeg', ['-version']).status === 0 ? undefined : 'no ffmpeg: apt-get install ffmpeg';
const clip = why ?? missing(CLIP);
const root = mkdtempSync(join(tmpdir(), 'livedub-stills-'));
afterAll(() => rmSync(root, { recursive: true }));

/** R, G and B of a picture file as FFmpeg reads it, scaled to `width` × `height` and cut to a box where one is given. */
function rgb(file: string | Uint8Array, width: number, height: number, before: readonly string[] = [], crop?: string) {
  const path = typeof file === 'string' ? file : join(root, 'picture.jpg');
  if (typeof file !== 'string') writeFileSync(path, file);
  const filter = [...(crop ? [`crop=${crop}`] : []), `scale=${width}:${height}:flags=area`].join(',');
  return execFileSync('ffmpeg', [
    ...[
      '-v',
      'error',
      ...before,
      '-i',
      path,
      '-frames:v',
      '1',
      '-vf',
      filter,
      '-pix_fmt',
      'rgb24',
      '-f',
      'rawvideo',
      '-',
    ],
  ]);
}
const difference = (a: Uint8Array, b: Uint8Array) =>
  a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.length;

describe.skipIf(why)(`JPEG (${why ?? 'ffmpeg'})`, () => {
  test.for([
    ['limited BT.709', { range: 'limited', primaries: 1, transfer: 1, matrix: 1 }],
    ['full BT.601', { range: 'full', primaries: 5, transfer: 6, matrix: 5 }],
  ] as const)('colours of %s are what they were', ([, colour]) => {
    const red = blank(64, 32);
    // Half light, and red, by the numbers of that coding.
    const { y, u, v } = colour.matrix === 1 ? { y: 63, u: 102, v: 240 } : { y: 76, u: 85, v: 255 };
    const picture = jpegFile(jfif({ ...red, y: red.y.fill(y), u: red.u.fill(u), v: red.v.fill(v) }, colour));
    const [r = 0, g = 0, b = 0] = rgb(picture, 2, 2);
    expect(Math.abs(r - 255)).toBeLessThan(6);
    expect(g).toBeLessThan(6);
    expect(b).toBeLessThan(6);
  });
});

describe.skipIf(clip)(`pictures that stand for a programme (${clip ?? 'there'})`, () => {
  let given: Given[] = [];
  beforeAll(() => {
    given = programme(13);
  });
  const said: string[] = [];
  const context: OutletContext = {
    ...{ session: 'abc', name: 'Talk', from: 'en' },
    dateOf: (media) => 1_700_000_000_000 + media / 1_000,
    complain: (message) => said.push(message),
  };
  function shown(enabled: 'auto' | 'off', things: readonly Given[], window = 120) {
    const stills = new Stills({ enabled, window }, context);
    stills.tracks(TRACKS);
    for (const thing of things) {
      if ('picture' in thing) stills.picture(thing.picture);
      else stills.sound(thing.sound);
      stills.tick(startOf(thing) as number as ClockTime, startOf(thing));
    }
    return stills;
  }

  test('a poster is the programme’s picture, renewed every ten seconds', async () => {
    const early = shown(
      'auto',
      given.filter((thing) => startOf(thing) < ORIGIN + 6e6),
    );
    const late = shown('auto', given);
    expect([early.counts['posters'], late.counts['posters']]).toEqual([1, 2]);
    for (const [stills, second] of [
      [early, 0],
      [late, 12],
    ] as const) {
      const { status, headers, body } = await stills.answer({ path: 'poster.jpg' });
      expect([status, headers['content-type']]).toEqual([200, 'image/jpeg']);
      const real = rgb(recording(CLIP), 54, 36, ['-stream_loop', '-1', '-ss', String(second)]);
      expect(difference(rgb(body as Uint8Array, 54, 36), real)).toBeLessThan(6);
      await stills.close();
    }
    expect(said).toEqual([]);
  });

  test('each cue of the storyboard names a part of the sheet that shows the programme there', async () => {
    const stills = shown('auto', given);
    const track = await stills.answer({ path: 'storyboard.vtt' });
    expect(track.headers['content-type']).toContain('text/vtt');
    const cues = [...String(track.body).matchAll(/^([\d:.]+) --> [\d:.]+\n(storyboard\/\d+\.jpg)#xywh=([\d,]+)$/gmu)];
    expect(cues.map(([, start]) => start)).toEqual(['00:00:07.007', '00:00:11.007', '00:00:15.007', '00:00:19.007']);
    const { status, body } = await stills.answer({ path: cues[0]![2]! });
    expect(status).toBe(200);
    const reals = cues.map((_, n) => rgb(recording(CLIP), 34, 22, ['-stream_loop', '-1', '-ss', String(4 * n)]));
    for (const [n, [, , , box = '']] of cues.entries()) {
      const [left, top, width, height] = box.split(',').map(Number);
      expect([width, height]).toEqual([136, 90]);
      const picture = rgb(body, 34, 22, [], `${width}:${height}:${left}:${top}`);
      const off = reals.map((real) => difference(picture, real));
      expect(off[n]).toBe(Math.min(...off));
      expect(off[n]).toBeLessThan(6);
    }
    await stills.close();
  });

  test('with HLS off there is a poster and no storyboard', async () => {
    const stills = shown('off', given);
    expect((await stills.answer({ path: 'poster.jpg' })).status).toBe(200);
    expect((await stills.answer({ path: 'storyboard.vtt' })).status).toBe(404);
    expect([stills.counts['tiles'], stills.counts['decoded']]).toEqual([0, 2]);
    await stills.close();
  });

  test('a picture that is damaged costs itself, and nothing is made of what asks for another one', async () => {
    const [first, ...rest] = given.filter((thing) => 'picture' in thing && thing.picture.keyFrame);
    const torn =
      'picture' in first! ? { picture: { ...first.picture, data: first.picture.data.slice(0, 60) } } : first!;
    const stills = shown('auto', [torn, ...given.filter((thing) => 'picture' in thing && !thing.picture.keyFrame)]);
    expect([stills.counts['decoded'], (await stills.answer({ path: 'poster.jpg' })).status]).toEqual([0, 404]);
    for (const thing of rest) if ('picture' in thing) stills.picture(thing.picture);
    expect(stills.counts).toMatchObject({ damaged: 1, posters: 1 });
    await stills.close();
  });

  test('there is nothing before the first picture, nor under other names', async () => {
    const stills = shown('auto', []);
    stills.tick(0 as ClockTime, at(0));
    for (const path of ['poster.jpg', 'storyboard.vtt', 'storyboard/0.jpg', '../poster.jpg'])
      expect((await stills.answer({ path })).status).toBe(404);
    await stills.close();
  });
});
