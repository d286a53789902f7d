import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { rawSound } from '../../media/raw-pictures.ts';
import { recodingRate } from '../../media/recoding.ts';
import type { Scope } from '../../media/scope.ts';
import { facesConfig, openEyes, trackingOf } from '../../models/see/faces.ts';
import { lrAsd } from '../../models/see/lr-asd.ts';
import { machine } from '../machine.ts';
import { type Tell, teller } from '../progress.ts';
import { cpuPage } from './cpu-page.ts';
import { cpuText } from './cpu-text.ts';
import { type Astray, astray } from './looking.ts';
import { type Figure, figureOf, quantile } from './meter.ts';
import { DRIVER, PARTS, type PathPass, SELDOM, STAGES, type Seeing, passOver } from './path.ts';
import {
  BITRATE,
  CODECS,
  FPS,
  type Reel,
  type ReelCodec,
  SHOWN,
  type Shown,
  type Size,
  plainly,
  reelOf,
} from './reel.ts';
import { UnknownLips } from './unknown-lips.ts';

export interface CpuOptions {
  /** Real weights as MODELS.md has them, or a model store. */
  readonly models: string;
  /** Real recordings as MEDIA.md has them. */
  readonly media: string;
  readonly size: Size;
  /** Of each clip. */
  readonly seconds: number;
  /** Passes over each clip, after one that warms up. */
  readonly rounds: number;
  readonly out: string;
  /** All of {@link SHOWN} unless told. */
  readonly shown?: readonly Shown[];
}

/** One reel's figures, CPU ms a picture. */
export interface ReelResult {
  readonly name: string;
  readonly faces: number;
  readonly pictures: number;
  /** Mouths driven a picture. */
  readonly driven: number;
  readonly stages: Readonly<Record<string, Figure>>;
  /** The driver alone. */
  readonly driver: Figure;
  /** Everything, by codec; and FFmpeg's own program that encodes every picture anew, median of the rounds. */
  readonly whole: Readonly<Record<ReelCodec, Figure>>;
  readonly plain: Readonly<Record<ReelCodec, number>>;
  readonly seldom: Figure;
  readonly astray: Astray;
}
export interface CpuResult {
  readonly machine: string;
  readonly when: string;
  /** Load of the machine over the last minute, before and after. */
  readonly load: readonly [number, number];
  readonly size: Size;
  readonly seconds: number;
  readonly rounds: number;
  /** The driver's first pictures in a process that has driven none. */
  readonly cold: Figure;
  readonly reels: readonly ReelResult[];
}

/** Pictures that a driver that has just begun takes longer for. */
const COLD = 25;
/** What is said in place of the clips' own words. */
const DUB = 'talking/video-retalking/audio1.wav';

/** Where networks lie: a folder per network for the tracker, and LR-ASD's own. */
function placesIn(models: string): { readonly faces: string; readonly asd: string } {
  const places = [
    { faces: join(models, 'face'), asd: join(models, 'asd', 'lr-asd') },
    { faces: join(models, 'models'), asd: join(models, 'models', 'lr-asd') },
  ];
  const found = places.find(({ faces }) => existsSync(join(faces, 'facemesh')));
  if (!found) throw new UnknownLips(`There are no networks for faces in ${models}; --models names where they are`);
  return found;
}

async function seeingWith(models: string, scope: Scope): Promise<Seeing> {
  const { faces, asd } = placesIn(models);
  const settings = facesConfig.parse({ models: faces });
  try {
    return {
      eyes: await openEyes(settings, scope),
      tracking: trackingOf(settings),
      activeSpeaker: await lrAsd.load(lrAsd.config.parse({ model: asd }), scope),
    };
  } catch (failure) {
    throw new UnknownLips(failure instanceof Error ? failure.message : String(failure));
  }
}

/** The result of several passes over a reel, the first of which warmed up. */
export function summed(reel: Reel, passes: readonly PathPass[], plain: ReelResult['plain']): ReelResult {
  const warm = passes.length > 1 ? passes.slice(1) : passes;
  const every = (stages: readonly string[]) => warm.flatMap(({ meter }) => meter.together(stages));
  const pictures = warm.reduce((sum, { meter }) => sum + meter.pictures, 0);
  const names = [...new Set([...CODECS.flatMap((codec) => STAGES(codec).map(([name]) => name)), ...PARTS])];
  const whole = (codec: ReelCodec) => figureOf(every(STAGES(codec).map(([name]) => name)));
  const last = warm.at(-1)!;
  return {
    name: reel.name,
    faces: reel.faces,
    pictures,
    driven: warm.reduce((sum, { driven }) => sum + driven, 0) / pictures,
    stages: Object.fromEntries(names.map((name) => [name, figureOf(every([name]))])),
    driver: figureOf(every(DRIVER)),
    whole: { VP8: whole('VP8'), H264: whole('H264') },
    plain,
    seldom: figureOf(every([SELDOM])),
    astray: astray(last.always, last.seldom),
  };
}

/**
 * What moving mouths costs without a GPU: real clips go down the whole path stage by stage, beside FFmpeg's own program that
 * encodes every picture anew.
 */
export async function cpu(options: CpuOptions, scope: Scope, tell: Tell = teller()): Promise<CpuResult> {
  const { models, media, size, seconds, rounds, out, shown = SHOWN } = options;
  const before = loadavg()[0]!;
  const dubFile = join(media, DUB);
  if (!existsSync(dubFile)) throw new UnknownLips(`There is no ${dubFile}; --media names where recordings are`);
  const seeing = await seeingWith(models, scope);
  const dub = await rawSound(dubFile, 0, 16_000, scope);
  const reels: ReelResult[] = [];
  let cold: readonly number[] | undefined;
  const steps = shown.length * (rounds + 1);
  let step = 0;
  const told = (what: string) => tell(step / steps, what);
  for (const each of shown) {
    told(`${each.name}: made ready`);
    const reel = await reelOf(each, media, size, seconds, scope);
    const rate = recodingRate(reel.width, reel.height, FPS, BITRATE);
    const passes: PathPass[] = [];
    const plain: Record<ReelCodec, number[]> = { VP8: [], H264: [] };
    for (let round = 0; round <= rounds; round += 1, step += 1) {
      scope.signal.throwIfAborted();
      told(round === 0 ? `${each.name}: warming up` : `${each.name}: round ${round} of ${rounds}`);
      const pass = await passOver(reel, seeing, dub);
      passes.push(pass);
      cold ??= pass.meter.together(DRIVER).slice(0, COLD);
      for (const codec of CODECS) plain[codec].push(await plainly(reel, codec, rate));
    }
    reels.push(summed(reel, passes, { VP8: quantile(plain.VP8, 0.5), H264: quantile(plain.H264, 0.5) }));
  }
  tell(1, '');
  const when = new Date().toISOString();
  const load = [before, loadavg()[0]!] as const;
  const facts = { machine: machine(), when, load, size, seconds, rounds };
  const result: CpuResult = { ...facts, cold: figureOf(cold ?? []), reels };
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'lips.json'), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(out, 'lips.html'), cpuPage(result));
  console.log(`${cpuText(result)}\n\nresults  ${out}/lips.json, ${out}/lips.html`);
  return result;
}
