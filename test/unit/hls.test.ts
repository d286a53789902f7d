import fc from 'fast-check';
import { expect, test } from 'vitest';
import { initOf } from '../../gateway/hls-check/fmp4-pieces.ts';
import { parsePlaylist } from '../../gateway/hls-check/m3u8-parser.ts';
import type { MediaPlaylist } from '../../gateway/hls-check/m3u8.ts';
import { Trail } from '../../gateway/hls-check/media-rules.ts';
import { datesOf, playlistFindings } from '../../gateway/hls-check/playlist-rules.ts';
import { lengthsOf } from '../../gateway/outlet/hls/cut.ts';
import type { OutPicture, OutTrack } from '../../gateway/outlet/outlet.ts';
import { ManualClock } from '../../media/clock.ts';
import { aacChannels } from '../../media/aac.ts';
import { fragment } from '../../media/fmp4.ts';
import { type ClockTime, at, seconds } from '../../media/time.ts';
import { DATE, TRACKS, openHls } from '../fakes/hls-house.ts';
import { parseVtt } from '../fakes/webvtt-parser.ts';

const SPS = [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xaa];
const PPS = [0, 0, 0, 1, 0x68, 0xce];
const picture = (start: number, keyFrame: boolean, width = 320): OutPicture => ({
  track: 'video',
  codec: 'H264',
  width,
  height: 180,
  start: at(start),
  keyFrame,
  data: Uint8Array.from(keyFrame ? [...SPS, ...PPS, 0, 0, 0, 1, 0x65, 1, 2] : [0, 0, 0, 1, 0x41, 3]),
});
const FRAME = Uint8Array.of(0x20, 1); // a pair of channels
type Hls = ReturnType<typeof openHls>['hls'];

/** Runs a programme: pictures at their times, sound without a gap, ticks; `probe` after each. */
function programme(
  hls: Hls,
  pictures: readonly OutPicture[],
  until: number,
  probe = () => {},
  sounds: OutTrack['id'][] = ['original', 'dub:es'],
) {
  const all = [...pictures.map((one) => ({ at: one.start, give: () => hls.picture(one) }))];
  for (const track of sounds)
    for (let n = 0; (n * 1_024e6) / 48_000 < until; n += 1) {
      const start = at((n * 1_024e6) / 48_000);
      all.push({ at: start, give: () => hls.sound({ track, start, data: FRAME }) });
    }
  for (let tick = 250_000; tick < until; tick += 250_000)
    all.push({ at: at(tick), give: () => hls.tick(tick as ClockTime, at(tick)) });
  for (const one of all.sort((a, b) => a.at - b.at)) {
    one.give();
    probe();
  }
}
const ask = async (hls: Hls, path: string, query: Record<string, string> = {}) =>
  hls.answer({ path, query, signal: new AbortController().signal });
const playlist = async (hls: Hls, id: string, query = {}) => String((await ask(hls, `${id}/index.m3u8`, query)).body);
const steady = (until: number, fps = 30, keys = 2) =>
  Array.from({ length: Math.ceil((until * fps) / 1e6) }, (_, n) => picture((n * 1e6) / fps, n % (fps * keys) === 0));

interface Read {
  readonly first: number;
  readonly discontinuity: number;
  readonly segments: {
    readonly parts: number[];
    readonly length: number | undefined;
    readonly date: number;
    readonly broken: boolean;
  }[];
}
/** Playlists as far as these tests need them. */
function read(text: string): Read {
  const segments: { parts: number[]; length: number | undefined; date: number; broken: boolean }[] = [];
  let broken = false;
  const value = (line: string, tag: string) => Number(line.slice(tag.length + 1));
  let [first, discontinuity] = [0, 0];
  for (const line of text.split('\n')) {
    if (line.startsWith('#EXT-X-MEDIA-SEQUENCE')) first = value(line, '#EXT-X-MEDIA-SEQUENCE');
    if (line.startsWith('#EXT-X-DISCONTINUITY-SEQUENCE')) discontinuity = value(line, '#EXT-X-DISCONTINUITY-SEQUENCE');
    if (line === '#EXT-X-DISCONTINUITY') broken = true;
    if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME')) {
      segments.push({ parts: [], length: undefined, date: Date.parse(line.slice(25)), broken });
      broken = false;
    }
    const part = /^#EXT-X-PART:DURATION=([\d.]+)/.exec(line);
    if (part) segments.at(-1)!.parts.push(Number(part[1]));
    const length = /^#EXTINF:([\d.]+)/.exec(line);
    if (length) segments.at(-1)!.length = Number(length[1]);
  }
  return { first, discontinuity, segments };
}

