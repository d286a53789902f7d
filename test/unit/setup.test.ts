import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/** Set-up is plain JavaScript without types: each test says which of it is meant. */
const load = async <T>(file: string): Promise<T> =>
  (await import(new URL(`../../gateway/${file}`, import.meta.url).href)) as T;

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'livedub-setup-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('Debian packages', async () => {
  const { missingFrom, aptFraction, installCommand } = await load<{
    missingFrom: (report: string, names: readonly string[]) => string[];
    aptFraction: (line: string) => number | undefined;
    installCommand: (names: readonly string[], sudo?: boolean) => string;
  }>('setup/packages.mjs');

  test('only what dpkg does not call installed is installed', () => {
    const report = [
      'ffmpeg install ok installed',
      'flite deinstall ok config-files',
      'libopus0 install ok installed',
      'g++ install ok half-configured',
      'chromium unknown ok not-installed',
    ].join('\n');
    const wanted = ['ffmpeg', 'flite', 'libopus0', 'g++', 'chromium', 'never-heard-of'];
    expect(missingFrom(report, wanted)).toEqual(['flite', 'g++', 'chromium', 'never-heard-of']);
  });

  test('a package is not taken for another whose name begins like it', () => {
    expect(missingFrom('libopus0-dev install ok installed\n', ['libopus0'])).toEqual(['libopus0']);
  });

  test('a person who is not root gets one line to type', () => {
    const line = installCommand(['ffmpeg', 'flite']);
    expect(line).toBe('sudo apt-get update && sudo apt-get install -y --no-install-recommends ffmpeg flite');
  });

  test.for([
    ['dlstatus:1:50.0000:Retrieving file 1 of 2', 0.25],
    ['pmstatus:flite:0.0000:Unpacking flite', 0.5],
    ['pmstatus:dpkg-exec:100.0000:Running dpkg', 1],
    ['media-change: please insert', undefined],
    ['', undefined],
  ] as const)('apt saying %j is %j of the way', ([line, expected]) => {
    expect(aptFraction(line)).toBe(expected);
  });
});

describe('npm packages', async () => {
  const { outdated, tarballOf } = await load<{
    tarballOf: (line: string) => string | undefined;
    outdated: (wanted: object, installed: object | undefined) => string | undefined;
  }>('setup/modules.mjs');
  const lock = (packages: Record<string, object>) => ({ packages });
  const wanted = lock({
    '': { name: 'livedub' },
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/b-darwin': { version: '2.0.0', integrity: 'sha512-b', optional: true },
  });

  test('what matches the lock file is left alone, also without other platforms’ binaries', () => {
    const installed = lock({ 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } });
    expect(outdated(wanted, installed)).toBeUndefined();
  });

  test('npm’s report is counted by package', () => {
    const url = 'https://registry.npmjs.org/@scope/name/-/name-1.0.0.tgz';
    expect(tarballOf(`npm http fetch GET 200 ${url} 31ms (cache miss)`)).toBe(url);
    expect(tarballOf(`npm http cache @scope/name@${url} 3ms (cache hit)`)).toBe(url);
    expect(tarballOf('npm http fetch GET 200 https://registry.npmjs.org/name 12ms (cache updated)')).toBeUndefined();
  });

  test.for([
    ['nothing installed', undefined, 'not installed yet'],
    ['a package missing', lock({}), 'node_modules/a is missing'],
    [
      'another version',
      lock({ 'node_modules/a': { version: '0.9.0', integrity: 'sha512-a' } }),
      'node_modules/a is 0.9.0, not 1.0.0',
    ],
    [
      'one too many',
      lock({ 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' }, 'node_modules/z': { version: '1.0.0' } }),
      'node_modules/z is no longer wanted',
    ],
  ] as const)('%s means npm ci', ([, installed, reason]) => {
    expect(outdated(wanted, installed)).toBe(reason);
  });
});

describe('build stamps', async () => {
  const { stampOf, readStamp, writeStamp } = await load<{
    stampOf: (root: string, places: readonly string[], wanted?: (name: string) => boolean) => string;
    readStamp: (file: string) => string | undefined;
    writeStamp: (file: string, stamp: string) => void;
  }>('setup/stamp.mjs');
  const write = (name: string, text: string) => {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  };

  test('a stamp changes with a file’s content, name or absence, and with nothing else', () => {
    write('media/a.ts', 'one');
    write('media/deep/b.ts', 'two');
    write('README.md', 'words');
    const stamp = stampOf(folder, ['media', 'nowhere']);
    write('media/a.ts', 'one');
    write('README.md', 'other words');
    expect(stampOf(folder, ['media', 'nowhere'])).toBe(stamp);
    write('media/a.ts', 'One');
    const changed = stampOf(folder, ['media']);
    rmSync(join(folder, 'media/a.ts'));
    const removed = stampOf(folder, ['media']);
    write('media/c.ts', 'One');
    expect(new Set([stamp, changed, removed, stampOf(folder, ['media'])]).size).toBe(4);
  });

  test('text moved from one file to the next is a change', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(20), (a, b, cut) => {
        write('media/a.ts', a);
        write('media/b.ts', b);
        const before = stampOf(folder, ['media']);
        const all = a + b;
        write('media/a.ts', all.slice(0, cut));
        write('media/b.ts', all.slice(cut));
        const same = readFileSync(join(folder, 'media/a.ts'), 'utf8') === Buffer.from(a).toString('utf8');
        expect(stampOf(folder, ['media']) === before).toBe(same && all.slice(cut) === b);
      }),
      { numRuns: 50 },
    );
  });

  test('a stamp that was never written is no stamp', () => {
    const file = join(folder, 'dist/.stamp');
    expect(readStamp(file)).toBeUndefined();
    writeStamp(file, 'abc');
    expect(readStamp(file)).toBe('abc');
  });
});

