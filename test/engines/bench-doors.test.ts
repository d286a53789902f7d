import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { figureOf, journey } from '../../bench/doors/delays.ts';
import { type Came, numbersOf, picturesIn } from '../../bench/doors/ear.ts';
import { GROUP, RATE, type Reel, type Unit, makeReel } from '../../bench/doors/reel.ts';
import { STRIP_FILTER, StripReader } from '../../bench/doors/time-code.ts';
import { ManualClock } from '../../media/clock.ts';
import { Packetizer } from '../../media/packetize.ts';
import { Scope } from '../../media/scope.ts';
import { ms } from '../../media/time.ts';
import { missing, recording } from '../fakes/recordings.ts';

const CLIP = 'talking/open-dubbing/englishvideo.mp4';
const SECONDS = 4;
const COUNT = SECONDS * RATE;
const why = missing(CLIP) ?? (spawnSync('ffmpeg', ['-version']).error ? 'no FFmpeg' : undefined);
const ALL = Array.from({ length: COUNT }, (_, number) => number);

describe.skipIf(why)(`a programme whose pictures say their numbers, made of a real face (${why ?? 'there'})`, () => {
  const scope = new Scope('test');
  let folder: string;
  let reel: Reel;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'livedub-reel-'));
    reel = await makeReel(recording(CLIP), SECONDS, folder, scope);
  }, 60_000);
  afterAll(async () => {
    await scope.close();
    rmSync(folder, { recursive: true });
  });

  /** What the strips of a coded programme say. */
  const read = (...input: string[]): (number | undefined)[] => {
    const into = ['-map', '0:v:0', '-vf', STRIP_FILTER, '-fps_mode', 'passthrough', '-f', 'rawvideo', '-'];
    return new StripReader().push(execFileSync('ffmpeg', ['-v', 'error', ...input, ...into], { maxBuffer: 1 << 28 }));
  };

  test('is read without an error from H.264, and from VP8 at half the size and 60 kbit/s', () => {
    expect(read('-i', reel.file)).toEqual(ALL);
    const small = join(folder, 'small.webm');
    const args = ['-vf', 'scale=160:96', '-c:v', 'libvpx', '-b:v', '60k', '-deadline', 'realtime', '-cpu-used', '8'];
    execFileSync('ffmpeg', ['-v', 'error', '-i', reel.file, '-an', ...args, '-fps_mode', 'passthrough', small]);
    expect(read('-i', small)).toEqual(ALL);
  });

  test.each(['ts', 'flv'] as const)('is cut into %s that FFmpeg reads, with each picture at its time', (kind) => {
    const units: readonly Unit[] = reel[kind];
    const whole = Buffer.concat(units.map(({ bytes }) => bytes));
    const into = ['-map', '0:v:0', '-vf', STRIP_FILTER, '-fps_mode', 'passthrough', '-f', 'rawvideo', '-'];
    const args = ['-v', 'error', '-i', 'pipe:0', ...into];
    const strips = execFileSync('ffmpeg', args, { input: whole, maxBuffer: 1 << 28 });
    expect(new StripReader().push(strips)).toEqual(ALL);
    const pictures = units.filter(({ number }) => number !== undefined);
    expect(pictures.map(({ number }) => number)).toEqual(ALL);
    for (const [n, { at }] of pictures.entries()) expect(Math.abs(at - pictures[0]!.at - n * 40)).toBeLessThan(1.5);
    // A picture's bytes are all out when its number is said: what was given up to there holds that many pictures.
    const upTo = units.slice(0, units.findIndex(({ number }) => number === 30) + 1);
    const half = execFileSync('ffmpeg', args, { input: Buffer.concat(upTo.map(({ bytes }) => bytes)) });
    expect(new StripReader().push(half).at(-1)).toBe(30);
  });

  /** The reel as RTP through something that holds every packet by `held` ms and loses some; and when each left. */
  async function through(held: number, lost: (packet: number) => boolean = () => false) {
    const clock = new ManualClock();
    const packetizer = new Packetizer('H264');
    const sent: { number: number; at: number }[] = [];
    const came: Came[] = [];
    let sequence = 0;
    for (const [number, picture] of reel.coded.entries()) {
      const at = clock.now() / 1_000;
      const payloads = packetizer.packetize(picture);
      sent.push({ number, at });
      payloads.forEach((payload, n) => {
        const marker = n === payloads.length - 1;
        const packet = { ...{ payloadType: 96, ssrc: 1, timestamp: number * 3_600 }, sequence, marker, payload };
        // The last packet of a picture is held exactly; those before it less.
        if (!lost(sequence)) came.push({ packet, sequence, at: at + held - (marker ? 0 : 5) });
        sequence += 1;
      });
      await clock.advance(ms(40));
    }
    return { sent, came };
  }
  const heard = async (came: readonly Came[]) => {
    const pictures = picturesIn(came, 'H264');
    const numbers = await numbersOf(pictures, 'H264', scope);
    return pictures.map(({ at }, n) => ({ number: numbers[n]!, at }));
  };

  test('a door that holds packets for 200 ms is measured as 200 ms, and one that holds none as none', async () => {
    for (const held of [0, 200]) {
      const { sent, came } = await through(held);
      // They come in another order than they were sent in.
      const seen = await heard([...came.slice(1, 40), ...came.slice(0, 1), ...came.slice(40)]);
      expect(figureOf(journey(sent, seen))).toEqual({
        ...{ median: held, p95: held, least: held, most: held },
        ...{ pictures: COUNT, lost: 0 },
      });
    }
  });

  test('a lost packet costs the pictures up to the next key frame, which are counted as lost, and moves no other', async () => {
    const { came: all } = await through(0);
    const torn = all.find(({ packet }) => packet.timestamp === (GROUP + 10) * 3_600)!.sequence;
    const { sent, came } = await through(120, (packet) => packet === torn);
    const seen = await heard(came);
    expect(seen.map(({ number }) => number)).toEqual(ALL.filter((n) => n < GROUP + 10 || n >= 2 * GROUP));
    expect(figureOf(journey(sent, seen))).toMatchObject({ least: 120, most: 120, lost: GROUP - 10 });
  });
});
