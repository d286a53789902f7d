import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Interval, type Span, at, samples, seconds } from '../media/time.ts';
import { cacheRoot } from './checkout.ts';
import { SCRIPT, SPEAKERS, type SampleSpeaker, type ScriptLine } from './sample-script.ts';

/** One sentence of the sample programme and when exactly it is heard. */
export interface SampleSentence extends Interval {
  readonly speaker: SampleSpeaker;
  readonly text: string;
}

/** A programme of our own making, with what is said in it and when: the demo plays it, the bench measures against it. */
export interface SampleProgramme {
  /** An MP4 file: H.264 constrained baseline 640×360 at 25 fps, a key frame every second; AAC mono 48 kHz. */
  readonly path: string;
  /** BCP 47. */
  readonly language: 'en';
  /** A whole number of seconds; sound and picture are equally long, so it can be looped without a seam. */
  readonly duration: Span;
  readonly sentences: readonly SampleSentence[];
}

/** What flite's `slt` and `rms` speak at. */
const RATE = 16_000;
const FRAMES = 25;
/** Silence before the first sentence, milliseconds. */
const LEAD = 1_000;
/** Below this a sample counts as silence when a sentence's edges are looked for; flite's own pauses are digital zero. */
const SILENT = 150;
/** Kept around the edges, seconds: soft consonants fade in below {@link SILENT}. */
const MARGIN = 0.01;
/** Root mean square of full scale 32768 that every sentence is brought to, so that both voices are equally loud. */
const LEVEL = 3_300;
/** Peak of the room's noise. Total silence is nothing a microphone hears, and recognisers' normalisation trips over it. */
const NOISE = 8;

const FONT = '/usr/share/fonts/truetype/dejavu/DejaVuSans';

/**
 * The sample programme, made on first use and kept in the cache under a name that changes with its text and its recipe.
 *
 * Needs the programs flite and ffmpeg. Two processes may ask at once; the last to finish wins with the same bytes.
 *
 * @param onProgress how far it is, 0 to 1; not called when it is there
 */
export async function sampleProgramme(
  signal: AbortSignal,
  onProgress: (fraction: number) => void = () => {},
): Promise<SampleProgramme> {
  const folder = join(await cacheRoot(), 'sample');
  const name = createHash('sha256')
    .update(JSON.stringify([SCRIPT, SPEAKERS, RECIPE]))
    .digest('hex')
    .slice(0, 16);
  const path = join(folder, `${name}.mp4`);
  const facts = join(folder, `${name}.json`);
  if (existsSync(path)) {
    return { ...(JSON.parse(await readFile(facts, 'utf8')) as Omit<SampleProgramme, 'path'>), path };
  }
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), 'livedub-sample-'));
  try {
    const spoken: Int16Array[] = [];
    for (const [i, line] of SCRIPT.entries()) {
      spoken.push(await speak(line, join(work, 'line.wav'), signal));
      onProgress((0.3 * (i + 1)) / SCRIPT.length);
    }
    const { pcm, sentences } = compose(SCRIPT, spoken);
    await writeFile(join(work, 'speech.pcm'), pcm);
    const duration = samples(pcm.length, RATE);
    await draw(work, sentences, duration, signal, (fraction) => onProgress(0.3 + 0.7 * fraction));
    const made: Omit<SampleProgramme, 'path'> = { language: 'en', duration, sentences };
    // Into the cache's own file system first, so that the renames are whole or not at all; the film last.
    await writeFile(`${facts}.${process.pid}`, `${JSON.stringify(made, null, 2)}\n`);
    await writeFile(`${path}.${process.pid}`, await readFile(join(work, 'sample.mp4')));
    await rename(`${facts}.${process.pid}`, facts);
    await rename(`${path}.${process.pid}`, path);
    return { ...made, path };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** One sentence by flite, without the silence around it, at {@link LEVEL}. */
async function speak(line: ScriptLine, file: string, signal: AbortSignal): Promise<Int16Array> {
  await promisify(execFile)('flite', ['-voice', SPEAKERS[line.speaker].voice, '-t', line.text, '-o', file], { signal });
  return levelled(trimmed(wavSamples(await readFile(file))));
}

/** The samples of a mono 16 bit WAV file at {@link RATE}. */
export function wavSamples(file: Buffer): Int16Array {
  const rate = file.readUInt32LE(24);
  if (rate !== RATE) throw new RangeError(`Cannot read voice: it speaks at ${rate} Hz, expected ${RATE}`);
  const data = file.indexOf('data', 12, 'latin1');
  const bytes = Math.min(file.readUInt32LE(data + 4), file.length - data - 8);
  const pcm = new Int16Array(bytes >> 1);
  for (let i = 0; i < pcm.length; i++) pcm[i] = file.readInt16LE(data + 8 + 2 * i);
  return pcm;
}

/** From the first to the last audible sample, with {@link MARGIN} around. */
export function trimmed(pcm: Int16Array): Int16Array {
  const audible = (sample: number) => Math.abs(sample) > SILENT;
  const first = pcm.findIndex(audible);
  if (first < 0) return pcm.subarray(0, 0);
  const margin = Math.round(MARGIN * RATE);
  return pcm.subarray(Math.max(0, first - margin), Math.min(pcm.length, pcm.findLastIndex(audible) + 1 + margin));
}

function levelled(pcm: Int16Array): Int16Array {
  const power = pcm.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, pcm.length);
  const peak = pcm.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1);
  const gain = Math.min(LEVEL / Math.max(1, Math.sqrt(power)), 32_000 / peak);
  return pcm.map((sample) => Math.round(sample * gain));
}

