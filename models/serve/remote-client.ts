import { z } from 'zod';
import type { Clock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import type { ClockTime } from '../../media/time.ts';
import type { Fault, FaultKind } from '../../pipeline/fault.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import type { Tensors } from '../runtime/tensor.ts';
import { HttpClient, type ServerSettings, serverSettings } from '../service/http.ts';
import { Malformed } from './datatypes.ts';
import { GrpcClient, GrpcFailure } from './grpc.ts';
import { requestMessage, tensorsIn } from './grpc-inference.ts';
import {
  BINARY_EXTENSION,
  JSON_LENGTH,
  type ModelMetadata,
  type Parameters,
  jsonLength,
  modelMetadata,
  readResponse,
  requestBody,
  serverMetadata,
} from './http-inference.ts';
import { MOST_BYTES } from './http-server.ts';

/** Where a model server is: `http(s)://host:port/path` or `grpc(s)://host:port`, without keys in it. */
export const serverAddress = z.string().refine(
  (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (!url || `${url.username}${url.password}${url.search}${url.hash}` !== '') return false;
    if (/^https?:$/.test(url.protocol)) return true;
    return /^grpcs?:$/.test(url.protocol) && url.host !== '' && /^\/?$/.test(url.pathname);
  },
  { error: 'give an address as http://host:8000 or grpc://host:8001, without user, password, query or fragment' },
);

/** How a server is spoken to, over whichever transport. */
export interface RemoteOptions {
  /** Whose network it is: faults carry it. */
  readonly stage: StageKind;
  /** Name of the environment variable that holds the server's token. */
  readonly keyFrom?: string | undefined;
  /** Attempts after the first that failed, deadline permitting; 1 unless told. */
  readonly retries?: number;
  readonly timeouts?: Partial<ServerSettings['timeouts']>;
}

export interface RemoteCall {
  readonly deadline?: ClockTime | undefined;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** A model server, over either transport. Everything fails with a `Fault` or the signal's reason. */
export interface RemoteServer {
  /** Host and port. */
  readonly host: string;
  metadata(call: RemoteCall): Promise<{ readonly name: string; readonly extensions: readonly string[] }>;
  model(name: string, call: RemoteCall): Promise<ModelMetadata>;
  /** @param binary whether the server takes and gives bytes behind its JSON */
  infer(model: string, inputs: Tensors, told: Parameters, binary: boolean, call: RemoteCall): Promise<Tensors>;
  fault(kind: FaultKind, message: string, cause?: unknown): Fault;
}

/**
 * A server at `url`, with the keys, attempts and breaker of every other service; its connections close with `scope`.
 *
 * @throws a `TypeError` when `url` is no address of one
 */
export function remoteServer(url: string, scope: Scope, options: RemoteOptions): RemoteServer {
  const parsed = serverAddress.safeParse(url);
  if (!parsed.success) throw new TypeError(`Cannot use model server '${url}': ${parsed.error.issues[0]?.message}`);
  const base = url.replace(/\/$/, '').replace(/^grpc(s?):\/\//, 'http$1://');
  const { stage, keyFrom, retries = 1, timeouts = {} } = options;
  const settings = z.object(serverSettings(base)).parse({
    baseUrl: base,
    retries,
    timeouts,
    ...(keyFrom !== undefined && { keyFrom }),
  });
  const client = new HttpClient({
    stage,
    engine: 'model server',
    settings,
    // Triton says 503 of a queue that is full; a timeout that the server noticed first is one all the same.
    statuses: { 503: 'overloaded', 504: 'timeout' },
  });
  return url.startsWith('grpc') ? overGrpc(url, client, scope) : overHttp(client);
}

function overHttp(client: HttpClient): RemoteServer {
  const scopeOf = ({ signal, clock }: RemoteCall) => ({ signal, clock });
  const by = ({ deadline }: RemoteCall) => (deadline === undefined ? {} : { deadline });
  return {
    host: client.base.host,
    fault: (kind, message, cause) => client.fault(kind, message, cause),
    async metadata(call) {
      const { name, extensions = [] } = await client.json({ path: '/v2', ...by(call) }, serverMetadata, scopeOf(call));
      return { name, extensions };
    },
    model: (name, call) =>
      client.json({ path: `/v2/models/${encodeURIComponent(name)}`, ...by(call) }, modelMetadata, scopeOf(call)),
    async infer(model, inputs, told, binary, call) {
      const { json, parts } = requestBody(inputs, { binary, parameters: told });
      await using answer = await client.send(
        {
          path: `/v2/models/${encodeURIComponent(model)}/infer`,
          body: joined(parts),
          headers: {
            'content-type': json === undefined ? 'application/json' : 'application/octet-stream',
            ...(json !== undefined && { [JSON_LENGTH]: String(json) }),
          },
          ...by(call),
        },
        scopeOf(call),
      );
      const pieces: Uint8Array[] = [];
      let length = 0;
      for await (const piece of answer.body) {
        pieces.push(piece);
        length += piece.length;
        if (length > MOST_BYTES) throw client.fault('rejected', `${client.base.host} answered with too much`);
      }
      return understood(client, () => readResponse(joined(pieces), jsonLength(answer.headers.get(JSON_LENGTH))));
    },
  };
}

/** What is wrong with an answer costs its item. */
function understood<T>(client: HttpClient, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof Malformed)) throw thrown;
    throw client.fault('rejected', `what ${client.base.host} answered is wrong: ${thrown.message}`, thrown);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @see https://grpc.io/docs/guides/status-codes/ */
const KINDS: Partial<Record<GrpcFailure['code'], FaultKind>> = {
  INVALID_ARGUMENT: 'rejected',
  NOT_FOUND: 'rejected',
  OUT_OF_RANGE: 'rejected',
  FAILED_PRECONDITION: 'rejected',
  RESOURCE_EXHAUSTED: 'overloaded',
  DEADLINE_EXCEEDED: 'timeout',
  UNAUTHENTICATED: 'broken',
  PERMISSION_DENIED: 'broken',
  UNIMPLEMENTED: 'broken',
};

function overGrpc(url: string, client: HttpClient, scope: Scope): RemoteServer {
  const { host, port, protocol } = new URL(url);
  const grpc = new GrpcClient(port === '' ? `${host}:8001` : host, protocol === 'grpcs:', scope);
  const ask = <M extends 'ServerMetadata' | 'ModelMetadata' | 'ModelInfer'>(
    method: M,
    request: Question<M>,
    call: RemoteCall,
  ) =>
    client.attempts(
      async (until) => {
        const headers = client.headers();
        const pass = client.admit(call.clock);
        try {
          const answer = await grpc.ask(method, request, { ...call, deadline: until, headers });
          pass.succeeded();
          return answer;
        } catch (thrown) {
          if (call.signal.aborted) {
            pass.left();
            throw call.signal.reason;
          }
          if (!(thrown instanceof GrpcFailure)) throw thrown;
          const kind = KINDS[thrown.code] ?? 'unavailable';
          // Whoever refuses is well.
          if (kind === 'unavailable' || kind === 'timeout') pass.failed();
          else pass.succeeded();
          const why = thrown.message.replace(/[\p{C}\s]+/gu, ' ').slice(0, 160);
          throw client.fault(kind, `${client.base.host} answered ${thrown.code}: ${why}`, thrown);
        }
      },
      { ...(call.deadline !== undefined && { deadline: call.deadline }) },
      call,
    );
  return {
    host: client.base.host,
    fault: (kind, message, cause) => client.fault(kind, message, cause),
    async metadata(call) {
      const { name, extensions } = await ask('ServerMetadata', {}, call);
      return { name, extensions };
    },
    async model(name, call) {
      const said = await ask('ModelMetadata', { name }, call);
      const numbers = (list: typeof said.inputs) => list.map((port) => ({ ...port, shape: port.shape.map(Number) }));
      const parsed = modelMetadata.safeParse({ ...said, inputs: numbers(said.inputs), outputs: numbers(said.outputs) });
      if (parsed.success) return parsed.data;
      throw client.fault('rejected', `what ${client.base.host} says of its model '${name}' is wrong`, parsed.error);
    },
    async infer(model, inputs, told, _binary, call) {
      const { outputs, rawOutputContents } = await ask('ModelInfer', requestMessage(model, inputs, told), call);
      return understood(client, () => tensorsIn(outputs, rawOutputContents));
    },
  };
}
type Question<M extends 'ServerMetadata' | 'ModelMetadata' | 'ModelInfer'> = globalThis.Parameters<
  typeof GrpcClient.prototype.ask<M>
>[1];

export const takesBytes = (extensions: readonly string[]): boolean => extensions.includes(BINARY_EXTENSION);
