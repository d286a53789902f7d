import { randomInt } from 'node:crypto';
import type { Scope } from '../media/scope.ts';
import type { Config, SessionSpec } from './config.ts';
import { confined } from './files.ts';
import { type House, HostedSession } from './hosted-session.ts';
import { completed } from './ingest.ts';
import type { ApiError, LanguageTag } from './protocol.ts';
import { Refusal, refuse } from './refusal.ts';

/** What can be dubbed and by which engines. */
export interface Abilities {
  /** Why the session's programme cannot be dubbed into `to`, or nothing. */
  supports(spec: SessionSpec, to: LanguageTag): ApiError | undefined;
  /** Why a session's engines cannot be had, or nothing. */
  accepts(spec: SessionSpec): ApiError | undefined;
}

export interface SessionsOptions {
  readonly house: House;
  readonly abilities: Abilities;
  readonly limits: Config['limits'];
  /** Directories whose files may be played. */
  readonly roots: readonly string[];
}

/** How long `create` waits for the process's word, ms. Whoever waits longer gets the session as `starting`. */
const WORD_WITHIN = 15_000;
/** No letters that look like others. */
const ALPHABET = '23456789abcdefghjkmnpqrstvwxyz';
const newId = () => Array.from({ length: 10 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');

/** The sessions of this gateway. Those that are over stay readable until as many newer ones are over. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #scope: Scope;
  readonly #sessions = new Map<string, HostedSession>();
  #opening = 0;

  constructor(options: SessionsOptions, scope: Scope) {
    this.#options = options;
    this.#scope = scope;
  }

  /** @throws Refusal when it cannot be, with the field at fault */
  async create(spec: SessionSpec): Promise<HostedSession> {
    this.#check(spec);
    const { limits, roots, house } = this.#options;
    if (this.#running + this.#opening >= limits.sessions) {
      throw refuse(
        'limit',
        `This gateway runs at most ${limits.sessions} sessions.`,
        null,
        'End one first, or raise limits.sessions.',
      );
    }
    this.#opening += 1;
    try {
      const path = spec.source.kind === 'file' ? await confined(spec.source.path, roots) : undefined;
      const id = newId();
      const scope = this.#scope.child(id);
      const source = await completed(spec.source);
      const session = await HostedSession.open(id, { ...spec, source }, path, house, scope).catch(
        async (cause: unknown) => {
          await scope.close();
          throw cause;
        },
      );
      this.#sessions.set(id, session);
      await this.#started(session);
      this.#forgetOld();
      return session;
    } finally {
      this.#opening -= 1;
    }
  }

  /** @throws Refusal `not_found` */
  get(id: string): HostedSession {
    const session = this.#sessions.get(id);
    if (!session)
      throw refuse('not_found', `There is no session '${id}'.`, 'id', 'GET /v1/sessions lists those there are.');
    return session;
  }
  find(id: string): HostedSession | undefined {
    return this.#sessions.get(id);
  }
  /** Newest first. */
  list(): HostedSession[] {
    return [...this.#sessions.values()].reverse();
  }

  async remove(id: string): Promise<void> {
    const session = this.get(id);
    this.#sessions.delete(id);
    await session.close();
  }

  /** Ends every session, all at the same time. */
  async close(reason: string): Promise<void> {
    await Promise.all(this.list().map((session) => session.close(reason)));
  }

  /** Makes `to` the languages a session is dubbed into. Either all of the change is granted or none. */
  async setLanguages(id: string, to: readonly LanguageTag[]): Promise<HostedSession> {
    const session = this.get(id);
    const before = session.spec.to;
    this.#check({ ...session.spec, to: [...to] });
    for (const language of before) if (!to.includes(language)) await session.removeLanguage(language);
    for (const language of to) if (!before.includes(language)) await session.addLanguage(language);
    return session;
  }

  get #running(): number {
    return this.list().filter((session) => !session.over).length;
  }

  #check(spec: SessionSpec): void {
    const { abilities } = this.#options;
    const repeated = spec.to.findIndex((language, i) => spec.to.indexOf(language) !== i);
    if (repeated >= 0)
      throw refuse('invalid', `'${spec.to[repeated]}' is listed twice.`, `to.${repeated}`, 'Name every language once.');
    for (const [i, language] of spec.to.entries()) {
      const error = abilities.supports(spec, language);
      if (error) throw new Refusal({ ...error, field: error.field === 'to' ? `to.${i}` : error.field });
    }
    if (spec.video === 'stretch')
      throw refuse(
        'invalid',
        'A live session cannot stretch its picture: it would fall behind the programme.',
        'video',
        'Leave it out, or make the recording with: livedub dub.',
      );
    const error = abilities.accepts(spec);
    if (error) throw new Refusal(error);
  }

  async #started(session: HostedSession): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((done) => (timer = setTimeout(done, WORD_WITHIN)));
    try {
      await Promise.race([session.started, patience]);
    } catch (refusal) {
      this.#sessions.delete(session.id);
      await session.close();
      throw refusal;
    } finally {
      clearTimeout(timer);
    }
  }

  #forgetOld(): void {
    const over = [...this.#sessions.values()].filter((session) => session.over);
    for (const session of over.slice(0, Math.max(0, over.length - this.#options.limits.sessions)))
      this.#sessions.delete(session.id);
  }
}
