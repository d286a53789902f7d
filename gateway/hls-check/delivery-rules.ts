import { type Finding, finder } from './rules.ts';

/** What matters of an answer besides its body. */
export interface Reply {
  readonly name: string;
  readonly status: number;
  readonly redirected: boolean;
  readonly header: (name: string) => string | null;
}
export interface Asked {
  readonly what: 'multivariant' | 'playlist' | 'media';
  /** A playlist that changes, and that was not asked for by its number. */
  readonly live: boolean;
  /** Seconds that such a playlist is new for. */
  readonly fresh: number;
}

const PLAYLISTS = new Set([
  'application/vnd.apple.mpegurl',
  'audio/mpegurl',
  'application/x-mpegurl',
  'audio/x-mpegurl',
]);
const MEDIA = /^(video\/(mp4|mp2t|iso\.segment)|audio\/(mp4|aac|mpeg)|text\/vtt|application\/mp4)$/u;

/** How playlists and media are served. */
export function deliveryFindings(reply: Reply, { what, live, fresh }: Asked, at: string): Finding[] {
  const find = finder(at);
  const all: Finding[] = [];
  const type = reply.header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? '';
  const cache = reply.header('cache-control')?.toLowerCase();
  const age = Number(/(?:^|[\s,])max-age=(\d+)/u.exec(cache ?? '')?.[1] ?? NaN);
  if (what === 'media') {
    if (!MEDIA.test(type)) all.push(find('media-type', `${reply.name}: ${type || 'no type'}`));
    if (cache === undefined || /no-store|no-cache/u.test(cache) || !(age >= 1))
      all.push(find('cache-none', `${reply.name}: ${cache ?? 'no Cache-Control'}`));
    if (reply.redirected) all.push(find('redirect', reply.name));
  } else {
    const plain = new URL(reply.name, 'http://x').pathname.endsWith('.m3u8');
    if (!PLAYLISTS.has(type) && !(plain && type === '')) all.push(find('playlist-type', type || 'no type'));
    if (!/gzip|br|zstd/u.test(reply.header('content-encoding') ?? '')) all.push(find('no-gzip', 'not compressed'));
    if (live && (cache === undefined || age > fresh)) all.push(find('cache-stale', cache ?? 'no Cache-Control'));
  }
  if (reply.header('access-control-allow-origin') === null) all.push(find('no-cors', what));
  return all;
}
