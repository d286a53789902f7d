import type { Socket } from './signalling.ts';

/** The session's socket on the page's own origin. */
export function openSocket(id: string): Socket {
  const url = new URL(`/v1/sessions/${encodeURIComponent(id)}/ws`, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return new WebSocket(url) as Socket; // its handlers are called with more than Socket asks for
}
