import type { OpenProgramme } from '../../media/programme.ts';
import { openStream } from '../../media/stream.ts';
import type { StreamSpec } from '../source-spec.ts';
import type { Pace } from './stream-source.ts';

/** How a stream is opened, and in what time it comes. */
export interface Opened {
  readonly open: OpenProgramme;
  readonly pace: Pace;
}

/** How the programme of a source is opened, once for each time it comes. */
export function openProgramme(source: StreamSpec): Opened {
  switch (source.kind) {
    case 'url': {
      const { url, transport } = source;
      const rtsp = /^rtsps?:/i.test(url);
      const input = { kind: 'url', url, ...(rtsp && { transport }) } as const;
      return {
        open: (scope) => openStream(input, { field: 'source.url' }, scope),
        pace: rtsp ? 'arrival' : 'clock',
      };
    }
    case 'rtp': {
      const input = { kind: 'sdp', sdp: source.sdp } as const;
      return { open: (scope) => openStream(input, { field: 'source.sdp' }, scope), pace: 'arrival' };
    }
    case 'srt':
    case 'rtmp':
      throw new TypeError(`Cannot open ${source.kind}: not wired`);
  }
}
