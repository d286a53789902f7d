import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Scope } from '../../media/scope.ts';
import { at } from '../../media/time.ts';
import { UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';
import { toRgb, part } from '../../models/lips/colour.ts';
import { parsable, pixels, surroundings } from '../../models/lips/musetalk-face.ts';
import { feathered, jaw } from '../../models/lips/musetalk-mask.ts';
import { decoded, encoded, parsed, pasted, stepped } from '../../models/lips/musetalk-path.ts';
import { SEEN, hear, places, tokensAt } from '../../models/lips/musetalk-sound.ts';
import { liveIn } from '../../models/lips/musetalk.ts';
import { type LoadedNetwork, openOnnx } from '../../models/runtime/onnx.ts';
import type { NetworkSettings } from '../../models/runtime/runtime-settings.ts';
import { type Tensors, floats, sizeOf } from '../../models/runtime/tensor.ts';
import { machine } from '../machine.ts';
import { type OperationCost, type Roof, costOf, roofline, totalOf } from './cost.ts';
import { type Graph, graphOf } from './onnx-graph.ts';

/** Where `models/export/musetalk.py --random` is asked to write. */
export const NETWORKS = join(homedir(), '.cache', 'livedub', 'bench', 'musetalk');

export interface GpuOptions {
  /** Directory of exported networks, with their `cost` graphs. */
  readonly networks: string;
  readonly batches: readonly number[];
  readonly out: string;
  /** Without a GPU: run every network once on the CPU, to see that it makes what its graph says. */
  readonly step: boolean;
  /** FLOP and bytes per second, where the operator states them instead of having them measured. */
  readonly peak?: Partial<Roof>;
}
export type Vae = 'sd-vae' | 'taesd';

const PICTURES_PER_SECOND = 25;
const WARM = 2;
const RUNS = 8;
/** float16. */
const BYTES = 2;

/** What has to be computed for a picture: networks, and how many items of each. */
const partsOf = (vae: Vae) => {
  const file = vae.replace('-', '_');
  return [
    { name: `${file}_encoder`, items: 2 },
    { name: 'unet', items: 1 },
    { name: `${file}_decoder`, items: 1 },
    { name: 'parsing', items: 1 },
  ] as const;
};

/** A network's cost, and what its graph says of its ports for one item. */
export interface Counted {
  readonly name: string;
  readonly costs: readonly OperationCost[];
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
}
export function countedIn(directory: string, name: string): Counted {
  const graph: Graph = graphOf(readFileSync(join(directory, 'cost', `${name}.onnx`)));
  const shapes = (names: readonly string[]) =>
    Object.fromEntries(names.map((each) => [each, graph.shapes.get(each) ?? []]));
  const own = (graph.metadata['inputs'] ?? '').split(',');
  return { name, costs: costOf(graph), inputs: shapes(own), outputs: shapes(graph.outputs) };
}

/** Zeros for a network, one item. */
const zeros = ({ inputs }: Counted): Tensors =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, dims]) => [name, floats(new Float32Array(sizeOf(dims)), dims)]),
  );

/** Runs a network once and says where it makes something else than its graph says; nothing where it does not. */
export async function wrongShapes(network: LoadedNetwork, counted: Counted): Promise<string | undefined> {
  const made = await network.run(zeros(counted));
  for (const [name, dims] of Object.entries(counted.outputs)) {
    const found = made[name]?.dims.join(' × ');
    if (found !== dims.join(' × ')) return `${counted.name}: '${name}' is ${found}, its graph says ${dims.join(' × ')}`;
  }
  return undefined;
}

