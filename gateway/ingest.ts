import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { IngestView } from './protocol.ts';
import type { Source } from './source-spec.ts';

/** The application part of RTMP addresses. */
export const RTMP_APP = 'live';

/** A source with what the gateway has to choose for it: a stream key, a port to wait at. */
export async function completed(source: Source): Promise<Source> {
  if (source.kind === 'rtmp') return { ...source, key: source.key ?? randomBytes(18).toString('base64url') };
  if (source.kind === 'srt' && source.mode === 'listener') {
    return { ...source, port: source.port ?? (await freePort(source.host)) };
  }
  return source;
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
 * What to type into an encoder, as somebody sees it who reached the gateway at `origin`; `null` where nobody publishes.
 *
 * @param rtmp the port that RTMP publishers come to
 */
export function ingestOf(id: string, source: Source, origin: string, rtmp: number): IngestView | null {
  const { hostname } = new URL(origin);
  switch (source.kind) {
    case 'webrtc':
      return { url: `${origin}/v1/sessions/${id}/whip`, key: null };
    case 'rtmp':
      return { url: `rtmp://${hostname}:${rtmp}/${RTMP_APP}`, key: source.key ?? null };
    case 'srt': {
      if (source.mode === 'caller' || source.port === undefined) return null;
      const query = new URLSearchParams();
      if (source.streamid !== undefined) query.set('streamid', source.streamid);
      if (source.passphrase !== undefined) query.set('passphrase', source.passphrase);
      return { url: `srt://${hostname}:${source.port}${query.size > 0 ? `?${query.toString()}` : ''}`, key: null };
    }
    default:
      return null;
  }
}
