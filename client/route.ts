/** Which page an address shows. */
export type Route =
  | { readonly page: 'sessions' }
  | { readonly page: 'watch'; readonly id: string }
  | { readonly page: 'publish'; readonly id: string; readonly autostart: string | null }
  | { readonly page: 'missing'; readonly path: string };

/**
 * Reads an address. `origin` is the page's own: `?autostart=file&src=…` names a file that is published without a dialog,
 * and only one of the same origin is taken, so that a link cannot make a page send somebody else's media.
 */
export function routeOf(path: string, query = '', origin = 'http://localhost'): Route {
  const [, page, id, ...rest] = path.replace(/\/+$/, '').split('/');
  if (!page) return { page: 'sessions' };
  const name = decoded(id);
  if (!name || rest.length > 0) return { page: 'missing', path };
  if (page === 'watch') return { page, id: name };
  if (page === 'publish') return { page, id: name, autostart: autostartOf(new URLSearchParams(query), origin) };
  return { page: 'missing', path };
}

export const watchPath = (id: string) => `/watch/${encodeURIComponent(id)}`;
export const publishPath = (id: string) => `/publish/${encodeURIComponent(id)}`;

function decoded(part: string | undefined): string | undefined {
  try {
    return part === undefined ? undefined : decodeURIComponent(part);
  } catch {
    return undefined; // a stray % in a hand-typed address
  }
}

function autostartOf(query: URLSearchParams, origin: string): string | null {
  const src = query.get('src');
  if (query.get('autostart') !== 'file' || !src) return null;
  const url = URL.canParse(src, origin) ? new URL(src, origin) : undefined;
  return url?.origin === origin ? url.pathname + url.search : null;
}
