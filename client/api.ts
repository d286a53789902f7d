import type { LanguageTag, RecordingView, SessionView } from '../gateway/protocol.ts';
import { Failure, isApiError } from './failure.ts';
import { token } from './storage.ts';

/** Where a programme comes from, as far as the form asks. */
export type SourceDraft =
  | { readonly kind: 'webrtc' }
  | { readonly kind: 'srt' }
  | { readonly kind: 'rtmp' }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'file'; readonly path: string; readonly loop: boolean };

/** The body of `POST /v1/sessions`, as the form fills it in. The gateway has the defaults for what is left out. */
export interface SessionDraft {
  readonly name?: string;
  readonly source: SourceDraft;
  readonly from: LanguageTag;
  readonly to: readonly LanguageTag[];
  readonly delay: number | 'auto';
  readonly denoise: boolean;
  readonly mix: { readonly mode: 'replace' | 'duck' | 'voice-over'; readonly under?: number };
  readonly voices?: { readonly cloning: 'consented' };
}

export const listSessions = async (signal: AbortSignal): Promise<SessionView[]> =>
  listIn<SessionView>(await call('GET', '/v1/sessions', undefined, signal), 'sessions');

export const getSession = (id: string, signal?: AbortSignal): Promise<SessionView> =>
  call('GET', `/v1/sessions/${encodeURIComponent(id)}`, undefined, signal) as Promise<SessionView>;

export const createSession = (draft: SessionDraft): Promise<SessionView> =>
  call('POST', '/v1/sessions', draft) as Promise<SessionView>;

export const endSession = (id: string): Promise<unknown> => call('DELETE', `/v1/sessions/${encodeURIComponent(id)}`);

export const listRecordings = async (signal: AbortSignal): Promise<RecordingView[]> =>
  listIn<RecordingView>(await call('GET', '/v1/recordings', undefined, signal), 'recordings');

export const deleteRecording = (name: string): Promise<unknown> =>
  call('DELETE', `/v1/recordings/${encodeURIComponent(name)}`);

/** Address of a session's picture; `null` where nobody has made one: that costs a process, which other outlets have anyway. */
export function posterOf({ id, state, stats }: SessionView): string | null {
  const made = stats?.outputs?.['stills']?.['posters'] ?? 0;
  const gone = state === 'ended' || state === 'failed';
  return made === 0 || gone ? null : `/v1/sessions/${encodeURIComponent(id)}/poster.jpg?n=${made}`;
}

/** Language pairs the installed engines can dub: source → targets. */
export async function listLanguages(signal: AbortSignal): Promise<Map<LanguageTag, LanguageTag[]>> {
  const pairs = new Map<LanguageTag, LanguageTag[]>();
  for (const { from, to } of listIn<{ from: string; to: string | string[] }>(
    await call('GET', '/v1/languages', undefined, signal),
    'languages',
  )) {
    pairs.set(from, [...new Set([...(pairs.get(from) ?? []), ...[to].flat()])]);
  }
  return pairs;
}

function listIn<T>(body: unknown, field: string): T[] {
  const list = Array.isArray(body) ? body : (body as Record<string, unknown> | null)?.[field];
  return Array.isArray(list) ? (list as T[]) : [];
}

async function call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
  const bearer = token.read();
  const response = await fetch(path, {
    method,
    headers: {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(bearer && { authorization: `Bearer ${bearer}` }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  }).catch((cause: unknown) => {
    if (signal?.aborted) throw cause;
    throw new Failure(
      {
        code: 'unavailable',
        message: 'The gateway does not answer.',
        field: null,
        fix: 'Check that it is running and try again.',
      },
      { cause },
    );
  });
  const answer: unknown = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.ok) return answer;
  const error = (answer as { error?: unknown } | null)?.error ?? answer;
  if (isApiError(error))
    throw new Failure({ code: error.code, message: error.message, field: error.field ?? null, fix: error.fix ?? null });
  throw new Failure({
    code: response.status === 404 ? 'not_found' : 'internal',
    message: `The gateway answered ${response.status} ${response.statusText}.`,
    field: null,
    fix: null,
  });
}
