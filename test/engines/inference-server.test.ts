import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { models } from '../../gateway/models-command.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { later, ms, seconds } from '../../media/time.ts';
import { networkReports } from '../../models/runtime/network-report.ts';
import { type LoadedNetwork, openOnnx } from '../../models/runtime/onnx.ts';
import { type Tensors, booleans, floats, halves, integers } from '../../models/runtime/tensor.ts';
import { listenGrpc } from '../../models/serve/grpc.ts';
import { listenHttp } from '../../models/serve/http-server.ts';
import { type InferenceServer, openInferenceServer } from '../../models/serve/inference-server.ts';
import { networkAt } from '../../models/serve/network-at.ts';
import { type RemoteNetworkOptions, openRemoteNetwork } from '../../models/serve/remote-network.ts';
import { Fault } from '../../pipeline/fault.ts';
import { MannerlessServer } from '../fakes/inference-server.ts';
import { lacking, weights } from '../weights.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/runtime/${name}.onnx`, import.meta.url));
const PFLD = 'face/pfld/pfld.onnx';
const clock = new MonotonicClock();
const scope = new Scope('test');
afterAll(() => scope.close());
const turn = () => new Promise((resolve) => setImmediate(resolve));

interface Served {
  readonly server: InferenceServer;
  readonly http: string;
  readonly grpc: string;
}
async function serve(
  within: Scope,
  offers: Parameters<typeof openInferenceServer>[0],
  token?: string,
): Promise<Served> {
  const server = await openInferenceServer(offers, { version: 'test', max: 8, delay: ms(5) }, within);
  const http = await listenHttp(server, { host: '127.0.0.1', port: 0, token }, within);
  const grpc = await listenGrpc(server, { host: '127.0.0.1', port: 0, token }, within);
  return { server, http: `http://127.0.0.1:${http.port}`, grpc: `grpc://127.0.0.1:${grpc.port}` };
}
const open = (url: string, model: string, options: Partial<RemoteNetworkOptions> = {}, within = scope) =>
  openRemoteNetwork(url, model, within, { stage: 'lipDriver', ...options });
const faultOf = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable(),
    (thrown: unknown) => {
      if (!(thrown instanceof Fault)) throw thrown;
      return thrown;
    },
  );
const kindOf = async (promise: Promise<unknown>) => (await faultOf(promise)).kind;
/** Computes in native code, about 20 µs a round. */
const busy = (rounds: number): Tensors => ({
  rounds: integers([rounds], []),
  x: floats(new Float32Array(4_096).fill(1), [4_096]),
});

let served: Served;
beforeAll(async () => {
  served = await serve(scope, [
    { name: 'scale', file: fixture('scale') },
    {
      name: 'elements',
      file: fixture('elements'),
      shapes: { floats: [2], halves: [2], longs: [2], ints: [2], bytes: [2], flags: [2] },
    },
    { name: 'busy', file: fixture('busy') },
    { name: 'picky', file: fixture('picky') },
  ]);
});

