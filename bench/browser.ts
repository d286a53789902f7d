import { readFile } from 'node:fs/promises';
import { type Browser, type Page, chromium } from 'playwright-core';
import type { Scope } from '../media/scope.ts';

export const CHROMIUM = process.env['LIVEDUB_CHROMIUM'] ?? '/usr/bin/chromium';
/** Media without a screen, a sound card or a person; nothing of Chromium's own goes out to the network. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--allow-loopback-in-peer-connection',
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-ui-for-media-stream',
  '--mute-audio',
  // A page nobody looks at is otherwise slowed down.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

/** What a page has opened and asked for since it was loaded: a viewer that was never cut off has one of each. */
export interface Wire {
  readonly sockets: number;
  readonly peers: number;
  /** Methods sent over the sockets, in order. */
  readonly asked: readonly string[];
  /** States the media connections went through, in order. */
  readonly states: readonly string[];
}
/** Runs in every page before its own code. As text: its globals are not ours. */
const WIRE = `(() => {
  const wire = (window.benchWire = { sockets: 0, peers: 0, asked: [], states: [], connections: [] });
  const { WebSocket: Socket, RTCPeerConnection: Peer } = window;
  window.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      wire.sockets += 1;
    }
    send(text) {
      wire.asked.push(JSON.parse(text).method);
      super.send(text);
    }
  };
  window.RTCPeerConnection = class extends Peer {
    constructor(...args) {
      super(...args);
      wire.peers += 1;
      wire.connections.push(this);
      this.addEventListener('connectionstatechange', () => wire.states.push(this.connectionState));
    }
  };
})()`;
export const wireOf = (page: Page): Promise<Wire> =>
  page.evaluate<Wire>('(({ connections, ...wire }) => wire)(window.benchWire)');

/** What a viewer's page plays at one moment, by the page's own `window.livedub` and by the browser's statistics. */
export interface Moment extends Sample {
  /** Programme position at the ear, µs; `NaN` while nothing arrives. */
  readonly media: number;
  /** RMS at the loudspeaker, 0 to 1. */
  readonly level: number;
  /** Which of the page's media connections `pictures` and `sound` are counted on, from 1; 0 before the first. */
  readonly connection: number;
  /** Pictures decoded since the media connection was made. */
  readonly pictures: number;
  /** RTP time stamp of the picture on the screen; `NaN` before the first. */
  readonly shown: number;
  /** Samples played that were received and not made up, since the media connection was made. */
  readonly sound: number;
  /** Media time heard less media time seen, ms; `NaN` while one of them is missing. */
  readonly avOffsetMs: number;
}

/** A reading of a page's clock and of what it plays, both on this machine's wall clock. */
export interface Sample {
  /** ms since 1970. */
  readonly at: number;
  /** Position in the programme, or in the published file, µs. */
  readonly media: number;
}

/** Debian's Chromium with a publisher and any number of viewers, driven by the pages' own `window.livedub`. */
export class Browsers {
  readonly #browser: Browser;
  readonly #url: string;

  private constructor(browser: Browser, url: string) {
    this.#browser = browser;
    this.#url = url;
  }

  static async open(url: string, scope: Scope): Promise<Browsers> {
    const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
    scope.defer(() => browser.close());
    return new Browsers(browser, url);
  }

  /** Publishes a media file from a page, as a person would by choosing it. */
  async publish(session: string, file: string): Promise<Page> {
    const page = await this.#page();
    const type = file.endsWith('.webm') ? 'video/webm' : 'video/mp4';
    const body = await readFile(file);
    await page.route('**/published-file.*', (route) => route.fulfill({ body, contentType: type }));
    const source = `/published-file.${file.split('.').at(-1)}`;
    await page.goto(`${this.#url}/publish/${session}?autostart=file&src=${encodeURIComponent(source)}`);
    await page.waitForFunction('window.livedub?.state === "live"', undefined, { timeout: 60_000 });
    return page;
  }

