import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { PublisherHook, ViewerHook } from '../../client/hook.ts';
import type { CueView } from '../../gateway/protocol.ts';
import { LOOK } from '../../gateway/transcript.ts';
import { at } from '../../media/time.ts';
import { layout } from '../../pipeline/cue-layout.ts';
import type { Language, SpeakerId } from '../../pipeline/domain.ts';
import { type Caption, webvtt } from '../../pipeline/webvtt.ts';
import { PageMedia, PITCH } from '../fakes/page-media.ts';
import { cannedSession, PageServer, Refusal } from '../fakes/page-server.ts';
import { missing as missingClip, recording } from '../fakes/recordings.ts';
import { parseVtt } from '../fakes/webvtt-parser.ts';

// What the functions below find in the page they run in; the rest of this program has no DOM.
declare const window: { readonly livedub?: ViewerHook | PublisherHook };
declare const document: {
  readonly documentElement: { readonly scrollWidth: number };
  readonly activeElement: unknown;
  querySelector(selector: string): unknown;
  querySelectorAll(selector: string): Iterable<{
    readonly labels?: Iterable<{ readonly innerText: string }>;
    readonly innerText: string;
    readonly outerHTML: string;
    getAttribute(name: string): string | null;
  }>;
};

const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = join(root, 'dist/client');
const chromiumPath = '/usr/bin/chromium';
const files = mkdtempSync(join(tmpdir(), 'livedub-pages-'));
/** Where to leave screenshots to be looked at; none are taken unless it is set. */
const shots = process.env['LIVEDUB_SHOTS'];

const missing = !existsSync(chromiumPath)
  ? 'no /usr/bin/chromium'
  : !existsSync(join(dist, 'index.html'))
    ? 'dist/client is not built'
    : undefined;
const workerBin = await mediasoupWorker();

let browser: Browser;
let server: PageServer;
let url: string;
const contexts: BrowserContext[] = [];

beforeAll(async () => {
  if (missing) return;
  browser = await chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--allow-loopback-in-peer-connection',
      '--autoplay-policy=no-user-gesture-required',
    ],
  });
});

afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
});

afterAll(async () => {
  await browser?.close();
  rmSync(files, { recursive: true, force: true });
});

async function opened(
  path: string,
  { width = 1440, height = 900, scheme = 'light' }: { width?: number; height?: number; scheme?: 'light' | 'dark' } = {},
): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale: 'en-GB' });
  contexts.push(context);
  const page = await context.newPage();
  page.on('pageerror', (error) => expect.fail(`the page threw: ${error.message}`));
  page.on('request', (request) => {
    if (/^https?:/.test(request.url())) expect(request.url(), 'the page asks its own origin only').toContain(url);
  });
  await page.goto(url + path);
  return page;
}