describe.for(['http', 'grpc'] as const)('over %s', (transport) => {
  const url = () => served[transport];

  test('every element there is goes and comes', async () => {
    const network = await open(url(), 'elements');
    const local = await openOnnx(fixture('elements'), scope);
    expect(network.inputs.map(({ name, element }) => [name, element])).toEqual(
      local.inputs.map(({ name, element }) => [name, element]),
    );
    const inputs: Tensors = {
      floats: floats(Float32Array.of(0.1, -2), [2]),
      halves: halves(Float32Array.of(0.5, -3), [2]),
      longs: integers([2 ** 40, -1], [2]),
      ints: { data: Int32Array.of(7, -8), dims: [2] },
      bytes: { data: Uint8Array.of(255, 1), dims: [2] },
      flags: booleans([true, false], [2]),
    };
    expect(await network.run(inputs)).toEqual(await local.run(inputs));
    // Borrowed, and left as they were; floats may stand for halves.
    expect(inputs['longs']!.data).toEqual(BigInt64Array.of(2n ** 40n, -1n));
    const rounded = { ...inputs, halves: floats(Float32Array.of(0.5, -3), [2]) };
    expect(await network.run(rounded)).toEqual(await local.run(inputs));
  });

  test('what the model does not take is refused here, what the server refuses costs the call', async () => {
    const scale = await open(url(), 'scale', { name: 'scaler' });
    await expect(scale.run({ x: floats(new Float32Array(4), [1, 4]) })).rejects.toThrow(
      "Cannot run scaler: input 'x' must be float32 [axis 0, 3], received float32 [1, 4]",
    );
    const picky = await open(url(), 'picky', { stage: 'recognizer' });
    const failure = await faultOf(picky.run({ ids: integers([9], [1]) }));
    expect([failure.stage, failure.kind]).toEqual(['recognizer', 'rejected']);
    expect(failure.message).toContain('could not compute its inputs');
    await picky.run({ ids: integers([3], [1]) });
    const { lost, running, device } = picky.report();
    expect([lost.failed, running.count, device]).toEqual([1, 1, `remote ${new URL(url()).host}`]);
    expect(networkReports().some(({ name }) => name === 'scaler')).toBe(true);
  });

  test('a model that is not there is said when it is opened', async () => {
    const missing = await faultOf(open(url(), 'nowhere'));
    expect(missing.kind).toBe('unavailable');
    expect(missing.message).toContain("There is no model 'nowhere'; there is scale, elements, busy, picky");
  });

  test('a call fails at its deadline, here and there, and the next one is answered', async () => {
    const network = await open(url(), 'busy');
    const report = () => served.server.reports().find(({ name }) => name === 'busy')!;
    // After whatever an earlier test left behind.
    await network.run(busy(1));
    const before = report();
    // Many times as long as the deadline, on a fast machine too; the other call finds it being computed.
    const slow = network.run(busy(200_000));
    while (report().calls === before.calls || report().queued > 0) await turn();
    const late = await faultOf(network.run(busy(1), { deadline: later(clock.now(), ms(60)) }));
    expect(['timeout', 'overloaded']).toContain(late.kind);
    await slow;
    await network.run(busy(1), { deadline: later(clock.now(), seconds(20)) });
    // The one that came too late was never computed.
    expect(report().items - before.items).toBe(2);
    expect(await kindOf(network.run(busy(1), { deadline: clock.now() }))).toBe('timeout');
  });

  test('a call whose signal aborts is let go of, and the server does not compute it', async () => {
    const network = await open(url(), 'busy');
    const items = () => served.server.reports().find(({ name }) => name === 'busy')!;
    await network.run(busy(1));
    const before = items();
    const slow = network.run(busy(200_000));
    while (items().calls === before.calls || items().queued > 0) await turn();
    const gone = new AbortController();
    const call = network.run(busy(10), { signal: gone.signal });
    while (items().queued === 0) await turn();
    gone.abort(new Error('the viewer left'));
    await expect(call).rejects.toThrow('the viewer left');
    await slow;
    expect(items().lost.left - before.lost.left).toBe(1);
    expect(items().items - before.items).toBe(1);
  });

  test('more calls than may be on their way are refused', async () => {
    const network = await open(url(), 'busy', { capacity: 2 });
    const calls = [network.run(busy(500)), network.run(busy(500))];
    expect(await kindOf(network.run(busy(1)))).toBe('overloaded');
    await Promise.all(calls);
    expect(network.report().lost.overflow).toBe(1);
  });

  test('what is closed is broken', async () => {
    const within = scope.child('closing');
    const network = await open(url(), 'busy', {}, within);
    const call = faultOf(network.run(busy(20_000)));
    await turn();
    await within.close();
    expect([(await call).kind, await kindOf(network.run(busy(1)))]).toEqual(['broken', 'broken']);
  });
});

