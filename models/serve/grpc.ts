import * as grpc from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { type Clock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { type ClockTime, type Span, between, earliest, later, toMs } from '../../media/time.ts';
import { parametersOf, responseMessage, tensorsIn } from './grpc-inference.ts';
import {
  MESSAGES,
  type ModelInferRequest,
  type ModelInferResponse,
  type ModelMetadataResponse,
  type Named,
  SERVICE,
  type ServerMetadataResponse,
} from './grpc-messages.ts';
import { type ListenOptions, MOST_BYTES } from './http-server.ts';
import { type InferenceServer, VERSION, troubleOf } from './inference-server.ts';
import { deadlineOf } from './timeout.ts';
import { bearerCheck } from './token.ts';

const definition = () =>
  fromJSON(MESSAGES as Parameters<typeof fromJSON>[0], { longs: String, arrays: true, defaults: false })[
    SERVICE
  ] as grpc.ServiceDefinition;
const LIMITS = {
  'grpc.max_receive_message_length': MOST_BYTES,
  'grpc.max_send_message_length': MOST_BYTES,
} as const;
/** How long a stop waits for answers that are being sent, ms. */
const GRACE = 3_000;

/** Answers the inference protocol over gRPC, unencrypted. Stops when `scope` closes, after what is being answered. */
export async function listenGrpc(
  server: InferenceServer,
  { host, port, token }: ListenOptions,
  scope: Scope,
): Promise<{ readonly port: number }> {
  const permitted = bearerCheck(token);
  const listener = new grpc.Server(LIMITS);
  type Call<Q, A> = grpc.ServerUnaryCall<Q, A>;
  /** A method that answers or throws; `open` ones are answered to everybody. */
  const method =
    <Q, A>(act: (call: Call<Q, A>) => A | Promise<A>, open = false): grpc.handleUnaryCall<Q, A> =>
    (call, reply) => {
      const [authorization] = call.metadata.get('authorization');
      if (!open && !permitted(authorization?.toString())) {
        reply({ code: grpc.status.UNAUTHENTICATED, details: 'Send "authorization: Bearer <token>"' });
        return;
      }
      Promise.resolve()
        .then(() => act(call))
        .then(
          (answer) => reply(null, answer),
          (thrown: unknown) => {
            const { code, message } = troubleOf(thrown);
            reply({ code: grpc.status[code], details: message });
          },
        );
    };

  const infer = async (call: Call<ModelInferRequest, ModelInferResponse>): Promise<ModelInferResponse> => {
    const came = server.clock.now();
    const { modelName, modelVersion = '', id = '', inputs, outputs = [], rawInputContents } = call.request;
    server.metadata(modelName, modelVersion);
    const parameters = parametersOf(call.request.parameters);
    const gone = new AbortController();
    call.once('cancelled', () => gone.abort(new Error('The client left')));
    const made = await server.infer({
      model: modelName,
      version: modelVersion,
      inputs: tensorsIn(inputs, rawInputContents),
      outputs: outputs.map(({ name }) => name),
      parameters,
      connection: `grpc-${call.getPeer()}`,
      deadline: sooner(deadlineOf(parameters, came), callDeadline(call.getDeadline(), came)),
      signal: gone.signal,
    });
    return responseMessage({ name: modelName, version: modelVersion || VERSION }, id, made);
  };
  listener.addService(definition(), {
    ServerLive: method(() => ({ live: true }), true),
    ServerReady: method(() => ({ ready: server.ready }), true),
    ModelReady: method(({ request: { name, version = '' } }: Call<Named, { ready: boolean }>) => {
      server.metadata(name, version);
      return { ready: server.ready };
    }),
    ServerMetadata: method((): ServerMetadataResponse => ({
      name: server.name,
      version: server.version,
      extensions: server.extensions,
    })),
    ModelMetadata: method(({ request: { name, version = '' } }: Call<Named, ModelMetadataResponse>) => {
      const { versions = [], platform = '', ...rest } = server.metadata(name, version);
      return { ...rest, versions, platform };
    }),
    ModelInfer: method(infer),
  });

  const bound = await new Promise<number>((done, failed) => {
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    listener.bindAsync(address, grpc.ServerCredentials.createInsecure(), (failure, taken) =>
      failure ? failed(failure) : done(taken),
    );
  });
  scope.defer(async () => {
    const closed = new Promise<void>((done) => listener.tryShutdown(() => done()));
    const cut = setTimeout(() => listener.forceShutdown(), GRACE);
    await closed;
    clearTimeout(cut);
  });
  return { port: bound };
}

const sooner = (a: ClockTime | undefined, b: ClockTime | undefined) =>
  a !== undefined && b !== undefined ? earliest(a, b) : (a ?? b);
/** A call's own deadline, which is told by the date: as long from now on our clock. */
function callDeadline(deadline: grpc.Deadline, now: ClockTime): ClockTime | undefined {
  const left = Number(deadline) - Date.now();
  return Number.isFinite(left) ? later(now, Math.round(Math.max(0, left) * 1_000) as Span) : undefined;
}

/** How a call failed, by gRPC's own names. */
export class GrpcFailure extends Error {
  override readonly name = 'GrpcFailure';
  readonly code: keyof typeof grpc.status;

  constructor(code: grpc.status, details: string) {
    super(details);
    this.code = (grpc.status[code] ?? 'UNKNOWN') as keyof typeof grpc.status;
  }
}

export interface GrpcAsk {
  /** By this reading of the clock the call fails with `DEADLINE_EXCEEDED`. */
  readonly deadline: ClockTime;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Sent with the call. */
  readonly headers: Readonly<Record<string, string>>;
}
interface Methods {
  ServerMetadata: [object, ServerMetadataResponse];
  ModelMetadata: [Named, ModelMetadataResponse];
  ModelInfer: [ModelInferRequest, ModelInferResponse];
}

/** Asks a server over gRPC. */
export class GrpcClient {
  readonly #client: grpc.Client;
  readonly #methods: grpc.ServiceDefinition;

  /** @param target host and port @param tls whether the connection is encrypted */
  constructor(target: string, tls: boolean, scope: Scope) {
    const credentials = tls ? grpc.credentials.createSsl() : grpc.credentials.createInsecure();
    // A server that comes back is found again within a second.
    const options = { ...LIMITS, 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1_000 };
    this.#client = new grpc.Client(target, credentials, options);
    this.#methods = definition();
    scope.defer(() => this.#client.close());
  }

  /** Throws a `GrpcFailure`, or the signal's reason when it aborts. */
  ask<M extends keyof Methods>(name: M, request: Methods[M][0], ask: GrpcAsk): Promise<Methods[M][1]> {
    const { deadline, signal, clock, headers } = ask;
    const { path, requestSerialize, responseDeserialize } = this.#methods[name]!;
    const metadata = new grpc.Metadata();
    for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
    return new Promise((resolve, reject) => {
      const over = new AbortController();
      // The date may jump; our clock does not.
      const date = Date.now() + toMs(between(clock.now(), deadline)) + 1_000;
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => Methods[M][1],
        request,
        metadata,
        { deadline: date },
        (failure, answer) => {
          over.abort();
          if (failure) reject(new GrpcFailure(failure.code, failure.details));
          else if (answer === undefined) reject(new GrpcFailure(grpc.status.INTERNAL, 'there was no answer'));
          else resolve(answer);
        },
      );
      const leave = (reason: Error) => {
        reject(reason);
        call.cancel();
      };
      signal.addEventListener('abort', () => leave(signal.reason as Error), { signal: over.signal });
      clock.until(deadline, over.signal).then(
        () => leave(new GrpcFailure(grpc.status.DEADLINE_EXCEEDED, 'it did not answer in time')),
        () => {},
      );
    });
  }
}
