import { z } from 'zod';
import { refusals } from '../schemas.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
type Method = (typeof METHODS)[number];
/** A path, or what is done to it, as Fastify takes it and the API's description shows it. */
interface Route {
  readonly kind: 'whip' | 'whep';
  /** Behind `/v1/sessions/:id/whip` or `/whep`. */
  readonly path: '' | '/:resource' | '/:resource/language';
  readonly methods: readonly Method[];
  readonly schema: object;
}

const SESSION = { id: z.string().describe('The session’s id.') };
const RESOURCE = { ...SESSION, resource: z.string().describe('As the Location of the answer has it.') };
const text = (type: string, description: string) => ({ description, content: { [type]: { schema: z.string() } } });
const done = (description: string) => z.undefined().describe(description);

/**
 * The routes of WHIP and WHEP. What is no use of them is answered too, but not described.
 *
 * @param secured what the description says of a route that needs the token
 */
export function whipRoutes(secured: object): Route[] {
  return (['whip', 'whep'] as const).flatMap((kind): Route[] => {
    const whip = kind === 'whip';
    const guard = whip ? secured : {};
    const also = whip ? [401] : [];
    const tags = ['media'];
    const described: Route[] = [
      {
        kind,
        path: '',
        methods: ['POST'],
        schema: {
          summary: whip
            ? 'Publish by WHIP (RFC 9725): an SDP offer, answered'
            : 'Watch by WHEP (draft-ietf-wish-whep): an SDP offer, answered',
          ...{ tags, ...guard, consumes: ['application/sdp'], body: z.string(), params: z.object(SESSION) },
          ...(whip
            ? {}
            : {
                querystring: z.object({
                  language: z.string().optional().describe('BCP 47, or "original"; the first dub unless told.'),
                  voice: z.enum(['mixed', 'alone']).optional().describe('"alone": the dub’s voices without the rest.'),
                  delay: z.string().optional().describe('The session’s own, or "auto": everybody sees it at once.'),
                }),
              }),
          response: {
            201: text('application/sdp', 'The answer. Location is the resource, ETag its ICE session.'),
            ...refusals(400, ...also, 404, 406, 409, 413, 415, 422, 503),
          },
        },
      },
      {
        kind,
        path: '/:resource',
        methods: ['PATCH'],
        schema: {
          summary: 'Trickle candidates, or restart ICE with If-Match "*" (RFC 8840)',
          ...{ tags, ...guard, consumes: ['application/trickle-ice-sdpfrag'] },
          ...{ body: z.string(), params: z.object(RESOURCE) },
          response: {
            200: text('application/trickle-ice-sdpfrag', 'ICE was restarted: the gateway’s new side of it.'),
            204: done('Taken.'),
            ...refusals(400, ...also, 404, 412, 415, 428),
          },
        },
      },
      {
        kind,
        path: '/:resource',
        methods: ['DELETE'],
        schema: {
          summary: whip ? 'Stop publishing' : 'Stop watching',
          ...{ tags, ...guard, params: z.object(RESOURCE) },
          response: { 200: done('It is over.'), ...refusals(...also, 404) },
        },
      },
    ];
    if (!whip) {
      described.push({
        kind,
        path: '/:resource/language',
        methods: ['POST'],
        schema: {
          summary: 'Hear another language, without a new offer',
          ...{ tags, params: z.object(RESOURCE) },
          body: z.object({ language: z.string().describe('BCP 47, or "original".') }),
          response: {
            200: z.object({ language: z.string(), track: z.string() }).describe('What is heard from now on.'),
            ...refusals(400, 404, 409, 415),
          },
        },
      });
    }
    const paths = [...new Set(described.map(({ path }) => path))];
    const others = paths.map((path): Route => {
      const taken = described.filter((route) => route.path === path).flatMap(({ methods }) => methods);
      return { kind, path, methods: METHODS.filter((method) => !taken.includes(method)), schema: { hide: true } };
    });
    return [...described, ...others];
  });
}
