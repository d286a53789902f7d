import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import type { Scope } from '../../media/scope.ts';
import type { Browsers } from '../browser.ts';
import { type Seen, clockOffset } from './delays.ts';
import { now } from './paced.ts';
import { CELLS, READ, STRIP, numberIn } from './time-code.ts';

/**
 * Notes in the page, for each picture that `video` presents, the brightness of its sixteen cells and when: as text, for
 * its globals are not ours. The cells' middles are read from the strip, which is drawn at the size FFmpeg's is.
 */
const notes = (video: string) => `(() => {
  const video = ${video};
  const notes = (window.benchPictures = []);
  const canvas = new OffscreenCanvas(${READ.width}, ${READ.height});
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const note = () => {
    const at = performance.timeOrigin + performance.now();
    const strip = Math.floor(video.videoHeight * ${STRIP});
    context.drawImage(video, 0, video.videoHeight - strip, video.videoWidth, strip, 0, 0, ${READ.width}, ${READ.height});
    const { data } = context.getImageData(0, 0, ${READ.width}, ${READ.height});
    const cells = [];
    for (let cell = 0; cell < ${CELLS}; cell += 1) {
      let sum = 0;
      for (let y = 2; y < 6; y += 1) for (let x = 3; x < 7; x += 1) {
        const p = 4 * (y * ${READ.width} + cell * 10 + x);
        sum += 0.299 * data[p] + 0.587 * data[p + 1] + 0.114 * data[p + 2];
      }
      cells.push(Math.round(sum / 16));
    }
    notes.push([at, ...cells]);
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
})()`;

/** Pictures that a page presents. */
export interface PageNotes {
  /** Those so far, on this process's clock, which the page's is compared with. */
  readonly seen: () => Promise<Seen[]>;
}

/** @param video an expression for the page's video element, which must be there */
export async function notePictures(page: Page, video = 'document.querySelector("video")'): Promise<PageNotes> {
  await page.evaluate(notes(video));
  const asked: { sent: number; said: number; back: number }[] = [];
  for (let n = 0; n < 9; n += 1) {
    const sent = now();
    const said = await page.evaluate<number>('performance.timeOrigin + performance.now()');
    asked.push({ sent, said, back: now() });
  }
  const { ahead } = clockOffset(asked);
  return {
    async seen() {
      const rows = await page.evaluate<number[][]>('window.benchPictures');
      return rows.flatMap(([at = NaN, ...cells]) => {
        const number = numberIn(cells);
        return number === undefined ? [] : [{ number, at: at - ahead }];
      });
    },
  };
}

const HTML = '<!doctype html><video muted playsinline></video>';

/** A page that goes with `scope`. */
export function owned(page: Page, scope: Scope): Page {
  scope.defer(() => page.context().close());
  return page;
}

/** A page of the bench's own at the gateway's origin, so that it may ask for whatever a viewer may. */
export async function ownPage(browsers: Browsers, url: string, scope: Scope): Promise<Page> {
  const page = owned(await browsers.open('/healthz'), scope);
  await page.route('**/bench-page', (route) => route.fulfill({ body: HTML, contentType: 'text/html' }));
  await page.goto(`${url}/bench-page`);
  return page;
}

/** Plays a playlist by hls.js as its users do, with low latency. Resolves when it plays. */
export async function playHls(page: Page, playlist: string): Promise<void> {
  const script = createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js');
  await page.evaluate(await readFile(script, 'utf8'));
  await page.evaluate(`(() => {
    const video = document.querySelector('video');
    const hls = (window.hls = new Hls({ lowLatencyMode: true }));
    hls.loadSource(${JSON.stringify(playlist)});
    hls.attachMedia(video);
    hls.on(Hls.Events.MANIFEST_PARSED, () => void video.play());
  })()`);
  await page.waitForFunction('document.querySelector("video").currentTime > 0.5', undefined, { timeout: 30_000 });
}

/** What the page answers when an offer is not taken: a status. */
const post = `async (peer, url) => {
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise((done) => {
    if (peer.iceGatheringState === 'complete') return done();
    peer.addEventListener('icegatheringstatechange', () => peer.iceGatheringState === 'complete' && done());
    setTimeout(done, 2000);
  });
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: peer.localDescription.sdp });
  if (answer.status !== 201) return answer.status;
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  return 201;
}`;

/** Publishes a file by WHIP (RFC 9725) from the page. Returns the answer's status, 201 where it was taken. */
export async function whip(page: Page, url: string, file: string): Promise<number> {
  const body = await readFile(file);
  await page.route('**/bench-reel.mp4', (route) => route.fulfill({ body, contentType: 'video/mp4' }));
  return page.evaluate<number>(`(async () => {
    const video = document.querySelector('video');
    video.src = '/bench-reel.mp4';
    await video.play();
    const stream = video.captureStream();
    const peer = (window.peer = new RTCPeerConnection());
    for (const track of stream.getTracks()) peer.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
    return (${post})(peer, ${JSON.stringify(url)});
  })()`);
}

/** Watches by WHEP (draft-ietf-wish-whep) in the page. Returns the answer's status. */
export function whep(page: Page, url: string): Promise<number> {
  return page.evaluate<number>(`(async () => {
    const video = document.querySelector('video');
    const peer = (window.peer = new RTCPeerConnection());
    const stream = (video.srcObject = new MediaStream());
    peer.addEventListener('track', ({ track }) => stream.addTrack(track));
    for (const kind of ['video', 'audio']) peer.addTransceiver(kind, { direction: 'recvonly' });
    const status = await (${post})(peer, ${JSON.stringify(url)});
    if (status === 201) void video.play();
    return status;
  })()`);
}
