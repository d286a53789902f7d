import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { type StreamInput, openStream } from '../../media/stream.ts';
import { VideoDecoder } from '../../media/video-decoder.ts';
import type { VideoFrame } from '../../media/video-frame.ts';
import { type Read, expectGapless, expectInOrder, readAll, soundOf } from '../conformance/programme.ts';
import { missing, recording } from '../fakes/recordings.ts';

const FACE = 'talking/video-retalking/face1.mp4';
const why = missing(FACE);
const folder = mkdtempSync(join(tmpdir(), 'livedub-odd-'));
const path = (name: string) => join(folder, name);
const X264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '25'];
/** Four seconds of a face, and a beep of 100 ms at 2 s, when picture 50 is shown. */
const make = (name: string, filter: string, ...args: string[]) => {
  const beep = 'aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,2)\\,0.1)*gt(t\\,1):s=48000:d=4';
  const from = ['-t', '4', '-i', recording(FACE), '-f', 'lavfi', '-i', beep, '-map', '0:v', '-map', '1:a'];
  const filters = ['setpts=PTS-STARTPTS', 'fps=25', 'scale=320:240', filter].filter((one) => one !== '');
  const sound = ['-c:a', name.endsWith('.webm') ? 'libopus' : 'aac', '-t', '4'];
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...from, '-vf', filters.join(','), ...args, ...sound, path(name)]);
};
const beepIn = ({ sounds }: Read) => soundOf(sounds).findIndex((sample) => Math.abs(sample) > 0.1) / 48_000;
const apart = (read: Read) => read.pictures[50]!.start / 1_000_000 - beepIn(read);
const frames = ({ pictures }: Read): VideoFrame[] => {
  using decoder = new VideoDecoder({ codec: pictures[0]!.codec });
  return [...pictures.flatMap(({ data, start }) => decoder.decode(data, start)), ...decoder.flush()];
};
/** Mean brightness of some rows. */
const light = ({ y, width }: VideoFrame, from: number, to: number) => {
  const rows = y.subarray(from * width, to * width);
  return rows.reduce((sum, value) => sum + value, 0) / rows.length;
};

