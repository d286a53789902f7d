import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { type Pass, costTable, countedIn, gpu, passOf, passTable, wrongShapes } from '../../bench/lips/gpu.ts';
import { cpu } from '../../bench/lips/cpu.ts';
import { DRIVER, PARTS, STAGES } from '../../bench/lips/path.ts';
import { CLIPS } from '../../bench/lips/reel.ts';
import { UnknownLips } from '../../bench/lips/unknown-lips.ts';
import { Scope } from '../../media/scope.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { lacking, weights } from '../weights.ts';

const folder = fileURLToPath(new URL('../fixtures/musetalk', import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'livedub-bench-lips-'));
const scope = new Scope('test');
afterAll(async () => {
  await scope.close();
  rmSync(out, { recursive: true });
});
const open = (name: string) => openOnnx(join(folder, `${name}.onnx`), scope, { name });
const NAMES = ['unet', 'sd_vae_encoder', 'sd_vae_decoder', 'taesd_encoder', 'taesd_decoder', 'parsing'];
const counted = NAMES.map((name) => countedIn(folder, name));

/** What is printed while something runs. */
async function printed(run: () => Promise<unknown>): Promise<{ text: string; result: unknown }> {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  try {
    return { result: await run(), text: lines.join('\n') };
  } finally {
    log.mockRestore();
  }
}
const options = { networks: folder, batches: [1], out, step: false };

describe('bench lips --gpu', () => {
  test.for(NAMES)('%s makes what its graph says', async (name) => {
    const each = countedIn(folder, name);
    expect(await wrongShapes(await open(name), each)).toBeUndefined();
    const lie = { ...each, outputs: { ...each.outputs, [Object.keys(each.outputs)[0]!]: [1, 2, 3] } };
    expect(await wrongShapes(await open(name), lie)).toMatch(/its graph says 1 × 2 × 3/);
  });

  test('runs the whole live path by batch, every step timed', async () => {
    const { ms, batch } = await passOf(open, folder, 'taesd', 2, 1);
    expect(batch).toBe(2);
    expect(Object.keys(ms)).toEqual(['crop', 'encode', 'parse', 'mask', 'step', 'decode', 'paste']);
    for (const each of Object.values(ms)) expect(each).toBeGreaterThan(0);
  });

  test('the table: faces are what 40 ms hold, by the time of the GPU alone', () => {
    const pass: Pass = {
      vae: 'taesd',
      batch: 4,
      ms: { crop: 40, encode: 2, parse: 2, mask: 40, step: 8, decode: 4, paste: 40 },
    };
    const row = passTable([pass], counted, { flops: 1e12, bytes: 1e12 })
      .split('\n')[1]!
      .trim()
      .split(/\s{2,}/);
    expect(row.slice(0, 6)).toEqual(['taesd, 4', '0.50', '0.50', '2.00', '1.00', '30.00']);
    // 16 ms for four pictures; 12 where latents and masks are known.
    expect(row.slice(-2)).toEqual(['10.0', '13.3']);
    expect(costTable(counted, 'sd-vae')).toMatch(/together, sd-vae/);
  });

  test('without a GPU it counts, says that it has measured nothing, and does not fail', async () => {
    const { result, text } = await printed(() => gpu(options, scope));
    expect(result).toEqual([]);
    expect(text).toMatch(/No GPU to measure on: Cannot/);
    expect(text).toMatch(/Ready, not run: FLOPs and bytes are counted; nothing is timed/);
    expect(existsSync(join(out, 'lips-gpu.json'))).toBe(false);
  });

  test('with --step it runs every network once on the CPU', async () => {
    const { text } = await printed(() => gpu({ ...options, step: true }, scope));
    expect(text).toMatch(/unet: as its graph says/);
    expect(text).toMatch(/shapes checked on the CPU/);
  });

  test('with graphs alone it counts, and says how to make the networks', async () => {
    cpSync(join(folder, 'cost'), join(out, 'graphs', 'cost'), { recursive: true });
    const graphs = await printed(() => gpu({ ...options, networks: join(out, 'graphs') }, scope));
    expect(graphs.result).toEqual([]);
    expect(graphs.text).toMatch(/together, taesd/);
    expect(graphs.text).toMatch(/graphs alone; for the networks, .*musetalk\.py --random/);
    const nothing = await printed(() => gpu({ ...options, networks: '/nowhere' }, scope));
    expect(nothing.result).toBeUndefined();
    expect(nothing.text).toMatch(/musetalk\.py --random \/nowhere/);
  });
});

const size = { width: 640, height: 360 };
const shown = [{ name: 'out of doors', clips: [CLIPS.outdoors] }];
const real = { models: weights(''), media: recording(''), size, seconds: 2, rounds: 1, out, shown };
const networks = ['yunet', 'facemesh', 'fsanet'].map((name) => `face/${name}`);
const absent = lacking(...networks, 'asd/lr-asd') ?? missing(...shown[0]!.clips, 'talking/video-retalking/audio1.wav');

describe('bench lips on the CPU', () => {
  test.skipIf(absent)(
    `two seconds of a clip go down the whole path, every stage counted ${absent ?? ''}`,
    async () => {
      const told: string[] = [];
      const { result, text } = await printed(() => cpu(real, scope, (_, what) => void told.push(what)));
      const { reels } = JSON.parse(readFileSync(join(out, 'lips.json'), 'utf8')) as Awaited<ReturnType<typeof cpu>>;
      expect(reels).toEqual((result as Awaited<ReturnType<typeof cpu>>).reels);
      const [reel] = reels;
      expect(reel!.pictures).toBeGreaterThan(45);
      expect(reel!.driven).toBeGreaterThan(0.9);
      for (const codec of ['VP8', 'H264'] as const) {
        const stages = STAGES(codec).map(([name]) => reel!.stages[name]!.mean);
        for (const each of stages) expect(each).toBeGreaterThan(0);
        expect(stages.reduce((sum, each) => sum + each, 0)).toBeCloseTo(reel!.whole[codec].mean, 6);
        expect(reel!.whole[codec].mean).toBeGreaterThan(reel!.plain[codec]);
        expect(reel!.plain[codec]).toBeGreaterThan(0);
      }
      const sum = (names: readonly string[]) => names.reduce((total, name) => total + reel!.stages[name]!.mean, 0);
      expect(reel!.driver.mean).toBeCloseTo(sum(DRIVER), 6);
      expect(sum(PARTS)).toBeLessThan(reel!.stages['look']!.mean);
      expect(reel!.seldom.mean).toBeLessThan(reel!.stages['look']!.mean);
      expect(reel!.astray.faces).toBeGreaterThan(40);
      expect(reel!.astray.mouth).toBeGreaterThan(0);
      expect(reel!.astray.mouth).toBeLessThan(0.1);
      expect(text).toMatch(/out of doors, VP8/);
      expect(told.at(-1)).toBe('');
      expect(readFileSync(join(out, 'lips.html'), 'utf8')).toMatch(/stage by stage/);
    },
    180_000,
  );

  test('says what is absent, and where it was looked for', async () => {
    await expect(cpu({ ...real, media: '/nowhere' }, scope)).rejects.toThrow(/\/nowhere\/talking.*--media/);
    if (absent) return;
    const lost = cpu({ ...real, models: '/nowhere' }, scope);
    await expect(lost).rejects.toThrow(UnknownLips);
    await expect(lost).rejects.toThrow(/no networks for faces in \/nowhere; --models/);
  });
});
