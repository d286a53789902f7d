import { bearerOf } from '../bearer.ts';
import type { Config } from '../config.ts';
import type { HostedSession } from '../hosted-session.ts';
import type { Log } from '../log.ts';
import { Refusal, refuse } from '../refusal.ts';
import type { Room } from '../room.ts';
import type { Sessions } from '../sessions.ts';
import type { Sfu } from '../sfu.ts';
import { readFragment, writeFragment } from './fragment.ts';
import { Lobby } from './lobby.ts';
import { readOffer } from './offer.ts';
import { publish } from './publish.ts';
import { Resource } from './resource.ts';
import { soundOf, view } from './view.ts';

export interface WhipOptions {
  readonly sessions: Sessions;
  readonly sfu: Sfu;
  readonly iceServers: Config['rtc']['iceServers'];
  readonly mostViewers: number;
  readonly permitted: (token: string | undefined) => boolean;
  readonly log: Log;
}
/** An HTTP request, as far as it matters here. */
export interface Asked {
  readonly method: string;
  readonly kind: 'whip' | 'whep';
  /** Of the session. */
  readonly id: string;
  readonly resource?: string | undefined;
  /** It is about the language of the resource. */
  readonly language: boolean;
  readonly query: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
}

const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';
const LANGUAGE = 'urn:livedub:params:whep:ext:language';
/** For pages from elsewhere (RFC 9725 §4.1). */
export const CORS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After',
} as const;

const answer = (status: number, body = '', headers: Answer['headers'] = {}): Answer => ({ status, headers, body });
const problem = (status: number, error: Refusal, headers: Answer['headers'] = {}): Answer =>
  answer(status, JSON.stringify(error.error), { 'content-type': 'application/json; charset=utf-8', ...headers });

/** WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): publishing and watching by one HTTP request. */
export function openWhip(options: WhipOptions): (asked: Asked) => Promise<Answer> {
  const resources = new Map<string, Resource>();
  const lobbies = new WeakMap<Room, Lobby>();
  const links = options.iceServers.flatMap(iceLinks);

  const lobbyOf = (room: Room): Lobby => {
    const lobby = lobbies.get(room) ?? new Lobby(room, options.sfu);
    lobbies.set(room, lobby);
    return lobby;
  };
  const found = ({ kind, id, resource = '' }: Asked): Resource => {
    const one = resources.get(`${kind}/${resource}`);
    if (!one || one.session.id !== id)
      throw refuse(
        'not_found',
        'There is no such resource any more.',
        null,
        `POST an offer to /v1/sessions/${id}/${kind}.`,
      );
    return one;
  };

  /** A publisher whose network broke off comes back before its connection has died. */
  const replaceSilent = async (session: HostedSession): Promise<void> => {
    for (const [key, resource] of resources) {
      if (!key.startsWith('whip/') || resource.session !== session || !(await resource.isSilent())) continue;
      options.log.info({ session: session.id }, 'silent publisher let go of');
      resource.close();
    }
  };

  const post = async (asked: Asked): Promise<Answer> => {
    const { kind, id, headers } = asked;
    const session = options.sessions.get(id);
    const type = mediaType(headers['content-type']);
    if (type !== SDP) return wrongType(SDP, 'accept-post');
    const accept = String(headers['accept'] ?? '*/*');
    if (!/application\/(sdp|\*)|\*\/\*/i.test(accept))
      return problem(406, refuse('unsupported', 'The answer is a session description.', 'accept', `Accept ${SDP}.`));
    if (session.over) throw refuse('conflict', 'The session is over.', null, 'Create another one.');
    const offer = readOffer(typeof asked.body === 'string' ? asked.body : '');
    const wish = kind === 'whep' ? wishOf(asked, session) : {};
    if (kind === 'whip' && session.spec.source.kind !== 'webrtc')
      throw refuse(
        'conflict',
        'This session’s programme comes from elsewhere.',
        null,
        'Create a session with source.kind "webrtc".',
      );
    if (kind === 'whep' && session.viewers >= options.mostViewers)
      return problem(
        503,
        refuse('unavailable', `This session has its ${options.mostViewers} viewers.`, null, 'Try again later.'),
        { 'retry-after': '10' },
      );
    // While a publisher is away there is a slate to see.
    const begun = session.state !== 'starting' && (session.state !== 'waiting' || session.tracks.some(isPicture));
    if (kind === 'whep' && !begun)
      return problem(409, refuse('conflict', 'There is nothing to watch yet.', null, 'Try again in a moment.'), {
        'retry-after': '2',
      });
    if (kind === 'whip') await replaceSilent(session);
    const resource = new Resource(session, kind === 'whip' ? 'publisher' : 'viewer');
    try {
      const room = await session.room.catch((cause: unknown) => {
        throw refuse('unavailable', 'The media server is not there.', null, 'Try again in a moment.', cause);
      });
      resource.standing();
      resource.section = offer.section;
      const body =
        kind === 'whip' ? await publish(offer, room, resource) : await view(offer, room, lobbyOf(room), resource, wish);
      const key = `${kind}/${resource.id}`;
      resources.set(key, resource);
      resource.defer(() => resources.delete(key));
      const location = `/v1/sessions/${id}/${kind}/${resource.id}`;
      const language = resource.switchTo ? [`<${location}/language>; rel="${LANGUAGE}"`] : [];
      const link = [...links, ...language];
      options.log.info({ session: id, kind }, 'client answered');
      return answer(201, body, {
        'content-type': SDP,
        location,
        etag: resource.etag,
        'accept-patch': FRAGMENT,
        ...(link.length > 0 ? { link } : {}),
      });
    } catch (cause) {
      const gone = resource.closed;
      resource.close();
      if (gone && !(cause instanceof Refusal))
        throw refuse('unavailable', 'The media server was restarted.', null, 'Try again in a moment.', cause);
      throw cause;
    }
  };

  const patch = async (asked: Asked): Promise<Answer> => {
    const resource = found(asked);
    if (mediaType(asked.headers['content-type']) !== FRAGMENT) return wrongType(FRAGMENT, 'accept-patch');
    const match = asked.headers['if-match'];
    if (match === undefined)
      return problem(
        428,
        refuse('invalid', 'The ETag is missing.', 'if-match', 'Send If-Match with the ETag; "*" restarts ICE.'),
      );
    const fragment = readFragment(typeof asked.body === 'string' ? asked.body : '');
    // RFC 9725 §4.3.3 writes it in quotes, RFC 9110 §13.1.1 without.
    if (match === '*' || match === '"*"') {
      if (!fragment.ice)
        throw refuse('invalid', 'An ICE restart needs a=ice-ufrag and a=ice-pwd.', 'body', 'Send the new ones.');
      const body = writeFragment(await resource.restartIce(), resource.section);
      return answer(200, body, { 'content-type': FRAGMENT, etag: resource.etag });
    }
    if (match !== resource.etag)
      return problem(
        412,
        refuse('conflict', 'The ETag is of another ICE session.', 'if-match', 'Send the newest ETag.'),
      );
    return answer(204, '', { etag: resource.etag });
  };

  const language = async (asked: Asked): Promise<Answer> => {
    const resource = found(asked);
    if (mediaType(asked.headers['content-type']) !== 'application/json')
      return wrongType('application/json', 'accept-post');
    const wanted = languageIn(asked.body);
    if (!resource.switchTo)
      throw refuse('conflict', 'This viewer’s language cannot be changed.', null, 'POST a new offer with ?language=.');
    return answer(200, JSON.stringify(await resource.switchTo(wanted)), {
      'content-type': 'application/json; charset=utf-8',
    });
  };

  const route = async (asked: Asked): Promise<Answer> => {
    const allowed = asked.language
      ? 'OPTIONS, POST'
      : asked.resource === undefined
        ? 'OPTIONS, POST'
        : 'OPTIONS, PATCH, DELETE';
    const accepted = asked.language
      ? { 'accept-post': 'application/json' }
      : asked.resource === undefined
        ? { 'accept-post': SDP }
        : { 'accept-patch': FRAGMENT };
    if (asked.method === 'OPTIONS')
      return answer(204, '', {
        allow: allowed,
        ...accepted,
        'access-control-allow-methods': allowed,
        'access-control-allow-headers': 'Authorization, Content-Type, If-Match',
        'access-control-max-age': '86400',
      });
    if (!allowed.includes(asked.method))
      return problem(405, refuse('invalid', `${asked.method} does nothing here.`, null, `Use ${allowed}.`), {
        allow: allowed,
      });
    if (asked.kind === 'whip') {
      const bearer = bearerOf(asked.headers['authorization']?.toString());
      if (!options.permitted(bearer))
        return problem(
          401,
          refuse(
            'unauthorized',
            'Publishing needs the gateway’s token.',
            'authorization',
            'Send "Authorization: Bearer <auth.token>".',
          ),
          // RFC 6750 §3.
          { 'www-authenticate': bearer === undefined ? 'Bearer' : 'Bearer error="invalid_token"' },
        );
    }
    if (asked.language) return language(asked);
    if (asked.method === 'POST') return post(asked);
    if (asked.method === 'PATCH') return patch(asked);
    found(asked).close();
    return answer(200);
  };
  return (asked) =>
    route(asked).catch((thrown: unknown) => {
      if (!(thrown instanceof Refusal)) throw thrown;
      return problem(thrown.status, thrown, thrown.error.code === 'unavailable' ? { 'retry-after': '1' } : {});
    });
}

