import { z } from 'zod';
import type { Method, Methods } from './protocol.ts';
import { type Refusal, invalid, refuse } from './refusal.ts';

const Id = z.string().min(1).max(64);
/** mediasoup checks these itself. */
const Opaque = z.record(z.string(), z.unknown());
const TrackId = z.custom<Methods['consume']['in']['trackId']>(
  (id) => typeof id === 'string' && /^(original|video|(dub|voice|video):[A-Za-z0-9-]{2,35})$/.test(id),
  { error: 'expected original, video, or dub:, voice: or video: with a language' },
);

/** What a page may send, by method. */
const DATA = {
  join: z.strictObject({ role: z.enum(['viewer', 'publisher']), token: z.string().max(1_024).exactOptional() }),
  createTransport: z.strictObject({ direction: z.enum(['send', 'recv']) }),
  connectTransport: z.strictObject({ transportId: Id, dtlsParameters: Opaque }),
  restartIce: z.strictObject({ transportId: Id }),
  produce: z.strictObject({ transportId: Id, kind: z.enum(['audio', 'video']), rtpParameters: Opaque }),
  closeProducer: z.strictObject({ producerId: Id }),
  consume: z.strictObject({ transportId: Id, trackId: TrackId, rtpCapabilities: Opaque }),
  pause: z.strictObject({ consumerId: Id }),
  resume: z.strictObject({ consumerId: Id }),
} satisfies { [M in Method]: z.ZodType<Methods[M]['in']> };

const Envelope = z.object({ id: z.number().int().min(0), method: z.string(), data: z.unknown() });

export type Asked = {
  [M in Method]: { readonly id: number; readonly method: M; readonly data: Methods[M]['in'] };
}[Method];
/** What came over a socket: a request, one to refuse, or something that cannot even be answered. */
export type Heard =
  { readonly asked: Asked } | { readonly id: number; readonly refused: Refusal } | { readonly unreadable: string };

const known = (method: string): method is Method => Object.hasOwn(DATA, method);

/** Reads one text message. */
export function read(text: string): Heard {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return { unreadable: 'message is not JSON' };
  }
  const envelope = Envelope.safeParse(message);
  if (!envelope.success) {
    const id = (message as { id?: unknown } | null)?.id;
    if (!Number.isSafeInteger(id)) return { unreadable: 'message has no numeric id' };
    return { id: id as number, refused: invalid(envelope.error.issues) };
  }
  const { id, method, data } = envelope.data;
  if (!known(method)) {
    return {
      id,
      refused: refuse(
        'invalid',
        `There is no method '${method.slice(0, 64)}'.`,
        'method',
        `Use one of ${Object.keys(DATA).join(', ')}.`,
      ),
    };
  }
  const parsed = DATA[method].safeParse(data);
  if (!parsed.success) return { id, refused: invalid(parsed.error.issues, 'data') };
  return { asked: { id, method, data: parsed.data } as Asked };
}
