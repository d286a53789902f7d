import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Report } from '../../gateway/report.ts';
import { root } from '../../gateway/root.ts';
import { sampleProgramme } from '../../gateway/sample.ts';
import { lacking } from './broadcast.ts';

const cli = join(root, 'dist/gateway/cli.js');
const reason = lacking ?? (existsSync(cli) ? undefined : 'dist is not built');
const folder = mkdtempSync(join(tmpdir(), 'livedub-demo-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
const livedub = (...args: string[]): Promise<Ended> =>
  new Promise((done) => {
    const options = { cwd: folder, timeout: 120_000, maxBuffer: 1 << 24 };
    const child = execFile(process.execPath, [cli, ...args], options, (_, out, err) =>
      done({ code: child.exitCode ?? -1, out, err }),
    );
  });
const probed = (file: string) =>
  JSON.parse(
    execFileSync('ffprobe', ['-v', 'error', '-show_streams', '-show_format', '-of', 'json', file], {
      encoding: 'utf8',
    }),
  ) as {
    streams: {
      codec_type: string;
      codec_name: string;
      width?: number;
      height?: number;
      tags?: { language?: string };
    }[];
    format: { duration: string };
  };

describe.skipIf(reason)(`the demo without a page (${reason ?? 'the built program'})`, () => {
  beforeAll(() => sampleProgramme(new AbortController().signal));

  test('records what a viewer gets, and reports by listening that the dubs are where they should be', async () => {
    const path = join(folder, 'demo.mp4');
    const { code, out, err } = await livedub('demo', '--headless', '--seconds', '12', '--out', path);
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
    expect(err).toMatch(/12\/12 s, \d+ lines dubbed|10\/12 s/);

    const { streams, format } = probed(path);
    expect(streams.map((s) => [s.codec_type, s.codec_name, s.tags?.language ?? 'und'])).toEqual([
      ['video', 'h264', 'und'],
      ['audio', 'opus', 'spa'],
      ['audio', 'opus', 'eng'],
    ]);
    expect(streams[0]).toMatchObject({ width: 640, height: 360 });
    expect(Number(format.duration)).toBeGreaterThan(11.5);
    execFileSync('ffmpeg', ['-v', 'error', '-xerror', '-i', path, '-map', '0', '-f', 'null', '-']);

    const report = JSON.parse(readFileSync(join(folder, 'demo.report.json'), 'utf8')) as Report;
    expect(report).toMatchObject({
      from: 'en',
      to: ['es'],
      delay: expect.closeTo(5, 0) as number,
      recorded: { file: path, packetsLost: 0 },
    });
    expect(report.recorded.pictures).toBeGreaterThan(11.5 * 25);
    expect(report.lines.dubbed).toBeGreaterThanOrEqual(1);
    expect(report.transcript.length).toBeGreaterThanOrEqual(report.lines.dubbed);
    expect(report.listening.scheduled).toBeGreaterThanOrEqual(1);
    expect(report.listening.heard).toBe(report.listening.scheduled);
    expect(Math.abs(report.listening.offsetMs!.p50)).toBeLessThan(60);
    expect(Math.abs(report.avOffsetMs!)).toBeLessThan(40);
    for (const line of report.transcript) expect(line.text).not.toBe(line.source);

    expect(out).toContain(
      `${report.listening.heard} of ${report.listening.scheduled} dubs heard where they were scheduled`,
    );
    expect(out).toContain('demo.report.json');
    for (const row of out.split('\n')) expect([...row].length).toBeLessThanOrEqual(Math.max(120, path.length + 40));
  }, 90_000);

  test.for([
    [['--headless', '--out', 'demo.avi'], 2, /--out must end in \.mp4, \.mkv, \.webm/],
    [['--out', 'demo.mp4'], 2, /--out goes with --headless/],
    [['--headless', '--seconds', '0'], 2, /number of seconds above 0/],
    [['--headless', '--seconds', '1', '--file', 'nothing.mp4', '--out', 'x.mp4'], 2, /nothing\.mp4/],
  ] as const)('%j is refused with a sentence', async ([args, expected, sentence]) => {
    const { code, err } = await livedub('demo', ...args);
    expect(err).toMatch(sentence);
    expect(err).not.toMatch(/\n {4}at /);
    expect(code).toBe(expected);
  });
});
