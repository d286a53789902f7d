import { execFileSync, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { type MediaTime, at, ms } from '../../media/time.ts';
import type { ClockTime } from '../../media/time.ts';
import type { OutTrack, OutletContext } from '../../gateway/outlet/outlet.ts';
import { DISK, type Disk } from '../../gateway/outlet/recording-disk.ts';
import { type RecordingOptions, RecordingOutlet } from '../../gateway/outlet/recording-outlet.ts';
import type { CueView } from '../../gateway/protocol.ts';
import { listRecordings, recoverRecordings } from '../../gateway/recordings.ts';
import { CLIP, type Given, ORIGIN, TRACKS, programme, startOf, track } from '../fakes/recorded-programme.ts';
import { missing, recording } from '../fakes/recordings.ts';

const why = spawnSync('ffmpeg', ['-version']).status === 0 ? missing(CLIP) : 'no ffmpeg: apt-get install ffmpeg';
const noGstreamer =
  spawnSync('gst-inspect-1.0', ['--exists', 'avdec_h264']).status === 0 ? undefined : 'no GStreamer with libav';
const root = mkdtempSync(join(tmpdir(), 'livedub-recordings-'));
afterAll(() => rmSync(root, { recursive: true }));
const folder = () => mkdtempSync(join(root, 'r-'));

interface Probed {
  readonly streams: {
    readonly codec_type: string;
    readonly codec_name: string;
    readonly start_time?: string;
    readonly duration?: string;
    readonly tags?: Record<string, string>;
  }[];
  readonly chapters: { readonly start_time: string; readonly end_time: string; readonly tags: { title: string } }[];
  readonly format: { readonly duration: string };
}
const probed = (file: string) =>
  JSON.parse(
    execFileSync('ffprobe', ['-v', 'error', '-show_streams', '-show_format', '-show_chapters', '-of', 'json', file], {
      encoding: 'utf8',
    }),
  ) as Probed;
/** Times in seconds of what `map` decodes to; any error but a torn end is a failure. */
const times = (file: string, map: string) =>
  execFileSync('ffmpeg', ['-v', 'error', '-copyts', '-i', file, '-map', map, '-f', 'framemd5', '-'], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
    .split('\n')
    .filter((text) => /^\d/.test(text))
    .map((text) => Number(text.split(',')[2]));
/** Where packets lie, seconds. */
const packets = (file: string, stream: string) =>
  execFileSync(
    'ffprobe',
    ['-v', 'error', '-select_streams', stream, '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', file],
    {
      encoding: 'utf8',
    },
  )
    .split('\n')
    .flatMap((text) => (/^-?[\d.]+/.test(text) ? [parseFloat(text)] : []));
const captions = (file: string, stream: string) =>
  execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-map', stream, '-f', 'srt', '-'], { encoding: 'utf8' });

const cue = (id: string, language: string, speaker: string, start: number, end: number, text: string): CueView => ({
  ...{ id, language, speaker, text, draft: false },
  ...{ start: ORIGIN + start * 1e6, end: ORIGIN + end * 1e6 },
});
const CUES = [
  cue('1', 'en', 's1', 0.5, 4, 'This is a test.'),
  cue('1', 'es', 's1', 0.5, 4, 'Esto es una prueba.'),
  cue('2', 'en', 's2', 4.25, 8, 'And somebody answers.'),
  cue('2', 'es', 's2', 4.25, 8, 'Y alguien responde.'),
];

describe.skipIf(why)(`a recording outlet (${why ?? 'ffmpeg'})`, () => {
  let given: Given[] = [];
  beforeAll(() => {
    given = programme(9);
  });

  async function open(options: Partial<RecordingOptions> & { directory: string }, name = 'talk.mp4') {
    const said: string[] = [];
    const context: OutletContext = {
      ...{ session: 'abc', name: 'Talk', from: 'en' },
      dateOf: (media) => 1_700_000_000_000 + media / 1_000,
      complain: (message) => said.push(message),
    };
    const scope = new Scope('test');
    const spec = { name, format: name.endsWith('mkv') ? 'mkv' : 'mp4' } as const;
    const outlet = await RecordingOutlet.open(spec, { spareGigabytes: 0, ...options }, context, scope);
    outlet.tracks(TRACKS);
    return { outlet, said, scope };
  }
  function give(outlet: RecordingOutlet, things: readonly Given[]) {
    for (const thing of things) {
      if ('picture' in thing) outlet.picture(thing.picture);
      else outlet.sound(thing.sound);
      const position = startOf(thing);
      outlet.tick(position as number as ClockTime, position);
    }
  }

  test.for(['mp4', 'mkv'])(
    '%s: every language, the original, captions and chapters by speaker are in the file',
    async (format) => {
      const directory = folder();
      const { outlet, said } = await open({ directory }, `talk.${format}`);
      for (const each of CUES) outlet.cue(each);
      give(outlet, given);
      await outlet.close();
      expect(said).toEqual([]);
      expect(readdirSync(directory).sort()).toEqual(
        ['talk.json', `talk.${format}`, 'talk.poster.jpg', 'talk.storyboard.jpg', 'talk.storyboard.vtt'].sort(),
      );
      const file = join(directory, `talk.${format}`);
      const found = probed(file);
      const streams = found.streams.filter(({ codec_type }) => codec_type !== 'data');
      expect(streams.map(({ codec_name, tags }) => [codec_name, tags?.['language'] ?? 'und'])).toEqual([
        ['h264', 'und'],
        ['opus', 'spa'],
        ['opus', 'eng'],
        [format === 'mp4' ? 'mov_text' : 'subrip', 'spa'],
        [format === 'mp4' ? 'mov_text' : 'subrip', 'eng'],
      ]);
      expect(Number(found.format.duration)).toBeCloseTo(9, 0);
      expect(found.chapters.map(({ start_time, tags }) => [Number(start_time), tags.title])).toEqual([
        [0, 'Speaker 1'],
        [4.25, 'Speaker 2'],
      ]);
      expect(Number(found.chapters[1]?.end_time)).toBeCloseTo(9, 0);
      expect(captions(file, '0:s:0')).toMatch(/00:00:00,500 --> .*[\s\S]*Esto es una prueba/);
      expect(captions(file, '0:s:1')).toMatch(/00:00:04,250 --> .*[\s\S]*And somebody answers/);
      // Where each was given: picture and sound stay together to the last one.
      const first = startOf(given[0]!);
      const places = (of: (thing: Given) => boolean) => given.filter(of).map((thing) => (startOf(thing) - first) / 1e6);
      const expected = [
        places((thing) => 'picture' in thing),
        places((thing) => 'sound' in thing && thing.sound.track === 'dub:es'),
        places((thing) => 'sound' in thing && thing.sound.track === 'original'),
      ];
      for (const [n, stream] of ['v:0', 'a:0', 'a:1'].entries()) {
        const real = packets(file, stream);
        expect(real.length).toBe(expected[n]?.length);
        const off = real.map((time, i) => Math.abs(time - (expected[n]?.[i] ?? Infinity)));
        expect(Math.max(...off)).toBeLessThan(0.002);
      }
      expect(times(file, '0:v:0').length).toBe(expected[0]?.length);
      const [listed] = await listRecordings(directory);
      expect(listed).toMatchObject({
        session: 'abc',
        files: [`talk.${format}`, 'talk.poster.jpg', 'talk.storyboard.vtt', 'talk.storyboard.jpg'],
        languages: ['en', 'es'],
        finished: true,
      });
    },
  );

  test('killed at any moment, it can be played to within 2 s, and is finished by whoever comes next', async () => {
    const directory = folder();
    const child = fork(fileURLToPath(new URL('../fakes/recording-child.mjs', import.meta.url)), {
      serialization: 'advanced',
    });
    const exited = once(child, 'exit');
    child.send({
      open: { spec: { name: 'talk.mp4', format: 'mp4' }, options: { directory, spareGigabytes: 0 }, tracks: TRACKS },
    });
    await once(child, 'message');
    const alive = await recoverRecordings(directory, { complain: () => {} }, new Scope('test'));
    expect(alive).toEqual([]);

    const killAt = 5e6 + Math.random() * 3e6;
    const slots = Math.ceil(killAt / 100_000);
    for (let slot = 0; slot < slots; slot += 1) {
      const from = ORIGIN + slot * 100_000;
      const now = given.filter((thing) => startOf(thing) >= from && startOf(thing) < from + 100_000);
      const cues = CUES.filter(({ start }) => start >= from && start < from + 100_000).map((each) => ({ cue: each }));
      const acknowledged = once(child, 'message');
      child.send({ given: [...now, ...cues], position: from + 100_000 });
      await acknowledged;
    }
    child.kill('SIGKILL');
    await exited;
    const last = slots / 10;
    const part = join(directory, 'talk.part.mkv');
    for (const stream of ['v:0', 'a:0', 'a:1']) expect(Math.max(...packets(part, stream))).toBeGreaterThan(last - 2);
    expect(times(part, '0:v:0').length).toBeGreaterThan((last - 2) * 30);

    const said: string[] = [];
    const complain = (message: string) => said.push(message);
    const [finished] = await recoverRecordings(directory, { complain }, new Scope('test'));
    expect(said).toEqual([]);
    expect(finished?.path).toBe(join(directory, 'talk.mp4'));
    const found = probed(finished!.path);
    expect(Number(found.format.duration)).toBeGreaterThan(last - 2);
    expect(found.streams.filter(({ codec_type }) => codec_type !== 'data').length).toBe(5);
    expect(found.chapters.length).toBe(2);
    expect(captions(finished!.path, '0:s:0')).toContain('Y alguien responde');
    const before = readFileSync(finished!.path);
    expect(await recoverRecordings(directory, { complain }, new Scope('test'))).toEqual([]);
    expect(readFileSync(finished!.path).equals(before)).toBe(true);
  });

  test.skipIf(noGstreamer)(
    `GStreamer finds and decodes every track of it (${noGstreamer ?? 'gst-launch-1.0'})`,
    async () => {
      const directory = folder();
      const { outlet } = await open({ directory }, 'talk.mkv');
      for (const each of CUES) outlet.cue(each);
      give(outlet, given);
      await outlet.close();
      const source = ['filesrc', `location=${join(directory, 'talk.mkv')}`, '!', 'matroskademux', 'name=d'];
      const out = (n: number) => join(directory, `track-${n}`);
      const sink = (n: number, pad: string, ...through: string[]) => [
        ...[`d.${pad}`, '!', 'queue', '!', ...through.flatMap((element) => [element, '!'])],
        ...['filesink', `location=${out(n)}`],
      ];
      const played = spawnSync(
        'gst-launch-1.0',
        [
          ...source,
          ...sink(0, 'video_0', 'avdec_h264', 'videoconvert', 'video/x-raw,format=GRAY8'),
          ...sink(1, 'audio_0', 'opusdec', 'audioconvert', 'audio/x-raw,format=S16LE,channels=1'),
          ...sink(2, 'audio_1', 'opusdec', 'audioconvert', 'audio/x-raw,format=S16LE,channels=1'),
          ...[...sink(3, 'subtitle_0'), ...sink(4, 'subtitle_1')],
        ],
        { encoding: 'utf8', timeout: 30_000 },
      );
      expect([played.status, played.stderr]).toEqual([0, expect.not.stringContaining('ERROR')]);
      expect(statSync(out(0)).size / (540 * 360)).toBe(given.filter((thing) => 'picture' in thing).length);
      for (const n of [1, 2]) expect(statSync(out(n)).size / 96_000).toBeCloseTo(9, 0);
      expect(readFileSync(out(3), 'utf8')).toContain('Y alguien responde.');
      expect(readFileSync(out(4), 'utf8')).toContain('And somebody answers.');
    },
  );

  test('a recording has a poster, and a small picture of each of its parts', async () => {
    const directory = folder();
    const { outlet } = await open({ directory }, 'talk one.mp4');
    give(outlet, given);
    await outlet.close();
    const [made] = await listRecordings(directory);
    const path = (name: string) => join(directory, name);
    const { poster, storyboard, sheet } = made!.pictures!;
    const pixels = (file: string, filter: string, before: readonly string[] = []) =>
      execFileSync('ffmpeg', [
        ...['-v', 'error', ...before, '-i', file, '-frames:v', '1', '-vf', `${filter}scale=34:22:flags=area`],
        ...['-pix_fmt', 'rgb24', '-f', 'rawvideo', '-'],
      ]);
    const difference = (a: Uint8Array, b: Uint8Array) =>
      a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
    const keys = [0, 4, 8].map((second) => pixels(recording(CLIP), '', ['-stream_loop', '-1', '-ss', String(second)]));
    expect(Math.min(...keys.map((key) => difference(pixels(path(poster), ''), key)))).toBeLessThan(6);
    const cues = [
      ...readFileSync(path(storyboard), 'utf8').matchAll(/^([\d:.]+) --> [\d:.]+\n([^#\n]+)#xywh=([\d,]+)$/gmu),
    ];
    expect(cues.map(([, start]) => start?.slice(6, 8))).toEqual(['00', '01', '03', '05', '07']);
    // The last key frame before each.
    for (const [n, [, , name = '', box = '']] of cues.entries()) {
      expect(decodeURIComponent(name)).toBe(sheet);
      const [left, top, width, height] = box.split(',');
      const tile = pixels(path(sheet), `crop=${width}:${height}:${left}:${top},`);
      const off = keys.map((key) => difference(tile, key));
      expect(off.indexOf(Math.min(...off))).toBe([0, 0, 0, 1, 1][n]);
      expect(Math.min(...off)).toBeLessThan(6);
    }
  });

  test('a language that is added in the middle is in the file from there on', async () => {
    const directory = folder();
    const { outlet } = await open({ directory });
    const french = given.flatMap((thing): Given[] =>
      'sound' in thing && thing.sound.track === 'dub:es' && thing.sound.start >= ORIGIN + 5e6
        ? [thing, { sound: { ...thing.sound, track: 'dub:fr' } }]
        : [thing],
    );
    const middle = french.findIndex((thing) => startOf(thing) >= ORIGIN + 5e6);
    give(outlet, french.slice(0, middle));
    outlet.tracks([...TRACKS, track('dub:fr', 'fr', 'français')] satisfies OutTrack[]);
    give(outlet, french.slice(middle));
    await outlet.close();
    const file = join(directory, 'talk.mp4');
    const found = probed(file);
    expect(found.streams.map(({ tags }) => tags?.['language'])).toEqual(['und', 'spa', 'fra', 'eng']);
    const places = packets(file, 'a:1');
    expect(places[0]).toBeCloseTo(5, 1);
    expect(places.at(-1)).toBeCloseTo(packets(file, 'a:0').at(-1) ?? 0, 1);
  });

  test('a hole in the picture leaves everything after it in its place', async () => {
    const directory = folder();
    const { outlet } = await open({ directory });
    const hole = (thing: Given) =>
      'picture' in thing && startOf(thing) > ORIGIN + 2e6 && startOf(thing) < ORIGIN + 3.99e6;
    give(
      outlet,
      given.filter((thing) => !hole(thing)),
    );
    await outlet.close();
    const places = packets(join(directory, 'talk.mp4'), 'v:0');
    expect(places.filter((time) => time > 2.1 && time < 3.9)).toEqual([]);
    expect(places.at(-1)).toBeCloseTo(8.97, 1);
  });

  test('pictures in VP8 are written as .mkv, and it is said', async () => {
    const directory = folder();
    const { outlet, said } = await open({ directory });
    outlet.tracks(TRACKS.map((each) => (each.kind === 'video' ? { ...each, codec: 'VP8' } : each)));
    give(outlet, programme(2, 'VP8'));
    await outlet.close();
    expect(said.join()).toContain('MP4 does not hold VP8');
    const file = join(directory, 'talk.mkv');
    expect(probed(file).streams[0]?.codec_name).toBe('vp8');
    expect(times(file, '0:v:0').length).toBeGreaterThan(50);
  });

  const full = (code: 'ENOSPC' | 'EIO', after: number): Disk => ({
    ...DISK,
    create: async (path) => {
      const file = await DISK.create(path);
      let written = 0;
      return {
        write: async (data, offset, length, position) => {
          written += length;
          if (path.endsWith('.mkv') && written > after) {
            // What a disk does that runs full: some of it is there.
            await file.write(data, offset, length >> 1, position);
            throw Object.assign(new Error(`${code}: write`), { code });
          }
          return file.write(data, offset, length, position);
        },
        truncate: (length) => file.truncate(length),
        datasync: () => file.datasync(),
        close: () => file.close(),
      };
    },
  });
  test.for(['ENOSPC', 'EIO'] as const)('%s ends it in order, with what was written', async (code) => {
    const directory = folder();
    const { outlet, said } = await open({ directory, disk: full(code, 250_000) });
    const slow = [...given];
    while (slow.length > 0) {
      give(outlet, slow.splice(0, 100));
      await new Promise((done) => setImmediate(done));
    }
    await outlet.close();
    expect(said.length).toBe(1);
    expect(said[0]).toMatch(code === 'ENOSPC' ? /the disk is full/ : /EIO/);
    expect(outlet.counts['failures']).toBe(1);
    const file = join(directory, 'talk.mp4');
    expect(Number(probed(file).format.duration)).toBeGreaterThan(1);
    expect(times(file, '0:v:0').length).toBeGreaterThan(20);
  });

  test('without room for a copy the file stays as it was written, with captions beside it', async () => {
    const directory = folder();
    let free = 3e9;
    const { outlet, said } = await open({ directory, spareGigabytes: 1, disk: { ...DISK, free: async () => free } });
    for (const each of CUES) outlet.cue(each);
    give(outlet, given.slice(0, 600));
    free = 1e6;
    const now = startOf(given[700]!) as number as ClockTime;
    outlet.tick((now + 5e6) as ClockTime, startOf(given[600]!));
    await expect.poll(() => said.length).toBeGreaterThan(0);
    await outlet.close();
    expect(said[0]).toContain('less than 1 GB are free');
    expect(readdirSync(directory).sort()).toEqual(['talk.en.vtt', 'talk.es.vtt', 'talk.json', 'talk.mkv']);
    expect(times(join(directory, 'talk.mkv'), '0:v:0').length).toBeGreaterThan(30);
    expect((await listRecordings(directory))[0]?.finished).toBe(false);
  });

  test('what the disk does not take in time is dropped up to the next key frame, and counted', async () => {
    const directory = folder();
    const { outlet } = await open({ directory, capacity: 250_000 });
    // All at once: nothing is written meanwhile.
    give(outlet, given);
    const { pictures = 0, droppedPictures = 0, droppedPackets = 0 } = outlet.counts;
    expect(droppedPictures).toBeGreaterThan(0);
    expect(droppedPackets).toBeGreaterThan(0);
    expect(pictures + droppedPictures).toBe(given.filter((thing) => 'picture' in thing).length);
    await outlet.close();
    expect(times(join(directory, 'talk.mp4'), '0:v:0').length).toBe(pictures);
  });

  test('two recordings of one name do not write over each other', async () => {
    const directory = folder();
    for (let n = 0; n < 2; n += 1) {
      const { outlet } = await open({ directory });
      give(outlet, given.slice(0, 200));
      await outlet.close();
    }
    expect(
      readdirSync(directory)
        .filter((name) => name.endsWith('.mp4'))
        .sort(),
    ).toEqual(['talk (2).mp4', 'talk.mp4']);
  });

  test('one that nothing was given leaves nothing', async () => {
    const directory = folder();
    const { outlet } = await open({ directory });
    outlet.tick(ms(0) as number as ClockTime, at(0) satisfies MediaTime);
    await outlet.close();
    expect(readdirSync(directory)).toEqual([]);
  });
});