/** A picture of 1280 × 720 that is unlike every other one, and the box of a face of 300 × 380 in it. */
function pictureOf(seed: number): VideoFrame {
  const [width, height] = [1_280, 720];
  let state = seed + 1;
  const noise = (size: number) =>
    Uint8Array.from({ length: size }, () => {
      state = (state * 16_807) % 2_147_483_647;
      return 64 + (state % 128);
    });
  const chroma = (width * height) / 4;
  const planes = { y: noise(width * height), u: noise(chroma), v: noise(chroma) };
  return { width, height, ...planes, start: at(0), colour: UNSPECIFIED };
}
const FACE = { left: 490, top: 170, width: 300, height: 380 };

type Open = (name: string) => Promise<LoadedNetwork>;
/** Milliseconds for a batch, by step, and which of them the GPU computes. */
export interface Pass {
  readonly vae: Vae;
  readonly batch: number;
  readonly ms: Readonly<Record<string, number>>;
}
const ON_GPU: readonly string[] = ['encode', 'parse', 'step', 'decode'];
const sumOf = (ms: Pass['ms'], names: readonly string[]) => names.reduce((sum, name) => sum + (ms[name] ?? 0), 0);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** Runs the whole live path on pictures of which none has been seen before, step by step. */
export async function passOf(open: Open, directory: string, vae: Vae, batch: number, runs = RUNS): Promise<Pass> {
  const live = liveIn(directory);
  const factor = live.vaes[vae];
  if (factor === undefined) throw new RangeError(`Cannot measure ${vae}: it is not among the networks`);
  const file = vae.replace('-', '_');
  const [whisper, encoder, decoder] = [
    await open('whisper'),
    await open(`${file}_encoder`),
    await open(`${file}_decoder`),
  ];
  const [unet, parsing] = [await open('unet'), await open('parsing')];
  const told = places(SEEN * live.states, live.width);
  const heard = await hear(
    whisper,
    live,
    Float32Array.from({ length: 32_000 }, (_, n) => 0.1 * Math.sin(n * n * 1e-5)),
  );
  const square = surroundings(FACE);
  const inner = { ...FACE, left: FACE.left - square.left, top: FACE.top - square.top };
  const times: Record<string, number[]> = {};
  const frames = Array.from({ length: batch }, (_, n) => pictureOf(n));
  for (let run = 0; run < WARM + runs; run += 1) {
    let last = performance.now();
    const lap = (step: string) => {
      const now = performance.now();
      if (run >= WARM) (times[step] ??= []).push(now - last);
      last = now;
    };
    const around = frames.map((frame) => toRgb(frame, square));
    const near = around.map((each) => part(each, inner));
    const [looks, wholes] = [near.map(pixels), around.map(parsable)];
    const tokens = frames.map((_, n) => tokensAt(heard, 8 + 2 * n, live, told));
    lap('crop');
    const latents = await encoded(encoder, looks, factor);
    lap('encode');
    const labels = await parsed(parsing, wholes);
    lap('parse');
    const masks = labels.map((each) => feathered(jaw(each, 90), inner, square, 0.1));
    lap('mask');
    const out = await stepped(unet, latents, tokens, live.width);
    lap('step');
    const drawn = await decoded(decoder, out, factor);
    lap('decode');
    for (const [n, frame] of frames.entries()) pasted(frame, drawn[n]!, { face: FACE, square, mask: masks[n]! }, 1);
    lap('paste');
  }
  return { vae, batch, ms: Object.fromEntries(Object.entries(times).map(([step, all]) => [step, median(all)])) };
}

/** What the device can do at most, measured by networks that do nothing else. */
async function measuredRoof(open: Open, directory: string): Promise<Roof> {
  const facts = JSON.parse(readFileSync(join(directory, 'probes.json'), 'utf8')) as { flops: number; bytes: number };
  const time = async (name: string) => {
    const network = await open(name);
    const times: number[] = [];
    for (let run = 0; run < WARM + RUNS; run += 1) {
      const begun = performance.now();
      await network.run({ x: floats(Float32Array.of(1e-4), [1]) });
      if (run >= WARM) times.push((performance.now() - begun) / 1_000);
    }
    return Math.min(...times);
  };
  return { flops: facts.flops / (await time('probe_flops')), bytes: facts.bytes / (await time('probe_bytes')) };
}

