import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Page } from 'playwright-core';
import { Browsers, CHROMIUM, type Moment } from '../../bench/browser.ts';
import { workerPath } from '../../gateway/checkout.ts';
import { SessionSpec, delayOf } from '../../gateway/config.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import { root } from '../../gateway/root.ts';
import { type SampleProgramme, sampleProgramme } from '../../gateway/sample.ts';
import { type Gateway, serve } from '../../gateway/serve.ts';
import type { LineRecord } from '../../gateway/session/ipc.ts';
import { loadConfig } from '../../gateway/settings.ts';
import { Scope } from '../../media/scope.ts';
import { installedModes, installedRoute } from '../../models/translate/apertium.ts';
import type { Language } from '../../pipeline/domain.ts';
import { eventually } from '../fakes/gateway.ts';

/** Why no real broadcast can be made on this machine, or nothing. */
export const lacking: string | undefined = !existsSync(CHROMIUM)
  ? `no ${CHROMIUM}`
  : !existsSync(join(root, 'dist/client/index.html')) || !existsSync(join(root, 'dist/gateway/session/main.js'))
    ? 'dist is not built'
    : (await workerPath()) === undefined
      ? 'no mediasoup worker: run npm run setup'
      : !reaches('es')
        ? 'no Apertium from English to Spanish'
        : undefined;

function reaches(language: string): boolean {
  try {
    installedRoute('en' as Language, language as Language, installedModes());
    return true;
  } catch {
    return false;
  }
}
/** Says what was measured: figures from a test are worth nothing unread. */
export const log = (name: string, figures: object): void =>
  void process.stdout.write(`${name}: ${JSON.stringify(figures)}\n`);

/** Spanish, and one more language where this machine has it. */
export const LANGUAGES = ['es', ...['ca', 'gl', 'pt', 'eo'].filter(reaches).slice(0, 1)];

/** A gateway, real from the SFU to the engines, and a browser; all of it ends with `close`. */
export class Broadcast {
  readonly sample: SampleProgramme;
  readonly gateway: Gateway;
  readonly browsers: Browsers;
  readonly scope: Scope;

  private constructor(sample: SampleProgramme, gateway: Gateway, browsers: Browsers, scope: Scope) {
    this.sample = sample;
    this.gateway = gateway;
    this.browsers = browsers;
    this.scope = scope;
  }

  static async open(name: string): Promise<Broadcast> {
    const scope = new Scope(name);
    try {
      const sample = await sampleProgramme(scope.signal);
      const gateway = await serve(
        loadConfig(
          undefined,
          {},
          {
            http: { port: 0 },
            rtc: { workers: 1 },
            files: { roots: [dirname(sample.path)] },
            log: { level: process.env['LIVEDUB_LOG_LEVEL'] ?? 'error' },
          },
        ),
      );
      scope.defer(() => gateway.close());
      return new Broadcast(sample, gateway, await Browsers.open(gateway.url, scope), scope);
    } catch (thrown) {
      await scope.close();
      throw thrown;
    }
  }

  close(): Promise<void> {
    return this.scope.close();
  }

  session(source: 'webrtc' | 'file', to: readonly string[] = ['es']): Promise<HostedSession> {
    const { path } = this.sample;
    return this.gateway.sessions.create(
      SessionSpec.parse({
        name: `Coast Report, ${source}`,
        source: source === 'webrtc' ? { kind: 'webrtc' } : { kind: 'file', path, loop: true },
        to,
      }),
    );
  }

  publish(session: HostedSession): Promise<Page> {
    return this.browsers.publish(session.id, this.sample.path);
  }

  async live(session: HostedSession): Promise<void> {
    await eventually(
      () => session.state === 'live',
      'the session is live',
      delayOf(session.spec).start * 1_000 + 45_000,
    );
  }
}

/** How something went on after an interruption. Milliseconds from the interruption on. */
export interface Recovery {
  /** How long it stood still. */
  readonly gap: number;
  /** When it went on. */
  readonly back: number;
}

/** A stop shorter than this is the network's or the machine's, not the interruption's, ms. */
const STILL = 250;
/** Less than this is no progress: the browser corrects its count of samples that were not made up by some hundred, up and down. */
const PROGRESS = { pictures: 1, sound: 480 } as const;

/** When `count` grew again after `at`, ms since 1970: after the first stop of some length, else after the longest. */
export function recovery(moments: readonly Moment[], at: number, count: 'pictures' | 'sound'): Recovery | undefined {
  let last = at;
  let value = 0;
  let longest: Recovery | undefined;
  for (const moment of moments) {
    const before = value;
    value = moment[count];
    // A new connection counts from 0.
    if (moment.at <= at || value - before < PROGRESS[count]) continue;
    const stop = { gap: moment.at - last, back: moment.at - at };
    last = moment.at;
    if (!longest || stop.gap > longest.gap) longest = stop;
    if (stop.gap > STILL) return stop;
  }
  return longest;
}

/** The mean power at the loudspeaker between two places of the programme; `undefined` if it was not heard through. */
export function powerAt(moments: readonly Moment[], start: number, end: number): number | undefined {
  const heard = moments.filter(({ media }) => media >= start && media <= end);
  if (heard.length < (end - start) / 1e6 / 0.15) return undefined;
  return heard.reduce((sum, { level }) => sum + level ** 2, 0) / heard.length;
}

export type Dubbed = LineRecord & { readonly dub: NonNullable<LineRecord['dub']> };
export const dubbed = (session: HostedSession, language = 'es'): Dubbed[] =>
  session.archive.lines.filter((line): line is Dubbed => line.language === language && line.dub !== null);

/** How alike two curves are, −1 to 1 (Pearson's correlation). */
export function likeness(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [ma, mb] = [mean(a), mean(b)];
  const sum = (product: (i: number) => number) => a.reduce((total, _, i) => total + product(i), 0);
  const da = (i: number) => (a[i] ?? 0) - ma;
  const db = (i: number) => (b[i] ?? 0) - mb;
  return sum((i) => da(i) * db(i)) / Math.sqrt(sum((i) => da(i) ** 2) * sum((i) => db(i) ** 2));
}