describe('a real network', () => {
  const missing = lacking(PFLD);
  const pictures = (count: number, seed: number) => {
    let state = seed;
    const next = () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
    return { input: floats(Float32Array.from({ length: count * 3 * 112 * 112 }, next), [count, 3, 112, 112]) };
  };
  const apart = (a: Tensors, b: Tensors) => {
    const [x, y] = [a['output']!.data as Float32Array, b['output']!.data as Float32Array];
    expect(x.length).toBe(y.length);
    return x.reduce((most, value, n) => Math.max(most, Math.abs(value - y[n]!)), 0);
  };
  let local: LoadedNetwork;
  let there: Served;
  beforeAll(async () => {
    if (missing) return;
    local = await openOnnx(weights(PFLD), scope);
    there = await serve(scope.child('pfld'), [{ name: 'pfld', file: weights(PFLD) }]);
  });

  test.skipIf(missing)(
    `gives the same numbers over HTTP, over gRPC and here${missing ? `: ${missing}` : ''}`,
    async () => {
      const here = await networkAt({ file: weights(PFLD) }, scope, { stage: 'faceTracker' });
      const remote = await networkAt({ file: 'elsewhere/pfld.onnx', server: there.http }, scope, {
        stage: 'faceTracker',
      });
      expect([here.device, remote.device]).toEqual(['cpu', 'remote']);
      const rpc = await open(there.grpc, 'pfld');
      for (const count of [1, 3]) {
        const wanted = await local.run(pictures(count, 5));
        for (const network of [here, remote, rpc]) {
          expect(apart(await network.run(pictures(count, 5)), wanted)).toBeLessThanOrEqual(1e-6);
        }
      }
    },
  );

  test.skipIf(missing)(
    'computes the pictures of many clients together, each of which gets its own answer',
    async () => {
      const before = there.server.reports()[0]!;
      const clients = await Promise.all(
        Array.from({ length: 6 }, (_, n) => open(n % 2 === 0 ? there.http : there.grpc, 'pfld', { session: `s${n}` })),
      );
      const wanted = await Promise.all(clients.map((_, n) => local.run(pictures(1, n + 1))));
      for (let round = 0; round < 4; round += 1) {
        const answers = await Promise.all(clients.map((client, n) => client.run(pictures(1, n + 1))));
        // Libraries add up in another order for other sizes.
        for (const [n, answer] of answers.entries()) expect(apart(answer, wanted[n]!)).toBeLessThanOrEqual(1e-4);
      }
      const { batches, items } = there.server.reports()[0]!;
      expect(items - before.items).toBe(24);
      const joint = Object.entries(batches).filter(
        ([size, runs]) => Number(size) > 1 && runs > (before.batches[Number(size)] ?? 0),
      );
      expect(joint.length).toBeGreaterThan(0);
    },
  );

  test.skipIf(missing)('a client that asks for much does not keep another waiting', async () => {
    const hog = await open(there.http, 'pfld', { session: 'hog' });
    const modest = await open(there.grpc, 'pfld', { session: 'modest' });
    await modest.run(pictures(1, 1));
    const items = () => there.server.reports()[0]!.items;
    const before = items();
    // Eight pictures each: one call is a run.
    const calls = Array.from({ length: 7 }, (_, n) => hog.run(pictures(8, n + 1)));
    while (there.server.reports()[0]!.queued < 24) await turn();
    await modest.run(pictures(1, 2));
    // In the order of their coming, all of them would have been computed by now.
    expect(items() - before).toBeLessThan(7 * 8 + 1);
    await Promise.all(calls);
  });

  test.skipIf(missing)(
    'measures how many faces it carries, promises no more, and refuses who comes too late',
    async () => {
      const { maxFaces, itemsPerSecond, bestBatch } = there.server.capacity().models[0]!;
      expect(maxFaces).toBe(Math.floor((0.8 * itemsPerSecond!) / 25));
      expect(bestBatch).toBeGreaterThanOrEqual(1);
      let faces = 1;
      const first = await open(there.http, 'pfld', { session: 'first', faces: () => faces });
      await first.run(pictures(1, 1));
      faces = Math.max(1, there.server.capacity().models[0]!.maxFaces! - 1);
      await first.run(pictures(1, 1));
      const second = await open(there.grpc, 'pfld', { session: 'second', faces: () => 1_000 });
      expect(await kindOf(second.run(pictures(1, 1), { deadline: later(clock.now(), seconds(5)) }))).toBe('overloaded');
      expect(second.report().lost.overflow).toBe(1);
      const put = (body: object) =>
        fetch(`${there.http}/v2/livedub/sessions/third`, { method: 'PUT', body: JSON.stringify(body) });
      expect((await put({ model: 'pfld', faces: 1_000 })).status).toBe(429);
      expect((await put({ model: 'pfld', faces: 1.5 })).status).toBe(400);
      there.server.release('first');
      const capacity = (await (await put({ model: 'pfld', faces: 1 })).json()) as { sessions: { session: string }[] };
      expect(capacity.sessions.map(({ session }) => session)).toContain('third');
      await fetch(`${there.http}/v2/livedub/sessions/third`, { method: 'DELETE' });
      expect(there.server.capacity().sessions.map(({ session }) => session)).not.toContain('third');
    },
  );

  test.skipIf(missing)('is written for Triton, and served from what was written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'livedub-triton-'));
    try {
      let said = '';
      let failed = '';
      const desk = {
        out: (text: string) => void (said += `${text}\n`),
        err: { write: (text: string) => (failed += text) } as unknown as NodeJS.WriteStream,
        entries: [],
      };
      const request = {
        do: 'triton',
        out: folder,
        names: [`landmarks=${weights(PFLD)}`, fixture('elements'), `vad=${fixture('busy')}`],
        maxBatch: 16,
        delay: 2,
        preferred: [4, 8],
        fp16: false,
        device: 'cpu',
        instances: 1,
        tensorrt: false,
        copy: false,
      } as const;
      // A scalar, as the third has one, is nothing for Triton; the others are written all the same.
      expect(await models(request, scope, desk)).toBe(1);
      expect(failed).toContain("✘ vad: 'rounds' of model 'vad' has no axes, which Triton does not take");
      expect(said).toContain('✔ landmarks: items are computed together');
      const config = readFileSync(join(folder, 'landmarks/config.pbtxt'), 'utf8');
      expect(config).toContain('max_batch_size: 16\n');
      expect(config).toMatch(/name: "input"\n\s+data_type: TYPE_FP32\n\s+dims: \[ 3, 112, 112 \]/);
      expect(readFileSync(join(folder, 'landmarks/1/model.onnx')).equals(readFileSync(weights(PFLD)))).toBe(true);
      await using own = new Scope('written');
      const again = await serve(own, [{ name: 'landmarks', file: join(folder, 'landmarks/1/model.onnx') }]);
      const network = await open(again.http, 'landmarks', {}, own);
      expect(apart(await network.run(pictures(1, 9)), await local.run(pictures(1, 9)))).toBeLessThanOrEqual(1e-6);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('the protocol, as others speak it', () => {
  const exchange = (request: Buffer) =>
    new Promise<{ head: string; body: Buffer }>((done, failed) => {
      const { hostname, port } = new URL(served.http);
      const parts: Buffer[] = [];
      const socket = connect(Number(port), hostname, () => socket.write(request));
      socket.on('data', (part: Buffer) => parts.push(part));
      socket.on('error', failed);
      socket.on('end', () => {
        const whole = Buffer.concat(parts);
        const end = whole.indexOf('\r\n\r\n');
        done({ head: whole.subarray(0, end).toString().toLowerCase(), body: whole.subarray(end + 4) });
      });
    });
  const get = (path: string) => exchange(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
  const post = (path: string, headers: string, body: Buffer) =>
    exchange(
      Buffer.concat([
        Buffer.from(
          `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n${headers}\r\n`,
        ),
        body,
      ]),
    );

  test('health, metadata and readiness are told over HTTP', async () => {
    expect((await get('/v2/health/live')).head).toMatch(/^http\/1.1 200 /);
    expect((await get('/v2/health/ready')).head).toMatch(/^http\/1.1 200 /);
    expect((await get('/v2/models/scale/ready')).head).toMatch(/^http\/1.1 200 /);
    expect((await get('/v2/models/scale/versions/1/ready')).head).toMatch(/^http\/1.1 200 /);
    const { body } = await get('/v2');
    expect(JSON.parse(body.toString())).toMatchObject({ name: 'livedub', version: 'test' });
    expect(JSON.parse((await get('/v2/models/scale')).body.toString())).toMatchObject({
      name: 'scale',
      versions: ['1'],
      platform: 'onnx_onnxv1',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
    });
    for (const path of [
      '/v2/models/scale/versions/2',
      '/v2/models/none',
      '/v2/models/none/ready',
      '/v3',
      '/v2/models',
    ]) {
      const { head, body: refusal } = await get(path);
      expect(head).toMatch(/^http\/1.1 404 /);
      expect(JSON.parse(refusal.toString())).toHaveProperty('error');
    }
  });

  test('an inference in JSON alone', async () => {
    const { head, body } = await post(
      '/v2/models/scale/infer',
      'Content-Type: application/json\r\n',
      Buffer.from(
        '{"id":"42","inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":[[1,2,3],[4,5,6]]}],"outputs":[{"name":"y"}]}',
      ),
    );
    expect(head).toMatch(/^http\/1.1 200 /);
    expect(head).not.toContain('inference-header-content-length');
    expect(JSON.parse(body.toString())).toEqual({
      model_name: 'scale',
      model_version: '1',
      id: '42',
      outputs: [{ name: 'y', shape: [2, 3], datatype: 'FP32', data: [2, 4, 6, 8, 10, 12] }],
    });
  });

  test('an inference with binary tensor data, request and answer', async () => {
    const json =
      '{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","parameters":{"binary_data_size":12}}],"outputs":[{"name":"y","parameters":{"binary_data":true}}]}';
    // 1, -2 and 0.5 as little-endian IEEE 754.
    const bytes = Buffer.from('0000803f000000c00000003f', 'hex');
    const { head, body } = await post(
      '/v2/models/scale/versions/1/infer',
      `Content-Type: application/octet-stream\r\nInference-Header-Content-Length: ${json.length}\r\n`,
      Buffer.concat([Buffer.from(json), bytes]),
    );
    const length = Number(/inference-header-content-length: (\d+)/.exec(head)?.[1]);
    expect(head).toContain('content-type: application/octet-stream');
    expect(JSON.parse(body.subarray(0, length).toString())).toMatchObject({
      outputs: [{ name: 'y', shape: [1, 3], datatype: 'FP32', parameters: { binary_data_size: 12 } }],
    });
    // 2, -4 and 1.
    expect(body.subarray(length).toString('hex')).toBe('00000040000080c00000803f');
  });

  test.for([
    ['{', 400],
    ['{"inputs":[]}', 400],
    ['{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2]}]}', 400],
    ['{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}', 400],
    ['{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}],"outputs":[{"name":"z"}]}', 400],
    ['{"parameters":{"timeout":-1},"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}', 400],
  ] as const)('%s is refused with a reason', async ([body, status]) => {
    const answer = await post('/v2/models/scale/infer', '', Buffer.from(body));
    expect(answer.head).toMatch(new RegExp(`^http/1.1 ${status} `));
    expect((JSON.parse(answer.body.toString()) as { error: string }).error).not.toBe('');
  });

  test('an inference over gRPC, written out byte by byte', async () => {
    // Field numbers and wire types as in open_inference_grpc.proto: length-delimited fields are number << 3 | 2.
    const bytes = (field: number, content: Buffer) =>
      Buffer.concat([Buffer.of((field << 3) | 2, content.length), content]);
    const text = (field: number, value: string) => bytes(field, Buffer.from(value));
    const tensor = Buffer.concat([text(1, 'x'), text(2, 'FP32'), bytes(3, Buffer.of(1, 3))]);
    const raw = Buffer.from('0000803f000000c00000003f', 'hex');
    const message = Buffer.concat([text(1, 'scale'), text(3, 'id7'), bytes(5, tensor), bytes(7, raw)]);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);

    const session = connectHttp2(served.grpc.replace('grpc:', 'http:'));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/inference.GRPCInferenceService/ModelInfer',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let status = '';
    stream.on('trailers', (trailers: Record<string, unknown>) => (status = String(trailers['grpc-status'])));
    stream.end(Buffer.concat([prefix, message]));
    const parts: Buffer[] = [];
    for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
    const answer = Buffer.concat(parts);
    session.close();
    expect(status).toBe('0');
    const output = Buffer.concat([text(1, 'y'), text(2, 'FP32'), bytes(3, Buffer.of(1, 3))]);
    const doubled = Buffer.from('00000040000080c00000803f', 'hex');
    expect(answer.subarray(5).toString('hex')).toBe(
      Buffer.concat([text(1, 'scale'), text(2, '1'), text(3, 'id7'), bytes(5, output), bytes(6, doubled)]).toString(
        'hex',
      ),
    );
  });
});

describe('a server with a token', () => {
  afterEach(() => vi.unstubAllEnvs());

  test('answers those who carry it, and tells everybody whether it is alive', async () => {
    await using within = new Scope('guarded');
    const guarded = await serve(within, [{ name: 'scale', file: fixture('scale') }], 'open-sesame');
    vi.stubEnv('TEST_SERVER_TOKEN', 'open-sesame');
    for (const url of [guarded.http, guarded.grpc]) {
      expect(await kindOf(open(url, 'scale', {}, within))).toBe('broken');
      const network = await open(url, 'scale', { keyFrom: 'TEST_SERVER_TOKEN' }, within);
      expect((await network.run({ x: floats(Float32Array.of(1, 2, 3), [1, 3]) }))['y']!.dims).toEqual([1, 3]);
    }
    vi.stubEnv('TEST_SERVER_TOKEN', 'open-barley');
    const refused = await faultOf(open(guarded.http, 'scale', { keyFrom: 'TEST_SERVER_TOKEN' }, within));
    expect([refused.kind, refused.message.includes('barley')]).toEqual(['broken', false]);
    expect((await fetch(`${guarded.http}/v2/health/live`)).status).toBe(200);
    expect((await fetch(`${guarded.http}/metrics`)).status).toBe(401);
  });
});

describe('a server that behaves badly', () => {
  const x = () => ({ x: floats(Float32Array.of(1, 2), [1, 2]) });
  const answer = (output: object) => ({ model_name: 'twice', outputs: [output] });
  const octets = (output: object, bytes: Buffer, more: { claims?: number; jsonLength?: number | string } = {}) => {
    const json = Buffer.from(JSON.stringify(answer(output)));
    return { body: Buffer.concat([json, bytes]), jsonLength: json.length, ...more };
  };
  const y = { name: 'y', shape: [1, 2], datatype: 'FP32' };
  const sized = { ...y, parameters: { binary_data_size: 8 } };

  test.for([
    ['other shapes than it promised', { json: answer({ ...y, shape: [1, 3], data: [1, 2, 3] }) }, 'rejected'],
    ['another element than it promised', { json: answer({ ...y, datatype: 'INT32', data: [1, 2] }) }, 'rejected'],
    ['no such output', { json: answer({ ...y, name: 'z', data: [1, 2] }) }, 'rejected'],
    ['fewer numbers than the shape has', { json: answer({ ...y, data: [1] }) }, 'rejected'],
    ['no JSON', { body: Buffer.from('<html>') }, 'rejected'],
    ['no outputs', { json: {} }, 'rejected'],
    ['fewer bytes than it says', octets(sized, Buffer.alloc(4)), 'rejected'],
    ['a length that is none', octets(sized, Buffer.alloc(8), { jsonLength: 'long' }), 'rejected'],
    ['a body that is cut', octets(sized, Buffer.alloc(2), { claims: 4_096 }), 'unavailable'],
    ['nothing and hangs up', 'hangs up', 'unavailable'],
    ['nothing, ever', 'never answers', 'timeout'],
    ['that it is full (429)', { json: { error: 'full' }, status: 429 }, 'overloaded'],
    ['that it is full, as Triton says it (503)', { json: { error: 'full' }, status: 503 }, 'overloaded'],
    ['that it was too slow (504)', { json: { error: 'late' }, status: 504 }, 'timeout'],
    ['that it broke (500)', { json: { error: 'ouch' }, status: 500 }, 'unavailable'],
  ] as const)('answers %s', async ([, manners, kind]) => {
    await using within = new Scope('mannerless');
    await using server = await MannerlessServer.open();
    const network = await open(server.url, 'twice', { retries: 0 }, within);
    server.manners = manners;
    const asked = network.run(x(), { deadline: later(clock.now(), kind === 'timeout' ? ms(200) : seconds(20)) });
    expect(await kindOf(asked)).toBe(kind);
    server.manners = { json: answer({ ...y, data: [2, 4] }) };
    expect((await network.run(x()))['y']!.data).toEqual(Float32Array.of(2, 4));
  });

  test('is told the session and the time that is left, as bytes where it takes them, else in JSON', async () => {
    await using within = new Scope('plain');
    await using server = await MannerlessServer.open();
    server.manners = { json: answer({ ...y, data: [2, 4] }) };
    for (const [extensions, faces] of [
      [['binary_tensor_data'], undefined],
      [[], () => 2],
    ] as const) {
      server.extensions = extensions;
      const network = await open(server.url, 'twice', { session: 'me', ...(faces && { faces, fps: 30 }) }, within);
      await network.run(x(), { deadline: later(clock.now(), seconds(10)) });
    }
    const [bytes, plain] = server.asked;
    const length = Number(bytes!.headers['inference-header-content-length']);
    const head = JSON.parse(bytes!.body.subarray(0, length).toString()) as { parameters: Record<string, unknown> };
    expect(head).toMatchObject({
      parameters: { session: 'me', binary_data_output: true },
      inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', parameters: { binary_data_size: 8 } }],
    });
    expect(head.parameters['timeout']).toBeLessThanOrEqual(10_000_000);
    expect(head.parameters['timeout']).toBeGreaterThan(5_000_000);
    expect(bytes!.body.subarray(length).toString('hex')).toBe('0000803f00000040');
    expect(plain!.headers['content-type']).toBe('application/json');
    expect(JSON.parse(plain!.body.toString())).toMatchObject({
      parameters: { session: 'me', faces: 2, fps: 30 },
      inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] }],
    });
  });

  test('has a model with an element that we do not know', async () => {
    await using server = await MannerlessServer.open();
    server.datatype = 'FP64';
    const failure = await faultOf(open(server.url, 'twice'));
    expect([failure.kind, failure.message]).toEqual([
      'broken',
      expect.stringContaining("input 'x' of model 'twice' is of FP64"),
    ]);
  });
});

test.for([['ftp://x'], ['http://user:secret@x'], ['grpc://x/path'], ['nothing']])('%s is no address', async ([url]) => {
  await expect(open(url!, 'scale')).rejects.toThrow(TypeError);
});

describe('livedub models serve', () => {
  const program = fileURLToPath(new URL('../../gateway/bin/livedub.mjs', import.meta.url));
  const children = new Set<ChildProcess>();
  afterAll(() => children.forEach((child) => child.kill('SIGKILL')));
  async function start(port: number, grpcPort: number) {
    const args = ['models', 'serve', fixture('busy'), '--port', String(port), '--grpc-port', String(grpcPort)];
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.add(child);
    let said = '';
    for await (const part of child.stdout) if ((said += String(part)).includes('Ctrl-C')) break;
    const [, http, grpc] = /at (http:\S+) and (grpc:\S+)/.exec(said) ?? [];
    return { child, http: http!, grpc: grpc! };
  }
  const end = (child: ChildProcess) =>
    new Promise<number | null>((done) => (child.exitCode === null ? child.once('exit', done) : done(child.exitCode)));

  test('killed in the middle of a call costs that call, and the network goes on when it is back', async () => {
    const first = await start(0, 0);
    const networks = [await open(first.http, 'busy', { retries: 0 }), await open(first.grpc, 'busy', { retries: 0 })];
    const calls = networks.map((network) => kindOf(network.run(busy(100_000))));
    const queued = async () =>
      /^model_calls_total\{model="busy"\} (\d+)/m.exec(await (await fetch(`${first.http}/metrics`)).text())?.[1];
    while ((await queued()) !== '2') await turn();
    first.child.kill('SIGKILL');
    expect(await Promise.all(calls)).toEqual(['unavailable', 'unavailable']);
    for (const network of networks) expect(await kindOf(network.run(busy(1)))).toBe('unavailable');

    const second = await start(Number(new URL(first.http).port), Number(new URL(first.grpc).port));
    for (const network of networks) {
      const again = async (): Promise<Tensors> =>
        network.run(busy(1)).catch((thrown: unknown) => {
          if (thrown instanceof Fault && thrown.kind === 'unavailable') {
            return clock.until(later(clock.now(), ms(200)), scope.signal).then(again);
          }
          throw thrown;
        });
      expect((await again())['y']!.dims).toEqual([4_096]);
    }

    // Asked to stop, it answers what it has begun.
    const begun = networks.map((network) => network.run(busy(5_000)));
    const calling = async () =>
      /^model_calls_total\{model="busy"\} (\d+)/m.exec(await (await fetch(`${second.http}/metrics`)).text())?.[1];
    while (Number(await calling()) < 4) await turn();
    second.child.kill('SIGTERM');
    for (const answer of begun) expect((await answer)['y']!.dims).toEqual([4_096]);
    expect(await end(second.child)).toBe(0);
  });

  test('says what is wrong with what it was asked', async () => {
    const child = spawn(process.execPath, [program, 'models', 'serve', 'nothing-like-it'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.add(child);
    let said = '';
    for await (const part of child.stderr) said += String(part);
    expect([await end(child), said]).toEqual([2, expect.stringContaining("There is no model 'nothing-like-it'")]);
  });
});
