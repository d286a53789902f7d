import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fragmentsOf, initOf } from '../../gateway/hls-check/fmp4-pieces.ts';
import { parsePlaylist } from '../../gateway/hls-check/m3u8-parser.ts';
import type { MediaPlaylist } from '../../gateway/hls-check/m3u8.ts';
import { Trail, wholeFindings } from '../../gateway/hls-check/media-rules.ts';
import { datesOf, playlistFindings } from '../../gateway/hls-check/playlist-rules.ts';
import type { Hls } from '../../gateway/outlet/hls/hls.ts';
import { spread } from '../../gateway/outlet/hls/samples.ts';
import type { OutTrack } from '../../gateway/outlet/outlet.ts';
import { type ClockTime, at } from '../../media/time.ts';
import { avcPictures } from '../fakes/avc-pictures.ts';
import { TRACKS, openHls, track } from '../fakes/hls-house.ts';

/** Milliseconds. */
interface Shot {
  readonly start: number;
  readonly late?: number;
  readonly key?: boolean;
  readonly width?: number;
}
const SOUND = Uint8Array.of(0x20, 1);
const steady = (from: number, until: number, { fps = 30, keys = 2, late = 0 } = {}): Shot[] =>
  Array.from({ length: Math.max(0, Math.ceil(((until - from) * fps) / 1_000)) }, (_, n) => ({
    start: from + (n * 1_000) / fps,
    key: n % (fps * keys) === 0,
    late,
  }));

interface Feed {
  readonly until: number;
  readonly shots: Readonly<Record<string, readonly Shot[]>>;
  readonly sounds?: Readonly<Record<string, (start: number) => boolean>>;
  /** Sound comes so much later than it is counted from, ms: coding. */
  readonly coded?: number;
}
function feed(hls: Hls, { until, shots, coded = 60, sounds = {} }: Feed): void {
  const events: { at: number; give: () => void }[] = [];
  for (const [id, list] of Object.entries(shots)) {
    const made = avcPictures();
    for (const { start, late = 0, key = false, width = 320 } of list) {
      const size = { width, height: 176 };
      const data = made.next(key, size);
      const picture = { track: id as OutTrack['id'], codec: 'H264', ...size, keyFrame: key, data } as const;
      events.push({ at: start + late, give: () => hls.picture({ ...picture, start: at(Math.round(start * 1_000)) }) });
    }
  }
  for (const id of ['original', 'dub:es'] as const)
    for (let n = 0; (n * 1_024) / 48 < until; n += 1) {
      const start = (n * 1_024) / 48;
      if (sounds[id]?.(start) === false) continue;
      const give = () => hls.sound({ track: id, start: at(Math.round(start * 1_000)), data: SOUND });
      events.push({ at: start + coded, give });
    }
  for (let tick = 100; tick < until; tick += 100)
    events.push({ at: tick, give: () => hls.tick((tick * 1_000) as ClockTime, at(tick * 1_000)) });
  for (const { give } of events.sort((a, b) => a.at - b.at)) give();
}
const ask = (hls: Hls, path: string) => hls.answer({ path, query: {}, signal: new AbortController().signal });

/** Every rendition against the rules: what breaks them, and what there is. */
async function checked(hls: Hls, ids: readonly string[]) {
  const findings: unknown[] = [];
  const renditions: Record<string, { samples: number; seconds: number; gaps: number; media: MediaPlaylist }> = {};
  for (const id of ids) {
    const media = parsePlaylist(String((await ask(hls, `${id}/index.m3u8`)).body)) as MediaPlaylist;
    const [dates, trail] = [datesOf(media), new Trail(id)];
    findings.push(...playlistFindings(media, id));
    let [gaps, samples] = [0, 0];
    for (const segment of media.segments) {
      const { number, parts, discontinuity, era, uri } = segment;
      const init = initOf((await ask(hls, `${id}/${segment.map}`)).body as Uint8Array);
      let date = dates.get(number) ?? 0;
      const bodies: Uint8Array[] = [];
      for (const [n, { uri: name, duration, independent, gap }] of parts.entries()) {
        const { status, body } = await ask(hls, `${id}/${name}`);
        if (gap) {
          expect(status).toBe(404);
          gaps += 1;
        } else {
          bodies.push(body as Uint8Array);
          const piece = { name, number, part: n, duration, independent, discontinuity, era, date, body: body as Uint8Array }; // prettier-ignore
          findings.push(...trail.push(piece, { init, independent: media.independent }));
          samples += fragmentsOf(body as Uint8Array, init).reduce((sum, one) => sum + one.samples, 0);
        }
        date += duration * 1_000;
      }
      if (uri === undefined || parts.length === 0) continue;
      const whole = await ask(hls, `${id}/${uri}`);
      expect(whole.status).toBe(segment.gap ? 404 : 200);
      if (!segment.gap) findings.push(...wholeFindings(uri, whole.body as Uint8Array, bodies, init, id));
    }
    renditions[id] = { samples, seconds: trail.seconds, gaps, media };
  }
  return { findings, renditions };
}
const open = (tracks: readonly OutTrack[] = TRACKS) => {
  // All that comes is listed with its parts.
  const { hls } = openHls({ part: 0.333, segment: 4, window: 300 });
  hls.tracks(tracks);
  return hls;
};
const ALL = ['video', 'original', 'dub-es'];

