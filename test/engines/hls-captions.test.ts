import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CaptionTrack } from '../../gateway/outlet/hls/captions.ts';
import { at } from '../../media/time.ts';

const lacks = spawnSync('gst-inspect-1.0', ['--exists', 'subparse']).status !== 0;
let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'livedub-captions-'));
  file = join(folder, '7.vtt');
  const captions = new CaptionTrack();
  const cue = { language: 'es', speaker: 's1', draft: false };
  captions.push({ ...cue, id: 'a', start: 1_000_000, end: 2_500_000, text: 'Hola, buenos días' }, 0);
  captions.push({ ...cue, id: 'b', speaker: 's2', start: 2_600_000, end: 3_900_000, text: 'Tú & yo' }, 0);
  writeFileSync(file, captions.file({ start: at(0), end: at(4_000_000) }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// A caption lasts until the next where that is near.
test('FFmpeg finds every caption of a segment, with its times and its words', () => {
  const read = execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-f', 'srt', '-']).toString();
  expect(read).toContain('00:00:01,000 --> 00:00:02,600\nHola, buenos días');
  expect(read).toContain('00:00:02,600 --> 00:00:03,900\nTú & yo');
});

test.skipIf(lacks)('GStreamer finds them, too', () => {
  const args = ['-q', 'filesrc', `location=${file}`, '!', 'subparse', '!', 'text/x-raw', '!', 'fdsink'];
  const read = execFileSync('gst-launch-1.0', args, { timeout: 20_000 }).toString();
  expect(read).toContain('Hola, buenos días');
  expect(read).toContain('<v Speaker 2>Tú');
});
