import { fileURLToPath } from 'node:url';
import { Config } from '../../gateway/config.ts';
import { silent } from '../../gateway/log.ts';
import type { ApiError, SessionView } from '../../gateway/protocol.ts';
import { type Gateway, type Parts, serve } from '../../gateway/serve.ts';

const program = fileURLToPath(new URL('session-process.mjs', import.meta.url));

/** Only English, into Spanish or German; French is known and not installed. */
const abilities: NonNullable<Parts['abilities']> = {
  supports: ({ from }, to) => {
    if (from !== 'en') return { code: 'unsupported', message: `Nobody hears ${from}.`, field: 'from', fix: 'Say en.' };
    if (to === 'es' || to === 'de') return undefined;
    return { code: 'unsupported', message: `Nobody speaks ${to}.`, field: 'to', fix: 'Say es or de.' };
  },
  accepts: ({ engines }) =>
    engines.recognizer?.engine === 'magic'
      ? { code: 'invalid', message: 'There is no such engine.', field: 'engines.recognizer.engine', fix: null }
      : undefined,
};

/** A gateway on a free port with scripted session processes (`session-process.mjs`) and the real SFU. */
export const openGateway = (config: object = {}, parts: Parts = {}): Promise<Gateway> =>
  serve(Config.parse({ rtc: { workers: 1 }, ...config, http: { port: 0 } }), {
    program,
    abilities,
    engines: () => [],
    log: silent,
    ...parts,
  });

export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** One request. `body` goes as it is when it is text, else as JSON. */
export async function ask<T = SessionView>(
  { url }: { readonly url: string },
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const response = await fetch(url + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = response.headers.get('content-type')?.includes('json');
  return { status: response.status, headers: response.headers, body: (json ? JSON.parse(text) : text) as T };
}
export const refused = (
  gateway: { readonly url: string },
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => ask<ApiError>(gateway, method, path, body, headers);

/** Resolves as soon as `probe` answers something true. */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  what: string,
  within = 10_000,
): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + within;
  for (;;) {
    const found = await probe();
    if (found) return found as Exclude<T, false | null | undefined>;
    if (performance.now() > end) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}
