import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MonotonicClock } from '../media/clock.ts';
import type { Scope } from '../media/scope.ts';
import { between, ms, toMs } from '../media/time.ts';
import { openNetwork } from '../models/runtime/network.ts';
import { type Network, floats } from '../models/runtime/tensor.ts';
import { listenGrpc } from '../models/serve/grpc.ts';
import { listenHttp } from '../models/serve/http-server.ts';
import { type InferenceOptions, openInferenceServer } from '../models/serve/inference-server.ts';
import { openRemoteNetwork } from '../models/serve/remote-network.ts';

export interface ServeBenchOptions {
  /** ONNX file that takes float32 [N, 3] and hardly computes: what is left is the way there and back. */
  readonly light: string;
  /** ONNX file whose items can be computed together, and the shape of one. */
  readonly network: string;
  readonly item: readonly number[];
  readonly clients: number;
  readonly out: string;
}

/** A picture of 256 × 256. */
const PIXELS = 65_536;
const CALLS = 100;
const clock = new MonotonicClock();

/** Milliseconds a call takes, one after the other. */
async function latency(network: Network, input: string, dims: readonly number[]) {
  const data = new Float32Array(dims.reduce((size, dim) => size * dim, 1)).fill(0.5);
  const took: number[] = [];
  for (let call = 0; call < CALLS + 10; call += 1) {
    const begun = clock.now();
    await network.run({ [input]: floats(data, dims) });
    if (call >= 10) took.push(toMs(between(begun, clock.now())));
  }
  took.sort((a, b) => a - b);
  return { p50: took[CALLS / 2]!, p95: took[Math.floor(CALLS * 0.95)]! };
}

/** What the model server costs a call, and what it gains by computing the calls of several clients together. */
export async function serveBench(options: ServeBenchOptions, scope: Scope): Promise<string> {
  const { light, network, item, clients, out } = options;
  const serve = async (name: string, file: string, more: Partial<InferenceOptions>) => {
    const own = scope.child(name);
    const server = await openInferenceServer([{ name, file }], { version: 'bench', ...more }, own);
    const http = await listenHttp(server, { host: '127.0.0.1', port: 0 }, own);
    const grpc = await listenGrpc(server, { host: '127.0.0.1', port: 0 }, own);
    return { own, server, http: `http://127.0.0.1:${http.port}`, grpc: `grpc://127.0.0.1:${grpc.port}` };
  };

  const plain = await serve('light', light, { max: PIXELS, delay: ms(0) });
  const places = {
    local: await openNetwork(light, plain.own, { stage: 'lipDriver' }),
    http: await openRemoteNetwork(plain.http, 'light', plain.own, { stage: 'lipDriver' }),
    grpc: await openRemoteNetwork(plain.grpc, 'light', plain.own, { stage: 'lipDriver' }),
  };
  const port = places.local.inputs[0]!;
  const calls: Record<string, { p50: number; p95: number }> = {};
  for (const [place, each] of Object.entries(places)) calls[place] = await latency(each, port.name, [PIXELS, 3]);
  await plain.own.close();

  const rates: Record<string, number> = {};
  const batches: Record<string, Readonly<Record<number, number>>> = {};
  for (const [how, max] of [
    ['alone', 1],
    ['together', 16],
  ] as const) {
    const { own, server, http } = await serve('network', network, { max, capacity: 1_000 });
    const input = (await openRemoteNetwork(http, 'network', own, { stage: 'lipDriver' })).inputs[0]!.name;
    const data = new Float32Array(item.reduce((size, dim) => size * dim, 1)).fill(0.5);
    const before = server.reports()[0]!.items;
    const begun = clock.now();
    await Promise.all(
      Array.from({ length: clients }, async (_, n) => {
        const client = await openRemoteNetwork(http, 'network', own, { stage: 'lipDriver', session: `s${n}` });
        for (let call = 0; call < 40; call += 1) await client.run({ [input]: floats(data, [1, ...item]) });
      }),
    );
    const report = server.reports()[0]!;
    rates[how] = ((report.items - before) * 1e6) / between(begun, clock.now());
    batches[how] = report.batches;
    await own.close();
  }

  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'serve.json'), JSON.stringify({ calls, rates, batches, clients }, null, 2));
  const line = (place: string) =>
    `${place.padEnd(8)} ${calls[place]!.p50.toFixed(2)} ms (p95 ${calls[place]!.p95.toFixed(2)})`;
  return [
    'a call with 3 × 256 × 256 floats, there and back',
    ...Object.keys(places).map(line),
    '',
    `${clients} clients: ${rates['together']!.toFixed(0)} items a second together, ${rates['alone']!.toFixed(0)} one by one (${(rates['together']! / rates['alone']!).toFixed(2)} ×)`,
  ].join('\n');
}
