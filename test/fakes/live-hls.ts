import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Scope } from '../../media/scope.ts';
import { eventually } from './gateway.ts';

export interface LiveHlsOptions {
  readonly segments: 'mpegts' | 'fmp4';
  /** Played over and over, until it is stopped. */
  readonly loop?: boolean;
  /** Three segments are there when it resolves, so that a player begins with them; one unless told. */
  readonly ready?: number;
}

/** A live HLS stream of one-second segments, of which four are kept: FFmpeg writes it in real time, and a server hands it out. */
export async function liveHls(file: string, { segments, loop = true, ready = 1 }: LiveHlsOptions, scope: Scope) {
  const folder = mkdtempSync(join(tmpdir(), 'livedub-live-hls-'));
  scope.defer(() => rmSync(folder, { recursive: true }));
  const asked: string[] = [];
  let trouble: 'none' | 'held' | 'gone' = 'none';
  let held = '';
  const playlist = () => {
    try {
      return readFileSync(join(folder, 'live.m3u8'), 'utf8');
    } catch {
      return '';
    }
  };
  const server = createServer((request, response) => {
    const name = basename(request.url ?? '');
    asked.push(name);
    try {
      if (trouble === 'gone') throw new Error('gone');
      const list = trouble === 'held' ? held : playlist();
      response.end(name === 'live.m3u8' ? list : readFileSync(join(folder, name)));
    } catch {
      response.writeHead(404).end();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const write = (flags: string) => {
    const input = ['-v', 'error', '-re', ...(loop ? ['-stream_loop', '-1'] : []), '-i', file, '-c', 'copy'];
    const list = ['-f', 'hls', '-hls_time', '1', '-hls_list_size', '4', '-hls_flags', flags];
    const child = spawn('ffmpeg', [...input, ...list, '-hls_segment_type', segments, join(folder, 'live.m3u8')], {
      stdio: 'ignore',
    });
    const gone = once(child, 'exit');
    const kill = async (signal: 'SIGKILL' | 'SIGTERM') => {
      child.kill(signal);
      await gone;
    };
    scope.defer(() => kill('SIGKILL'));
    return kill;
  };
  let kill = write('delete_segments+temp_file');
  await eventually(() => (playlist().match(/#EXTINF/g)?.length ?? 0) >= ready, 'segments', 20_000);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/live.m3u8`,
    /** Names that were asked for. */
    asked,
    playlist,
    /** The playlist stays as it is, or all is gone, until there is no trouble any more. */
    trouble(what: typeof trouble) {
      held = playlist();
      trouble = what;
    },
    /** The encoder dies, and another goes on behind what it wrote, its clock at 0 again. */
    async restart() {
      await kill('SIGKILL');
      kill = write('delete_segments+temp_file+append_list+discont_start');
    },
    /** The encoder says goodbye: the playlist ends. */
    end: () => kill('SIGTERM'),
  };
}
