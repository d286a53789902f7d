import { expect, test } from 'vitest';
import { ProcessLoad } from '../../gateway/session/process-load.ts';

const busy = (millis: number) => {
  const { user, system } = process.cpuUsage();
  for (;;) {
    const used = process.cpuUsage();
    if (used.user + used.system - user - system >= millis * 1_000) return;
  }
};
/** What the reading must be, within what the operating system's own counts allow. */
const share = (millis: number, began: number) => millis / (performance.now() - began);

test('a process that computes is told from one that waits, each reading by itself', async () => {
  const load = new ProcessLoad();
  const first = performance.now();
  busy(200);
  const worked = load.read();
  expect(worked.cpu).toBeGreaterThan(0.8 * share(200, first));
  expect(worked.cpu).toBeLessThan(4);
  await new Promise((wake) => setTimeout(wake, 200));
  const waited = load.read();
  expect(waited.cpu).toBeLessThan(worked.cpu);
  const again = performance.now();
  busy(100);
  expect(load.read().cpu).toBeGreaterThan(0.8 * share(100, again));
});

test('memory is told in MiB and time in seconds', () => {
  const load = new ProcessLoad();
  const { rssMiB, uptime } = load.read();
  expect(Math.abs(rssMiB - process.memoryUsage.rss() / 2 ** 20)).toBeLessThan(20);
  expect(Math.abs(uptime - process.uptime())).toBeLessThanOrEqual(1);
});
