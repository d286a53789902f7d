import type { TrackId } from '../gateway/protocol.ts';

interface Voice {
  readonly source: MediaStreamAudioSourceNode;
  readonly gain: GainNode;
  readonly pump: HTMLAudioElement;
}

/** Time constant, s, of every gain change: about 60 ms to be as good as there, without a click. */
const SMOOTH = 0.02;

/**
 * Every track that arrives has a gain; all run into one master gain, an analyser and the loudspeaker.
 *
 * Chromium hands a remote track's sound to WebAudio only while a media element plays the stream too, hence the muted
 * `pump` per track. Must be made inside a user gesture, or the browser keeps it silent until one comes.
 */
export class Mixer {
  readonly #context = new AudioContext({ latencyHint: 'interactive' });
  readonly #master = this.#context.createGain();
  readonly #meter = new AnalyserNode(this.#context, { smoothingTimeConstant: 0 });
  readonly #samples = new Float32Array(this.#meter.fftSize);
  readonly #voices = new Map<TrackId, Voice>();

  constructor() {
    this.#master.connect(this.#meter).connect(this.#context.destination);
  }

  /** Silent until {@link level} raises it. */
  add(trackId: TrackId, track: MediaStreamTrack): void {
    this.remove(trackId);
    const stream = new MediaStream([track]);
    const pump = new Audio();
    pump.muted = true;
    pump.srcObject = stream;
    void pump.play().catch(() => {}); // ends with AbortError when the track goes before its first packet
    const source = this.#context.createMediaStreamSource(stream);
    const gain = this.#context.createGain();
    gain.gain.value = 0;
    source.connect(gain).connect(this.#master);
    this.#voices.set(trackId, { source, gain, pump });
  }

  remove(trackId: TrackId): void {
    const voice = this.#voices.get(trackId);
    if (!voice) return;
    this.#voices.delete(trackId);
    voice.source.disconnect();
    voice.gain.disconnect();
    voice.pump.srcObject = null;
  }

  /** Moves a track's gain (0 to 1) there smoothly, whatever was planned for it. */
  level(trackId: TrackId, gain: number): void {
    const param = this.#fromHere(trackId);
    param?.setTargetAtTime(gain, this.#context.currentTime, SMOOTH);
  }

  /** Plans a track's gain: from where it is, evenly, to be at each level so many seconds from now. */
  plan(trackId: TrackId, levels: readonly { readonly after: number; readonly gain: number }[]): void {
    const param = this.#fromHere(trackId);
    for (const { after, gain } of levels) param?.linearRampToValueAtTime(gain, this.#context.currentTime + after);
  }

  /** A track's gain at present, 0 to 1. */
  gainOf(trackId: TrackId): number {
    return this.#voices.get(trackId)?.gain.gain.value ?? 0;
  }

  /** A track's gain with nothing planned for it, held where it is. */
  #fromHere(trackId: TrackId): AudioParam | undefined {
    const param = this.#voices.get(trackId)?.gain.gain;
    const { value } = param ?? {};
    const now = this.#context.currentTime;
    if (value !== undefined) param?.cancelScheduledValues(now).setValueAtTime(value, now);
    return param;
  }

  master(gain: number): void {
    this.#master.gain.setTargetAtTime(gain, this.#context.currentTime, SMOOTH);
  }

  /** What goes to the loudspeaker, RMS, 0 to 1. */
  heard(): number {
    this.#meter.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return Math.sqrt(sum / this.#samples.length);
  }

  /** The strongest frequency in what goes to the loudspeaker, Hz, to 24 Hz or so. */
  peak(): number {
    const bins = new Float32Array(this.#meter.frequencyBinCount);
    this.#meter.getFloatFrequencyData(bins);
    const strongest = bins.reduce((best, level, bin) => (level > (bins[best] ?? -Infinity) ? bin : best), 0);
    return (strongest * this.#context.sampleRate) / this.#meter.fftSize;
  }

  /** What passes between a track's last sample leaving the receiver and the ear, s. */
  get latency(): number {
    return this.#context.baseLatency + (this.#context.outputLatency || 0);
  }

  get running(): boolean {
    return this.#context.state === 'running';
  }

  /** Never waits for the browser's consent: see `running`. */
  run(): void {
    void this.#context.resume().catch(() => {});
  }

  rest(): void {
    void this.#context.suspend().catch(() => {});
  }

  close(): void {
    for (const trackId of [...this.#voices.keys()]) this.remove(trackId);
    void this.#context.close().catch(() => {});
  }
}