async function shot(page: Page, name: string): Promise<void> {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

const live = (page: Page) =>
  page.waitForFunction(
    () => window.livedub?.page === 'viewer' && window.livedub.framesDecoded > 5 && window.livedub.currentMedia !== null,
  );

describe.skipIf(missing)(`pages${missing ? ` (skipped: ${missing})` : ''}`, () => {
  beforeAll(async () => {
    server = new PageServer(dist, files);
    url = await server.listen();
  });
  afterAll(() => server?.close());
  afterEach(() => {
    server.sessions.clear();
    server.recordings.clear();
    server.onCreate = () => {};
  });

  test.for([
    ['narrow', 360, 'dark'],
    ['wide', 1440, 'light'],
  ] as const)('the session list says what is on and fits a %s window', async ([name, width, scheme]) => {
    server.sessions.set('a', cannedSession('a'));
    server.sessions.set('b', cannedSession('b', { name: 'Town hall', state: 'waiting', to: ['es'], stats: null }));
    server.sessions.set(
      'c',
      cannedSession('c', {
        name: 'Archive film',
        state: 'restarting',
        reason: 'The session process ended and is being replaced.',
        source: { kind: 'file', path: 'film.mp4', loop: true },
      }),
    );
    const page = await opened('/', { width, scheme });
    const first = page.getByRole('listitem').first();
    await first.getByText('12 viewers').waitFor();
    expect(await first.innerText()).toMatch(/Live[\s\S]*English[\s\S]*Spanish[\s\S]*Catalan[\s\S]*5\.0 s behind/);
    expect(await page.getByText('Restarting').count()).toBe(1);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await shot(page, `sessions-${name}`);
  });

  test('posters of sessions are shown, and recordings with languages, length and a way to have or delete them', async () => {
    const clip = missingClip('talking/open-dubbing/englishvideo.mp4');
    server.picture = execFileSync('ffmpeg', [
      ...[
        '-v',
        'error',
        ...(clip
          ? ['-f', 'lavfi', '-i', 'testsrc2=s=640x360']
          : ['-i', recording('talking/open-dubbing/englishvideo.mp4')]),
      ],
      ...['-frames:v', '1', '-f', 'mjpeg', '-'],
    ]);
    const a = cannedSession('a');
    server.sessions.set('a', { ...a, stats: a.stats && { ...a.stats, outputs: { stills: { posters: 3 } } } });
    server.sessions.set('b', cannedSession('b', { name: 'Town hall' }));
    server.recordings.set('talk', {
      ...{ name: 'talk', title: 'A talk', session: 'x', languages: ['en', 'es'], started: '2026-03-01T12:00:00Z' },
      ...{ seconds: 3_912, bytes: 1.94e9, finished: true, uploaded: false, url: '/v1/recordings/talk/k/talk.mp4' },
      ...{ poster: '/v1/recordings/talk/k/talk.poster.jpg', storyboard: null },
    });
    const page = await opened('/', { width: 1440, scheme: 'light' });
    const card = page.getByRole('list', { name: 'Recordings' }).getByRole('listitem');
    await card.getByText('1 h 05 min').waitFor();
    expect(await card.innerText()).toMatch(/A talk[\s\S]*English[\s\S]*Spanish[\s\S]*1\.9 GB/);
    expect(await card.getByRole('link', { name: 'Download A talk' }).getAttribute('href')).toBe(
      '/v1/recordings/talk/k/talk.mp4',
    );
    const shown = page.locator('img.poster');
    await expect.poll(() => shown.count()).toBe(2);
    const sources = [await shown.first().getAttribute('src'), await shown.last().getAttribute('src')];
    expect(sources).toEqual(['/v1/sessions/a/poster.jpg?n=3', '/v1/recordings/talk/k/talk.poster.jpg']);
    const widths = () =>
      shown.evaluateAll((all) => all.map((each) => (each as unknown as { naturalWidth: number }).naturalWidth));
    await expect.poll(async () => (await widths()).every((width) => width > 0)).toBe(true);
    await shot(page, 'sessions-posters');
    page.once('dialog', (dialog) => void dialog.accept());
    await card.getByRole('button', { name: 'Delete A talk' }).click();
    await card.waitFor({ state: 'detached' });
    expect(server.recordings.size).toBe(0);
  });

  test('a refused field says so where it was typed, and a created session leads to its publisher page', async () => {
    server.onCreate = () => {
      throw new Refusal(400, {
        code: 'invalid',
        field: 'delay',
        message: 'delay must be at least 2 seconds',
        fix: 'Give 2 to 60.',
      });
    };
    const page = await opened('/');
    await page.getByRole('button', { name: 'New session' }).click();
    await page.getByLabel('Name').fill('Choir');
    await page.getByLabel('Galician').check();
    await page.getByLabel('Delay, seconds').fill('1');
    await page.getByRole('button', { name: 'Create session' }).click();
    await page.getByText('delay must be at least 2 seconds. Give 2 to 60.').waitFor();
    const delay = page.getByLabel('Delay, seconds');
    expect(await delay.getAttribute('aria-invalid')).toBe('true');
    expect(await delay.evaluate((input) => input === document.activeElement)).toBe(true);
    await shot(page, 'create-wide');

    let sent: Record<string, unknown> = {};
    server.onCreate = (body) => (sent = body);
    await delay.fill('6');
    await page.getByRole('button', { name: 'Create session' }).click();
    await page.waitForURL(/\/publish\/new-0$/);
    expect(sent).toEqual({
      name: 'Choir',
      source: { kind: 'webrtc' },
      from: 'en',
      to: ['es', 'gl'],
      delay: 6,
      denoise: false,
      mix: { mode: 'duck', under: -20 },
    });
  });

  test('the form asks for a mix, a delay that finds itself, and cloning only with everybody’s consent', async () => {
    let sent: Record<string, unknown> = {};
    server.onCreate = (body) => (sent = body);
    const page = await opened('/');
    await page.getByRole('button', { name: 'New session' }).click();
    await page.getByLabel('As little delay as the lines need').check();
    expect(await page.getByLabel('Delay, seconds').isDisabled()).toBe(true);
    await page.getByLabel('Original under the dub').selectOption('Silent');
    expect(await page.getByLabel('Its level there').count()).toBe(0);
    await page.getByLabel('Original under the dub').selectOption('Voice-over');
    await page.getByLabel('Its level there: −12 dB').fill('-9');
    await page.getByLabel('I confirm that everybody who speaks has agreed').check();
    await page.getByRole('button', { name: 'Create session' }).click();
    await page.waitForURL(/\/publish\/new-0$/);
    expect(sent).toMatchObject({
      delay: 'auto',
      mix: { mode: 'voice-over', under: -9 },
      voices: { cloning: 'consented' },
    });
  });

  test('the form fits a narrow window', async () => {
    const page = await opened('/', { width: 360, scheme: 'dark' });
    await page.getByRole('button', { name: 'New session' }).click();
    await page.getByLabel('Esperanto').waitFor();
    await page.getByLabel('Source').selectOption('file');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await shot(page, 'create-narrow');
  });

  test.for(['/watch/nobody', '/publish/nobody'])('%s says that there is no such session', async (path) => {
    const page = await opened(path);
    await page.getByRole('heading', { name: 'No such session' }).waitFor();
    expect(await page.getByRole('link', { name: 'All sessions', exact: true }).count()).toBe(1);
  });

  test('the viewer follows the session from waiting to its end', async () => {
    server.sessions.set('a', cannedSession('a', { state: 'waiting', stats: null, tracks: [] }));
    const page = await opened('/watch/a');
    await page.locator('.overlay', { hasText: 'Waiting for the programme' }).waitFor();
    await shot(page, 'watch-waiting');
    server.tell('a', { event: 'tracks', data: cannedSession('a').tracks });
    server.tell('a', { event: 'state', data: { state: 'live', reason: null } });
    await page.getByRole('button', { name: 'Play', exact: true }).first().waitFor();
    server.tell('a', {
      event: 'mode',
      data: { audio: 'original', video: 'original', text: 'translated', quality: 'full' },
    });
    server.tell('a', {
      event: 'stats',
      data: {
        ...cannedSession('a').stats!,
        mode: { audio: 'original', video: 'original', text: 'translated', quality: 'full' },
      },
    });
    await page.getByText('5.0 s behind · original voice, translated captions').waitFor();
    await page.getByText('The dubbing voice is not available').first().waitFor();
    server.cut('a', 4000, 'The session has ended.');
    await page.locator('.overlay', { hasText: 'The programme has ended.' }).waitFor();
    expect(await page.title()).toBe('Morning lecture: how birds navigate · Livedub');
  });

  test('a caption file says to a browser what it says to a strict reader', async () => {
    const said = [
      ['s1', 'Many birds return <b>to</b> the same & place every year, and nobody --> quite knows how.', 'en'],
      ['a "quoted" > name', 'Muchas aves vuelven cada año al mismo lugar, y nadie sabe del todo cómo.', 'es'],
      ['s2', 'تعود طيور كثيرة إلى المكان نفسه كل عام، ولا أحد يعرف تمامًا كيف تجد طريقها عبر البحر.', 'ar'],
    ] as const;
    const cues = said.flatMap(([speaker, text, language], n) =>
      layout({ text, words: [], start: at(n * 5e6), end: at(n * 5e6 + 4e6) }, language as Language).map(
        (cue, part): Caption => ({
          ...{
            ...cue,
            id: `u${n}/${part}`,
            language: language as Language,
            speaker: speaker as SpeakerId,
            draft: false,
          },
          ...(n === 1 && { place: 'top' }),
        }),
      ),
    );
    const file = webvtt(cues, LOOK);
    const page = await opened('/');
    const read = await page.evaluate(readTrack, file);
    expect(read).toEqual(
      parseVtt(file).cues.map(({ id, start, end, voice, lines, settings }) => ({
        ...{ id, start, end, lines, voice: voice.trim(), line: settings['line'] ? 0 : 'auto', align: 'center' },
      })),
    );
  });

  test('a viewer whose connection is cut comes back by itself', async () => {
    server.sessions.set('a', cannedSession('a'));
    const page = await opened('/watch/a');
    await page.waitForFunction(() => window.livedub?.page === 'viewer' && window.livedub.connected);
    const joins = () => server.asked.filter(({ method }) => method === 'join').length;
    const before = joins();
    server.cut('a');
    await page.getByText('Reconnecting').first().waitFor();
    await page.waitForFunction(() => window.livedub?.connected);
    expect(joins()).toBe(before + 1);
  });

  test('the keyboard works the player', async () => {
    server.sessions.set('a', cannedSession('a'));
    const page = await opened('/watch/a');
    await page.getByText('5.0 s behind · dubbed').waitFor();
    await page.keyboard.press('c');
    await page.getByRole('button', { name: 'Captions: Original' }).waitFor();
    await page.keyboard.press('m');
    await page.getByRole('button', { name: 'Unmute' }).waitFor();
    await page.keyboard.press('s');
    await page.getByRole('complementary', { name: 'Statistics' }).getByText('pocketsphinx').waitFor();
    for (const words of [
      '5.02 s (set to 5 s, up to 10 s); the engines need 3.4 s',
      'the source’s clock is 12 ppm fast',
      '12 as spoken · 5 into a pause · 4 sped up; 95 % whole and at a natural speed',
    ])
      await page.getByRole('complementary', { name: 'Statistics' }).getByText(words).waitFor();
    await page.keyboard.press('l');
    const menu = page.getByRole('radiogroup', { name: 'Listen in' });
    expect(await menu.getByRole('radio').count()).toBe(3);
    await menu.locator(':focus').waitFor(); // it takes the focus once it is drawn
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Escape');
    expect(await menu.count()).toBe(0);
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('Full screen').waitFor();
    await shot(page, 'help-wide');
    await page.keyboard.press('Escape');
    expect(await page.getByRole('dialog').count()).toBe(0);
  });

  test.for(['/', '/watch/a', '/publish/a'])('every control of %s has a name', async (path) => {
    server.sessions.set('a', cannedSession('a'));
    const page = await opened(path, { width: 360 });
    await page.getByText('Morning lecture').first().waitFor();
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('button, a, input, select, video')]
        .filter((element) => {
          const labels = [...(element.labels ?? [])].map(({ innerText }) => innerText).join('');
          return !(element.getAttribute('aria-label') || labels.trim() || element.innerText.trim());
        })
        .map(({ outerHTML }) => outerHTML),
    );
    expect(nameless).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  });

  test('a publisher without a camera is told what to do', async () => {
    server.sessions.set('a', cannedSession('a', { state: 'waiting' }));
    const page = await opened('/publish/a');
    await page.getByRole('button', { name: 'Go live' }).click();
    await page
      .getByText(/No camera or microphone was found|Access to the camera or microphone was not allowed/)
      .waitFor();
    expect(await page.getByRole('button', { name: 'Go live' }).isEnabled()).toBe(true);
    await shot(page, 'publish-refused');
  });
});

