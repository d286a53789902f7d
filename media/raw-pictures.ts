import { ffmpeg, inputFile } from './ffmpeg.ts';
import type { VideoStream } from './probe.ts';
import type { Scope } from './scope.ts';
import { at } from './time.ts';
import { UNSPECIFIED, type VideoFrame } from './video-frame.ts';

/**
 * A file's pictures as they are shown, upright, `rate` a second from the beginning of the file on: the picture in sight at
 * each step, whatever the file's own rate is. Read as fast as they are asked for.
 */
export async function* rawPictures(
  path: string,
  video: VideoStream,
  rate: number,
  scope: Scope,
): AsyncGenerator<VideoFrame, void, void> {
  const turned = video.rotation % 180 !== 0;
  const [width, height] = turned ? [video.height, video.width] : [video.width, video.height];
  const [luma, chroma] = [width * height, ((width + 1) >> 1) * ((height + 1) >> 1)];
  const size = luma + 2 * chroma;
  const own = scope.child(`pictures of ${path}`);
  try {
    const filters = `${video.interlaced ? 'yadif,' : ''}fps=${rate}:start_time=0,format=yuv420p`;
    const out = ['-map', `0:${video.index}`, '-vf', filters, '-f', 'rawvideo', 'pipe:1'];
    const { stdout, done } = ffmpeg([...inputFile(path), ...out], own);
    let picture = new Uint8Array(size);
    let [filled, count] = [0, 0];
    for await (const piece of stdout as AsyncIterable<Uint8Array>) {
      for (let read = 0; read < piece.length;) {
        const part = piece.subarray(read, read + size - filled);
        picture.set(part, filled);
        filled += part.length;
        read += part.length;
        if (filled < size) continue;
        const planes = {
          y: picture.subarray(0, luma),
          u: picture.subarray(luma, luma + chroma),
          v: picture.subarray(luma + chroma),
        };
        yield { width, height, ...planes, start: at((count * 1_000_000) / rate), colour: UNSPECIFIED };
        count += 1;
        picture = new Uint8Array(size);
        filled = 0;
      }
    }
    await done;
    scope.signal.throwIfAborted();
  } finally {
    await own.close();
  }
}

/** All of an audio track, mixed to one channel at `rate`, from the beginning of the file on. */
export async function rawSound(path: string, index: number, rate: number, scope: Scope): Promise<Float32Array> {
  const own = scope.child(`sound of ${path}`);
  try {
    // What begins later than the file is preceded by silence.
    const filters = `aresample=${rate}:async=1:first_pts=0`;
    const out = ['-map', `0:${index}`, '-af', filters, '-ac', '1', '-f', 'f32le', 'pipe:1'];
    const { stdout, done } = ffmpeg([...inputFile(path), ...out], own);
    const pieces: Uint8Array[] = [];
    for await (const piece of stdout as AsyncIterable<Uint8Array>) pieces.push(piece);
    await done;
    scope.signal.throwIfAborted();
    const bytes = Uint8Array.from(Buffer.concat(pieces));
    return new Float32Array(bytes.buffer, 0, bytes.length >> 2);
  } finally {
    await own.close();
  }
}

/** One picture of a file as a JPEG, `height` pixels high. */
export async function jpegAt(path: string, seconds: number, height: number, scope: Scope): Promise<Buffer> {
  const own = scope.child(`still of ${path}`);
  try {
    const out = [
      '-frames:v',
      '1',
      '-vf',
      `scale=-2:${height}`,
      '-c:v',
      'mjpeg',
      '-q:v',
      '4',
      '-f',
      'image2pipe',
      'pipe:1',
    ];
    const { stdout, done } = ffmpeg(['-ss', seconds.toFixed(3), ...inputFile(path), ...out], own);
    const pieces: Uint8Array[] = [];
    for await (const piece of stdout as AsyncIterable<Uint8Array>) pieces.push(piece);
    await done;
    return Buffer.concat(pieces);
  } finally {
    await own.close();
  }
}
