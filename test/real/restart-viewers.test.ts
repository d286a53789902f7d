import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Moment, follow, wireOf } from '../../bench/browser.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import { eventually } from '../fakes/gateway.ts';
import { Broadcast, dubbed, lacking, log, powerAt, recovery } from './broadcast.ts';

const rounded = (figures: object | undefined) =>
  Object.fromEntries(Object.entries(figures ?? {}).map(([name, value]) => [name, Math.round(value as number)]));

/** A page that watches, and the notes of what it plays. */
interface Viewer {
  readonly page: Page;
  readonly moments: () => Promise<Moment[]>;
}

describe.skipIf(lacking)(`two viewers${lacking ? ` (skipped: ${lacking})` : ''}`, () => {
  let broadcast: Broadcast;
  const pages: Page[] = [];
  beforeAll(async () => {
    broadcast = await Broadcast.open('restart-viewers');
  });
  afterEach(async () => {
    await Promise.all(pages.splice(0).map((page) => page.context().close()));
    for (const session of broadcast.gateway.sessions.list()) await session.close();
  });
  afterAll(() => broadcast?.close());

  async function watching(session: HostedSession): Promise<Viewer[]> {
    const viewers: Viewer[] = [];
    for (let i = 0; i < 2; i += 1) {
      const page = await broadcast.browsers.watch(session.id, 'es');
      pages.push(page);
      viewers.push({ page, moments: await follow(page) });
    }
    return viewers;
  }

  /** Waits until both have seen and heard the programme for a while, dubbed. */
  async function settled(session: HostedSession, viewers: readonly Viewer[]): Promise<void> {
    for (const { page, moments } of viewers) {
      await page.waitForFunction('window.livedub.audioLevel > 0.01', undefined, { timeout: 20_000 });
      await eventually(async () => (await moments()).length > 20, 'a second of notes');
    }
    await eventually(() => dubbed(session).length > 0, 'the first dub', 40_000);
  }

  test.for(['webrtc', 'file'] as const)(
    'stay connected when the session process is killed, see and hear the programme within 3 s, the dub within 10 s (%s)',
    async (source) => {
      const session = await broadcast.session(source);
      if (source === 'webrtc') pages.push(await broadcast.publish(session));
      await broadcast.live(session);
      const viewers = await watching(session);
      await settled(session, viewers);
      const wires = await Promise.all(viewers.map(({ page }) => wireOf(page)));

      const { pid } = session;
      const killed = Date.now();
      process.kill(pid!, 'SIGKILL');

      // A line that the successor heard, translated and spoke, and that both have heard to its end.
      const clip = await eventually(
        async () => {
          const [line] = dubbed(session).filter(({ utterance }) => !utterance.startsWith('u0.'));
          if (!line) return undefined;
          const heard = await Promise.all(
            viewers.map(({ page }) => page.evaluate<number | null>('window.livedub.currentMedia')),
          );
          return heard.every((media) => (media ?? 0) > line.dub.end + 300_000) && line;
        },
        'a dub of the new process heard to its end',
        30_000,
      );

      log('dropped', { ...session.stats?.drops, relay: session.relay?.counts, kept: session.relay?.kept });
      expect(session.pid).not.toBe(pid);
      expect(session.restarts).toBe(1);
      for (const [i, { page, moments }] of viewers.entries()) {
        const notes = await moments();
        const picture = recovery(notes, killed, 'pictures');
        const sound = recovery(notes, killed, 'sound');
        const energy = notes.find(({ at, level }) => at >= killed + (sound?.back ?? Infinity) && level > 0.01);
        const dub = notes.find(({ media }) => media >= clip.dub.start);
        log(`viewer ${i + 1}, ${source}, ms after kill -9 of the session process`, {
          picture: rounded(picture),
          sound: rounded(sound),
          loud: Math.round((energy?.at ?? NaN) - killed),
          dub: Math.round((dub?.at ?? NaN) - killed),
          'sound went back': steppedBack(notes, killed, ({ media }) => media / 1_000),
          'picture went back': steppedBack(notes, killed, ({ shown }) => shown / 90),
        });
        expect(await wireOf(page)).toEqual(wires[i]);
        expect(picture?.back).toBeLessThan(3_000);
        expect(sound?.back).toBeLessThan(3_000);
        // Packets with sound within 3 s; the programme itself may then be silent for up to 1.2 s between two sentences.
        expect(energy!.at - killed).toBeLessThan(4_200);
        expect(dub!.at - killed).toBeLessThan(10_000);
        expect(powerAt(notes, clip.dub.start, clip.dub.end)).toBeGreaterThan(0.02 ** 2);
        // It went on, and not only for a moment.
        expect(notes.at(-1)!.pictures - notes.findLast(({ at }) => at <= killed)!.pictures).toBeGreaterThan(50);
      }
    },
  );

  test('come back by themselves when the mediasoup worker is killed', async () => {
    const session = await broadcast.session('webrtc');
    pages.push(await broadcast.publish(session));
    await broadcast.live(session);
    const viewers = await watching(session);
    await settled(session, viewers);
    const wires = await Promise.all(viewers.map(({ page }) => wireOf(page)));

    const [worker] = broadcast.gateway.sfu.pids;
    const { pid } = session;
    // A page has more than one connection from the start: finding out what the browser can do takes one.
    const before = await Promise.all(viewers.map(async ({ moments }) => (await moments()).at(-1)?.connection ?? 0));
    const killed = Date.now();
    process.kill(worker!, 'SIGKILL');
    for (const [i, { page }] of viewers.entries()) {
      await eventually(async () => (await wireOf(page)).peers > wires[i]!.peers, 'a new media connection', 20_000);
      await page.waitForFunction('window.livedub.connected', undefined, { timeout: 20_000 });
    }
    for (const [i, { moments }] of viewers.entries()) {
      await eventually(
        async () => {
          // Just after the switch the notes still count what the old connection played.
          const last = (await moments()).at(-1);
          return last && last.connection > before[i]! && last.pictures > 25 && last.level > 0.01;
        },
        'picture and sound over it',
        20_000,
      );
    }
    for (const [i, { page, moments }] of viewers.entries()) {
      const notes = await moments();
      const [picture, sound] = [recovery(notes, killed, 'pictures'), recovery(notes, killed, 'sound')];
      log(`viewer ${i + 1}, ms after kill -9 of the mediasoup worker`, {
        picture: rounded(picture),
        sound: rounded(sound),
        loud: Math.round(
          (notes.find(({ at, level }) => at > killed + (sound?.back ?? Infinity) && level > 0.01)?.at ?? NaN) - killed,
        ),
      });
      const wire = await wireOf(page);
      expect(wire.sockets).toBe(wires[i]!.sockets);
      expect(wire.asked.filter((method) => method === 'join')).toHaveLength(2);
      expect(picture?.back).toBeLessThan(10_000);
    }
    expect(session.pid).toBe(pid);
    // What the publisher sends over its new connection comes through as well.
    await eventually(() => session.state === 'live', 'live again', 20_000);
  });
});

/** The most that `place`, ms, went backwards after `at`. */
function steppedBack(moments: readonly Moment[], at: number, place: (moment: Moment) => number): number {
  const places = moments.filter((moment) => moment.at >= at - 1_000).map(place);
  let [furthest, most] = [-Infinity, 0];
  for (const each of places.filter((value) => !Number.isNaN(value))) {
    most = Math.max(most, furthest - each);
    furthest = Math.max(furthest, each);
  }
  return Math.round(most);
}