  /** Watches a session in one language. */
  async watch(session: string, language: string): Promise<Page> {
    const page = await this.open(`/watch/${session}`);
    await page.getByRole('button', { name: /play/i }).first().click();
    const playing = `window.livedub?.connected && window.livedub.framesDecoded > 5 && window.livedub.heard === "dub:${language}"`;
    await page.waitForFunction(playing, undefined, { timeout: 45_000 }).catch(async (cause: unknown) => {
      throw new Error(`The viewer does not play: ${await said(page)}`, { cause });
    });
    return page;
  }

  /** Opens one of the gateway's pages, with nothing remembered from others. */
  async open(path: string): Promise<Page> {
    const page = await this.#page();
    await page.goto(this.#url + path);
    return page;
  }

  async #page(): Promise<Page> {
    const context = await this.#browser.newContext({ viewport: { width: 1_280, height: 720 } });
    await context.addInitScript(WIRE);
    return context.newPage();
  }
}

/** Notes `window.livedub[field]` with the time, ten times a second, in the page itself. Returns how to read the notes. */
export async function note(page: Page, field: 'currentMedia' | 'fileMedia'): Promise<() => Promise<Sample[]>> {
  // As text: it runs in the page, whose globals are not ours.
  await page.evaluate(`(() => {
    const notes = (window.benchNotes = []);
    setInterval(() => {
      const media = window.livedub?.${field};
      if (typeof media === 'number') notes.push({ at: performance.timeOrigin + performance.now(), media });
    }, 100);
  })()`);
  return () => page.evaluate<Sample[]>('window.benchNotes');
}

/** All that a page says of itself, and its media connections, as JSON. */
const said = (page: Page): Promise<string> =>
  page.evaluate<string>(`(async () => {
    const { connections, ...wire } = window.benchWire;
    const rows = await Promise.all(connections.map(async (each) => [...(await each.getStats()).values()]));
    const incoming = rows.flat().filter(({ type }) => type === 'inbound-rtp');
    return JSON.stringify({ ...window.livedub, ...wire, incoming, text: document.body.innerText });
  })()`);

/** Notes what a viewer's page plays twenty times a second, in the page itself. Returns how to read the notes. */
export async function follow(page: Page): Promise<() => Promise<Moment[]>> {
  await page.evaluate(`(() => {
    const moments = (window.benchMoments = []);
    const media = { pictures: 0, sound: 0, shown: NaN, connection: 0 };
    const video = document.querySelector('video');
    const shown = (_, { rtpTimestamp }) => {
      media.shown = rtpTimestamp ?? NaN;
      video.requestVideoFrameCallback(shown);
    };
    video?.requestVideoFrameCallback(shown);
    const read = async () => {
      const { connections } = window.benchWire;
      const [peer] = connections.filter(({ connectionState }) => connectionState !== 'closed').slice(-1);
      const now = { pictures: 0, sound: 0, connection: connections.indexOf(peer) + 1 };
      for (const row of (await peer?.getStats())?.values() ?? []) {
        // mid "probator" is mediasoup's bandwidth probe.
        if (row.type !== 'inbound-rtp' || row.mid === 'probator') continue;
        now.pictures += row.framesDecoded ?? 0;
        now.sound += (row.totalSamplesReceived ?? 0) - (row.concealedSamples ?? 0);
      }
      Object.assign(media, now);
    };
    setInterval(() => {
      const { currentMedia, audioLevel, avOffsetMs } = window.livedub ?? {};
      void read().catch(() => {});
      moments.push({
        at: performance.timeOrigin + performance.now(),
        media: currentMedia ?? NaN,
        level: audioLevel ?? 0,
        avOffsetMs: avOffsetMs ?? NaN,
        ...media,
      });
    }, 50);
  })()`);
  return () => page.evaluate<Moment[]>('window.benchMoments');
}

/** When `media` was played, ms since 1970, by the notes next to it; `undefined` when they do not reach that far. */
export function playedAt(notes: readonly Sample[], media: number): number | undefined {
  const after = notes.findIndex((sample) => sample.media >= media);
  const [a, b] = [notes[after - 1], notes[after]];
  if (!a || !b || b.media === a.media || b.media - a.media > 2e6) return undefined;
  return a.at + ((media - a.media) / (b.media - a.media)) * (b.at - a.at);
}
