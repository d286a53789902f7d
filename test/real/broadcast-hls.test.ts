import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { watchBroadcast } from '../../bench/broadcast/broadcast.ts';
import { median } from '../../bench/broadcast/verdicts.ts';
import { workerPath } from '../../gateway/checkout.ts';
import type { RuleId } from '../../gateway/hls-check/rules.ts';
import { root } from '../../gateway/root.ts';
import { Scope } from '../../media/scope.ts';
import { missing, recording } from '../fakes/recordings.ts';

const CLIP = 'talking/open-dubbing/englishvideo.mp4';
const protocols = spawnSync('ffmpeg', ['-hide_banner', '-protocols']).stdout?.toString() ?? '';
const why =
  missing(CLIP) ??
  (/\bsrt\b/.test(protocols) ? undefined : 'this FFmpeg has no SRT') ??
  (existsSync(join(root, 'dist/gateway/cli.js')) ? undefined : 'dist is not built') ??
  ((await workerPath()) === undefined ? 'no mediasoup worker: run npm run setup' : undefined);
/** How busy the machine is decides about these. */
const TIMING: readonly RuleId[] = ['starved', 'update-late'];
/** Pictures that come later than they are waited for leave their part empty, and what follows begins elsewhere. */
const HOLES: readonly RuleId[] = [
  'piece-empty',
  'length-untrue',
  'time-gap',
  'dates-apart',
  'piece-broken',
  'key-missing',
  'independent-tag',
  'average-low',
];
const PUNCTUAL = 0.9;

describe.skipIf(why)(`a real broadcast (${why ?? 'can be made'})`, () => {
  test('what comes in by SRT goes out as Low-Latency HLS that keeps every rule, with sound in its place in every language, and captions', async () => {
    const scope = new Scope('broadcast test');
    try {
      const options = { minutes: 0.2, file: recording(CLIP), to: ['es', 'ca'], delay: 4, out: '' };
      const { checked, measured, atSource } = await watchBroadcast(options, scope, () => {});
      const live = checked.renditions.flatMap(({ punctuality }) => punctuality ?? []);
      const onTime = live.reduce((sum, one) => sum + one.onTime, 0) / live.reduce((sum, one) => sum + one.parts, 0);
      const excused = onTime < PUNCTUAL ? [...TIMING, ...HOLES] : TIMING;
      if (onTime < PUNCTUAL)
        process.stdout.write(`The machine was too busy: ${(100 * onTime).toFixed(1)} % of parts on time.\n`);
      const broken = checked.findings.filter(({ rule, severity }) => severity !== 'note' && !excused.includes(rule));
      expect(broken).toEqual([]);
      expect([checked.live, checked.lowLatency]).toEqual([true, true]);
      const said = checked.renditions.map(({ kind, language }) => `${kind} ${language}`).sort();
      const spoken = ['ca', 'en', 'es'].flatMap((language) => [`captions ${language}`, `sound ${language}`]).sort();
      expect(said).toEqual([...spoken.slice(0, 3), 'pictures null', ...spoken.slice(3)]);
      for (const { at, discontinuities, pieces, cues, kind } of checked.renditions) {
        expect([at, discontinuities]).toEqual([at, 0]);
        expect(pieces).toBeGreaterThan(15);
        if (kind === 'captions') expect(cues).toBeGreaterThan(0);
      }
      expect(Math.abs(atSource ?? 99)).toBeLessThan(1);
      expect(measured.map(({ language }) => language).sort()).toEqual(['ca', 'en', 'es']);
      for (const { offsets } of measured) {
        const found = offsets.flatMap(({ ms }) => ms ?? []);
        expect(found.length).toBeGreaterThan(0);
        expect(Math.abs(median(found) ?? 99)).toBeLessThan(40);
      }
    } finally {
      await scope.close();
    }
  }, 120_000);
});
