import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Browsers, wireOf } from '../../bench/browser.ts';
import type { ViewerHook } from '../../client/hook.ts';
import { SessionSpec } from '../../gateway/config.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import { root } from '../../gateway/root.ts';
import { serve } from '../../gateway/serve.ts';
import { loadConfig } from '../../gateway/settings.ts';
import { Scope } from '../../media/scope.ts';
import { eventually } from '../fakes/gateway.ts';
import { type LipStore, lipStore, lipStoreLacks } from '../fakes/lip-store.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { lacking as noBroadcast, log } from './broadcast.ts';

const TALKING = 'talking/open-dubbing/englishvideo.mp4';
const lacking = noBroadcast ?? lipStoreLacks() ?? missing(TALKING);
/** Where the screenshot goes; git does not see it. */
const SHOTS = join(root, 'out/lips');

/** What the page shows at one moment: mean luma of the picture, 0 to 255, and whose picture it is. */
interface Look {
  readonly at: number;
  readonly luma: number;
  readonly seen: string | null;
}

describe.skipIf(lacking)(`a viewer of moving mouths${lacking ? ` (skipped: ${lacking})` : ''}`, () => {
  const scope = new Scope('lips-page');
  const folder = mkdtempSync(join(tmpdir(), 'livedub-lips-page-'));
  const before = process.env['LIVEDUB_MODELS'];
  let store: LipStore;
  let session: HostedSession;
  let viewer: Page;
  const hook = <K extends keyof ViewerHook>(field: K) => viewer.evaluate<ViewerHook[K]>(`window.livedub.${field}`);

  beforeAll(async () => {
    store = lipStore();
    process.env['LIVEDUB_MODELS'] = store.root;
    mkdirSync(SHOTS, { recursive: true });
    const path = join(folder, 'talking.webm');
    // Small and slow, so that a machine that runs a browser besides sees and drives it in time.
    const small = ['-t', '8', '-vf', 'scale=540:360,fps=15', '-c:a', 'libopus', '-ac', '1'];
    const vp8 = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '1200k', '-g', '15'];
    execFileSync('ffmpeg', ['-v', 'error', '-i', recording(TALKING), ...small, ...vp8, path]);
    const level = process.env['LIVEDUB_LOG_LEVEL'] ?? 'error';
    const settings = { http: { port: 0 }, rtc: { workers: 1 }, files: { roots: [folder] }, log: { level } };
    const gateway = await serve(loadConfig(undefined, {}, settings));
    scope.defer(() => gateway.close());
    const browsers = await Browsers.open(gateway.url, scope);
    const source = { kind: 'file', path, loop: true } as const;
    session = await gateway.sessions.create(
      SessionSpec.parse({ name: 'Morning talk', source, to: ['es'], lips: 'on', delay: 12 }),
    );
    await eventually(() => session.state === 'live', 'the session is live', 60_000);
    viewer = await browsers.watch(session.id, 'es');
  });
  afterAll(async () => {
    await scope.close();
    store?.close();
    if (before === undefined) delete process.env['LIVEDUB_MODELS'];
    else process.env['LIVEDUB_MODELS'] = before;
    rmSync(folder, { recursive: true, force: true });
  });

  test('sees the mouths of the language that is heard, and goes to the original and back without a black picture', async () => {
    await viewer.waitForFunction('window.livedub.seen === "video:es"', undefined, { timeout: 20_000 });
    const shown = () => session.stats?.lips?.shown['es'] ?? 0;
    await eventually(() => shown() > 5, 'driven pictures', 75_000);
    await viewer.locator('.captions p[lang=es]').waitFor({ timeout: 20_000 });
    await viewer.getByText('dubbed, lips in sync').first().waitFor({ timeout: 20_000 });
    await viewer.screenshot({ path: join(SHOTS, 'page.png') });
    const wires = await wireOf(viewer);

    await viewer.keyboard.press('s');
    const panel = viewer.getByRole('complementary', { name: 'Statistics' });
    const row = panel.getByRole('row', { name: /^Mouths/ });
    await row.getByText(/\d+ % of \d+ pictures/).waitFor();
    log('mouths, as the page says', { row: await row.innerText() });
    await viewer.keyboard.press('s');

    await viewer.evaluate(WATCH);
    await eventually(async () => (await looks()).length > 20, 'looks at the picture');
    const took: number[] = [];
    for (const [choice, picture] of [
      [/Original/, 'video'],
      [/Español|Spanish/i, 'video:es'],
    ] as const) {
      const asked = performance.now();
      await viewer.keyboard.press('l');
      await viewer.getByRole('radiogroup', { name: 'Listen in' }).getByRole('radio', { name: choice }).first().check();
      await viewer.keyboard.press('Escape');
      await viewer.waitForFunction(`window.livedub.seen === ${JSON.stringify(picture)}`, undefined, {
        timeout: 15_000,
      });
      took.push(Math.round(performance.now() - asked));
      const { length } = await looks();
      await eventually(async () => (await looks()).length > length + 30, 'looks at the picture after the switch');
      const offset = await eventually(
        async () => (await hook('avOffsetMs')) ?? false,
        'an offset of sound and picture',
      );
      expect(Math.abs(offset)).toBeLessThan(500);
    }
    const all = await looks();
    const dark = blackest(all);
    const luma = all.map((each) => each.luma).sort((a, b) => a - b);
    log('switches', { took, blackMs: Math.round(dark), looks: all.length, luma: luma[Math.floor(luma.length / 2)] });
    expect(luma[Math.floor(luma.length / 2)]).toBeGreaterThan(40);
    expect(new Set(all.map(({ seen }) => seen))).toEqual(new Set(['video:es', 'video']));
    expect(dark).toBeLessThanOrEqual(100);
    // All over one connection.
    const { sockets, peers } = await wireOf(viewer);
    expect({ sockets, peers }).toEqual({ sockets: wires.sockets, peers: wires.peers });
  }, 180_000);

  const looks = () => viewer.evaluate<Look[]>('window.testLooks');
});

/** Draws the picture small at every repaint and notes how bright it is. As text: its globals are not ours. */
const WATCH = `(() => {
  const looks = (window.testLooks = []);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 16;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const look = () => {
    const video = document.querySelector('video');
    context.fillStyle = 'black';
    context.fillRect(0, 0, 16, 16);
    if (video) context.drawImage(video, 0, 0, 16, 16);
    const { data } = context.getImageData(0, 0, 16, 16);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
    looks.push({ at: performance.now(), luma: sum / 256, seen: window.livedub.seen });
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()`;

/** The longest time without a picture, ms. */
function blackest(looks: readonly Look[]): number {
  let [longest, since] = [0, undefined as number | undefined];
  for (const { at, luma } of looks) {
    if (luma >= 8) since = undefined;
    else longest = Math.max(longest, at - (since ??= at));
  }
  return longest;
}