const isPicture = ({ kind }: { readonly kind: string }) => kind === 'video';
const mediaType = (header: string | string[] | undefined) =>
  String(header ?? '')
    .split(';')[0]
    ?.trim()
    .toLowerCase();
const wrongType = (type: string, header: string): Answer =>
  problem(415, refuse('unsupported', 'The body is of a type that is not read here.', 'content-type', `Send ${type}.`), {
    [header]: type,
  });

function wishOf({ query }: Asked, session: HostedSession) {
  const { language, voice = 'mixed', delay = 'auto', ...others } = query;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw refuse(
      'invalid',
      `'${unknown.slice(0, 40)}' is not known here.`,
      unknown.slice(0, 40),
      'Use language, voice and delay.',
    );
  if (language !== undefined && typeof language !== 'string')
    throw refuse('invalid', "'language' is given twice.", 'language', 'Give it once.');
  if (voice !== 'mixed' && voice !== 'alone')
    throw refuse('invalid', "'voice' is wrong.", 'voice', 'Use "mixed" or "alone".');
  // Everybody watches the same programme at the same moment.
  const own = session.spec.delay;
  if (delay !== 'auto' && (own === 'auto' || Number(delay) !== own))
    throw refuse(
      'unsupported',
      'A session has one delay for all its viewers.',
      'delay',
      `Leave it out${own === 'auto' ? '' : `, or give ${own}`}.`,
    );
  soundOf(session, { language, voice });
  return { language, voice } as const;
}

function languageIn(body: unknown): string {
  try {
    const { language } = JSON.parse(String(body)) as { language?: unknown };
    if (typeof language === 'string') return language;
  } catch (cause) {
    throw refuse('bad_json', 'The body is not JSON.', null, 'Send {"language":"es"}.', cause);
  }
  throw refuse('invalid', "'language' is missing.", 'language', 'Send {"language":"es"}.');
}

/** RFC 9725 §4.6. */
function iceLinks({ urls, username, credential }: Config['rtc']['iceServers'][number]): string[] {
  const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`;
  const login =
    username === undefined
      ? ''
      : `; username=${quoted(username)}; credential=${quoted(credential ?? '')}; credential-type="password"`;
  return [urls].flat().map((url) => `<${url}>; rel="ice-server"${login}`);
}