test.for([
  ['always late by 0.9 s', steady(0, 16_000, { late: 900 })],
  ['always late by 2.5 s', steady(0, 16_000, { late: 2_500 })],
  [
    'late for a while, then all at once',
    steady(0, 16_000).map((one) => ({ ...one, late: one.start > 5_000 && one.start < 7_500 ? 7_500 - one.start : 0 })),
  ],
  ['a hole of 3 s, behind it a key frame', [...steady(0, 6_000), ...steady(9_050, 16_000)]],
  ['a hole of 3 s in the middle of a stream', steady(0, 16_000).filter(({ start }) => start < 6_300 || start > 9_100)],
  ['a hole of 9 s', [...steady(0, 4_000), ...steady(13_010, 16_000)]],
  ['one a second, each a key frame', steady(0, 16_000, { fps: 1, keys: 1 })],
  ['one in 1.7 s', steady(0, 16_000, { fps: 1 / 1.7, keys: 3.4 })],
  ['five a second', steady(0, 16_000, { fps: 5 })],
  ['one picture, and no more', steady(0, 30)],
  ['key frames that are late alone', steady(0, 16_000).map((one) => ({ ...one, late: one.key ? 850 : 880 }))],
] as const)('%s: parts hold pictures, meet each other and are as long as is said', async ([name, shots]) => {
  const hls = open();
  feed(hls, { until: 16_000, shots: { video: shots } });
  const { findings, renditions } = await checked(hls, ALL);
  expect(findings).toEqual([]);
  for (const id of ALL) expect([id, renditions[id]!.gaps]).toEqual([id, 0]);
  // Nothing that came in time for the last part is left out.
  expect(renditions['video']!.samples).toBeGreaterThanOrEqual(
    shots.filter(({ start, late = 0 }) => Math.max(start + late, start) < 14_500).length,
  );
  expect(renditions['video']!.seconds).toBeGreaterThan(11.5);
  // However late a key frame is, a segment begins with it.
  if (/late by|late alone/.test(name)) expect(hls.counts['segmentsWithoutKeyFrame']).toBe(0);
});

test('whenever pictures are made, and whenever they come, players get media without a hole or an overlap', async () => {
  const shots = fc.array(
    fc.record({ gap: fc.integer({ min: 8, max: 2_500 }), key: fc.boolean(), late: fc.integer({ min: 0, max: 3_000 }) }),
    { minLength: 4, maxLength: 50 },
  );
  await fc.assert(
    fc.asyncProperty(shots, fc.integer({ min: 0, max: 190 }), async (steps, coded) => {
      const hls = open();
      let [start, come] = [0, 0];
      const video = steps.map(({ gap, key, late }, n) => {
        start += n === 0 ? gap % 300 : gap % (n % 3 === 0 ? 2_500 : 90);
        // A stream keeps its order.
        come = Math.max(come + 0.001, start + (n % 2 === 0 ? late : 0));
        return { start, key: key || n === 0, late: come - start };
      });
      feed(hls, { until: come + 3_000, shots: { video }, coded });
      const { findings, renditions } = await checked(hls, ALL);
      expect(findings).toEqual([]);
      for (const id of ALL) expect(renditions[id]!.gaps).toBe(0);
    }),
    { numRuns: 30, endOnFailure: true },
  );
});

