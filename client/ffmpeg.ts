import coreURL from '@ffmpeg/core?url';
import wasmURL from '@ffmpeg/core/wasm?url';
import { FFFSType, FFmpeg } from '@ffmpeg/ffmpeg';
import { Failure } from './failure.ts';

/** Copying the streams into a container the browser reads takes a second; encoding them anew takes a good part of the programme's length. */
const ATTEMPTS = [
  { step: 'repackaging', output: 'out.mp4', type: 'video/mp4', args: ['-c', 'copy', '-movflags', '+faststart'] },
  { step: 'repackaging', output: 'out.webm', type: 'video/webm', args: ['-c', 'copy'] },
  {
    step: 'converting',
    output: 'out.webm',
    type: 'video/webm',
    // One thread of wasm: the fastest settings, and no larger a picture than it can keep up with. Two traps of this core:
    // libvpx in its real-time mode reads out of bounds without `-threads 1`, and libopus does beside libvpx, so the sound
    // is Vorbis (it becomes Opus when it is sent anyway).
    args: [
      ...[
        '-vf',
        "scale='min(640,iw)':-2",
        '-r',
        '25',
        '-c:v',
        'libvpx',
        '-threads',
        '1',
        '-deadline',
        'realtime',
        '-cpu-used',
        '8',
      ],
      ...['-b:v', '1M', '-g', '50', '-c:a', 'libvorbis', '-q:a', '4', '-ac', '2'],
    ],
  },
] as const;

export interface Conversion {
  readonly step: 'loading' | (typeof ATTEMPTS)[number]['step'];
  /** 0 to 1, or `null` while it cannot be told. */
  readonly progress: number | null;
}

/**
 * Makes a file that this browser plays out of one that it does not, inside the page: nothing is uploaded. The result is
 * accepted when `plays` says so, which is told whether the file has a picture. Throws a {@link Failure} with code `unsupported` when nothing playable comes out.
 *
 * The single-thread core needs no cross-origin isolation; it is 32 MB from our own origin, fetched at the first use.
 */
export async function playable(
  file: File,
  plays: (converted: Blob, picture: boolean) => Promise<boolean>,
  onProgress: (conversion: Conversion) => void,
  signal: AbortSignal,
): Promise<Blob> {
  let crash: unknown;
  for (const attempt of ATTEMPTS) {
    try {
      const converted = await converting(file, attempt, onProgress, signal);
      if (converted && (await plays(converted.blob, converted.picture))) return converted.blob;
    } catch (cause) {
      signal.throwIfAborted();
      crash = cause; // the next attempt has a core of its own
    }
  }
  throw new Failure(
    {
      code: 'unsupported',
      message: `Nothing playable could be made of "${file.name}".`,
      field: 'file',
      fix: 'Choose another file, best an MP4 or WebM.',
    },
    { cause: crash },
  );
}

/** One attempt in a core of its own, since one that has crashed is of no more use. `null` when FFmpeg refuses the file. */
async function converting(
  file: File,
  { step, output, type, args }: (typeof ATTEMPTS)[number],
  onProgress: (conversion: Conversion) => void,
  signal: AbortSignal,
): Promise<{ readonly blob: Blob; readonly picture: boolean } | null> {
  signal.throwIfAborted();
  const ffmpeg = new FFmpeg();
  // A terminated core never answers what it was asked: give the answer ourselves.
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  const run = async () => {
    onProgress({ step: 'loading', progress: null });
    await ffmpeg.load({ coreURL: new URL(coreURL, location.href).href, wasmURL: new URL(wasmURL, location.href).href });
    ffmpeg.on('progress', ({ progress }) =>
      onProgress({ step, progress: progress >= 0 && progress <= 1 ? progress : null }),
    );
    let picture = false;
    ffmpeg.on('log', ({ message }) => (picture ||= /Stream #0:\d.*: Video: /.test(message)));
    onProgress({ step, progress: null });
    await ffmpeg.createDir('/in');
    // The worker reads the file where it lies, so its size is not bound by wasm's memory; only the result's is.
    await ffmpeg.mount(FFFSType.WORKERFS, { files: [file] }, '/in');
    const status = await ffmpeg.exec([
      '-i',
      `/in/${file.name}`,
      '-map',
      '0:v:0?',
      '-map',
      '0:a:0?',
      '-sn',
      '-dn',
      ...args,
      output,
    ]);
    if (status !== 0) return null;
    const bytes = (await ffmpeg.readFile(output)) as Uint8Array<ArrayBuffer>;
    return bytes.length > 0 ? { blob: new Blob([bytes], { type }), picture } : null;
  };
  try {
    return await Promise.race([run(), aborted]);
  } finally {
    ffmpeg.terminate();
  }
}
