import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { Malformed } from './datatypes.ts';
import { type Body, JSON_LENGTH, jsonLength, readRequest, responseBody } from './http-inference.ts';
import { type InferenceServer, VERSION, troubleOf } from './inference-server.ts';
import { deadlineOf } from './timeout.ts';
import { bearerCheck } from './token.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** What clients must carry; nothing where anybody may ask. Health is told to everybody. */
  readonly token?: string | undefined;
}
export interface HttpListenOptions extends ListenOptions {
  /** What is answered at `/metrics`; nothing unless given. */
  readonly metrics?: { readonly contentType: string; readonly text: () => Promise<string> } | undefined;
}

/** Largest body that is taken, bytes. */
export const MOST_BYTES = 256 * 1024 * 1024;
/** How long a stop waits for answers that are being sent, ms. */
const GRACE = 3_000;

const claim = z.strictObject({
  model: z.string(),
  faces: z.int().min(0).max(1_000),
  fps: z.number().positive().max(240).optional(),
});

/** A refusal of the transport's own. */
class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** How many connections came before: their names. */
let connections = 0;

/** Answers the inference protocol over HTTP. Stops listening, then waits for what is being answered, when `scope` closes. */
export async function listenHttp(
  server: InferenceServer,
  { host, port, token, metrics }: HttpListenOptions,
  scope: Scope,
): Promise<{ readonly port: number }> {
  const permitted = bearerCheck(token);
  const names = new WeakMap<object, string>();
  const http = createServer((request, reply) => {
    answer(request, reply).catch((thrown: unknown) => {
      const { status, message } = thrown instanceof Refused ? thrown : troubleOf(thrown);
      // What is left of a body that was refused would be taken for the next request.
      if (!request.complete) reply.setHeader('connection', 'close');
      json(reply, status, { error: message });
    });
  });
  http.on('connection', (socket) => {
    connections += 1;
    names.set(socket, `http-${connections}`);
    socket.setNoDelay(true);
  });
  // Between two pictures of a quiet session there may be a while.
  http.keepAliveTimeout = 60_000;

  const answer = async (request: IncomingMessage, reply: ServerResponse): Promise<void> => {
    if (!server.ready) reply.setHeader('connection', 'close');
    const { method = 'GET', headers } = request;
    const { pathname } = new URL(request.url ?? '/', 'http://server');
    const [root, ...parts] = pathname.split('/').slice(1).map(unescaped);
    const path = parts.join('/');
    if (root === 'v2' && path === 'health/live') return expectGet(method, () => json(reply, 200, { live: true }));
    if (root === 'v2' && path === 'health/ready') {
      return expectGet(method, () => json(reply, server.ready ? 200 : 503, { ready: server.ready, live: true }));
    }
    if (!permitted(headers.authorization)) throw new Refused(401, 'Send "Authorization: Bearer <token>"');
    if (root === 'metrics' && path === '' && metrics) {
      const text = await metrics.text();
      return send(reply, 200, metrics.contentType, { json: undefined, parts: [Buffer.from(text)] });
    }
    if (root !== 'v2') throw new Refused(404, `There is nothing at ${pathname}`);
    if (path === '') {
      const { name, version, extensions } = server;
      return expectGet(method, () => json(reply, 200, { name, version, extensions }));
    }
    if (path === 'livedub/capacity') return expectGet(method, () => json(reply, 200, server.capacity()));
    if (parts[0] === 'livedub' && parts[1] === 'sessions' && parts.length === 3) {
      return await session(request, reply, parts[2] ?? '');
    }
    if (parts[0] !== 'models' || !parts[1]) throw new Refused(404, `There is nothing at ${pathname}`);
    const model = parts[1];
    const version = parts[2] === 'versions' ? (parts[3] ?? '') : '';
    const rest = parts.slice(parts[2] === 'versions' ? 4 : 2).join('/');
    if (rest === '') return expectGet(method, () => json(reply, 200, server.metadata(model, version)));
    if (rest === 'ready') {
      return expectGet(method, () => {
        const { name } = server.metadata(model, version);
        json(reply, server.ready ? 200 : 503, { name, ready: server.ready });
      });
    }
    if (rest === 'infer') return await infer(request, reply, model, version);
    throw new Refused(404, `There is nothing at ${pathname}`);
  };

  const infer = async (request: IncomingMessage, reply: ServerResponse, model: string, version: string) => {
    if (request.method !== 'POST') throw new Refused(405, 'Inferences are asked for with POST');
    const came = server.clock.now();
    // A model that is not there need not be told all the numbers.
    server.metadata(model, version);
    const asked = readRequest(await bodyOf(request), jsonLength(header(request, JSON_LENGTH)));
    const gone = new AbortController();
    reply.once('close', () => gone.abort(new Error('The client left')));
    const outputs = await server.infer({
      model,
      version,
      inputs: asked.inputs,
      outputs: asked.outputs,
      parameters: asked.parameters,
      connection: names.get(request.socket) ?? 'http',
      deadline: deadlineOf(asked.parameters, came),
      signal: gone.signal,
    });
    const body = responseBody({ name: model, version: version || VERSION }, asked, outputs);
    send(reply, 200, body.json === undefined ? 'application/json' : 'application/octet-stream', body);
  };

  const session = async (request: IncomingMessage, reply: ServerResponse, name: string) => {
    if (request.method === 'DELETE') server.release(name);
    else if (request.method === 'PUT') {
      const parsed = claim.safeParse(parse(await bodyOf(request)));
      if (!parsed.success) throw new Malformed(z.prettifyError(parsed.error));
      server.claim(name, parsed.data.model, parsed.data.faces, parsed.data.fps);
    } else throw new Refused(405, 'Faces are claimed with PUT and released with DELETE');
    json(reply, 200, server.capacity());
  };

  await new Promise<void>((done, failed) => {
    http.once('error', failed);
    http.listen(port, host, done);
  });
  scope.defer(async () => {
    const closed = new Promise<void>((done) => http.close(() => done()));
    http.closeIdleConnections();
    const cut = setTimeout(() => http.closeAllConnections(), GRACE);
    await closed;
    clearTimeout(cut);
  });
  return { port: (http.address() as AddressInfo).port };
}

const header = ({ headers }: IncomingMessage, name: string) => {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
};
function unescaped(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Refused(400, `'${part}' is no part of an address`);
  }
}
function expectGet(method: string, act: () => void): void {
  if (method !== 'GET' && method !== 'HEAD') throw new Refused(405, 'This is read with GET');
  act();
}
function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw new Malformed('The body is no JSON');
  }
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const coding = request.headers['content-encoding'] ?? 'identity';
  if (coding !== 'identity') throw new Refused(415, `Bodies are taken as they are, not as ${coding}`);
  const tooLarge = () => new Refused(413, `Bodies of up to ${MOST_BYTES} bytes are taken`);
  if (Number(request.headers['content-length'] ?? 0) > MOST_BYTES) throw tooLarge();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    if (length > MOST_BYTES) throw tooLarge();
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts, length);
}

const json = (reply: ServerResponse, status: number, value: object) =>
  send(reply, status, 'application/json', { json: undefined, parts: [Buffer.from(JSON.stringify(value))] });

function send(reply: ServerResponse, status: number, type: string, { json: head, parts }: Body): void {
  if (reply.headersSent || reply.destroyed) return;
  reply.writeHead(status, {
    'content-type': type,
    'content-length': parts.reduce((sum, part) => sum + part.length, 0),
    ...(head !== undefined && { [JSON_LENGTH]: head }),
  });
  reply.cork();
  for (const part of parts) reply.write(part);
  reply.end();
  reply.uncork();
}
