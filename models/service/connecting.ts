import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';

/** What a caller of `fetch` wants to know of its request. */
export interface Connecting {
  /** The request waits for a connection. */
  readonly waiting: () => void;
  /** It has one: new, or one that was open. */
  readonly connected: () => void;
}

const asking = new AsyncLocalStorage<Connecting>();
const waiting = new WeakMap<object, Connecting>();
let listening = false;

const requestIn = (message: unknown): object | undefined => {
  if (typeof message !== 'object' || message === null || !('request' in message)) return undefined;
  return typeof message.request === 'object' && message.request !== null ? message.request : undefined;
};

/**
 * Calls `ask`, which calls `fetch` once, and tells when the request has a connection: `fetch` itself says nothing before
 * the answer begins, and a host that cannot be reached should not take as long as a model that thinks.
 *
 * A runtime whose `fetch` does not say (undici's diagnostics channels) calls neither of the two.
 *
 * @see https://github.com/nodejs/undici/blob/main/docs/docs/api/DiagnosticsChannel.md
 */
export function connecting<T>(watch: Connecting, ask: () => Promise<T>): Promise<T> {
  if (!listening) {
    listening = true;
    subscribe('undici:request:create', (message) => {
      const [request, asker] = [requestIn(message), asking.getStore()];
      if (!request || !asker) return;
      waiting.set(request, asker);
      asker.waiting();
    });
    subscribe('undici:client:sendHeaders', (message) => {
      const request = requestIn(message);
      if (request) waiting.get(request)?.connected();
    });
  }
  return asking.run(watch, ask);
}