const noMedia = missing ?? (workerBin ? undefined : 'no mediasoup worker: run npm run setup');

describe.skipIf(noMedia)(`pages with media${noMedia ? ` (skipped: ${noMedia})` : ''}`, () => {
  let media: PageMedia;

  beforeAll(async () => {
    server = new PageServer(dist, files);
    // One that every browser plays, and two that none does: one whose streams only need another container, one whose
    // streams must be encoded anew.
    await Promise.all([
      clip('clip.webm', 12, ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-c:a', 'libopus']),
      clip('clip.nut', 8, ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-c:a', 'libopus']),
      clip('clip.avi', 8, ['-c:v', 'mpeg4', '-c:a', 'mp2']),
    ]);
    media = server.media = await PageMedia.open(workerBin ?? '', files);
    url = await server.listen();
  });
  afterAll(() => server?.close());
  afterEach(() => server.sessions.clear());

  test('one click plays picture and sound, and another language is heard within 300 ms without a reconnection', async () => {
    server.sessions.set('a', cannedSession('a'));
    const page = await opened('/watch/a');
    await page.getByRole('button', { name: 'Play', exact: true }).first().click();
    await live(page);
    const hook = () => page.evaluate(() => ({ ...(window.livedub as unknown as Record<string, unknown>) }));
    await page.waitForFunction(() => (window.livedub?.audioLevel ?? 0) > 0.01);
    expect(await hook()).toMatchObject({
      page: 'viewer',
      connected: true,
      play: 'playing',
      trackId: 'dub:es',
      heard: 'dub:es',
      switchedInMs: null,
    });
    expect(media.flowing().sort()).toEqual(['dub:es', 'video']);

    const transports = server.asked.filter(({ method }) => method === 'createTransport').length;
    const times: number[] = [];
    for (const [track, name] of [
      ['dub:ca', 'Català'],
      ['dub:es', 'Español'],
      ['dub:ca', 'Català'],
      ['original', 'Original'],
      ['dub:es', 'Español'],
    ] as const) {
      await page.keyboard.press('l');
      await page.getByRole('radio', { name }).check();
      await page.waitForFunction((id) => window.livedub?.page === 'viewer' && window.livedub.heard === id, track);
      const { switchedInMs } = await hook();
      times.push(switchedInMs as number);
      await page.keyboard.press('Escape');
      // What is heard is that track and nothing else.
      await page.waitForFunction(
        (pitch) => Math.abs((window.livedub as ViewerHook).audioPeakHz - pitch) < 25,
        PITCH[track] ?? 0,
      );
      await expect.poll(() => media.flowing().sort()).toEqual([track, 'video'].sort());
    }
    // The median: a machine that also encodes four streams and runs two browsers now and then loses a second.
    expect(times.toSorted((a, b) => a - b)[2]).toBeLessThan(300);
    expect(server.asked.filter(({ method }) => method === 'createTransport')).toHaveLength(transports);
    // The page takes away what offset there is between the picture and whichever track is heard.
    await page.waitForFunction(() => Math.abs((window.livedub as ViewerHook).avOffsetMs ?? 999) <= 40, undefined, {
      timeout: 20_000,
    });
  });

  test('a viewer mixes the dub’s voices with the original, down while the dub speaks, without a gap, and finds that again', async () => {
    server.sessions.set('a', cannedSession('a'));
    const page = await opened('/watch/a');
    await page.getByRole('button', { name: 'Play', exact: true }).first().click();
    await live(page);
    await page.waitForFunction(() => (window.livedub?.audioLevel ?? 0) > 0.01);
    const heard = (track: string) =>
      page.waitForFunction((id) => (window.livedub as ViewerHook).heard === id, track, { timeout: 10_000 });
    const pitch = (track: string) =>
      page.waitForFunction((hz) => Math.abs((window.livedub as ViewerHook).audioPeakHz - hz) < 25, PITCH[track] ?? 0);
    const level = (gain: number) =>
      page.waitForFunction((wanted) => Math.abs((window.livedub as ViewerHook).originalLevel - wanted) < 0.02, gain);
    /** The softest 43 ms that are heard while `act` goes on and half a second longer. */
    const softest = async (act: () => Promise<unknown>) => {
      const noting = page.evaluate(async () => {
        const levels: number[] = [];
        for (let n = 0; n < 100; n += 1) {
          levels.push((window.livedub as ViewerHook).audioLevel);
          await new Promise((wake) => setTimeout(wake, 10));
        }
        return Math.min(...levels);
      });
      await act();
      return noting;
    };
    const choose = (name: string) =>
      page.getByRole('radiogroup', { name: 'How the original' }).getByLabel(name).check();

    await page.keyboard.press('l');
    expect(await page.getByRole('radiogroup', { name: 'Listen in' }).getByRole('radio').count()).toBe(3);
    expect(await softest(() => choose('Silent'))).toBeGreaterThan(0.03);
    await heard('voice:es');
    // Nobody is dubbed at the moment: the original is as it was.
    await level(1);
    await pitch('original');
    await expect.poll(() => media.flowing().sort()).toEqual(['original', 'video', 'voice:es']);
    await shot(page, 'watch-mix');

    const now = await page.evaluate(() => (window.livedub as { currentMedia: number }).currentMedia);
    server.tell('a', { event: 'clip', data: { utterance: '1', language: 'ca', start: now + 1e6, end: now + 60e6 } });
    server.tell('a', { event: 'clip', data: { utterance: '1', language: 'es', start: now + 2e6, end: now + 20e6 } });
    await pitch('voice:es');
    const at = await page.evaluate(() => (window.livedub as { currentMedia: number }).currentMedia);
    expect(at).toBeGreaterThan(now + 1.8e6);
    await level(0);
    await choose('Quiet');
    await level(0.1);
    await choose('Voice-over');
    await level(10 ** (-12 / 20));
    await page.getByLabel('Original behind the voice-over').fill('-20');
    await level(0.1);
    expect(await softest(() => choose('As mixed'))).toBeGreaterThan(0.03);
    await heard('dub:es');
    await level(0);
    await pitch('dub:es');
    await expect.poll(() => media.flowing().sort()).toEqual(['dub:es', 'video']);

    await choose('Voice-over');
    await heard('voice:es');
    await page.getByRole('radiogroup', { name: 'Listen in' }).getByLabel('Original').check();
    await heard('original');
    await level(1);
    await page.reload();
    await page.getByRole('button', { name: 'Play', exact: true }).first().click();
    await heard('original');
    await page.keyboard.press('l');
    await page.getByRole('radio', { name: 'Español' }).check();
    await heard('voice:es');
    expect(await page.getByLabel('Original behind the voice-over').inputValue()).toBe('-20');

    // Catalan's voices do not come by themselves: the page does what it always did.
    await page.getByRole('radio', { name: 'Català' }).check();
    await heard('dub:ca');
    await level(0);
    expect(await page.getByRole('radiogroup', { name: 'How the original' }).count()).toBe(0);
    await page.getByLabel('Original under the dub').fill('0.5');
    const later = await page.evaluate(() => (window.livedub as { currentMedia: number }).currentMedia);
    server.tell('a', { event: 'clip', data: { utterance: '2', language: 'ca', start: later, end: later + 9e6 } });
    await level(0.5);
    expect(media.flowing().sort()).toEqual(['dub:ca', 'original', 'video']);
  }, 90_000);

  test('somebody who clicks Play while the page is still joining gets picture and sound', async () => {
    server.sessions.set('a', cannedSession('a'));
    let join = () => {};
    const joining = new Promise<void>((resolve) => (join = resolve));
    server.onAsked = (method) => (method === 'createTransport' ? joining : Promise.resolve());
    try {
      const page = await opened('/watch/a');
      await page.getByRole('button', { name: 'Play', exact: true }).first().click();
      await page.waitForFunction(() => window.livedub?.page === 'viewer' && window.livedub.play === 'playing');
      join();
      await live(page);
      expect(media.flowing().sort()).toEqual(['dub:es', 'video']);
    } finally {
      server.onAsked = () => Promise.resolve();
    }
  });

  test('captions are shown in time with what is heard, by speaker', async () => {
    server.sessions.set('a', cannedSession('a'));
    const page = await opened('/watch/a');
    await page.getByRole('button', { name: 'Play', exact: true }).first().click();
    await live(page);
    const now = await page.evaluate(() => (window.livedub as { currentMedia: number }).currentMedia);
    const cue = (
      id: string,
      language: string,
      speaker: string,
      from: number,
      to: number,
      text: string,
      draft = false,
      lines = [text],
    ): CueView => ({
      ...{ id, language, speaker, text, draft, lines },
      start: now + from * 1e6,
      end: now + to * 1e6,
    });
    server.tell('a', {
      event: 'cue',
      data: cue('1', 'es', 'speaker-1', 2, 5, 'Muchas aves vuelven cada año al mismo lugar.', false, [
        'Muchas aves vuelven',
        'cada año al mismo lugar.',
      ]),
    });
    server.tell('a', { event: 'cue', data: cue('1', 'en', 'speaker-1', 2, 5, 'Many birds return to the same') });
    server.tell('a', {
      event: 'cue',
      data: cue('1', 'en', 'speaker-1', 2, 5, 'Many birds return to the same place every year.'),
    });
    server.tell('a', {
      event: 'cue',
      data: cue('2', 'es', 'speaker-2', 5, 9, 'Y nadie sabe del todo cómo lo hacen', true),
    });
    expect(await page.locator('.captions').count()).toBe(0);
    await page.keyboard.press('c');
    await page.keyboard.press('c');
    const shown = await page.waitForFunction(() =>
      document.querySelector('.captions') ? (window.livedub as ViewerHook).currentMedia : null,
    );
    expect(Math.abs(((await shown.jsonValue()) ?? 0) - now - 2e6)).toBeLessThan(250_000);
    await page.getByText('Muchas aves').waitFor();
    await page.getByText('Many birds return to the same place every year.').waitFor();
    await page.getByText('Speaker 1').waitFor();
    const rows = page.locator('.captions p[lang=es] span');
    expect(await rows.allInnerTexts()).toEqual(['Muchas aves vuelven', 'cada año al mismo lugar.']);
    const [first, second] = await Promise.all([rows.nth(0).boundingBox(), rows.nth(1).boundingBox()]);
    expect(second!.y).toBeGreaterThanOrEqual(first!.y + first!.height - 1);
    await shot(page, 'watch-wide');
    // What was seen stays on its line, whatever comes.
    const again = { id: '1', language: 'es', speaker: 'speaker-1', draft: false, start: now + 2e6, end: now + 5e6 };
    const text = 'Muchas aves vuelven cada año al mismo lugar. Y tú';
    server.tell('a', { event: 'cue', data: { ...again, text, lines: ['Muchas aves vuelven cada año', 'al mismo lugar. Y tú'] } }); // prettier-ignore
    await page.getByText('cada año al mismo lugar. Y tú').waitFor();
    expect(await rows.first().innerText()).toBe('Muchas aves vuelven');
    await page.locator('.captions .draft', { hasText: 'Y nadie sabe' }).waitFor();
    expect(await page.getByText('Speaker 2').count()).toBe(1);
  });

  test.for([
    ['narrow', 360, 780, 'light'],
    ['wide', 1440, 900, 'dark'],
  ] as const)('the player fits a %s window, playing, with its menus', async ([name, width, height, scheme]) => {
    server.sessions.set('a', cannedSession('a'));
    const page = await opened('/watch/a', { width, height, scheme });
    await page.getByText('5.0 s behind').first().waitFor();
    await shot(page, `watch-ready-${name}`);
    await page.getByRole('button', { name: 'Play', exact: true }).first().click();
    await live(page);
    const now = await page.evaluate(() => (window.livedub as { currentMedia: number }).currentMedia);
    server.tell('a', {
      event: 'cue',
      data: {
        id: '1',
        language: 'es',
        speaker: 'speaker-1',
        start: now,
        end: now + 2e7,
        text: 'Muchas aves vuelven cada año al mismo lugar, y nadie sabe del todo cómo.',
        lines: ['Muchas aves vuelven cada año al mismo', 'lugar, y nadie sabe del todo cómo.'],
        draft: false,
      },
    });
    await page.locator('.captions').waitFor();
    await shot(page, `watch-playing-${name}`);
    await page.keyboard.press('l');
    await shot(page, `watch-menu-${name}`);
    await page.keyboard.press('Escape');
    await page.keyboard.press('s');
    await page.waitForTimeout(2_200);
    await shot(page, `watch-stats-${name}`);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  });

  test('a router that died is left for a new one on the same socket, and the picture comes back', async () => {
    server.sessions.set('a', cannedSession('a'));
    const page = await opened('/watch/a');
    await page.getByRole('button', { name: 'Play', exact: true }).first().click();
    await live(page);
    const before = server.asked.filter(({ method }) => method === 'createTransport').length;
    server.tell('a', { event: 'rejoin', data: { reason: 'A media worker was replaced.' } });
    const transports = () => server.asked.filter(({ method }) => method === 'createTransport').length;
    await expect.poll(transports).toBe(before + 1);
    await expect.poll(() => media.flowing().length, { timeout: 10_000 }).toBeGreaterThanOrEqual(4); // the old pair and the new
    const frames = await page.evaluate(() => (window.livedub as ViewerHook).framesDecoded);
    await page.waitForFunction((shown) => {
      const hook = window.livedub as ViewerHook;
      return (
        hook.framesDecoded !== shown && hook.framesDecoded > 5 && hook.currentMedia !== null && hook.audioLevel > 0.01
      );
    }, frames);
    expect(transports()).toBe(before + 1);
  });

  test('a file of our own origin is published without a dialog', async () => {
    server.sessions.set('a', cannedSession('a', { state: 'waiting' }));
    const page = await opened('/publish/a?autostart=file&src=/files/clip.webm');
    await page.waitForFunction(
      () => window.livedub?.page === 'publisher' && window.livedub.connected && window.livedub.framesSent > 20,
    );
    await page.waitForFunction(() => (window.livedub?.audioLevel ?? 0) > 0.01);
    const kinds = media.published.filter(({ closed }) => !closed).map(({ kind }) => kind);
    expect(kinds.sort()).toEqual(['audio', 'video']);
    await shot(page, 'publish-wide');
    await page.setViewportSize({ width: 360, height: 780 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await shot(page, 'publish-narrow');

    const second = await opened('/publish/a?autostart=file&src=/files/clip.webm');
    await second.getByText('Somebody already publishes into this session. Ask them to stop first.').waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await expect.poll(() => media.published.every(({ closed }) => closed)).toBe(true);
  });

  test.for(['clip.nut', 'clip.avi'])(
    '%s, which the browser cannot play, is converted in the page and published',
    async (name) => {
      server.sessions.set('a', cannedSession('a', { state: 'waiting' }));
      const page = await opened('/publish/a');
      await page.getByText('File', { exact: true }).first().click();
      await page.locator('#file').setInputFiles(join(files, name));
      await page.getByRole('button', { name: 'Go live' }).click();
      await page.waitForFunction(
        () => window.livedub?.page === 'publisher' && window.livedub.framesSent > 10,
        undefined,
        { timeout: 120_000 },
      );
      await page.waitForFunction(() => (window.livedub?.audioLevel ?? 0) > 0.01);
      expect(await page.getByText('On air', { exact: true }).count()).toBe(1);
    },
  );
});

/** Writes `seconds` of a test picture and a tone into `files`. */
async function clip(name: string, seconds: number, codecs: readonly string[]): Promise<void> {
  const inputs = ['-f', 'lavfi', '-i', 'testsrc=size=320x180:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=500'];
  await promisify(execFile)('ffmpeg', [
    '-v',
    'error',
    '-y',
    ...inputs,
    '-t',
    String(seconds),
    ...codecs,
    join(files, name),
  ]);
}

/** The worker program of this machine, or nothing: these tests never build it. */
/** Runs in the page: a file as the browser's own parser reads it. */
async function readTrack(file: string): Promise<unknown> {
  interface Cue {
    id: string;
    startTime: number;
    endTime: number;
    line: unknown;
    align: string;
    getCueAsHTML(): { firstChild: { title: string; textContent: string } };
  }
  interface Track {
    kind: string;
    src: string;
    track: { mode: string; cues: Iterable<Cue> };
    onload: () => void;
    onerror: (error: unknown) => void;
  }
  const page = (globalThis as unknown as { document: { createElement(name: string): Track & { append(child: Track): void } } }).document; // prettier-ignore
  const [video, track] = [page.createElement('video'), page.createElement('track')];
  track.kind = 'captions';
  track.src = URL.createObjectURL(new Blob([file], { type: 'text/vtt' }));
  const loaded = new Promise<void>((done, failed) => Object.assign(track, { onload: done, onerror: failed }));
  video.append(track);
  track.track.mode = 'hidden';
  await loaded;
  return [...track.track.cues].map((cue) => {
    const { title, textContent } = cue.getCueAsHTML().firstChild;
    const [start, end] = [Math.round(cue.startTime * 1_000), Math.round(cue.endTime * 1_000)];
    return { id: cue.id, start, end, lines: textContent.split('\n'), voice: title, line: cue.line, align: cue.align };
  });
}

async function mediasoupWorker(): Promise<string | undefined> {
  const finder = join(root, 'gateway/mediasoup-worker/ensure-worker.mjs');
  const { workerPath } = (await import(finder)) as { workerPath: () => string | undefined };
  return workerPath();
}
