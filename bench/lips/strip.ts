/**
 * A strip of stills: a recording's pictures above, the same pictures driven by a dub below. To look at, not to measure.
 *
 *     node gateway/setup/build.mjs
 *     LIVEDUB_MODELS=../shared/models node dist/bench/lips/strip.js clip.mp4 540x360 strip.png "Buenos días, me llamo Jordi."
 *
 * The size is what the pictures are scaled to. Needs libespeak-ng1, FFmpeg, and the weights of what sees faces.
 */
import { execFileSync } from 'node:child_process';
import { at, later, ms } from '../../media/time.ts';
import { type Box, type Planes, blank, evenBox, patched } from '../../media/video-frame.ts';
import { WarpDriver } from '../../models/lips/warp.ts';
import type { Phoneme } from '../../pipeline/face.ts';
import { visemesOf } from '../../pipeline/visemes.ts';
import { takeOf } from '../../test/fakes/takes.ts';
import { facesIn } from '../../test/fakes/tracked-faces.ts';
import { videoFrames } from '../../test/fakes/video-frames.ts';

const FPS = 25;
/** What is shown, in this order, as far as it is said. */
const SHOWN = ['lips', 'a', 'o', 'e', 'i', 'u', 'hush', 'hiss', 'lip-teeth', 'silence'];

const [file, size, to, text = 'Buenos días, me llamo Jordi. Vivo en Barcelona, y esta ciudad me gusta mucho. Por favor, cuéntame algo más.'] = process.argv.slice(2); // prettier-ignore
const [width, height] = (size ?? '').split('x').map(Number);
if (file === undefined || to === undefined || !width || !height) {
  throw new TypeError('Usage: strip.js VIDEO WIDTHxHEIGHT STRIP.png [TEXT]');
}
const frames = videoFrames(file, {
  width,
  height,
  rate: FPS,
  count: 1_000,
  filters: `fps=${FPS},scale=${width}:${height}`,
});
const faces = await facesIn(frames);
const take = takeOf(text, frames[0]!.start);
const whole = { ...take, start: at(0), end: later(frames.at(-1)!.start, ms(40)) };
const driver = new WarpDriver();
const driven = [undefined, whole].map((each) =>
  frames.map((frame, n): Planes => {
    const face = faces[n];
    if (!face) return frame;
    const shot = { start: frame.start, end: later(frame.start, ms(1_000 / FPS)), frame, face, weight: 1 };
    return patched(frame, driver.drive(each ? { ...shot, take: each } : shot).patches);
  }),
)[1]!;

/** Pictures at the middles of sounds, one of each kind, where the source's mouth does something else if possible. */
const pictureOf = ({ start, end }: Pick<Phoneme, 'start' | 'end'>) => Math.floor(((start + end) / 2) * (FPS / 1e6));
const wanted = SHOWN.flatMap((viseme) => {
  const closed = viseme === 'lips' || viseme === 'silence';
  const sounds = (take.phonemes ?? []).filter(({ text: ipa }) => visemesOf(ipa)[0] === viseme);
  const gaps = (take.phonemes ?? []).flatMap(({ end }, n, all) =>
    all[n + 1] && all[n + 1]!.start - end > 150_000 ? [{ start: end, end: all[n + 1]!.start }] : [],
  );
  const places = (viseme === 'silence' ? gaps : sounds).map(pictureOf).filter((n) => n < frames.length && faces[n]);
  const opening = (n: number) => faces[n]!.opening * (closed ? -1 : 1);
  const [best] = places.toSorted((a, b) => opening(a) - opening(b));
  return best === undefined ? [] : [best];
});
const side = Math.max(...faces.map((face) => face?.box.width ?? 0)) * 1.1;
const around = (n: number): Box => {
  const { left, top, width: w, height: h } = faces[n]!.box;
  return { left: left + (w - side) / 2, top: top + h * 0.68 - side * 0.45, width: side, height: side * 0.9 };
};
const tile = evenBox({ left: 0, top: 0, width: side, height: side * 0.9 }, { width: 4_096, height: 4_096 });
const sheet = blank(tile.width * wanted.length, tile.height * 2);
for (const [column, n] of wanted.entries()) {
  for (const [row, picture] of [frames[n]!, driven[n]!].entries()) {
    const from = around(n);
    copy(picture, Math.round(from.left / 2) * 2, Math.round(from.top / 2) * 2, column * tile.width, row * tile.height);
  }
}
const raw = Buffer.concat([sheet.y, sheet.u, sheet.v]);
const args = ['-v', 'error', '-y', '-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${sheet.width}x${sheet.height}`, '-i', '-', '-frames:v', '1', to]; // prettier-ignore
execFileSync('ffmpeg', args, { input: raw });
console.log(`${to}: ${wanted.length} pictures of ${frames.length}`);

function copy(from: Planes, left: number, top: number, x: number, y: number): void {
  const plane = (source: Uint8Array, sw: number, sh: number, target: Uint8Array, tw: number, scale: number) => {
    for (let row = 0; row < tile.height / scale; row += 1) {
      for (let column = 0; column < tile.width / scale; column += 1) {
        const [sx, sy] = [left / scale + column, top / scale + row];
        if (sx < 0 || sy < 0 || sx >= sw || sy >= sh) continue;
        target[(y / scale + row) * tw + x / scale + column] = source[sy * sw + sx]!;
      }
    }
  };
  const [cw, ch] = [(from.width + 1) >> 1, (from.height + 1) >> 1];
  plane(from.y, from.width, from.height, sheet.y, sheet.width, 1);
  plane(from.u, cw, ch, sheet.u, sheet.width / 2, 2);
  plane(from.v, cw, ch, sheet.v, sheet.width / 2, 2);
}
