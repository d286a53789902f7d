import type { OpenProgramme, Programme } from '../../media/programme.ts';
import type { Scope } from '../../media/scope.ts';
import { type SrtListener, callSrt, listenSrt } from '../../media/srt.ts';
import { PicturesUnfit, type StreamInput, type StreamOptions, openStream } from '../../media/stream.ts';
import type { StreamSpec } from '../source-spec.ts';
import { Feed } from './feed.ts';
import type { Pace } from './stream-source.ts';

/** How a stream is opened, and in what time it comes. */
export interface Opened {
  readonly open: OpenProgramme;
  readonly pace: Pace;
  /** Where the gateway hands over what is published to it: a TCP port of this machine. */
  readonly feed?: number;
}

/**
 * How the programme of a source is opened, once for each time it comes.
 *
 * @param session what waits for callers waits as long as this lasts
 */
export async function openProgramme(source: StreamSpec, session: Scope): Promise<Opened> {
  switch (source.kind) {
    case 'url': {
      const { url, transport } = source;
      const rtsp = /^rtsps?:/i.test(url);
      const input = { kind: 'url', url, ...(rtsp && { transport }) } as const;
      return { open: reader(async () => input, 'source.url'), pace: rtsp ? 'arrival' : 'clock' };
    }
    case 'rtp': {
      const input = { kind: 'sdp', sdp: source.sdp } as const;
      return { open: reader(async () => input, 'source.sdp'), pace: 'arrival' };
    }
    case 'srt':
      return { open: reader(srtInput(source, session), 'source'), pace: 'arrival' };
    case 'rtmp': {
      const feed = await Feed.open(session);
      return { open: reader(feedInput(feed), 'source'), pace: 'arrival', feed: feed.port };
    }
  }
}

/** Reads a stream as it is, until its pictures turn out to be nothing for viewers: from then on they are transcoded. */
function reader(input: (scope: Scope) => Promise<StreamInput>, field: string): OpenProgramme {
  let transcode: string | undefined;
  return async (scope) => {
    const options: StreamOptions = { field, ...(transcode !== undefined && { transcode }) };
    const programme = await openStream(await input(scope), options, scope);
    return noticing(programme, (why) => (transcode = why));
  };
}

function noticing(programme: Programme, unfit: (why: string) => void): Programme {
  return {
    info: programme.info,
    async *[Symbol.asyncIterator]() {
      try {
        yield* programme;
      } catch (failure) {
        if (failure instanceof PicturesUnfit) unfit(failure.why);
        throw failure;
      }
    },
  };
}

/** The bytes of the next publisher, or of the present one from its next key frame on. */
const feedInput =
  (feed: Feed) =>
  async (scope: Scope): Promise<StreamInput> => {
    const bytes = await feed.next(scope.signal);
    scope.defer(() => bytes.close());
    return { kind: 'bytes', format: 'flv', bytes };
  };

/** The bytes of the next caller, or of a call of our own. */
function srtInput(
  source: Extract<StreamSpec, { kind: 'srt' }>,
  session: Scope,
): (scope: Scope) => Promise<StreamInput> {
  const { mode, host = '127.0.0.1', port = 0, passphrase, latency, streamid } = source;
  const options = {
    ...{ host, port, latency },
    ...(passphrase !== undefined && { passphrase }),
    ...(streamid !== undefined && { streamid }),
  };
  let listener: Promise<SrtListener> | undefined;
  const listening = () => {
    listener ??= listenSrt(options, session).catch((failure: unknown) => {
      listener = undefined;
      throw failure;
    });
    return listener;
  };
  return async (scope) => {
    const bytes = mode === 'caller' ? await callSrt(options, scope) : await (await listening()).next(scope.signal);
    scope.defer(() => bytes.close());
    return { kind: 'bytes', format: 'mpegts', bytes };
  };
}
