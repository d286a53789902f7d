import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { IngestView } from './protocol.ts';
import { rtmpIngest } from './rtmp/door.ts';
import { newStreamKey } from './rtmp/stream-key.ts';
import type { Source } from './source-spec.ts';

/** A source with what the gateway has to choose for it: a port to wait at, a stream key. */
export async function completed(source: Source): Promise<Source> {
  if (source.kind === 'rtmp') return { ...source, key: source.key ?? newStreamKey() };
  if (source.kind !== 'srt' || source.mode === 'caller') return source;
  return { ...source, port: source.port ?? (await freePort(source.host)) };
}

/** A UDP port that nobody has at present. */
async function freePort(host = '127.0.0.1'): Promise<number> {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' });
  socket.bind(0, host);
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((closed) => socket.close(closed));
  return port;
}

/**
 * What to type into an encoder, as somebody sees it who reached the gateway at `origin`; `null` where nobody publishes so.
 *
 * @param rtmp the gateway's RTMP port, where it is open
 */
export function ingestOf(source: Source, origin: string, rtmp: number | undefined): IngestView | null {
  const { hostname } = new URL(origin);
  if (source.kind === 'rtmp') {
    return source.key === undefined || rtmp === undefined ? null : rtmpIngest(hostname, rtmp, source.key);
  }
  if (source.kind !== 'srt' || source.mode === 'caller' || source.port === undefined) return null;
  const query = new URLSearchParams();
  if (source.streamid !== undefined) query.set('streamid', source.streamid);
  if (source.passphrase !== undefined) query.set('passphrase', source.passphrase);
  return { url: `srt://${hostname}:${source.port}${query.size > 0 ? `?${query.toString()}` : ''}` };
}
