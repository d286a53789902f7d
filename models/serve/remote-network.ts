import { randomUUID } from 'node:crypto';
import { type Clock, MonotonicClock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { between } from '../../media/time.ts';
import { Fault, type FaultKind } from '../../pipeline/fault.ts';
import { NetworkTally, listNetwork } from '../runtime/network-report.ts';
import type { LoadedNetwork } from '../runtime/onnx.ts';
import { type Port, expectFitting, fitted } from '../runtime/ports.ts';
import { type RunOptions, type Tensor, type Tensors, elementOf } from '../runtime/tensor.ts';
import { elementFor } from './datatypes.ts';
import type { ModelMetadata } from './http-inference.ts';
import { type RemoteOptions, type RemoteServer, remoteServer, takesBytes } from './remote-client.ts';

/** How a network on a server is used. */
export interface RemoteNetworkOptions extends RemoteOptions {
  /** As reports and faults call it; the model's name unless given. */
  readonly name?: string | undefined;
  /** Whose calls these are: the server shares itself between sessions. One for this process unless given. */
  readonly session?: string | undefined;
  /**
   * How many faces the session has, asked at each call: a server of ours promises them, or refuses as `overloaded`. A
   * session that does not say gets what others leave.
   */
  readonly faces?: (() => number) | undefined;
  /** Pictures of each face in a second; 25 unless told. */
  readonly fps?: number | undefined;
  /** Calls that may be on their way; one more is refused as `overloaded`. 64 unless told. */
  readonly capacity?: number;
  readonly clock?: Clock;
}

const PROCESS = randomUUID();

/**
 * Opens a network that a server computes: of ours (`livedub models serve`), or another that speaks the Open Inference
 * Protocol, as Triton does. `url` is `http(s)://host:port` or `grpc(s)://host:port`. Closes with `scope`.
 *
 * Unlike those on this machine, its calls travel side by side, so that they can be computed together, and are answered as
 * they are done. Inputs are left as they were, given away or not. A call fails with a `Fault` of the options' stage:
 *
 * | what happens                                                            | fault       |
 * | ----------------------------------------------------------------------- | ----------- |
 * | no room: too many calls here, 429, 503, `RESOURCE_EXHAUSTED`            | overloaded  |
 * | the call's deadline, which the server is told too; 504, `DEADLINE_EXCEEDED` | timeout |
 * | no connection, a cut one, other 5xx, `UNAVAILABLE` and the like         | unavailable |
 * | inputs that the server refuses; an answer that is not what it should be | rejected    |
 * | no key or a wrong one; the network is closed                            | broken      |
 *
 * and with a `TypeError` when the inputs are not what the model's ports ask for. Five failures in a row that are the
 * server's let it rest for a while (`models/service/breaker.ts`); afterwards the same network goes on.
 */
export async function openRemoteNetwork(
  url: string,
  model: string,
  scope: Scope,
  options: RemoteNetworkOptions,
): Promise<LoadedNetwork> {
  const { stage, name = model, session = PROCESS, faces, fps, capacity = 64, clock = new MonotonicClock() } = options;
  if (!Number.isInteger(capacity) || capacity < 1) {
    throw new RangeError(`Cannot open network: capacity must be a positive integer, received ${capacity}`);
  }
  const server = remoteServer(url, scope, options);
  const asked = { signal: AbortSignal.any([scope.signal]), clock };
  const binary = takesBytes((await server.metadata(asked)).extensions);
  const metadata = await server.model(model, asked).catch((thrown: unknown) => {
    if (!(thrown instanceof Fault) || thrown.kind !== 'rejected') throw thrown;
    throw server.fault('unavailable', `${server.host} cannot serve model '${model}': ${thrown.message}`, thrown);
  });
  const inputs = portsOf(server, metadata, 'inputs');
  const outputs = portsOf(server, metadata, 'outputs');

  const tally = new NetworkTally();
  const label = { name, stage, device: `remote ${server.host}` };
  scope.defer(listNetwork({ label, memory: tally.memory }));
  let underWay = 0;
  const failed = (thrown: unknown) => {
    if (thrown instanceof Fault) tally.count(LOSSES[thrown.kind] ?? 'failed');
    return thrown;
  };

  return {
    inputs,
    outputs,
    device: 'remote',
    report: () => tally.report(label),
    async run(tensors: Tensors, { deadline, signal }: RunOptions = {}) {
      signal?.throwIfAborted();
      if (scope.signal.aborted) throw new Fault(stage, 'broken', `Network ${name} is closed`);
      expectFitting(name, inputs, tensors);
      if (underWay >= capacity) {
        throw failed(new Fault(stage, 'overloaded', `Network ${name}: ${capacity} calls are on their way already`));
      }
      const begun = clock.now();
      if (deadline !== undefined && deadline <= begun) {
        throw failed(new Fault(stage, 'timeout', `Network ${name} did not answer by the call's deadline`));
      }
      const told = {
        session,
        ...(faces && { faces: faces() }),
        ...(fps !== undefined && { fps }),
        ...(deadline !== undefined && { timeout: between(begun, deadline) }),
      };
      const sent = Object.fromEntries(inputs.map((port) => [port.name, fitted(port, tensors[port.name]!)]));
      // One of its own, as each call listens to it.
      const either = AbortSignal.any([scope.signal, ...(signal ? [signal] : [])]);
      underWay += 1;
      tally.queued(underWay);
      try {
        const made = await server.infer(model, sent, told, binary, { deadline, signal: either, clock });
        expectAnswer(server, model, outputs, made);
        tally.running.add(between(begun, clock.now()));
        return made;
      } catch (thrown) {
        if (signal?.aborted) throw signal.reason;
        if (scope.signal.aborted) throw new Fault(stage, 'broken', `Network ${name} is closed`);
        throw failed(thrown);
      } finally {
        underWay -= 1;
        tally.queued(underWay);
      }
    },
  };
}

const LOSSES: Partial<Record<FaultKind, 'overflow' | 'expired'>> = { overloaded: 'overflow', timeout: 'expired' };

/** The ports of a model as its server describes them: sizes that are open have names of ours. */
function portsOf(server: RemoteServer, metadata: ModelMetadata, which: 'inputs' | 'outputs'): Port[] {
  return metadata[which].map(({ name, datatype, shape }) => {
    const element = elementFor(datatype);
    if (!element) {
      const what = `${which === 'inputs' ? 'input' : 'output'} '${name}' of model '${metadata.name}' is of ${datatype}`;
      throw server.fault('broken', `${what}; known are FP32, FP16, INT64, INT32, UINT8 and BOOL`);
    }
    return { name, element, shape: shape.map((size, axis) => (size < 0 ? `axis ${axis}` : size)) };
  });
}

/** Refuses an answer that is not what the model's ports promise. */
function expectAnswer(server: RemoteServer, model: string, ports: readonly Port[], made: Tensors): void {
  for (const { name, element, shape } of ports) {
    const tensor: Tensor | undefined = made[name];
    const fits =
      tensor &&
      elementOf(tensor) === element &&
      tensor.dims.length === shape.length &&
      shape.every((size, axis) => typeof size === 'string' || size === tensor.dims[axis]);
    if (fits) continue;
    const received = tensor ? `${elementOf(tensor)} [${tensor.dims.join(', ')}]` : 'nothing';
    const wanted = `${element} [${shape.join(', ')}]`;
    throw server.fault(
      'rejected',
      `output '${name}' of model '${model}' at ${server.host} must be ${wanted}, received ${received}`,
    );
  }
}
