import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Scope } from '../../media/scope.ts';

/** The Python that Debian's packages are for. */
const PYTHON = '/usr/bin/python3';
const PROGRAM = fileURLToPath(new URL('rtsp-server.py', import.meta.url));
const CHECK = `import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer`;

/** Why there is no RTSP server here, or nothing. */
export const noRtspServer =
  spawnSync(PYTHON, ['-c', CHECK]).status === 0 ? undefined : 'no gir1.2-gst-rtsp-server-1.0 and python3-gi';

export interface RtspOptions {
  readonly sound: 'aac' | 'opus' | 'pcma';
  readonly access?: { readonly kind: 'basic' | 'digest'; readonly name: string; readonly password: string };
  /** A free one unless told. */
  readonly port?: number;
}

/** GStreamer's RTSP server, which plays `file` to each client from the beginning, at `/live`. */
export async function rtspServer(file: string, { sound, access, port = 0 }: RtspOptions, scope: Scope) {
  const login = access ? [access.kind, access.name, access.password] : ['none'];
  const child: ChildProcess = spawn(PYTHON, [PROGRAM, String(port), file, sound, ...login], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const gone = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGKILL');
    await gone;
  };
  scope.defer(stop);
  const [line] = (await Promise.race([
    once(child.stdout!, 'data'),
    gone.then(() => Promise.reject(new Error('the RTSP server did not start'))),
  ])) as [Buffer];
  const bound = Number(line.toString());
  const before = access ? `${access.name}:${access.password}@` : '';
  return { port: bound, url: `rtsp://${before}127.0.0.1:${bound}/live`, stop };
}
