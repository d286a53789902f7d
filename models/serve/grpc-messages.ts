/**
 * The inference protocol's gRPC service, as protobufjs reads it: what its `.proto` says, in JSON, so that nothing has to be
 * found beside the built code.
 *
 * @see https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
 */

type Field = { readonly type: string; readonly id: number; readonly rule?: 'repeated'; readonly keyType?: string };
const field = (type: string, id: number): Field => ({ type, id });
const repeated = (type: string, id: number): Field => ({ rule: 'repeated', type, id });
const map = (type: string, id: number): Field => ({ keyType: 'string', type, id });

const named = { fields: { name: field('string', 1), version: field('string', 2) } };
const call = (name: string) => ({ requestType: `${name}Request`, responseType: `${name}Response` });
const tensor = {
  fields: {
    name: field('string', 1),
    datatype: field('string', 2),
    shape: repeated('int64', 3),
    parameters: map('InferParameter', 4),
    contents: field('InferTensorContents', 5),
  },
};

export const SERVICE = 'inference.GRPCInferenceService';

export const MESSAGES = {
  nested: {
    inference: {
      nested: {
        GRPCInferenceService: {
          methods: {
            ServerLive: call('ServerLive'),
            ServerReady: call('ServerReady'),
            ModelReady: call('ModelReady'),
            ServerMetadata: call('ServerMetadata'),
            ModelMetadata: call('ModelMetadata'),
            ModelInfer: call('ModelInfer'),
          },
        },
        ServerLiveRequest: { fields: {} },
        ServerLiveResponse: { fields: { live: field('bool', 1) } },
        ServerReadyRequest: { fields: {} },
        ServerReadyResponse: { fields: { ready: field('bool', 1) } },
        ModelReadyRequest: named,
        ModelReadyResponse: { fields: { ready: field('bool', 1) } },
        ServerMetadataRequest: { fields: {} },
        ServerMetadataResponse: {
          fields: { name: field('string', 1), version: field('string', 2), extensions: repeated('string', 3) },
        },
        ModelMetadataRequest: named,
        ModelMetadataResponse: {
          fields: {
            name: field('string', 1),
            versions: repeated('string', 2),
            platform: field('string', 3),
            inputs: repeated('TensorMetadata', 4),
            outputs: repeated('TensorMetadata', 5),
            properties: map('string', 6),
          },
          nested: {
            TensorMetadata: {
              fields: { name: field('string', 1), datatype: field('string', 2), shape: repeated('int64', 3) },
            },
          },
        },
        ModelInferRequest: {
          fields: {
            modelName: field('string', 1),
            modelVersion: field('string', 2),
            id: field('string', 3),
            parameters: map('InferParameter', 4),
            inputs: repeated('InferInputTensor', 5),
            outputs: repeated('InferRequestedOutputTensor', 6),
            rawInputContents: repeated('bytes', 7),
          },
          nested: {
            InferInputTensor: tensor,
            InferRequestedOutputTensor: {
              fields: { name: field('string', 1), parameters: map('InferParameter', 2) },
            },
          },
        },
        ModelInferResponse: {
          fields: {
            modelName: field('string', 1),
            modelVersion: field('string', 2),
            id: field('string', 3),
            parameters: map('InferParameter', 4),
            outputs: repeated('InferOutputTensor', 5),
            rawOutputContents: repeated('bytes', 6),
          },
          nested: { InferOutputTensor: tensor },
        },
        InferParameter: {
          oneofs: {
            parameterChoice: {
              oneof: ['boolParam', 'int64Param', 'stringParam', 'doubleParam', 'uint64Param'],
            },
          },
          fields: {
            boolParam: field('bool', 1),
            int64Param: field('int64', 2),
            stringParam: field('string', 3),
            doubleParam: field('double', 4),
            uint64Param: field('uint64', 5),
          },
        },
        InferTensorContents: {
          fields: {
            boolContents: repeated('bool', 1),
            intContents: repeated('int32', 2),
            int64Contents: repeated('int64', 3),
            uintContents: repeated('uint32', 4),
            uint64Contents: repeated('uint64', 5),
            fp32Contents: repeated('float', 6),
            fp64Contents: repeated('double', 7),
            bytesContents: repeated('bytes', 8),
          },
        },
      },
    },
  },
};

/** A parameter: one of its fields is set. 64-bit integers are texts here. */
export interface InferParameter {
  readonly boolParam?: boolean;
  readonly int64Param?: string | number;
  readonly stringParam?: string;
  readonly doubleParam?: number;
  readonly uint64Param?: string;
}
export interface TensorContents {
  readonly boolContents?: readonly boolean[];
  readonly intContents?: readonly number[];
  readonly int64Contents?: readonly string[];
  readonly uintContents?: readonly number[];
  readonly fp32Contents?: readonly number[];
}
export interface InferTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (string | number)[];
  readonly contents?: TensorContents | null;
}
export interface ModelInferRequest {
  readonly modelName: string;
  readonly modelVersion?: string;
  readonly id?: string;
  readonly parameters?: Readonly<Record<string, InferParameter>>;
  readonly inputs: readonly InferTensor[];
  readonly outputs?: readonly { readonly name: string }[];
  readonly rawInputContents: readonly Uint8Array[];
}
export interface ModelInferResponse {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly outputs: readonly InferTensor[];
  readonly rawOutputContents: readonly Uint8Array[];
}
export interface ModelMetadataResponse {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly InferTensor[];
  readonly outputs: readonly InferTensor[];
  readonly properties?: Readonly<Record<string, string>>;
}
export interface ServerMetadataResponse {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}
export interface Named {
  readonly name: string;
  readonly version?: string;
}