/** Sentences one after the other with their pauses, filled up to a whole second, over a faint noise that is always the same. */
export function compose(
  script: readonly ScriptLine[],
  spoken: readonly Int16Array[],
): { pcm: Int16Array; sentences: SampleSentence[] } {
  const count = (milliseconds: number) => (milliseconds * RATE) / 1_000;
  let end = count(LEAD);
  const places = script.map((line, i) => {
    const pcm = spoken[i] ?? new Int16Array(0);
    const start = end;
    end = start + pcm.length + count(line.pause);
    return { line, pcm, start };
  });
  const whole = new Int16Array(Math.ceil(end / RATE) * RATE);
  let noise = 1;
  for (let i = 0; i < whole.length; i++) {
    noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) >>> 0; // the linear congruential generator of Numerical Recipes
    whole[i] = ((noise >>> 24) % (2 * NOISE + 1)) - NOISE;
  }
  for (const { pcm, start } of places) whole.set(pcm, start);
  const sentences = places.map(({ line, pcm, start }) => ({
    start: at(samples(start, RATE)),
    end: at(samples(start + pcm.length, RATE)),
    speaker: line.speaker,
    text: line.text,
  }));
  return { pcm: whole, sentences };
}

/** When a speaker speaks, as an expression of ffmpeg's drawtext. */
export const speaking = (sentences: readonly SampleSentence[], speaker: SampleSpeaker): string =>
  sentences
    .filter((sentence) => sentence.speaker === speaker)
    .map(({ start, end }) => `between(t,${start / 1e6},${end / 1e6})`)
    .join('+');

type Text = {
  text: string;
  font?: '' | '-Bold' | 'Mono';
  size: number;
  colour: string;
  x: string | number;
  y: string | number;
  enable?: string;
};

const drawn = ({ text, font = '', size, colour, x, y, enable }: Text) =>
  `drawtext=fontfile=${FONT}${font}.ttf:text='${text}':fontsize=${size}:fontcolor=${colour}:x=${x}:y=${y}${enable ? `:enable='${enable}'` : ''}`;

