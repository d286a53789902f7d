declare module 'sherpa-onnx-node' {
  /** What is used of its classes; the names are those of `types.js` in the package. */
  interface SherpaAudio {
    readonly samples: Float32Array;
    readonly sampleRate: number;
  }
  class OfflineTts {
    constructor(config: object);
    readonly numSpeakers: number;
    readonly sampleRate: number;
    generate(request: object): SherpaAudio;
  }
  class OnlineStream {
    acceptWaveform(audio: SherpaAudio): void;
    inputFinished(): void;
  }
  class OnlineRecognizer {
    constructor(config: object);
    createStream(): OnlineStream;
    isReady(stream: OnlineStream): boolean;
    decode(stream: OnlineStream): void;
    getResult(stream: OnlineStream): { readonly tokens: readonly string[]; readonly timestamps: readonly number[] };
  }
  const sherpa: {
    readonly OfflineTts: typeof OfflineTts;
    readonly OnlineRecognizer: typeof OnlineRecognizer;
  };
  export default sherpa;
}
