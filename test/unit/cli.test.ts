import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Actions, main, progressLine, table } from '../../gateway/cli.ts';
import { UsageError } from '../../gateway/commands.ts';
import { Refusal } from '../../media/refusal.ts';

let out = '';
let err = '';
beforeEach(() => {
  out = err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
});
afterEach(() => vi.restoreAllMocks());

/** Actions that remember what they were asked and answer with `code`, or throw it. */
function recorder(code: number | Error = 0) {
  const asked: [string, object][] = [];
  const note = (name: string) => (options: object) => {
    asked.push([name, options]);
    return code instanceof Error ? Promise.reject(code) : Promise.resolve(code);
  };
  const names = [
    'serve',
    'demo',
    'dub',
    'evalVideo',
    'checkHls',
    'doctor',
    'models',
    'recordings',
    'languages',
    'engines',
  ] as const;
  const actions = Object.fromEntries(names.map((name) => [name, note(name)])) as unknown as Actions;
  return { asked, actions, ask: (...argv: string[]) => main(argv, actions) };
}

describe('livedub', () => {
  test('eval video takes two videos, and which of their tracks are meant', async () => {
    const { asked, ask } = recorder();
    const argv = ['eval', 'video', 'a.mp4', 'b.mp4', '--track', '3', '--out', 'c.html', '--json'];
    expect(await ask(...argv)).toBe(0);
    expect(asked).toEqual([['evalVideo', { original: 'a.mp4', dubbed: 'b.mp4', track: 3, out: 'c.html', json: true }]]);
    expect(await ask('eval', 'video', 'a.mp4', 'b.mp4', '--engine', 'faceTracker=faces')).toBe(0);
    expect(asked[1]).toEqual([
      'evalVideo',
      { original: 'a.mp4', dubbed: 'b.mp4', engine: ['faceTracker=faces'], json: false },
    ]);
    expect(await ask('eval', 'video', 'a.mp4')).toBe(2);
    expect(await ask('eval', 'video', '--help')).toBe(0);
    expect(out).toContain('livedub eval video talk.mp4 talk.es.mp4');
  });
  test.for([
    [['list'], { do: 'list', json: false }],
    [['recover', '--directory', '/tapes', '--json'], { do: 'recover', directory: '/tapes', json: true }],
    [['prune', '--keep-days', '30', '--dry-run'], { do: 'prune', keepDays: 30, dryRun: true, json: false }],
    [
      ['verify', 'talk', 'more', '--config', 'a.json'],
      { do: 'verify', names: ['talk', 'more'], config: 'a.json', json: false },
    ],
  ] as const)('recordings %j', async ([argv, expected]) => {
    const { asked, ask } = recorder();
    expect(await ask('recordings', ...argv)).toBe(0);
    expect(asked).toEqual([['recordings', expected]]);
    expect(await ask('recordings', argv[0], '--help')).toBe(0);
    expect(out).toContain(`livedub recordings ${argv[0]}`);
    expect(await ask('recordings', 'prune', '--keep-days', 'long')).toBe(2);
  });
  test.for([
    [['demo'], { headless: false, open: true, to: ['es'] }],
    [
      ['demo', '--headless', '--seconds', '60', '--out', 'demo.mp4'],
      { headless: true, seconds: 60, out: 'demo.mp4', open: true, to: ['es'] },
    ],
    [
      ['demo', '--to', 'es,ca', '--to', 'pt-BR', '--no-open'],
      { headless: false, open: false, to: ['es', 'ca', 'pt-BR'] },
    ],
    [['demo', '--file', 'my.mp4', '--port', '0'], { headless: false, file: 'my.mp4', port: 0, open: true, to: ['es'] }],
    [
      ['demo', '--mix', 'voice-over', '--under', '-9', '--loudness', 'off', '--delay', 'auto'],
      {
        headless: false,
        open: true,
        to: ['es'],
        mix: 'voice-over',
        under: -9,
        loudness: 'off',
        delay: 'auto',
      },
    ],
    [
      ['demo', '--headless', '--json', '--delay', '7.5'],
      { headless: true, json: true, open: true, to: ['es'], delay: 7.5 },
    ],
    [
      ['dub', 'a.mp4', '--to', 'es', '--out', 'b.mp4', '--mix', 'replace', '--loudness', '-16'],
      { file: 'a.mp4', from: 'en', to: ['es'], out: 'b.mp4', mix: 'replace', loudness: -16 },
    ],
    [['dub', 'a.mp4', '--to', 'es', '--out', 'b.mp4'], { file: 'a.mp4', from: 'en', to: ['es'], out: 'b.mp4' }],
    [
      ['dub', 'a.mp4', '--to', 'es', '--out', 'b.mp4', '--video', 'stretch'],
      { file: 'a.mp4', from: 'en', to: ['es'], out: 'b.mp4', video: 'stretch' },
    ],
    [
      ['dub', 'a.mp4', '--to', 'es', '--out', 'b.mp4', '--video', 'stretch', '--stretch-most', '1.5'],
      { file: 'a.mp4', from: 'en', to: ['es'], out: 'b.mp4', video: 'stretch', stretchMost: 1.5 },
    ],
    [['serve', '--config', 'c.json', '--port', '80'], { config: 'c.json', port: 80 }],
    [['doctor', '--json'], { json: true }],
    [['doctor', '--profile', 'cpu'], { json: false, profile: 'cpu' }],
    [['models', 'list', '--json'], { do: 'list', json: true }],
    [['models', 'pull', 'a', 'b'], { do: 'pull', names: ['a', 'b'], parallel: 3, acceptLicence: false }],
    [
      ['models', 'pull', '--profile', 'cpu', '--pairs', 'en:es,en:fr', '--from', '/media/stick', '--accept-licence'],
      {
        do: 'pull',
        names: [],
        profile: 'cpu',
        pairs: ['en:es', 'en:fr'],
        from: '/media/stick',
        parallel: 3,
        acceptLicence: true,
      },
    ],
    [['models', 'pull', '--lips'], { do: 'pull', names: [], lips: true, parallel: 3, acceptLicence: false }],
    [['models', 'verify'], { do: 'verify', names: [] }],
    [['models', 'remove', 'a', '--forget'], { do: 'remove', names: ['a'], forget: true }],
    [
      ['models', 'serve', 'a.onnx', 'b=c.onnx', '--device', 'cuda', '--preferred', '4,8', '--shape', 'a:x=1x3'],
      {
        do: 'serve',
        names: ['a.onnx', 'b=c.onnx'],
        host: '127.0.0.1',
        port: 8_000,
        grpcPort: 8_001,
        device: 'cuda',
        gpu: 0,
        threads: 1,
        maxBatch: 16,
        preferred: [4, 8],
        delay: 2,
        shape: ['a:x=1x3'],
        fp16: false,
      },
    ],
    [
      ['models', 'triton', 'out', '--models', 'dir', '--gpus', '0,1', '--tensorrt', '--fp16'],
      {
        do: 'triton',
        out: 'out',
        names: [],
        models: 'dir',
        device: 'gpu',
        gpus: [0, 1],
        instances: 1,
        tensorrt: true,
        copy: false,
        maxBatch: 16,
        delay: 2,
        fp16: true,
      },
    ],
    [['languages'], { json: false }],
    [['engines'], { json: false }],
  ] as const)('%j is understood', async ([argv, options]) => {
    const { asked, ask } = recorder();
    expect(await ask(...argv)).toBe(0);
    expect(asked).toEqual([[argv[0], options]]);
  });

  test.for([
    [['dub', 'a.mp4', '--to', 'es'], '--out'],
    [['dub', 'a.mp4', '--to', 'es', '--out', 'b.mp4', '--video', 'faster'], 'stretch'],
    ...['1', '0.9', '2.1', '-1.5', 'far', '', '1,5', 'Infinity'].map(
      (most) =>
        [
          ['dub', 'a.mp4', '--to', 'es', '--out', 'b.mp4', '--video', 'stretch', `--stretch-most=${most}`],
          'above 1, up to 2',
        ] as const,
    ),
    [
      ['dub', 'a.mp4', '--to', 'es', '--out', 'b.mp4', '--stretch-most', '1.5'],
      '--stretch-most goes with --video stretch',
    ],
    [
      ['dub', 'a.mp4', '--to', 'es', '--out', 'b.mp4', '--video', 'keep', '--stretch-most', '1.5'],
      '--stretch-most goes with --video stretch',
    ],
    [['dub', '--to', 'es', '--out', 'b.mp4'], 'file'],
    [['serve', '--port', '70000'], '0 (any free one) to 65535'],
    [['demo', '--seconds', 'soon'], 'above 0'],
    [['demo', '--to', 'not a tag'], 'livedub languages'],
    [['demo', '--to', ''], 'livedub languages'],
    [['demo', '--out', 'x.mp4'], '--headless'],
    [['demo', '--colour'], '--colour'],
    [['demo', '--json'], '--headless'],
    [['demo', '--delay', '1'], 'seconds from 2 to 60, or auto'],
    [['demo', '--under', '3'], 'decibels from -60 to 0'],
    [['demo', '--under', ''], 'decibels from -60 to 0'],
    [['demo', '--loudness', 'loud'], 'LUFS from -40 to -10, or off'],
    [['dub', 'a.mp4', '--to', 'es', '--out', 'b.mp4', '--mix', 'mute'], 'voice-over'],
    [['sing'], 'sing'],
    [['models', 'sing'], 'sing'],
    [['models', 'remove'], 'names'],
    [['models', 'serve', 'a.onnx', '--preferred', '4,x'], 'whole number from 1 to 1024'],
    [['models', 'serve', 'a.onnx', '--device', 'abacus'], 'tensorrt'],
    [['models', 'triton'], 'out'],
    [['models', 'pull', 'a', '--parallel', 'all'], '1 to 16'],
    [[], 'Usage'],
  ] as const)('%j is refused with exit code 2, naming what is wrong', async ([argv, named]) => {
    const { asked, ask } = recorder();
    expect(await ask(...argv)).toBe(2);
    expect(err).toContain(named);
    expect(asked).toEqual([]);
  });

  test('help shows examples and is no failure', async () => {
    expect(await recorder().ask('--help')).toBe(0);
    expect(out).toContain('livedub dub talk.mp4 --to es --out talk.es.mp4');
    expect(await recorder().ask('demo', '--help')).toBe(0);
    expect(out).toContain('livedub demo --file my.mp4');
  });

  test('the version is the package’s', async () => {
    expect(await recorder().ask('--version')).toBe(0);
    expect(out.trim()).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test('what fails is one sentence and exit code 1; what was asked wrongly is 2', async () => {
    expect(await recorder(new Error('Cannot read a.mp4: no such file')).ask('demo')).toBe(1);
    expect(err).toBe('livedub: Cannot read a.mp4: no such file\n');
    expect(await recorder(new UsageError('http.port: expected a number')).ask('serve')).toBe(2);
    const fix = 'Use one of .mp4, .mkv.';
    const refusal = new Refusal({ code: 'unsupported', field: 'out', message: 'Cannot write a.avi', fix });
    expect(await recorder(refusal).ask('demo')).toBe(2);
    expect(err).toContain('livedub: Cannot write a.avi. Use one of .mp4, .mkv.\n');
  });

  test('a command’s own exit code is kept', async () => {
    expect(await recorder(1).ask('doctor')).toBe(1);
  });

  test('a signal closes what the command opened, and that is a good end', async () => {
    let closed = false;
    const exit = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
    const { actions } = recorder();
    const serve: Actions['serve'] = async (_options, scope) => {
      scope.defer(() => void (closed = true));
      process.emit('SIGTERM', 'SIGTERM');
      // Again from npm, which forwards what the terminal sent already: not a second request.
      process.emit('SIGTERM', 'SIGTERM');
      await new Promise<void>((done) =>
        scope.signal.aborted ? done() : scope.signal.addEventListener('abort', () => done()),
      );
      return 0;
    };
    expect(await main(['serve'], { ...actions, serve })).toBe(0);
    expect(closed).toBe(true);
    expect(exit).not.toHaveBeenCalled();
  });
});

test('a dub’s progress is its share, its speed and the time left', () => {
  const line = progressLine({ fraction: 0.25, speed: 2.5 }, 30, 60);
  expect(line).toMatch(/^█+░+ {2} 25 % {2}2\.5× {2}1:30 left$/);
  expect(line.length).toBeLessThan(60);
  expect(progressLine({ fraction: 0, speed: 0 }, 0, 60)).not.toContain('left');
});

test('a table’s columns are as wide as they have to be', () => {
  expect(
    table([
      ['a', 'bb', 'c'],
      ['ccc', 'd', 'e'],
    ]),
  ).toBe('a    bb  c\nccc  d   e');
});
