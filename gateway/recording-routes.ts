import { z } from 'zod';
import type { Api, Request } from './http.ts';
import { RecordingsShelf, keyFits } from './recordings-shelf.ts';
import { refuse } from './refusal.ts';
import { RecordingListSchema, refusals } from './schemas.ts';

export interface RecordingRoutesOptions {
  /** Where recordings are. */
  readonly directory: string;
  readonly token: string | undefined;
  /** Whether a request has the token, where there is one. */
  readonly permitted: (request: Request) => boolean;
  /** Refuses requests without it. */
  readonly guarded: { readonly onRequest: (request: Request) => Promise<void> };
  /** What the description says of a route that needs it. */
  readonly secured: object;
}

/** `/v1/recordings`: finished recordings are listed, sent and deleted. */
export function recordingRoutes(
  v1: Api,
  { directory, token, permitted, guarded, secured }: RecordingRoutesOptions,
): void {
  const shelf = new RecordingsShelf(directory, token);
  v1.get(
    '/v1/recordings',
    {
      ...guarded,
      schema: {
        summary: 'List the finished recordings, the newest first',
        tags: ['recordings'],
        ...secured,
        response: { 200: RecordingListSchema, ...refusals(401) },
      },
    },
    async () => ({ recordings: await shelf.list() }),
  );
  const Name = z.object({ name: z.string().describe('As in the list.') });
  v1.delete(
    '/v1/recordings/:name',
    {
      ...guarded,
      schema: {
        summary: 'Delete a recording with its pictures',
        tags: ['recordings'],
        ...secured,
        params: Name,
        response: { 204: z.undefined().describe('Deleted.'), ...refusals(401, 404) },
      },
    },
    async (request, reply) => {
      await shelf.remove(request.params.name);
      return reply.code(204).send();
    },
  );
  v1.get(
    '/v1/recordings/:name/:key/:file',
    {
      schema: {
        summary: 'A file of a recording, or a part of it (Range); the list has its address',
        tags: ['recordings'],
        params: Name.extend({
          key: z.string().describe('As in the list; anything with the token.'),
          file: z.string(),
        }),
        response: {
          200: { description: 'The file.', content: { '*/*': { schema: z.any() } } },
          206: { description: 'A part of it.', content: { '*/*': { schema: z.any() } } },
          ...refusals(401, 404),
        },
      },
    },
    async (request, reply) => {
      const { name, key, file } = request.params;
      if (!keyFits(token, name, key, Date.now()) && !permitted(request))
        throw refuse('unauthorized', 'This address is not valid any more.', 'key', 'Ask for the list again.');
      const { range, 'if-none-match': ifNoneMatch } = request.headers;
      const ifRange = request.headers['if-range']?.toString();
      const piece = await shelf.open(name, file, { method: request.method, range, ifRange, ifNoneMatch });
      reply.raw.on('close', () => piece.body.destroy());
      // The schema is of what is read from the stream in the end.
      return reply
        .code(piece.status as 200)
        .headers(piece.headers)
        .send(piece.body);
    },
  );
}