const server = createServer((request, response) => {
  createReadStream(path(basename(request.url ?? ''))).pipe(response);
});
async function read(name: string) {
  const bytes = async function* () {
    const all = readFileSync(path(name));
    for (let from = 0; from < all.length; from += 20_000) yield all.subarray(from, from + 20_000);
  };
  const input: StreamInput = name.endsWith('.ts')
    ? { kind: 'bytes', format: 'mpegts', bytes: bytes() }
    : { kind: 'url', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}` };
  await using scope = new Scope('test');
  const programme = await openStream(input, { field: 'source.url' }, scope);
  const all = await readAll(programme);
  expect(all.failure).toBeUndefined();
  expectInOrder(all.pictures);
  expectGapless(all.sounds);
  return { video: programme.info.video!, ...all };
}

describe.skipIf(why)(`sources that are not as one would have them (${why ?? 'there'})`, () => {
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  test('pictures of a variable frame rate pass, each at its own time', async () => {
    make('variable.ts', "select='not(between(mod(n,25),4,15))+eq(n,50)'", '-fps_mode', 'vfr', ...X264);
    const all = await read('variable.ts');
    expect(all.video.why).toBeNull();
    const show = ['-select_streams', 'v', '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', path('variable.ts')];
    const wanted = execFileSync('ffprobe', ['-v', 'error', ...show], { encoding: 'utf8' })
      .split('\n')
      .flatMap((line) => (/^\d/.test(line) ? [Number.parseFloat(line)] : []));
    const times = all.pictures.map(({ start }) => start / 1_000_000);
    expect(times).toHaveLength(wanted.length);
    for (const [n, time] of times.entries()) expect(time - times[0]!).toBeCloseTo(wanted[n]! - wanted[0]!, 2);
    const steps = new Set(times.slice(1).map((time, n) => Math.round((time - times[n]!) * 25)));
    expect(steps).toEqual(new Set([1, 13]));
    expect(Math.min(...times.map((time) => Math.abs(time - beepIn(all))))).toBeLessThan(0.04);
  });

  test('AV1 is transcoded once and stays with its sound', async () => {
    make(
      'av1.webm',
      '',
      '-pix_fmt',
      'yuv420p',
      '-c:v',
      'libaom-av1',
      '-cpu-used',
      '8',
      '-usage',
      'realtime',
      '-g',
      '25',
    );
    const all = await read('av1.webm');
    expect(all.video).toMatchObject({ source: 'av1', codec: 'H264', why: 'viewers do not take av1', width: 320 });
    expect(Math.abs(apart(all))).toBeLessThan(0.04);
    expect(frames(all)).toHaveLength(100);
  });

  test('VP9 of odd sizes passes as it is', async () => {
    const vp9 = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-g', '25', '-lag-in-frames', '0'];
    make('odd.webm', 'scale=321:241', '-pix_fmt', 'yuv420p', ...vp9);
    const all = await read('odd.webm');
    expect(all.video).toMatchObject({ codec: 'VP9', why: null, width: 321, height: 241 });
    expect(frames(all).map(({ width, height }) => `${width}x${height}`)).toEqual(Array(100).fill('321x241'));
  });

  test('a picture that a player must turn is turned', async () => {
    make('lying.mp4', 'drawbox=w=160:h=240:color=black:t=fill', ...X264, '-pix_fmt', 'yuv420p');
    const turn = ['-c', 'copy', '-metadata:s:v', 'rotate=90', '-movflags', '+faststart', path('turned.mp4')];
    execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', path('lying.mp4'), ...turn]);
    const all = await read('turned.mp4');
    expect(all.video).toMatchObject({ codec: 'H264', width: 240, height: 320 });
    expect(all.video.why).toMatch(/^it is to be turned by \d+°$/);
    // FFmpeg writes a matrix that turns to the left (its "rotation" counts so): what was on the left is below.
    const [frame] = frames(all);
    expect(frame).toMatchObject({ width: 240, height: 320 });
    expect(light(frame!, 170, 320)).toBeLessThan(20);
    expect(light(frame!, 0, 150)).toBeGreaterThan(40);
    expect(Math.abs(apart(all))).toBeLessThan(0.04);
  });

  test('interlaced pictures are transcoded once, without the comb', async () => {
    // Each of the 50 fields a second shows the face a little further to the left.
    const filter = 'fps=50,scroll=horizontal=0.02,tinterlace=mode=interleave_top,fps=25';
    make('fields.ts', filter, ...X264, '-pix_fmt', 'yuv420p', '-flags', '+ilme+ildct', '-x264opts', 'tff=1');
    const all = await read('fields.ts');
    expect(all.video).toMatchObject({ codec: 'H264', why: 'it is interlaced' });
    const raw = execFileSync(
      'ffmpeg',
      ['-v', 'error', '-i', path('fields.ts'), '-map', 'v', '-pix_fmt', 'gray', '-f', 'rawvideo', '-'],
      { maxBuffer: 1 << 28 },
    );
    const combed = comb(raw.subarray(320 * 240 * 50, 320 * 240 * 51), 320);
    const shown = comb(frames(all)[50]!.y, 320);
    expect(combed).toBeGreaterThan(4 * shown);
  });

  test('ten bits become eight', async () => {
    make('deep.ts', '', ...X264, '-pix_fmt', 'yuv420p10le');
    const all = await read('deep.ts');
    expect(all.video.why).toBe('its pixels are yuv420p10le, not 8 bit 4:2:0');
    expect(Math.abs(apart(all))).toBeLessThan(0.04);
    expect(frames(all)).toHaveLength(100);
  });

  test('the clock of MPEG-TS runs over its 33 bits, and nobody notices', async () => {
    make('near.ts', '', ...X264, '-pix_fmt', 'yuv420p');
    // 2 s before 2^33 / 90 000 Hz.
    const offset = ['-output_ts_offset', '95441.7', '-muxdelay', '0', path('wraps.ts')];
    execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', path('near.ts'), '-c', 'copy', ...offset]);
    const all = await read('wraps.ts');
    expect(all.video.why).toBeNull();
    expect(all.pictures).toHaveLength(100);
    const steps = all.pictures.slice(1).map(({ start }, n) => start - all.pictures[n]!.start);
    expect(Math.max(...steps)).toBeLessThan(42_000);
    expect(Math.abs(apart(all))).toBeLessThan(0.04);
  });
});

/** How much neighbouring rows differ more than rows of one field do. */
function comb(y: Uint8Array, width: number): number {
  let sum = 0;
  for (let n = width; n < y.length - width; n += 1) {
    const [above, here, below] = [y[n - width]!, y[n]!, y[n + width]!];
    sum += Math.max(0, Math.min(Math.abs(here - above), Math.abs(here - below)) - Math.abs(above - below));
  }
  return sum / y.length;
}
