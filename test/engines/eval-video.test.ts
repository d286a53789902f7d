import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ffmpeg, inputFile } from '../../media/ffmpeg.ts';
import { Scope } from '../../media/scope.ts';
import { VideoReport } from '../../models/evaluate/video-report.ts';
import { evalVideo, stillTimes } from '../../gateway/eval-video.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { faceTracker, trackerLacks } from '../fakes/tracked-faces.ts';
import { weights } from '../weights.ts';

const [MAN, OTHER] = ['talking/video-retalking/face2.mp4', 'talking/video-retalking/face1.mp4'];
const reason = missing(MAN, OTHER) ?? trackerLacks();

describe.skipIf(reason !== undefined)(`a dubbed video is measured${reason === undefined ? '' : ` (${reason})`}`, () => {
  const scope = new Scope('eval video');
  const folder = mkdtempSync(join(tmpdir(), 'livedub-eval-'));
  const before = process.env['LIVEDUB_MODELS'];
  beforeAll(() => {
    process.env['LIVEDUB_MODELS'] = join(folder, 'no models');
  });
  afterAll(async () => {
    await scope.close();
    rmSync(folder, { recursive: true });
    if (before === undefined) delete process.env['LIVEDUB_MODELS'];
    else process.env['LIVEDUB_MODELS'] = before;
  });
  const made = async (name: string, source: string, ...args: string[]) => {
    const out = join(folder, name);
    const codecs = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '6', '-c:a', 'aac'];
    await ffmpeg(['-y', ...inputFile(recording(source)), ...args, ...codecs, out], scope).done;
    return out;
  };
  const measured = async (original: string, dubbed: string) => {
    const trackers = [await faceTracker(scope), await faceTracker(scope)] as const;
    const fractions: number[] = [];
    const page = join(folder, 'page.html');
    const options = { original, dubbed, out: page, json: true };
    const printed = await evalVideo(options, scope, ({ fraction }) => fractions.push(fraction), trackers);
    const report = VideoReport.parse(JSON.parse(printed));
    return { report, fractions, page: readFileSync(page, 'utf8') };
  };
  const SMALL = 'scale=360:360';

  test('against itself: nothing has changed, and what has no network says so', { timeout: 120_000 }, async () => {
    const clip = await made('clip.mp4', MAN, '-t', '2.4', '-vf', SMALL);
    const { report, fractions } = await measured(clip, clip);
    const { measures } = report;
    expect(report.pictures).toBe(60);
    expect(measures.ssim.value).toBe(1);
    expect(measures.ssimOutside.value).toBe(1);
    expect(measures.landmarkDistance.value).toBe(0);
    expect(measures.landmarkVelocity.value).toBe(0);
    expect(measures.sharpness.value).toBe(1);
    expect(measures.identity.value).toBe(1);
    expect(measures.facesSeen.value).toBe(100);
    expect(measures.jitterMouth.value).toBe(measures.jitterMouth.original);
    for (const name of ['lseC', 'lseD', 'syncOffset', 'lpips', 'fid'] as const) {
      expect(measures[name].value).toBeNull();
      expect(measures[name].why).toMatch(/there is no .*models pull/);
    }
    expect(fractions.at(-1)).toBeGreaterThan(0.95);
    expect(fractions.every((value, n) => n === 0 || value >= fractions[n - 1]!)).toBe(true);
  });

  test('with sound 200 ms late: that is found', { timeout: 240_000 }, async () => {
    const clip = await made('in-time.mp4', MAN, '-vf', SMALL);
    const late = await made('late.mp4', MAN, '-vf', SMALL, '-af', 'adelay=200:all=1');
    const { report } = await measured(clip, late);
    const { value, original } = report.measures.mouthOffset;
    expect(Math.abs(original!)).toBeLessThan(150);
    expect(Math.abs(value! - original! - 200)).toBeLessThan(50);
  });

  test('with a blurred mouth: that is found, and the page shows it', { timeout: 240_000 }, async () => {
    const clip = await made('whole.mp4', MAN, '-vf', SMALL);
    const blur = `${SMALL},split[a][b];[b]crop=120:70:120:200,boxblur=6:2[c];[a][c]overlay=120:200`;
    const worse = await made('worse.mp4', MAN, '-filter_complex', blur);
    const { report, page } = await measured(clip, worse);
    const { measures } = report;
    expect(measures.sharpness.value).toBeLessThan(0.7);
    expect(measures.ssim.value).toBeLessThan(0.999);
    expect(measures.ssimOutside.value).toBeGreaterThan(0.98);
    expect(measures.identity.value).toBeGreaterThan(0.6);
    expect(report.worst.map(({ what }) => what)).toContain('blurred');
    expect(page.match(/src="data:image\/jpeg;base64,\/9j\//g)).toHaveLength(2 * stillTimes(report).length);
    expect(stillTimes(report).length).toBeGreaterThan(3);
    expect(page).toContain('Sharpness of the mouth');
    expect(page).toContain('class="mouth dubbed"');
    expect(page).not.toMatch(/(src|href)="(?!data:)/);
  });

  test('with another person: the identity is not theirs', { timeout: 120_000 }, async () => {
    const clip = await made('man.mp4', MAN, '-t', '1.2', '-vf', SMALL);
    const other = await made('other.mp4', OTHER, '-t', '1.2', '-vf', SMALL);
    const { report } = await measured(clip, other);
    expect(report.measures.identity.value).toBeLessThan(0.3);
    expect(report.measures.ssimOutside.value).toBeLessThan(0.9);
  });

  test('a file without pictures, or a track that is not there, is asked wrongly', async () => {
    const sound = await made('sound.m4a', MAN, '-vn', '-t', '1').catch(() => undefined);
    const clip = await made('short.mp4', MAN, '-t', '0.4', '-vf', SMALL);
    const ask = (options: object) =>
      evalVideo({ original: clip, dubbed: clip, json: false, ...options }, scope, () => {});
    await expect(ask({ dubbed: sound! })).rejects.toThrow(/no moving pictures/);
    await expect(ask({ track: 3 })).rejects.toThrow(/audio track 3 of short.mp4: it has 1/);
    await expect(ask({ out: 'report.json' })).rejects.toThrow(/\.html/);
    await expect(ask({})).rejects.toThrow(/'faces' needs model yunet \(livedub models pull yunet\)/);
    await expect(ask({ engine: ['translator=opus-mt'] })).rejects.toThrow(/only faceTracker/);
    await expect(ask({ engine: ['faceTracker=faces{"detector":"eyes"}'] })).rejects.toThrow(/detector/);
  });

  test('the face tracker that is named is used, with its settings', async () => {
    const clip = await made('named.mp4', MAN, '-t', '0.4', '-vf', SMALL);
    const engine = [`faceTracker=faces${JSON.stringify({ models: weights('face'), embedding: 'none' })}`];
    const options = { original: clip, dubbed: clip, out: join(folder, 'named.html'), json: true, engine };
    const { measures } = VideoReport.parse(JSON.parse(await evalVideo(options, scope, () => {})));
    expect(measures.facesSeen.value).toBe(100);
    expect(measures.identity.value).toBeNull();
  });
});

test('stills show the worst moments first and fill up evenly', () => {
  const worst = [1.2, 1.3, 7].map((at) => ({ at, what: 'blurred' as const, value: 0.4 }));
  const times = stillTimes({ seconds: 12, worst });
  expect(times).toHaveLength(6);
  expect(times).toEqual(expect.arrayContaining([1.2, 7]));
  expect(times).not.toContain(1.3);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});
