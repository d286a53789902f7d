import { Failure } from './failure.ts';
import { type Conversion, playable } from './ffmpeg.ts';

/** Where a publisher's picture and sound come from. */
export type SourceKind = 'camera' | 'screen' | 'file';

/** A live source. Stopping it frees the devices; `ended` fires when it ends by itself. */
export interface Capture {
  readonly stream: MediaStream;
  /** The element playing the file; `null` for devices. */
  readonly player: HTMLVideoElement | null;
  onEnded: (() => void) | null;
  stop(): void;
}

/** What the microphone is asked for: the recogniser hears it, so the browser's own echo and noise filters stay on. */
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true } as const;

export async function captureCamera(camera: string | null, microphone: string | null): Promise<Capture> {
  const devices = devicesOf();
  const stream = await devices
    .getUserMedia({
      video: {
        ...(camera && { deviceId: { exact: camera } }),
        width: { ideal: 1280 },
        height: { ideal: 720 },
        frameRate: { ideal: 25 },
      },
      audio: { ...MICROPHONE, ...(microphone && { deviceId: { exact: microphone } }) },
    })
    .catch((cause: unknown) => {
      throw deviceFailure(cause, 'camera or microphone');
    });
  return captured(stream);
}

/** The screen with its own sound where the browser offers it, else with the microphone. */
export async function captureScreen(microphone: string | null): Promise<Capture> {
  const devices = devicesOf();
  const stream = await devices
    .getDisplayMedia({ video: { frameRate: { ideal: 25 } }, audio: true })
    .catch((cause: unknown) => {
      throw deviceFailure(cause, 'screen');
    });
  if (stream.getAudioTracks().length === 0) {
    const voice = await devices
      .getUserMedia({ audio: { ...MICROPHONE, ...(microphone && { deviceId: { exact: microphone } }) } })
      .catch((cause: unknown) => {
        for (const track of stream.getTracks()) track.stop();
        throw deviceFailure(cause, 'microphone');
      });
    for (const track of voice.getAudioTracks()) stream.addTrack(track);
  }
  return captured(stream);
}

/**
 * Plays a file in `player` and takes what it plays. Chromium captures before the element's volume, so a muted player
 * sends full sound. A file the browser cannot play goes through FFmpeg in the page first.
 */
export async function captureFile(
  file: File | string,
  player: HTMLVideoElement,
  onConversion: (conversion: Conversion | null) => void,
  signal: AbortSignal,
): Promise<Capture> {
  const own = typeof file !== 'string';
  let url = own ? URL.createObjectURL(file) : file;
  try {
    const found = await loads(player, url, signal);
    // Sound alone out of a file that calls itself video: its picture is in a format the browser does not know.
    if (own && (found === null || (found === 'sound' && !file.type.startsWith('audio/')))) {
      const converted = await playable(file, plays, onConversion, signal);
      URL.revokeObjectURL(url);
      url = URL.createObjectURL(converted);
      await loads(player, url, signal);
    } else if (found === null) {
      throw new Failure({ code: 'unsupported', message: `${url} cannot be played.`, field: 'src', fix: null });
    }
  } catch (cause) {
    if (own) URL.revokeObjectURL(url);
    player.removeAttribute('src');
    throw cause;
  } finally {
    onConversion(null);
  }
  player.muted = true; // without a gesture only silent playing is allowed; what is captured is not muted
  await player.play();
  const stream = (player as HTMLVideoElement & { captureStream(): MediaStream }).captureStream();
  const capture: Capture = {
    stream,
    player,
    onEnded: null,
    stop() {
      player.removeEventListener('ended', ended);
      for (const track of stream.getTracks()) track.stop();
      player.pause();
      player.removeAttribute('src');
      player.load();
      if (own) URL.revokeObjectURL(url);
    },
  };
  const ended = () => capture.onEnded?.();
  player.addEventListener('ended', ended);
  return capture;
}

function captured(stream: MediaStream): Capture {
  const capture: Capture = {
    stream,
    player: null,
    onEnded: null,
    stop() {
      for (const track of stream.getTracks()) {
        track.onended = null;
        track.stop();
      }
    },
  };
  for (const track of stream.getTracks()) track.onended = () => capture.onEnded?.();
  return capture;
}

async function plays(blob: Blob, picture: boolean): Promise<boolean> {
  const url = URL.createObjectURL(blob);
  const probe = document.createElement('video');
  try {
    const found = await loads(probe, url);
    return found === 'picture' || (found === 'sound' && !picture);
  } finally {
    probe.removeAttribute('src');
    URL.revokeObjectURL(url);
  }
}

/** What the browser can decode of `url`: its picture (with sound or without), only sound, or nothing. */
function loads(player: HTMLVideoElement, url: string, signal?: AbortSignal): Promise<'picture' | 'sound' | null> {
  return new Promise((resolve, reject) => {
    const done = (found: 'picture' | 'sound' | null) => {
      player.onloadeddata = player.onerror = null;
      resolve(found);
    };
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    player.onloadeddata = () => done(player.videoWidth > 0 ? 'picture' : 'sound');
    player.onerror = () => done(null);
    player.preload = 'auto';
    player.src = url;
    player.load();
  });
}

// Undefined, whatever its type says, on pages that are neither HTTPS nor localhost.
function devicesOf(): MediaDevices {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices) return devices;
  throw new Failure({
    code: 'unsupported',
    message: 'The browser gives no access to camera and microphone on this address.',
    field: null,
    fix: 'Open the page over HTTPS or on localhost.',
  });
}

/** What the browser's refusal means (W3C Media Capture, getUserMedia), and what a person can do about it. */
export function deviceFailure(cause: unknown, what: string): Failure {
  const name = cause instanceof Error ? cause.name : '';
  const [message, fix] = ((): [string, string] => {
    switch (name) {
      case 'NotAllowedError':
        return [
          `Access to the ${what} was not allowed.`,
          "Allow it in the browser's site settings (the icon beside the address) and start again.",
        ];
      case 'NotFoundError':
        return [`No ${what} was found.`, 'Connect one, or publish a file.'];
      case 'NotReadableError':
      case 'AbortError':
        return [`The ${what} is in use or does not answer.`, 'Close other programs that use it and start again.'];
      case 'OverconstrainedError':
        return ['The chosen device is gone.', 'Choose another one.'];
      default:
        return [`The ${what} could not be opened${cause instanceof Error ? `: ${cause.message}` : '.'}`, 'Try again.'];
    }
  })();
  return new Failure({ code: 'unavailable', message, field: null, fix }, { cause });
}