describe('two set-ups at once', async () => {
  const { locked, abandoned } = await load<{
    locked: <T>(file: string, work: () => Promise<T>, onWait?: (who: string) => void) => Promise<T>;
    abandoned: (owner: { pid: number; host: string; since: number }, here: string, now: number) => boolean;
  }>('setup/lock.mjs');

  test('take turns, and the lock is gone afterwards', async () => {
    const file = join(folder, 'deep/setup.lock');
    let inside = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise((done) => setImmediate(done));
      inside--;
    };
    await Promise.all([locked(file, work), locked(file, work), locked(file, work)]);
    expect(most).toBe(1);
    expect(() => readFileSync(file)).toThrow('ENOENT');
  });

  test('a killed set-up blocks nobody', async () => {
    const file = join(folder, 'setup.lock');
    const dead = { pid: 2 ** 22 + 1, host: (await import('node:os')).hostname() }; // above Linux’s highest pid
    writeFileSync(file, JSON.stringify(dead));
    expect(await locked(file, () => Promise.resolve('done'))).toBe('done');
  });

  test('a failed set-up leaves no lock', async () => {
    const file = join(folder, 'setup.lock');
    await expect(locked(file, () => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk');
    expect(await locked(file, () => Promise.resolve('next'))).toBe('next');
  });

  test('another machine’s lock is respected for an hour', () => {
    const owner = { pid: 1, host: 'elsewhere', since: 0 };
    expect(abandoned(owner, 'here', 59 * 60_000)).toBe(false);
    expect(abandoned(owner, 'here', 61 * 60_000)).toBe(true);
  });
});

describe('what set-up says', async () => {
  const { Progress, duration } = await load<{
    Progress: new (options: object) => {
      step<T>(title: string, work: (say: (text: string, fraction?: number) => void) => Promise<T>): Promise<T>;
    };
    duration: (milliseconds: number) => string;
  }>('setup/progress.mjs');

  test('without a terminal a step is a line when it starts, one every 15 s, and one when it ends', async () => {
    let text = '';
    let clock = 0;
    const out = { write: (part: string) => (text += part) };
    const progress = new Progress({ out, total: 2, now: () => clock });
    await progress.step('npm packages', (say) => {
      for (let i = 0; i < 20; i++) {
        clock += 1_000;
        say('fetching', i / 20);
      }
      return Promise.resolve();
    });
    await expect(progress.step('worker', () => Promise.reject(new Error('no compiler')))).rejects.toThrow(
      'no compiler',
    );
    expect(text.split('\n')).toEqual([
      '[1/2] npm packages …',
      '[1/2] npm packages: fetching ██████████████░░░░░░ 70 %  15 s',
      'done [1/2] npm packages  20 s',
      '[2/2] worker …',
      'failed [2/2] worker  0 s',
      '',
    ]);
  });

  test('durations are said as people say them', () => {
    expect([duration(400), duration(59_000), duration(125_000)]).toEqual(['0 s', '59 s', '2 min 5 s']);
  });
});

describe('the places', async () => {
  const { cacheRoot } = await load<{ cacheRoot: (env: object, home: string) => string }>('setup/cache.mjs');
  const { satisfies } = await load<{ satisfies: (version: string, wanted: string) => boolean }>('setup/setup.mjs');
  const { ninjaFraction } = await load<{ ninjaFraction: (line: string) => number | undefined }>(
    'mediasoup-worker/ensure-worker.mjs',
  );

  test('the cache is where the environment says, else in the home directory', () => {
    expect(cacheRoot({}, '/home/a')).toBe('/home/a/.cache/livedub');
    expect(cacheRoot({ XDG_CACHE_HOME: '/x' }, '/home/a')).toBe('/x/livedub');
    expect(cacheRoot({ XDG_CACHE_HOME: '/x', LIVEDUB_CACHE: '/y' }, '/home/a')).toBe('/y');
  });

  test.for([
    ['20.19.0', true],
    ['20.18.3', false],
    ['22.0.0', true],
    ['18.20.8', false],
    ['20.20.2', true],
  ] as const)('Node %s is new enough: %s', ([version, enough]) => {
    expect(satisfies(version, '>=20.19')).toBe(enough);
  });

  test('ninja’s count is how far the build is', () => {
    expect(ninjaFraction('[57/228] Building CXX object')).toBe(0.25);
    expect(ninjaFraction('-- Configuring done')).toBeUndefined();
  });
});