/** What NVIDIA's tool calls the device, where there is one. */
function deviceName(): string | undefined {
  try {
    const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
    return execFileSync('nvidia-smi', query, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

const giga = (value: number) => (value / 1e9).toFixed(value < 1e10 ? 2 : 1);
function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((each, n) => Math.max(each.length, ...rows.map((row) => row[n]?.length ?? 0)));
  return [head, ...rows]
    .map((row) => row.map((each, n) => (n === 0 ? each.padEnd(widths[n]!) : each.padStart(widths[n]!))).join('  '))
    .join('\n');
}

/** What the path costs for a picture, network by network. */
export function costTable(counted: readonly Counted[], vae: Vae): string {
  const rows = partsOf(vae).map(({ name, items }) => {
    const { flops, weights, moving, share } = totalOf(counted.find((each) => each.name === name)!.costs);
    const spread = [share.convolution, share.linear, share.attention].map((part) => `${Math.round(100 * part)} %`);
    const figures = [giga(items * flops), giga(weights * BYTES), giga(items * moving * BYTES)];
    return { row: [`${name}${items > 1 ? ` × ${items}` : ''}`, ...figures, ...spread], flops: items * flops };
  });
  const whole = rows.reduce((sum, { flops }) => sum + flops, 0);
  const head = ['for one picture', 'GFLOP', 'GB weights', 'GB moved', 'convolution', 'linear', 'attention'];
  return `${tableOf(head, [...rows.map(({ row }) => row), [`together, ${vae}`, giga(whole), '', '', '', '', '']])}\n`;
}

/** Measured passes against the roofline. */
export function passTable(passes: readonly Pass[], counted: readonly Counted[], roof: Roof): string {
  const rows = passes.map(({ vae, batch, ms }) => {
    const bound = (names: readonly string[]) =>
      1_000 *
      partsOf(vae)
        .filter(({ name }) => names.some((each) => name.endsWith(each)))
        .reduce((sum, { name, items }) => {
          return sum + roofline(counted.find((each) => each.name === name)!.costs, items * batch, BYTES, roof);
        }, 0);
    const gpu = sumOf(ms, ON_GPU);
    const still = sumOf(ms, ['step', 'decode']);
    const least = bound(['encoder', 'unet', 'decoder', 'parsing']);
    const faces = (each: number) => (1_000 / PICTURES_PER_SECOND / (each / batch)).toFixed(1);
    return [
      `${vae}, ${batch}`,
      ...['encode', 'parse', 'step', 'decode'].map((step) => ((ms[step] ?? 0) / batch).toFixed(2)),
      (sumOf(ms, ['crop', 'mask', 'paste']) / batch).toFixed(2),
      (least / batch).toFixed(2),
      `${Math.round((100 * least) / gpu)} %`,
      faces(gpu),
      faces(still),
    ];
  });
  const head = [
    'VAE, batch',
    'encode',
    'parse',
    'step',
    'decode',
    'CPU',
    'roofline',
    'reached',
    'faces',
    'faces, still',
  ];
  return `${tableOf(head, rows)}\n\nms per picture; faces at ${PICTURES_PER_SECOND} pictures a second on one GPU by its own time ('still': latents and masks\nreused); CPU is one thread's work beside it, on pictures of 1280 × 720`;
}

/** How networks for the bench are made. */
export const exportCommand = (directory: string) =>
  `python3 models/export/musetalk.py --random ${directory} --diffusers CHECKOUT --whisper CHECKOUT`;

/**
 * MuseTalk's live path at real sizes on a GPU: what it costs, how long it takes by batch, how near it comes to what the
 * device can do, and how many faces that is. Without a GPU it counts and checks what can be, and says so.
 *
 * @returns what was measured; nothing without networks
 */
export async function gpu(options: GpuOptions, scope: Scope): Promise<readonly Pass[] | undefined> {
  const { networks: directory, batches, out, step, peak = {} } = options;
  if (!existsSync(join(directory, 'cost', 'unet.onnx'))) {
    console.log(`There are no networks in ${directory}; make some with\n\n  ${exportCommand(directory)}`);
    return undefined;
  }
  const vaes = (['sd-vae', 'taesd'] as const).filter((vae) =>
    partsOf(vae).every(({ name }) => existsSync(join(directory, 'cost', `${name}.onnx`))),
  );
  const names = [...new Set(['whisper', ...vaes.flatMap((vae) => partsOf(vae).map(({ name }) => name))])];
  const counted = names
    .filter((name) => existsSync(join(directory, 'cost', `${name}.onnx`)))
    .map((name) => countedIn(directory, name));
  for (const vae of vaes) console.log(costTable(counted, vae));

  const opened = new Map<string, Promise<LoadedNetwork>>();
  const openOn = (settings: Partial<NetworkSettings>) => (name: string) => {
    const key = `${name} ${settings.device}`;
    const known = opened.get(key) ?? openOnnx(join(directory, `${name}.onnx`), scope, { name, settings });
    opened.set(key, known);
    return known;
  };
  if (!existsSync(join(directory, 'unet.onnx'))) {
    console.log(`In ${directory} there are graphs alone; for the networks, run ${exportCommand(directory)}`);
    console.log('\nReady, not run: FLOPs and bytes are counted; nothing is timed.');
    return [];
  }
  const open = openOn({ device: 'cuda', fp16: true });
  const absent = await open('unet').then(
    () => undefined,
    (failure: unknown) => (failure instanceof Error ? failure.message : String(failure)),
  );
  if (absent !== undefined) {
    console.log(`No GPU to measure on: ${absent.split('\n')[0]}`);
    const failed = step ? await runOnce(openOn({ device: 'cpu', threads: 2 }), directory, counted) : [];
    if (failed.length > 0) throw new Error(`Networks make what their graphs do not say:\n${failed.join('\n')}`);
    console.log(
      `\nReady, not run: FLOPs and bytes are counted${step ? ', shapes checked on the CPU' : ''}; nothing is timed.`,
    );
    return [];
  }

  const stated = peak.flops !== undefined && peak.bytes !== undefined;
  const roof: Roof = { ...(stated ? { flops: 0, bytes: 0 } : await measuredRoof(open, directory)), ...peak };
  const device = deviceName() ?? 'unknown GPU';
  console.log(
    `${device}: ${(roof.flops / 1e12).toFixed(0)} TFLOP/s, ${(roof.bytes / 1e9).toFixed(0)} GB/s (${stated ? 'as stated' : 'as measured'})`,
  );
  const passes: Pass[] = [];
  for (const vae of vaes) {
    for (const batch of batches) passes.push(await passOf(open, directory, vae, batch));
  }
  console.log(`\n${passTable(passes, counted, roof)}`);
  await mkdir(out, { recursive: true });
  const result = { machine: machine(), device, roof, stated, passes };
  await writeFile(join(out, 'lips-gpu.json'), `${JSON.stringify(result, null, 2)}\n`);
  console.log(`\nresults  ${out}/lips-gpu.json`);
  return passes;
}

/** Runs each network that is there once, one item, on the CPU. */
async function runOnce(open: Open, directory: string, counted: readonly Counted[]): Promise<string[]> {
  const failed: string[] = [];
  for (const each of counted) {
    if (!existsSync(join(directory, `${each.name}.onnx`))) continue;
    const begun = performance.now();
    const wrong = await wrongShapes(await open(each.name), each);
    console.log(
      `${each.name}: ${wrong ?? 'as its graph says'}, ${((performance.now() - begun) / 1_000).toFixed(1)} s to load and run once`,
    );
    if (wrong) failed.push(wrong);
  }
  return failed;
}
