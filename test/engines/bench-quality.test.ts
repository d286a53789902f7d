import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { MEASUREMENTS } from '../../bench/quality/measurements.ts';
import { type QualityResult, quality } from '../../bench/quality/quality.ts';
import { Scope } from '../../media/scope.ts';

const program = fileURLToPath(new URL('../fakes/quality-child.mjs', import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'livedub-quality-'));
const scope = new Scope('test');
const said = vi.spyOn(console, 'log').mockImplementation(() => {});
const bench = (options: Partial<Parameters<typeof quality>[0]> = {}) =>
  quality({ only: [], models: '/weights', media: '/clips', out, program, ...options }, scope);
afterAll(async () => {
  said.mockRestore();
  await scope.close();
  rmSync(out, { recursive: true });
});

describe('the quality bench', () => {
  let result: QualityResult;
  beforeAll(async () => {
    result = await bench({ only: ['vad', 'recognizer', 'enhancer', 'synthesizer'] });
  });
  const run = (name: string) => result.runs.find((each) => each.name === name)!;

  test('measures each in a process of its own, which is told where weights and recordings are', () => {
    expect(run('vad').figures.map(({ engine, value, clip }) => [engine, value, clip])).toEqual([
      ['silero v6', 5, '/weights /clips'],
      ['ten-vad', 7, '/weights /clips'],
    ]);
    expect([run('vad').cpu, run('vad').peakMiB]).toEqual([1.5, 4_000]);
  });

  test('a measurement that crashes or fails costs its own rows, and says why', () => {
    expect(run('recognizer').failure).toMatch(/^the process was ended by SIGABRT: .*the library says why/s);
    expect(run('enhancer').failure).toBe('out of luck');
    expect(result.runs.map(({ name }) => name)).toEqual(['vad', 'recognizer', 'enhancer', 'synthesizer']);
  });

  test('watches the memory of the process while it runs', () => {
    expect(run('synthesizer').peakMiB).toBeGreaterThan(100);
  });

  test('says what was left out', () => {
    expect(run('vad').leftOut).toEqual(['ten-vad left out: there is no such file']);
  });

  test('writes it all down, as figures and as a page that needs nothing but itself', () => {
    expect(JSON.parse(readFileSync(join(out, 'quality.json'), 'utf8'))).toEqual(JSON.parse(JSON.stringify(result)));
    const page = readFileSync(join(out, 'quality.html'), 'utf8');
    for (const part of ['silero v6', '4 % (theirs)', '1.25×', 'ten-vad left out', 'out of luck', '<svg']) {
      expect(page).toContain(part);
    }
    expect(page).not.toMatch(/<(script|link|img)|https?:\/\//);
  });

  test('shows the figures of a profile alone when it is asked to', async () => {
    const { runs } = await bench({ only: ['vad'], profile: 'embedded' });
    expect(runs[0]!.figures.map(({ engine }) => engine)).toEqual(['silero v6']);
  });

  test('refuses names that nobody knows, and lists those that there are', async () => {
    await expect(bench({ only: ['smell'] })).rejects.toThrow(
      `There is no measurement called 'smell'; there is ${Object.keys(MEASUREMENTS).join(', ')}`,
    );
    await expect(bench({ profile: 'quantum' })).rejects.toThrow(
      "There is no profile called 'quantum'; there is embedded",
    );
  });
});

test.for(Object.entries(MEASUREMENTS))(
  'the measurement %s is called what it is listed as',
  async ([name, { load }]) => {
    expect((await load()).name).toBe(name);
  },
);
