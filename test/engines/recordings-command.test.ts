import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import type { ClockTime } from '../../media/time.ts';
import { type RecordingsRequest, UsageError } from '../../gateway/commands.ts';
import { Config } from '../../gateway/config.ts';
import { RecordingOutlet } from '../../gateway/outlet/recording-outlet.ts';
import { recordings } from '../../gateway/recordings-command.ts';
import { CLIP, type Given, TRACKS, programme, startOf } from '../fakes/recorded-programme.ts';
import { missing } from '../fakes/recordings.ts';

const why = spawnSync('ffmpeg', ['-version']).status === 0 ? missing(CLIP) : 'no ffmpeg: apt-get install ffmpeg';
const root = mkdtempSync(join(tmpdir(), 'livedub-recordings-command-'));
afterAll(() => rmSync(root, { recursive: true }));
const DAY = 86_400_000;
const BEGAN = Date.parse('2026-03-01T12:00:00Z');

describe.skipIf(why)(`livedub recordings (${why ?? 'ffmpeg'})`, () => {
  let given: Given[] = [];
  let directory = '';
  beforeAll(() => {
    given = programme(3);
  });
  beforeEach(() => {
    directory = mkdtempSync(join(root, 'r-'));
  });

  async function begun(name: string, day = 0) {
    const context = {
      ...{ session: 'abc', name: 'A talk', from: 'en', complain: () => {} },
      dateOf: (media: number) => BEGAN + day * DAY + media / 1_000,
    };
    const spec = { name, format: 'mp4' } as const;
    const outlet = await RecordingOutlet.open(spec, { directory, spareGigabytes: 0 }, context, new Scope('test'));
    outlet.tracks(TRACKS);
    for (const thing of given) {
      if ('picture' in thing) outlet.picture(thing.picture);
      else outlet.sound(thing.sound);
      outlet.tick(startOf(thing) as number as ClockTime, startOf(thing));
    }
    return outlet;
  }
  const recorded = async (name: string, day = 0) => (await begun(name, day)).close();

  async function ask(request: RecordingsRequest, settings: object = {}) {
    const said: string[] = [];
    const complaints: string[] = [];
    const told: number[] = [];
    const desk = {
      out: (text: string) => void said.push(text),
      err: (text: string) => void complaints.push(text),
      tell: (fraction: number) => void told.push(fraction),
      date: () => BEGAN + 10 * DAY,
    };
    const config = Config.parse({ recordings: { directory, ...settings } });
    const code = await recordings(request, config, desk, new Scope('test'));
    return { code, text: said.join('\n'), complaints, told };
  }

  test('list says what there is, and what broke off', async () => {
    expect((await ask({ do: 'list', json: false })).text).toMatch(/^There are no recordings\./);
    await recorded('talk.mp4');
    const growing = await begun('more.mkv', 1);
    await expect.poll(() => growing.counts['waiting']).toBe(0);
    const { code, text } = await ask({ do: 'list', json: false });
    expect(code).toBe(0);
    const [, talk = '', more = ''] = text.split('\n');
    expect(talk).toMatch(/^talk +A talk +2026-03-01 12:00 +0:00:0[23] +(en es|es en) +\d+ kB +finished$/);
    expect(more).toMatch(/^more +A talk +2026-03-02 12:00 +\d+ kB +being written$/);
    expect(text).toContain(`Kept in ${directory}`);
    await growing.close();
  });

  test('list as JSON is for programs', async () => {
    await recorded('talk.mp4');
    const { text } = await ask({ do: 'list', json: true });
    expect(JSON.parse(text)).toMatchObject([{ name: 'talk', title: 'A talk', session: 'abc', state: 'finished' }]);
  });

  test('recover finishes what a killed gateway left, and leaves alone what is being written', async () => {
    const growing = await begun('alive.mp4');
    const dead = await begun('dead.mp4');
    await dead.close();
    // As a writer leaves it that was killed: the part, and a journal of a process that is no more.
    const left = await begun('left.mp4');
    await expect.poll(() => left.counts['waiting']).toBe(0);
    const journal = join(directory, 'left.part.jsonl');
    await expect.poll(() => readFileSync(journal, 'utf8')).toContain('"type":"track"');
    writeFileSync(journal, readFileSync(journal, 'utf8').replace(/"since":"?\w+"?/, '"since":"1"'));
    expect((await ask({ do: 'list', json: false })).text).toContain(
      '1 recording broke off: livedub recordings recover',
    );
    const { code, text, told, complaints } = await ask({ do: 'recover', json: false });
    expect([code, complaints]).toEqual([0, []]);
    expect(text).toMatch(/^✔ left\.mp4 {2}0:00:0[23] {2}\d+ kB$/);
    expect(told).toEqual([0, 0.5]);
    expect(readdirSync(directory)).toEqual(expect.arrayContaining(['left.mp4', 'alive.part.mkv', 'dead.mp4']));
    expect((await ask({ do: 'recover', json: false })).text).toBe('Nothing is to be recovered.');
    await growing.close();
    await left.close();
  });

  test('prune deletes the oldest, with what lies beside them; a dry run deletes nothing', async () => {
    await recorded('old.mp4', 0);
    await recorded('new.mp4', 9);
    writeFileSync(join(directory, 'holiday.mp4'), 'mine');
    const before = readdirSync(directory);
    const dry = await ask({ do: 'prune', keepDays: 5, dryRun: true, json: false });
    expect(dry.text).toMatch(/^old {2}2026-03-01 12:00 {2}\d+ kB\n1 recording would be deleted, \d+ kB\.$/);
    expect(readdirSync(directory)).toEqual(before);
    expect((await ask({ do: 'prune', dryRun: false, json: false }, { keepDays: 5 })).text).toContain(
      '1 recording deleted',
    );
    expect(readdirSync(directory).sort()).toEqual(before.filter((name) => !name.startsWith('old')).sort());
    await expect(ask({ do: 'prune', dryRun: false, json: false })).rejects.toThrow(UsageError);
    expect((await ask({ do: 'prune', keepGigabytes: 0, dryRun: false, json: false })).text).toContain(
      '1 recording deleted',
    );
    expect(readdirSync(directory)).toEqual(['holiday.mp4']);
  });

  test('verify finds what is missing, torn or damaged', async () => {
    for (const name of ['good.mp4', 'torn.mp4', 'bad.mp4', 'bare.mkv']) await recorded(name);
    truncateSync(join(directory, 'torn.mp4'), 100_000);
    rmSync(join(directory, 'bare.poster.jpg'));
    // The same number of bytes, with another language taken out.
    const other = join(root, 'other.mp4');
    execFileSync('ffmpeg', [
      '-v',
      'error',
      '-y',
      '-i',
      join(directory, 'bad.mp4'),
      '-map',
      '0:v',
      '-map',
      '0:a:0',
      '-c',
      'copy',
      other,
    ]);
    const [size, bytes] = [readFileSync(join(directory, 'bad.mp4')).length, readFileSync(other)];
    const box = Buffer.alloc(size - bytes.length);
    box.writeUInt32BE(box.length);
    box.write('free', 4);
    writeFileSync(join(directory, 'bad.mp4'), Buffer.concat([bytes, box]));

    const { code, text, told } = await ask({ do: 'verify', names: [], json: false });
    expect(code).toBe(1);
    expect(text).toContain('✔ good');
    expect(text).toMatch(/✘ torn\n {2}torn\.mp4 has 100000 bytes in place of \d+\./);
    expect(text).toContain('✘ bad\n  bad.mp4 has sound in 1 of 2 languages.');
    expect(text).toContain('✘ bare\n  bare.poster.jpg is missing.');
    expect([told[0], told.at(-1)]).toEqual([0, 1]);
    expect(await ask({ do: 'verify', names: ['good'], json: true })).toMatchObject({ code: 0 });
    await expect(ask({ do: 'verify', names: ['nothing'], json: false })).rejects.toThrow(UsageError);
  });
});
