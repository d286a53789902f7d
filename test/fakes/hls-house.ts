import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Hls, type HlsOptions } from '../../gateway/outlet/hls/hls.ts';
import type { OutTrack } from '../../gateway/outlet/outlet.ts';
import { Outputs, type HlsSpec } from '../../gateway/source-spec.ts';
import { Scope } from '../../media/scope.ts';
import { type MediaTime, at } from '../../media/time.ts';
import type { EncodedClip } from './encoded-clip.ts';

export const DATE = Date.UTC(2026, 0, 1);
export const track = (id: OutTrack['id'], language: string | null, title: string): OutTrack => ({
  id,
  kind: id.startsWith('video') ? 'video' : 'audio',
  language,
  title,
  codec: id.startsWith('video') ? 'H264' : 'Opus',
});
export const TRACKS = [
  track('video', null, 'Picture'),
  track('original', 'en', 'Original'),
  track('dub:es', 'es', 'español'),
  track('voice:es', 'es', 'español'),
];

export function openHls(spec: Partial<HlsSpec> = {}, options: HlsOptions = {}) {
  const scope = new Scope('hls test');
  const complaints: string[] = [];
  const context = {
    session: 's1',
    name: 'Test',
    from: 'en',
    dateOf: (media: MediaTime) => DATE + media / 1_000,
    complain: (message: string) => void complaints.push(message),
  };
  const hls = Hls.open({ ...Outputs.parse({}).hls, ...spec }, context, scope, options);
  return { hls, scope, complaints };
}

type One = { readonly track: OutTrack['id']; readonly clip: EncodedClip; readonly start: MediaTime } & (
  | { readonly kind: 'picture'; readonly keyFrame: boolean; readonly data: Uint8Array }
  | { readonly kind: 'sound'; readonly data: Uint8Array }
);
/** Pictures and sound in the order of time, `offset` µs later than they were recorded. */
export function inOrder(clips: { readonly [track: string]: EncodedClip }, offset = 0): One[] {
  return Object.entries(clips)
    .flatMap(([id, clip]): One[] => {
      const track = id as OutTrack['id'];
      return id.startsWith('video')
        ? clip.pictures.map((one) => ({ kind: 'picture', track, clip, ...one }))
        : clip.sound.map((one) => ({ kind: 'sound', track, clip, ...one }));
    })
    .map((one) => ({ ...one, start: at(one.start + offset) }))
    .sort((a, b) => a.start - b.start);
}
export function give(hls: Hls, one: One): void {
  const { track: id, start, data } = one;
  const { width, height } = one.clip;
  if (one.kind === 'picture')
    hls.picture({ track: id, codec: 'H264', width, height, start, keyFrame: one.keyFrame, data });
  else hls.sound({ track: id, start, data });
}

/** The outlet by HTTP, as the gateway serves it, with other files beside it. */
export async function serve(
  hls: Hls,
  files: Readonly<Record<string, { type: string; body: string | Uint8Array }>> = {},
) {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    asked.push(request.url ?? '');
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const file = files[url.pathname];
    if (file) return void response.setHeader('content-type', file.type).end(file.body);
    hls
      .answer({
        path: url.pathname.replace(/^\/hls\//, ''),
        query: Object.fromEntries(url.searchParams),
        signal: gone.signal,
      })
      .then(({ status, headers, body }) => response.writeHead(status, headers).end(body))
      .catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}
