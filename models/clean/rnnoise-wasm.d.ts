declare module '@echogarden/rnnoise-wasm' {
  /** RNNoise's C interface (`rnnoise.h`); pointers are byte offsets into the module's memory. */
  export interface RnnoiseModule {
    /** A view of the memory, replaced whenever the memory grows: read it anew for every use. */
    readonly HEAPF32: Float32Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _rnnoise_get_frame_size(): number;
    /** A stream's state; 0 stands for the model that is built in. */
    _rnnoise_create(model: number): number;
    _rnnoise_destroy(state: number): void;
    /** Returns how likely there is speech, 0 to 1. */
    _rnnoise_process_frame(state: number, output: number, input: number): number;
  }
  export default function create(): Promise<RnnoiseModule>;
}