/** The picture: a title, a lamp per speaker that is lit exactly while they speak, the sound's wave, a running clock. */
function picture(sentences: readonly SampleSentence[], duration: Span): string {
  const texts: Text[] = [
    { text: 'Coast Report', font: '-Bold', size: 40, colour: '0xf4f8fb', x: 40, y: 36 },
    { text: 'a sample programme in English, made by Livedub', size: 16, colour: '0xa9c7d8', x: 42, y: 88 },
    { text: '%{pts\\:hms}', font: 'Mono', size: 22, colour: '0xf4f8fb', x: 'w-tw-40', y: 306 },
    // Crosses the picture once every four seconds: a frame that is missing or late is seen.
    { text: '●', size: 14, colour: '0xffc857', x: '40+mod(t\\,4)/4*548', y: 274 },
  ];
  let x = 40;
  for (const [id, { name }] of Object.entries(SPEAKERS)) {
    const lamp = { size: 22, x, y: 306 };
    texts.push({ ...lamp, text: `○ ${name}`, colour: '0x7f9fb2' });
    texts.push({ ...lamp, text: `● ${name}`, colour: '0xffc857', enable: speaking(sentences, id as SampleSpeaker) });
    x += 130;
  }
  const length = duration / 1e6;
  return [
    `gradients=size=640x360:rate=${FRAMES}:nb_colors=3:c0=0x071a2f:c1=0x0f4c5c:c2=0x123a63:x0=0:y0=0:x1=640:y1=360:seed=7:speed=0.008:duration=${length}[sky]`,
    `[0:a]asplit[heard][seen]`,
    `[seen]volume=2.2,showwaves=size=560x120:mode=cline:rate=${FRAMES}:colors=0x6fd3e7:draw=full[wave]`,
    `[sky][wave]overlay=40:136:shortest=1,${texts.map(drawn).join(',')},format=yuv420p[film]`,
  ].join(';');
}

/** How the file is written; part of its name in the cache. Bit-exact flags keep dates and version strings out of it. */
const ENCODING = [
  ...'-c:v libx264 -profile:v baseline -level 3.1 -preset veryfast -crf 20 -maxrate 1200k -bufsize 1200k'.split(' '),
  ...`-bf 0 -g ${FRAMES} -keyint_min ${FRAMES} -sc_threshold 0 -threads 2`.split(' '),
  ...'-c:a aac -b:a 96k -ar 48000 -ac 1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact'.split(' '),
  ...'-map_metadata -1 -movflags +faststart'.split(' '),
];
const RECIPE = [ENCODING, picture([], seconds(1)), LEAD, MARGIN, LEVEL, NOISE];

/** Puts picture and sound together: `speech.pcm` in `work` becomes `sample.mp4` there. */
async function draw(
  work: string,
  sentences: readonly SampleSentence[],
  duration: Span,
  signal: AbortSignal,
  onProgress: (fraction: number) => void,
): Promise<void> {
  const length = String(duration / 1e6);
  const input = ['-f', 's16le', '-ar', String(RATE), '-ac', '1', '-i', join(work, 'speech.pcm')];
  const graph = ['-filter_complex', picture(sentences, duration), '-map', '[film]', '-map', '[heard]', '-t', length];
  const output = ['-progress', 'pipe:1', '-y', join(work, 'sample.mp4')];
  const args = ['-v', 'error', '-nostdin', ...input, ...graph, ...ENCODING, ...output];
  const ffmpeg = spawn('ffmpeg', args, { signal, stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  ffmpeg.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-2_000)));
  ffmpeg.stdout.setEncoding('utf8').on('data', (text: string) => {
    const done = /out_time_us=(\d+)/.exec(text)?.[1];
    if (done) onProgress(Math.min(1, Number(done) / duration));
  });
  const code = await new Promise<number | null>((resolve, reject) => ffmpeg.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`Cannot draw the sample programme: ffmpeg ended with ${code}: ${complaint.trim()}`);
}
