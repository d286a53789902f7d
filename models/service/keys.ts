import { z } from 'zod';
import { Fault } from '../../pipeline/fault.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import type { Need } from '../engine.ts';

/**
 * Keys of services: read from the environment at each request, never part of settings, messages, logs or addresses.
 *
 * Settings come from whoever may start a session, so a setting that names a variable must not be able to send it
 * anywhere. A key goes to the service it belongs to, to a server on this machine, and to the hosts that whoever runs
 * Livedub lists in `LIVEDUB_KEY_HOSTS`, as in `GROQ_API_KEY=api.groq.com MY_API_KEY=tts.example.org:8443`.
 */

/** Which key a service takes, and where the service is. */
export interface Service {
  /** Its variable in the environment, such as `OPENAI_API_KEY`. */
  readonly variable: string;
  /** Where it is, such as `https://api.openai.com/v1`. */
  readonly url: string;
}

/** A setting that names the variable a key is in. What looks like a key itself is refused, unrepeated. */
export const keyFrom = z
  .string()
  .max(64)
  .regex(/^[A-Z][A-Z0-9_]*_(KEY|TOKEN)$/, {
    error: 'name the environment variable that holds the key, such as OPENAI_API_KEY; the key itself is no setting',
  })
  .describe('Name of the environment variable that holds the key.');

/** Whoever runs Livedub must have set a variable before an engine can load. */
export const needsVariable = (...names: string[]): Need => ({
  install: `environment variable ${names.join(' or ')}`,
  present: () => names.some((name) => (process.env[name] ?? '') !== ''),
});

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;
const permitted = (): string[] => (process.env['LIVEDUB_KEY_HOSTS'] ?? '').split(/[\s,]+/).filter(Boolean);

/** Whether the key in `variable` may be sent to the host of `url`. */
export function mayGoTo(variable: string, url: URL, service?: Service): boolean {
  if (service?.variable === variable && new URL(service.url).origin === url.origin) return true;
  return LOOPBACK.test(url.hostname) || permitted().includes(`${variable}=${url.host}`);
}

/**
 * The key in `variable`, for the host of `url`.
 *
 * Throws a `broken` fault, which names the variable and the fix, when there is none, when it cannot be sent as a header
 * or when it may not go to this host.
 */
export function keyFor(variable: string, url: URL, stage: StageKind, service?: Service): string {
  const broken = (message: string) => new Fault(stage, 'broken', message);
  if (!mayGoTo(variable, url, service)) {
    throw broken(
      `the key in ${variable} may not be sent to ${url.host}: add ${variable}=${url.host} to LIVEDUB_KEY_HOSTS`,
    );
  }
  const key = (process.env[variable] ?? '').trim();
  if (key === '') throw broken(`${url.host} needs a key: set the environment variable ${variable}`);
  // The message of a header that cannot be sent would have the key in it.
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw broken(`the key in ${variable} has characters no key has: set the environment variable again`);
  }
  return key;
}

/** `text` with every secret in it blotted out. */
export function redacted(text: string, secrets: readonly string[]): string {
  return secrets.filter((secret) => secret !== '').reduce((clean, secret) => clean.replaceAll(secret, '[key]'), text);
}
