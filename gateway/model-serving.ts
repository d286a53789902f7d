import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../media/scope.ts';
import { ms } from '../media/time.ts';
import { listenGrpc } from '../models/serve/grpc.ts';
import { listenHttp } from '../models/serve/http-server.ts';
import { type Offer, openInferenceServer } from '../models/serve/inference-server.ts';
import { NoOffer, offersOf, shapesOf } from '../models/serve/offers.ts';
import { writeTriton } from '../models/serve/triton.ts';
import type { Entry } from '../models/store/manifest.ts';
import { type ModelsServeRequest, type ModelsTritonRequest, UsageError } from './commands.ts';
import { openModelMetrics } from './metrics.ts';
import { root } from './root.ts';

/** Where the commands write, and the models they know. */
interface Desk {
  readonly out: (text: string) => void;
  readonly err: { write(text: string): unknown };
  readonly entries: readonly Entry[];
}

const FAILED = 1;
const TOKEN = 'LIVEDUB_MODEL_SERVER_TOKEN';

function offers(
  { names, models, shape }: ModelsServeRequest | ModelsTritonRequest,
  entries: readonly Entry[],
): Offer[] {
  if (names.length === 0 && models === undefined) {
    throw new UsageError('Say which networks: files, NAME=FILE, models of the store, or --models DIRECTORY.');
  }
  try {
    return offersOf(
      names,
      models,
      entries.map(({ card }) => card),
      shapesOf(shape ?? []),
    );
  } catch (thrown) {
    throw thrown instanceof NoOffer ? new UsageError(thrown.message, { cause: thrown }) : thrown;
  }
}

/** `livedub models serve`. Serves until `scope` closes; answers the exit code. */
export async function serveModels(
  request: ModelsServeRequest,
  { out, err, entries }: Desk,
  scope: Scope,
): Promise<number> {
  const served = offers(request, entries);
  const { host, port, grpcPort, device, gpu, threads, fp16, maxBatch, preferred, delay } = request;
  const token = process.env[TOKEN] || undefined;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new UsageError(`The token in ${TOKEN} has characters that no header carries.`);
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const server = await openInferenceServer(
    served,
    {
      version,
      settings: { device, gpu, threads, fp16 },
      max: maxBatch,
      delay: ms(delay),
      ...(preferred && { preferred }),
    },
    scope,
    (sentence) => void err.write(`${sentence}\n`),
  );
  const { models } = server.capacity();
  for (const { name, maxFaces } of models) {
    if (maxFaces !== null) err.write(`${name}: carries ${maxFaces} faces at 25 pictures a second\n`);
  }
  const metrics = openModelMetrics(scope.child('metrics'), server);
  const http = await listenHttp(server, { host, port, token, metrics }, scope);
  const grpc = await listenGrpc(server, { host, port: grpcPort, token }, scope);
  const shown = host.includes(':') ? `[${host}]` : host;
  out(`Models are served at http://${shown}:${http.port} and grpc://${shown}:${grpc.port}  (Ctrl-C stops it)`);
  if (!scope.signal.aborted) {
    await new Promise<void>((done) => scope.signal.addEventListener('abort', () => done(), { once: true }));
  }
  return 0;
}

/** `livedub models triton`. Answers the exit code. */
export async function tritonModels(
  request: ModelsTritonRequest,
  { out, err, entries }: Desk,
  scope: Scope,
): Promise<number> {
  const { fp16, tensorrt } = request;
  if (tensorrt && request.device === 'cpu') throw new UsageError('--tensorrt is for GPUs.');
  if (request.gpus && request.device === 'cpu') throw new UsageError('--gpus goes with --device gpu.');
  const wanted = offers(request, entries);
  // TensorRT rounds by itself; without it, the file that its publishers rounded is taken.
  const files =
    fp16 && !tensorrt
      ? wanted.map((offer) => ({ ...offer, file: offer.file.replace(/\.onnx$/, '_fp16.onnx') }))
      : wanted;
  const results = await writeTriton(
    request.out,
    files,
    {
      device: request.device,
      gpus: request.gpus,
      instances: request.instances,
      max: request.maxBatch,
      preferred: request.preferred,
      delay: ms(request.delay),
      copy: request.copy,
      ...(tensorrt && { tensorrt: fp16 ? ('FP16' as const) : ('FP32' as const) }),
    },
    scope,
  );
  for (const { name, batches, note, refused } of results) {
    if (refused !== undefined) err.write(`✘ ${name}: ${refused}\n`);
    else
      out(
        `✔ ${name}: ${batches ? 'items are computed together' : `one request at a time, as ${note ?? 'it has one axis'}`}`,
      );
  }
  const written = results.filter(({ refused }) => refused === undefined).length;
  if (written > 0) out(`\ntritonserver --model-repository=${request.out}`);
  return written === results.length ? 0 : FAILED;
}