test('pictures that are announced and never come keep nobody from listening; captions go with the sound until they do', async () => {
  const hls = open();
  feed(hls, { until: 30_000, shots: { video: steady(19_000, 30_000) } });
  const index = await ask(hls, 'index.m3u8');
  expect(index.status).toBe(200);
  const { findings, renditions } = await checked(hls, [...ALL]);
  expect(findings).toEqual([]);
  const captions = parsePlaylist(String((await ask(hls, 'captions-es/index.m3u8')).body)) as MediaPlaylist;
  expect(playlistFindings(captions, 'captions')).toEqual([]);
  expect(captions.segments[0]!.number).toBe(renditions['original']!.media.segments[0]!.number);
  expect(captions.segments.at(-1)!.number).toBe(renditions['video']!.media.segments.at(-1)!.number);

  const deaf = open();
  feed(deaf, { until: 16_000, shots: {} });
  const heard = String((await ask(deaf, 'index.m3u8')).body);
  expect(heard).toContain('original/index.m3u8');
  expect(heard).not.toContain('RESOLUTION');
});

test('who asks first gets the pictures too, though they are announced after the sound and begin with their next key frame', async () => {
  const hls = open(TRACKS.filter(({ kind }) => kind === 'audio'));
  feed(hls, { until: 3_500, shots: {} });
  const asked = ask(hls, 'index.m3u8');
  hls.tracks(TRACKS);
  const late = steady(5_200, 12_000);
  const heard = Array.from({ length: 420 }, (_, n) => 3_500 + (n * 1_024) / 48);
  const made = avcPictures();
  const events = [
    ...late.map(({ start, key = false }) => ({
      at: start,
      give: () => {
        const size = { width: 320, height: 176 };
        const data = made.next(key, size);
        hls.picture({
          track: 'video',
          codec: 'H264',
          ...size,
          keyFrame: key,
          start: at(Math.round(start * 1e3)),
          data,
        });
      },
    })),
    ...heard.map((start) => ({
      at: start,
      give: () => {
        for (const id of ['original', 'dub:es'] as const)
          hls.sound({ track: id, start: at(Math.round(start * 1e3)), data: SOUND });
        hls.tick(at(Math.round(start * 1e3)) as never, at(Math.round(start * 1e3)));
      },
    })),
  ];
  for (const { give } of events.sort((a, b) => a.at - b.at)) give();
  expect(String((await asked).body)).toMatch(/RESOLUTION=320x176.*\nvideo\/index\.m3u8/);
});

test('where nothing of a track comes, its parts are gaps; the others know nothing of it', async () => {
  const hls = open();
  const sounds = { 'dub:es': (start: number) => start < 3_000 || start > 12_500 };
  feed(hls, { until: 18_000, shots: { video: steady(0, 18_000) }, sounds });
  const { findings, renditions } = await checked(hls, ALL);
  expect(findings).toEqual([]);
  expect(renditions['dub-es']!.gaps).toBeGreaterThan(24);
  expect(renditions['dub-es']!.media.segments.filter(({ gap }) => gap).length).toBeGreaterThanOrEqual(1);
  expect(renditions['video']!.gaps + renditions['original']!.gaps).toBe(0);
  expect(hls.counts['partsWithNothing']).toBe(renditions['dub-es']!.gaps);
});

test('a picture of one language that changes its size off a segment’s edge goes on at the next, with an init and a discontinuity', async () => {
  const hls = open([...TRACKS, track('video:es', 'es', 'español')]);
  const wide = (one: Shot) => ({ ...one, width: one.start >= 5_000 ? 640 : 320 });
  const mouths = steady(0, 20_000).map((one) => wide({ ...one, key: one.key === true || one.start === 5_000 }));
  feed(hls, { until: 20_000, shots: { video: steady(0, 20_000), 'video:es': mouths } });
  const { findings, renditions } = await checked(hls, [...ALL, 'video-es']);
  expect(findings).toEqual([]);
  const { segments } = renditions['video-es']!.media;
  const maps = segments.map(({ map }) => map);
  expect(new Set(maps).size).toBe(2);
  const edge = segments.findIndex(({ discontinuity }) => discontinuity);
  expect(maps.findIndex((map) => map !== maps[0])).toBe(edge);
  for (const id of ALL)
    expect(renditions[id]!.media.segments.map(({ era }) => era)).toEqual(segments.map(({ era }) => era));
  const { body } = await ask(hls, `video-es/${maps.at(-1)}`);
  expect(initOf(body as Uint8Array).tracks).toMatchObject([{ size: { width: 640 } }]);
});

test('late pictures are spread over the time that is left', () => {
  expect(spread([0, 1, 2, 900], 1_800)).toEqual([0, 300, 600, 900]);
  expect(spread([0, 3_000, 3_001], 6_000)).toEqual([0, 3_000, 4_500]);
  expect(spread([], 100)).toEqual([]);
});
