import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ProcessWatch, childCalled } from '../../bench/processes.ts';
import { root } from '../../gateway/root.ts';
import { eventually } from '../fakes/gateway.ts';

const noProc = existsSync('/proc/self/stat') ? undefined : 'no /proc';
const main = join(root, 'dist/bench/main.js');

describe.skipIf(noProc)(`what processes use (${noProc ?? '/proc'})`, () => {
  const children: ChildProcess[] = [];
  afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));
  const start = (script: string) => {
    const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
    children.push(child);
    return child.pid!;
  };
  /** It ends by itself should a failing test forget it. */
  const BUSY = 'for (const end = Date.now() + 10_000; Date.now() < end;);';
  const IDLE = 'setInterval(() => {}, 1000)';
  const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

  test('is told by group: a busy one from an idle one, each with what it started', async () => {
    const [busy, idle] = [start(BUSY), start(IDLE)];
    const parent = start(
      `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(BUSY)}]); ${IDLE}`,
    );
    const watch = new ProcessWatch(() => ({ busy, idle, parent, gone: undefined }));
    await pause(300);
    watch.restart();
    for (let i = 0; i < 5; i += 1) {
      await pause(200);
      watch.read();
    }
    const usage = Object.fromEntries(watch.usage().map((each) => [each.name, each]));
    expect(Object.keys(usage).sort()).toEqual(['busy', 'idle', 'parent']);
    expect(usage['busy']!.processes).toBe(1);
    expect(usage['parent']!.processes).toBe(2);
    expect(usage['busy']!.cpu).toBeGreaterThan(0.15);
    expect(usage['busy']!.cpu).toBeLessThan(1.1);
    expect(usage['parent']!.cpu).toBeGreaterThan(0.15);
    expect(usage['idle']!.cpu).toBeLessThan(0.15);
    for (const { rssMiB } of Object.values(usage)) expect(rssMiB).toBeGreaterThan(20);
    // The child is in its parent's group.
    expect(usage['parent']!.rssMiB).toBeGreaterThan(1.5 * usage['busy']!.rssMiB);
  });

  test('a group of its own does not count for the one that started it', async () => {
    const child = start(IDLE);
    const watch = new ProcessWatch(() => ({ child, us: process.pid }));
    await pause(100);
    watch.read();
    const usage = Object.fromEntries(watch.usage().map((each) => [each.name, each]));
    expect(usage['child']!.processes).toBe(1);
    const alone = new ProcessWatch(() => ({ us: process.pid }));
    alone.read();
    expect(alone.usage()[0]!.processes).toBeGreaterThan(usage['us']!.processes);
  });

  test('a process that we started is found by what it is called', async () => {
    const pid = start(`/* mediasoup-like */ ${IDLE}`);
    expect(await eventually(() => childCalled('mediasoup-like'), 'it is there')).toBe(pid);
    expect(childCalled('no such program')).toBeUndefined();
  });
});

describe.skipIf(!existsSync(main))('npm run bench (needs the built program)', () => {
  const bench = (...args: string[]) =>
    new Promise<{ code: number | null; out: string; err: string }>((done) => {
      // What a mistake would make of it lies elsewhere, and does not last.
      const options = { cwd: tmpdir(), timeout: 10_000 };
      const child = execFile(process.execPath, [main, ...args], options, (_, out, err) =>
        done({ code: child.exitCode, out, err }),
      );
    });

  test('says what can be measured when it is asked, and when it is not told what to do', async () => {
    const [help, nothing] = await Promise.all([bench('--help'), bench()]);
    expect(help.code).toBe(0);
    expect(nothing.code).toBe(2);
    for (const { out } of [help, nothing]) {
      expect(out).toContain('npm run bench -- latency');
      expect(out).toContain('npm run bench -- sessions');
      expect(out).toContain('npm run bench -- fit --only');
      expect(out).toContain('npm run bench -- hours --real 30');
    }
  });

  test.for([
    [['latancy'], /latency/],
    [['latency', '--secunds', '3'], /secunds/],
    [['latency', '--seconds', 'ten'], /--seconds must be a number/],
    [['latency', '--delay', 'x'], /--delay must be a number/],
    [['sessions', '--counts', '1,two'], /--counts must be whole numbers/],
    [['fit', '--only', 'speed'], /nothing called 'speed' in fit; there is clips, live, adversary, rivals/],
    [['fit', '--pairs', 'en-es'], /--pairs must be as in en:es/],
    [['hours', '--hours', '0'], /--hours must be above 0/],
    [['hours', '--drift', 'much'], /--drift must be a number/],
    [['hours', '--outage=-1'], /--outage must be a number, 0 or more/],
    [['hours', '--real', 'x'], /--real must be a number/],
  ] as const)('%j is refused in one sentence', async ([args, sentence]) => {
    const { code, out, err } = await bench(...args);
    expect(code).toBe(2);
    expect(out + err).toMatch(sentence);
    expect(err).not.toMatch(/\n {4}at /);
  });
});
