import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from './gateway.ts';

const PYTHON = '/usr/bin/python3';
const lacks = (code: string, what: string) =>
  spawnSync(PYTHON, ['-c', code], { stdio: 'ignore' }).status === 0 ? undefined : `no ${what} for ${PYTHON}`;
export const noAiortc = lacks('import aiortc, aioice, av', 'aiortc');
export const noWebrtcbin = lacks(
  'import gi; gi.require_version("Gst", "1.0"); from gi.repository import Gst; Gst.init(None); assert Gst.ElementFactory.make("webrtcbin") and Gst.ElementFactory.make("nicesrc")',
  'GStreamer with webrtcbin and libnice',
);
/** WHIP and WHEP clients besides browsers. */
export const PEERS = [
  { name: 'aiortc', script: 'webrtc-peer.py', lacking: noAiortc },
  { name: 'GStreamer’s webrtcbin', script: 'gst-peer.py', lacking: noWebrtcbin },
] as const;

/** What such a program says of itself. */
export interface Said {
  readonly answered?: number;
  readonly body?: string;
  readonly deleted?: number;
  readonly state?: string;
  /** Frames received, or packets sent. */
  readonly audio?: number;
  readonly video?: number;
  /** The loudest sample received, of 32768. */
  readonly loudest?: number;
  readonly size?: string | null;
}

/** A WHIP or WHEP client in Python that nobody here wrote the media part of. */
export class WebrtcPeer {
  readonly #child: ChildProcess;
  readonly #said: Said[] = [];
  #complaint = '';

  /** @param script beside this file */
  constructor(script: (typeof PEERS)[number]['script'], args: readonly string[]) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    this.#child = spawn(PYTHON, [path, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#said.push(JSON.parse(line) as Said));
    this.#child.stderr!.on(
      'data',
      (data: Buffer) => (this.#complaint = (this.#complaint + data.toString()).slice(-4_000)),
    );
  }

  /** Waits until it has said something like that. */
  async until(when: (said: Said) => boolean, what: string, within = 20_000): Promise<Said> {
    const ended = () => this.#child.exitCode !== null;
    const found = await eventually(() => this.#said.find(when) ?? (ended() && 'ended'), what, within).catch(
      () => 'late',
    );
    if (typeof found === 'object') return found;
    throw new Error(`${what}: ${String(found)}; ${JSON.stringify(this.#said.slice(-2))} ${this.#complaint}`);
  }
  /** Lets it say good-bye. */
  async end(): Promise<Said | undefined> {
    this.#child.stdin!.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return this.#said.at(-1);
  }
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