test('whatever comes, parts are as long as they may be, segments add up and fit the target, in every rendition', async () => {
  const arrivals = fc.array(
    fc.record({ gap: fc.integer({ min: 5_000, max: 900_000 }), key: fc.boolean(), wide: fc.nat(20) }),
    { minLength: 5, maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(arrivals, fc.constantFrom(0.2, 0.333, 0.5), async (steps, part) => {
      const { hls, scope } = openHls({ part, segment: 2, window: 300 });
      hls.tracks(TRACKS);
      let time = 0;
      const pictures = steps.map(({ gap, key, wide }, n) =>
        picture((time += gap), key || n === 0, key && wide === 0 ? 640 : 320),
      );
      programme(hls, pictures, time + 3_000_000);
      const { target } = lengthsOf({ part, segment: 2 });
      const sequences = new Set<string>();
      for (const id of ['video', 'original', 'dub-es', 'captions-en']) {
        const { first, segments, discontinuity } = read(await playlist(hls, id));
        for (const [n, { parts, length, date }] of segments.entries()) {
          for (const [k, one] of parts.entries()) {
            expect(one).toBeLessThanOrEqual(part + 1e-9);
            if (k < parts.length - 1) expect(one).toBeGreaterThanOrEqual(part * 0.85 - 1e-9);
          }
          if (length === undefined) continue;
          expect(Math.round(length)).toBeLessThanOrEqual(target);
          if (parts.length > 0) expect(parts.reduce((sum, one) => sum + one, 0)).toBeCloseTo(length, 5);
          const next = segments[n + 1];
          if (next) expect(Math.abs(next.date - date - length * 1_000)).toBeLessThanOrEqual(1.001);
        }
        sequences.add(
          JSON.stringify(
            [
              first,
              discontinuity,
              segments.filter(({ length }) => length !== undefined).map(({ broken }) => broken),
            ].slice(0, 2),
          ),
        );
      }
      expect(sequences.size).toBe(1);
      await scope.close();
    }),
    { numRuns: 40, endOnFailure: true },
  );
});

test('another size begins a new segment with an init of its own and a discontinuity in every rendition; it is counted when it has rolled out', async () => {
  const { hls } = openHls({ segment: 2, window: 20 });
  hls.tracks(TRACKS);
  const pictures = steady(60_000_000).map((one) => ({ ...one, width: one.start >= 10_000_000 ? 640 : 320 }));
  programme(
    hls,
    pictures.filter(({ start }) => start < 20_000_000),
    20_000_000,
  );
  for (const id of ['video', 'original', 'dub-es', 'captions-es'])
    expect((await playlist(hls, id)).match(/#EXT-X-DISCONTINUITY\n/g)).toHaveLength(1);
  expect((await playlist(hls, 'video')).match(/#EXT-X-MAP/g)).toHaveLength(2);
  expect((await playlist(hls, 'original')).match(/#EXT-X-MAP/g)).toHaveLength(1);
  expect(String((await ask(hls, 'index.m3u8')).body)).toContain('RESOLUTION=640x180');
  const { hls: later } = openHls({ segment: 2, window: 20 });
  later.tracks(TRACKS);
  programme(later, pictures, 60_000_000);
  for (const id of ['video', 'original', 'captions-es']) expect(read(await playlist(later, id)).discontinuity).toBe(1);
});

test('a blocked request is answered by the part it asks for, refused too far ahead, and given up in time', async () => {
  const clock = new ManualClock();
  const { hls } = openHls({ segment: 2 }, { clock, waiters: 2 });
  hls.tracks(TRACKS);
  programme(hls, steady(3_000_000), 3_000_000);
  const { first, segments } = read(await playlist(hls, 'video'));
  const number = first + segments.length - 1;
  const part = segments.at(-1)!.parts.length;
  let answered: string | undefined;
  const waiting = playlist(hls, 'video', { _HLS_msn: String(number), _HLS_part: String(part) }).then(
    (text) => (answered = text),
  );
  const hinted = ask(hls, `video/${number}.${part}.m4s`);
  expect((await ask(hls, 'video/index.m3u8', { _HLS_msn: String(number), _HLS_part: String(part) })).status).toBe(503);
  expect(answered).toBeUndefined();
  for (const one of steady(4_000_000).filter(({ start }) => start >= 3_000_000)) hls.picture(one);
  hls.tick(0 as ClockTime, at(3_900_000));
  await waiting;
  expect(read(answered!).segments.at(-1)!.parts.length).toBeGreaterThan(part);
  expect((await hinted).headers['cache-control']).toContain('immutable');
  const status = async (query: Record<string, string>) => (await ask(hls, 'video/index.m3u8', query)).status;
  expect(await status({ _HLS_msn: String(number + 9) })).toBe(400);
  expect(await status({ _HLS_part: '1' })).toBe(400);
  expect(await status({ _HLS_msn: 'x' })).toBe(400);
  const never = ask(hls, 'video/index.m3u8', { _HLS_msn: String(number + 1) });
  await clock.advance(seconds(10));
  expect((await never).status).toBe(503);
  expect(hls.counts).toMatchObject({ waitersRefused: 1, waitersTimedOut: 1, waiting: 0 });
});

test('a delta leaves out what is older than the boundary, and nothing else', async () => {
  const { hls } = openHls({ segment: 2, window: 60 });
  hls.tracks(TRACKS);
  programme(hls, steady(40_000_000), 40_000_000);
  const [whole, delta] = [await playlist(hls, 'video'), await playlist(hls, 'video', { _HLS_skip: 'YES' })];
  const skipped = Number(/SKIPPED-SEGMENTS=(\d+)/.exec(delta)?.[1]);
  expect(skipped).toBeGreaterThan(5);
  expect(delta.match(/#EXTINF/g)!.length + skipped).toBe(whole.match(/#EXTINF/g)!.length);
  expect(whole.endsWith(delta.slice(delta.indexOf('#EXT-X-PROGRAM')))).toBe(true);
});

test('what is older than the window is gone, and no more is kept than may be', async () => {
  const { hls } = openHls({ segment: 2, window: 20 }, { most: 9_000 });
  hls.tracks(TRACKS);
  programme(hls, steady(60_000_000), 60_000_000, () => expect(hls.counts['bytesKept']).toBeLessThan(20_000));
  expect((await ask(hls, 'video/1767225600.m4s')).status).toBe(404);
});

test('captions are in every segment they are seen in, with the times of the media; a segment without any is an empty file', async () => {
  const { hls } = openHls({ segment: 2 });
  hls.tracks(TRACKS);
  hls.cue({ id: 'a', language: 'es', speaker: 's1', start: 1_000_000, end: 3_000_000, text: 'Hola', draft: false });
  programme(hls, steady(7_000_000), 7_000_000);
  const files = await Promise.all([0, 1, 2].map(async (n) => {
    const { body } = await ask(hls, `captions-es/${1_767_225_600 + n}.vtt`);
    const text = Buffer.from(body as Uint8Array).toString();
    expect(text).toContain('\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n');
    return parseVtt(text.replace(/X-TIMESTAMP-MAP.*\n/, '')).cues.map(({ start, end, lines }) => [start, end, ...lines]);
  })); // prettier-ignore
  expect(files).toEqual([[[1_000, 3_000, 'Hola']], [[1_000, 3_000, 'Hola']], []]);
});

test('without pictures, time cuts', async () => {
  const { hls } = openHls({ segment: 2 });
  hls.tracks(TRACKS.filter(({ kind }) => kind === 'audio'));
  programme(hls, [], 9_000_000);
  const lengths = read(await playlist(hls, 'original')).segments.flatMap(({ length }) => length ?? []);
  expect(lengths.length).toBeGreaterThanOrEqual(3);
  for (const length of lengths) expect(Math.abs(length - 2)).toBeLessThan(0.03);
  expect(String((await ask(hls, 'index.m3u8')).body)).toContain('CODECS="mp4a.40.2"');
});

test('pictures that come long after the sound begin with a key frame of their own, in a segment of their own', async () => {
  const { hls } = openHls({ segment: 2 });
  hls.tracks(TRACKS);
  programme(
    hls,
    steady(14_000_000).filter(({ start }) => start > 5_500_000),
    14_000_000,
  );
  const text = await playlist(hls, 'video');
  expect(read(text).segments[0]?.date).toBe(DATE + 6_000);
  expect(text).toMatch(/^#EXT-X-PART:.*INDEPENDENT=YES$/m);
  const init = /URI="(init-\d+\.mp4)"/.exec(text)?.[1] ?? '';
  expect(initOf((await ask(hls, `video/${init}`)).body as Uint8Array).tracks).toMatchObject([{ kind: 'video' }]);
  expect(String((await ask(hls, 'index.m3u8')).body)).toContain('RESOLUTION=320x180');
});

test('while it is live BANDWIDTH leaves room for segments greater than those so far, a quarter', async () => {
  const { hls } = openHls({ segment: 2, window: 20 });
  hls.tracks(TRACKS);
  programme(hls, steady(10_000_000), 10_000_000);
  const told = async () => Number(/:BANDWIDTH=(\d+)/.exec(String((await ask(hls, 'index.m3u8')).body))?.[1]);
  const live = await told();
  await hls.close();
  expect(live / (await told())).toBeCloseTo(1.25, 1);
});

/** Everything that a playlist lists, held against the rules. */
async function checked(hls: Hls, id: string) {
  const media = parsePlaylist(await playlist(hls, id)) as MediaPlaylist;
  const init = initOf((await ask(hls, `${id}/${media.segments[0]?.map}`)).body as Uint8Array);
  const [dates, trail] = [datesOf(media), new Trail(id)];
  const findings = playlistFindings(media, id);
  let count = 0;
  for (const { number, parts, discontinuity, era } of media.segments) {
    let date = dates.get(number) ?? 0;
    for (const [n, { uri, duration, independent }] of parts.entries()) {
      const body = (await ask(hls, `${id}/${uri}`)).body as Uint8Array;
      const piece = { name: uri, number, part: n, duration, independent, discontinuity, era, date, body };
      findings.push(...trail.push(piece, { init, independent: true }));
      count += 1;
      date += duration * 1_000;
    }
  }
  return { findings, count };
}

test.for([
  ['sound that is still being coded', 90, 0],
  ['pictures that come later than the sound', 90, 450],
] as const)('%s: it is waited for, and a part holds as much as its playlist says', async ([, sounds, pictures]) => {
  const { hls } = openHls({ segment: 2 });
  hls.tracks(TRACKS);
  const events = steady(9_000_000).map((one) => ({ at: one.start + pictures * 1_000, give: () => hls.picture(one) }));
  for (let n = 0; n < 400; n += 1) {
    const start = at((n * 1_024e6) / 48_000);
    for (const track of ['original', 'dub:es'] as const)
      events.push({ at: at(start + sounds * 1_000), give: () => hls.sound({ track, start, data: FRAME }) });
  }
  for (let tick = 50_000; tick < 8_000_000; tick += 50_000)
    events.push({ at: tick + 1, give: () => hls.tick(tick as ClockTime, at(tick)) });
  for (const { give } of events.sort((a, b) => a.at - b.at)) give();
  for (const id of ['original', 'dub-es', 'video']) {
    const { findings, count } = await checked(hls, id);
    expect(findings).toEqual([]);
    expect(count).toBeGreaterThan(15);
  }
});

test('a fragment says where it is, and where its data are', () => {
  const bytes = fragment(7, 2 ** 33 + 5, [{ duration: 3_000, sync: true, data: Uint8Array.of(1, 2, 3) }]);
  const view = new DataView(bytes.buffer);
  const find = (type: string) => Buffer.from(bytes).indexOf(type);
  expect(view.getBigUint64(find('tfdt') + 8)).toBe(2n ** 33n + 5n);
  expect(bytes.subarray(view.getUint32(find('trun') + 12))).toEqual(Uint8Array.of(1, 2, 3));
  expect(aacChannels(Uint8Array.of(0x00))).toBe(1);
  expect(aacChannels(FRAME)).toBe(2);
});
