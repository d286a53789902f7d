import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DrivenLine } from '../../media/driven-line.ts';
import { Depacketizer } from '../../media/packetize.ts';
import { at, later, ms, seconds } from '../../media/time.ts';
import type { Encodable } from '../../media/video-encoder.ts';
import { clip, moving } from '../fakes/clips.ts';
import { DirectRecoder } from '../fakes/recoder.ts';
import { units } from '../fakes/pictures.ts';

const chromiumPath = '/usr/bin/chromium';
const missing = existsSync(chromiumPath) ? undefined : 'no /usr/bin/chromium';
const NAMES = { VP8: 'vp8', VP9: 'vp09.00.10.08', H264: 'avc1.42e01f' } as const;
const REALTIME = ['-deadline', 'realtime', '-cpu-used', '8', '-auto-alt-ref', '0', '-lag-in-frames', '0'];
const ENCODERS = {
  VP8: ['-c:v', 'libvpx', ...REALTIME],
  VP9: ['-c:v', 'libvpx-vp9', ...REALTIME],
  H264: ['-c:v', 'libx264', '-tune', 'zerolatency', '-profile:v', 'baseline'],
} as const;

describe.skipIf(missing)(`a driven line in Chromium (${missing ?? chromiumPath})`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  test.for(['VP8', 'VP9', 'H264'] as const)(
    '%s: every picture of the spliced stream is decoded, in order',
    async (codec) => {
      const { pictures } = clip([...moving('320x240', 100), ...ENCODERS[codec], '-b:v', '500k', '-g', '25']);
      using recoder = new DirectRecoder();
      const line = new DrivenLine({ codec, recoder });
      line.drive({ start: at(1_200_000), end: at(2_200_000) });
      for (const { start } of pictures) line.patches({ start, patches: [] });
      for (const unit of units(codec, pictures)) line.push(unit);
      const depacketizer = new Depacketizer(codec satisfies Encodable);
      const chunks: { start: number; keyFrame: boolean; data: string }[] = [];
      for (let t = at(-2_000_000); t < seconds(5); t = later(t, ms(10))) {
        for (const { start, keyFrame, payloads } of line.take(t)) {
          chunks.push({ start, keyFrame, data: Buffer.from(depacketizer.frame(payloads)!).toString('base64') });
        }
      }
      expect(line.counts).toMatchObject({ joins: 1, pictures: 45, lost: 0 });
      const page = await browser.newPage();
      await page.goto('chrome://version');
      // The page's own globals: its code is text, since ours has no DOM.
      const decoded = await page.evaluate(`(async () => {
      const times = [];
      let failure;
      const decoder = new VideoDecoder({
        output: (frame) => { times.push(frame.timestamp); frame.close(); },
        error: (error) => { failure = String(error); },
      });
      decoder.configure({ codec: ${JSON.stringify(NAMES[codec])}, optimizeForLatency: true });
      for (const { start, keyFrame, data } of ${JSON.stringify(chunks)}) {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        decoder.decode(new EncodedVideoChunk({ type: keyFrame ? 'key' : 'delta', timestamp: start, data: bytes }));
      }
      await decoder.flush().catch((error) => { failure ??= String(error); });
      return { times, failure };
    })()`);
      expect(decoded).toEqual({ times: pictures.map(({ start }) => start), failure: undefined });
      await page.close();
    },
  );
});
