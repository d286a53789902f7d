import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Check, examine, healthy, lackedCodecs, report } from '../../gateway/doctor.ts';

const folder = mkdtempSync(join(tmpdir(), 'livedub-doctor-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const named = (checks: readonly Check[], name: string) => checks.find((check) => check.name === name);

test('on a machine that was set up, everything needed is there', async () => {
  const checks = await examine({ port: 0 });
  expect(checks.filter((check) => check.state === 'missing')).toEqual([]);
  expect(healthy(checks)).toBe(true);
  expect(report(checks)).toContain('Everything needed is there.');
});

test('without ffmpeg, Apertium and the worker it says so, with the fix, and is not healthy', async () => {
  const before = { PATH: process.env['PATH'], MEDIASOUP_WORKER_BIN: process.env['MEDIASOUP_WORKER_BIN'] };
  process.env['PATH'] = folder;
  process.env['MEDIASOUP_WORKER_BIN'] = join(folder, 'no-worker');
  const checks = await examine({ port: 0 }).finally(() => {
    process.env['PATH'] = before.PATH;
    if (before.MEDIASOUP_WORKER_BIN === undefined) delete process.env['MEDIASOUP_WORKER_BIN'];
    else process.env['MEDIASOUP_WORKER_BIN'] = before.MEDIASOUP_WORKER_BIN;
  });
  expect(named(checks, 'ffmpeg')).toMatchObject({ state: 'missing', found: 'not installed' });
  expect(named(checks, 'ffmpeg')?.fix).toContain('apt-get install');
  expect(named(checks, 'Apertium')).toMatchObject({ state: 'missing', found: 'not installed' });
  expect(named(checks, 'mediasoup worker')).toMatchObject({ state: 'missing', fix: 'npm run setup' });
  expect(named(checks, 'Chromium')?.state).toBe('absent');
  expect(healthy(checks)).toBe(false);
  expect(report(checks)).toMatch(/\d+ needed things are missing\./);
});

test('a port that is taken is said, and sessions could still run on another', async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  const checks = await examine({ port });
  await new Promise((done) => server.close(done));
  expect(named(checks, `Port ${port}`)).toMatchObject({ state: 'absent', found: 'in use' });
});

test('colours are words too', () => {
  const checks: Check[] = [
    { name: 'GPU', state: 'absent', found: 'not installed', needed: 'for large models', fix: '' },
  ];
  expect(report(checks)).not.toContain('\x1b');
  expect(report(checks, { colour: true })).toContain('\x1b[33m– absent');
});

test('codecs are read from ffmpeg’s own table', () => {
  const listing = ' V..... = Video\n V....D libx264              libx264 H.264\n A....D aac                  AAC\n';
  expect(lackedCodecs(listing, ['libx264', 'aac', 'libvpx'])).toEqual(['libvpx']);
});
