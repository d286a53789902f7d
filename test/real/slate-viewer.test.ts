import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wireOf } from '../../bench/browser.ts';
import { SessionSpec } from '../../gateway/config.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import { root } from '../../gateway/root.ts';
import type { SessionView } from '../../gateway/protocol.ts';
import { ask, eventually } from '../fakes/gateway.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { WEBCAM } from '../fakes/talking-clips.ts';
import { Broadcast, dubbed, lacking, log } from './broadcast.ts';

const srt = / srt\b/.test(
  spawnSync('ffmpeg', ['-hide_banner', '-protocols']).stdout?.toString().replaceAll('\n', ' ') ?? '',
);
const why = lacking ?? missing(WEBCAM.file);
/** Where the screenshots go; git does not see it. */
const SHOTS = join(root, 'out/slate');
/** Seconds that the source is away: a few more than it takes until the slate is seen. */
const AWAY = 6;

/** One picture as the browser shows it. */
interface Shown {
  /** ms of the page's clock. */
  readonly at: number;
  /** RTP time stamp, 90 kHz. */
  readonly rtp: number;
  /** The browser's place in the programme, s. */
  readonly media: number;
  /** Mean brightness, 0 to 255, of a small copy of it. */
  readonly light: number;
}
/** Notes every picture that is shown, in the page itself. Returns how to read the notes. */
async function watchPictures(page: Page): Promise<() => Promise<Shown[]>> {
  await page.evaluate(`(() => {
    const notes = (window.shownPictures = []);
    const video = document.querySelector('video');
    const canvas = Object.assign(document.createElement('canvas'), { width: 16, height: 9 });
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const shown = (at, { rtpTimestamp, mediaTime }) => {
      context.drawImage(video, 0, 0, 16, 9);
      const pixels = context.getImageData(0, 0, 16, 9).data;
      const light = pixels.reduce((sum, value, n) => (n % 4 === 3 ? sum : sum + value), 0) / (pixels.length * 0.75);
      notes.push({ at, rtp: rtpTimestamp, media: mediaTime, light });
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  })()`);
  return () => page.evaluate<Shown[]>('window.shownPictures');
}

// They mostly wait: side by side.
describe
  .skipIf(why)
  .concurrent(`a viewer whose source goes away and comes back${why ? ` (skipped: ${why})` : ''}`, () => {
    let broadcast: Broadcast;
    const children: ChildProcess[] = [];
    beforeAll(async () => {
      mkdirSync(SHOTS, { recursive: true });
      broadcast = await Broadcast.open('slate-viewer');
    });
    afterAll(async () => {
      for (const child of children) child.kill('SIGKILL');
      await broadcast?.close();
    });

    /** Sees the programme, loses its source, sees the slate, and sees the programme again: one picture after the other. */
    async function goesOn(session: HostedSession, stop: () => Promise<unknown>, again: () => Promise<unknown>) {
      await broadcast.live(session);
      const page = await broadcast.browsers.watch(session.id, 'es');
      const read = await watchPictures(page);
      const { pid } = session;
      const wire = await wireOf(page);
      await eventually(async () => (await read()).length > 25, 'a second of pictures');
      const before = (await read()).at(-1)!;
      const usual = mean((await read()).map(({ light }) => light));

      await stop();
      const isSlate = ({ light }: Shown) => light < 0.75 * usual;
      await eventually(async () => (await read()).slice(-8).every(isSlate), 'the slate', 20_000);
      await page.screenshot({ path: join(SHOTS, `${session.spec.source.kind}.png`) });
      await new Promise((wake) => setTimeout(wake, AWAY * 1_000 - 3_000));
      const slated = (await read()).length;
      await again();
      const isBack = async () => (await read()).slice(-25).every((one) => !isSlate(one));
      await eventually(async () => (await read()).length > slated + 25 && (await isBack()), 'the programme', 30_000);

      // A browser may show one picture twice.
      const all = (await read()).filter(({ at }) => at >= before.at);
      const shown = all.filter(({ rtp }, n) => rtp !== all[n - 1]?.rtp);
      const steps = shown.slice(1).map((one, n) => ({
        rtp: ((one.rtp - shown[n]!.rtp) | 0) / 90_000,
        media: one.media - shown[n]!.media,
        at: (one.at - shown[n]!.at) / 1_000,
      }));
      const longest = {
        rtp: Math.max(...steps.map(({ rtp }) => rtp)),
        at: Math.max(...steps.map(({ at }) => at)),
        slate: shown.filter(isSlate).length,
      };
      log(`${session.spec.source.kind}, longest without a picture, s`, longest);
      expect(steps.filter(({ rtp }) => rtp <= 0)).toEqual([]);
      expect(steps.filter(({ media }) => media < 0)).toEqual([]);
      // Pictures are missed after a second, and the slate has five a second.
      expect(longest.rtp).toBeLessThan(1.5);
      expect(longest.at).toBeLessThan(3);
      expect(await wireOf(page)).toEqual(wire);
      expect([session.pid, session.restarts, session.state]).toEqual([pid, 0, 'live']);
      expect(await page.evaluate('window.livedub.state')).toBe('live');
      return page;
    }

    test.skipIf(!srt)('sees a slate while the encoder of an SRT source is away, on one connection', async () => {
      const { gateway } = broadcast;
      const spec = { name: 'Studio', source: { kind: 'srt' }, delay: 2, lips: 'off' };
      const { body } = await ask<SessionView>(gateway, 'POST', '/v1/sessions', spec);
      const session = gateway.sessions.get(body.id);
      const { url } = body.ingest!;
      const encode = () => {
        const looped = ['-re', '-stream_loop', '-1', '-i', recording(WEBCAM.file), '-vf', 'scale=640:426'];
        const x264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-bf', '0', '-g', '30'];
        const out = ['-c:a', 'aac', '-f', 'mpegts', `${url}?mode=caller`];
        const child = spawn('ffmpeg', ['-v', 'error', ...looped, ...x264, ...out], { stdio: 'ignore' });
        children.push(child);
        return child;
      };
      let encoder = encode();
      await goesOn(
        session,
        async () => {
          encoder.kill('SIGKILL');
          await once(encoder, 'exit');
        },
        async () => {
          expect(session.view.reason ?? '').not.toBe('');
          encoder = encode();
        },
      );
    });

    test('sees a slate between two publishers’ pages, and hears the second dubbed, on one connection', async () => {
      const spec = SessionSpec.parse({ name: 'Talk', source: { kind: 'webrtc' }, delay: 2, lips: 'off' });
      const session = await broadcast.gateway.sessions.create(spec);
      const first = await broadcast.publish(session);
      let lines = 0;
      const page = await goesOn(
        session,
        () => first.context().close(),
        async () => {
          lines = dubbed(session).length;
          await broadcast.publish(session);
        },
      );
      expect(await page.evaluate('window.livedub.connected')).toBe(true);
      await page.waitForFunction('window.livedub.audioLevel > 0.01', undefined, { timeout: 20_000 });
      await eventually(() => dubbed(session).length > lines, 'a dub of the second publisher', 30_000);
    });
  });

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
