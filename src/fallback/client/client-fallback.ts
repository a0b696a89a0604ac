import { isHoldfastError } from '../../errors.ts';
import type { Document } from '../../model/document.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type Clock, systemClock } from '../../util/clock.ts';
import type { ScopeStatus } from '../breaker.ts';
import { Calls, type DatabaseAnswer, type DeadlinesMs, isOfDatabase, unavailable } from '../calls.ts';
import { classify } from '../classify.ts';
import { Guard, type GuardState } from '../guard.ts';
import { type Incident, Incidents } from '../incidents.ts';
import { overlaid } from '../overlay.ts';
import { ReadRequest } from '../read-request.ts';
import type { Scope } from '../scope.ts';
import { type TierAnswer, Tiers } from '../tiers.ts';
import { openCopies } from './copies.ts';
import { type DriverRead, questionOf } from './copy-question.ts';
import { told } from './fallback-error.ts';
import { Home } from './home.ts';
import type { JournalForm } from './journal-forms.ts';
import { ClientLive, type ClientLiveStatus, type Connect } from './live.ts';
import { changeLogOf, deadlinesOf, type FallbackSettings } from './settings.ts';

/** The database as the fallback of a client asks about it. */
export interface Asked {
  /** Throws unless it can be written to. */
  ping(signal: AbortSignal): Promise<void>;
  /** Reads any document of a namespace. */
  peek(namespace: string, signal: AbortSignal): Promise<void>;
}

/** How the fallback of a client is. */
export interface ClientStatus {
  /** CLOSED: everything comes from the database. PARTLY: some operations do not. OPEN: nothing does. */
  readonly state: GuardState;
  /** The database, and every other scope that is not simply closed. */
  readonly scopes: readonly ScopeStatus[];
  /** The newest first. */
  readonly incidents: readonly Incident[];
  /** The live copy and the journal; null without `changeLog`. */
  readonly live: ClientLiveStatus | null;
}

/** An answer of a copy; `isMixed`: with what waits in the journal. */
export type CopiedAnswer = TierAnswer<readonly Document[]> & { readonly isMixed: boolean };

/** A write that may wait in the journal. */
export interface Journalable<R> extends JournalForm {
  /** The driver's result, marked as one that waits. */
  readonly waits: (result: object) => R;
}

interface Parts {
  /** Whether anything could answer in the database's place. */
  readonly hasCopies: boolean;
  readonly live: ClientLive | undefined;
  readonly guard: Guard;
  readonly calls: Calls;
  readonly incidents: Incidents;
  readonly deadlineMs: DeadlinesMs;
  readonly clock: Clock;
}

/** A bulk write may take so much longer for each of its documents, in ms. */
const DOCUMENT_MS = 10;

/** Decides for a client of the driver where its calls go. */
export class ClientFallback {
  readonly home: Home;
  /** Whether what is written is captured at all. */
  readonly captures: boolean;
  readonly #end = new AsyncDisposableStack();
  readonly #opening: Promise<Parts>;
  #parts: Parts | undefined;

  /**
   * `urlDatabase`: the one that the URL names. `connect`: reaches the database for who captures what is written.
   * What is wrong with the settings is told by {@link ready} and every call.
   */
  constructor(
    asked: Asked,
    settings: FallbackSettings | Promise<FallbackSettings>,
    urlDatabase: string | undefined,
    connect?: Connect,
  ) {
    this.home = new Home(urlDatabase);
    // The configuration has no change log for a client.
    this.captures = !(settings instanceof Promise) && changeLogOf(settings) !== undefined;
    this.#opening = this.#open(asked, settings, connect);
    this.#opening.catch(() => undefined);
  }

  /** Resolves when the copies are there. @throws CONFIG_INVALID */
  async ready(): Promise<Parts> {
    this.#parts ??= await this.#opening;
    return this.#parts;
  }

  /** The database is known to be away. Before everything is open there is nobody who could ask it in vain. */
  lost(cause: string): void {
    this.#parts?.guard.lost(cause);
  }

  /** Who captures what is written to a namespace; undefined when nobody does. */
  async capturing(namespace: string): Promise<ClientLive | undefined> {
    const { live } = this.#parts ?? (await this.ready());
    return live?.isOf(namespace) === true ? live : undefined;
  }

  /** Whether it is {@link ready}. */
  get isReady(): boolean {
    return this.#parts !== undefined;
  }

  /** Whether documents of a namespace may have what a capture leaves in them; asked by who has waited for {@link ready}. */
  hides(namespace: string): boolean {
    return this.#parts?.live?.isOf(namespace) === true;
  }

  /** The driver's answer, or documents of a copy, as a store has them. @throws FallbackError; what the driver throws otherwise */
  async read<D>(read: DriverRead<D>): Promise<DatabaseAnswer<D> | CopiedAnswer> {
    const { calls, guard, live, deadlineMs, clock } = this.#parts ?? (await this.ready());
    const { namespace, signal, ask } = read;
    const { question, isAnswerable } = questionOf(read);
    const asking = (asked: typeof question, database: typeof ask) => {
      const request = new ReadRequest({ signal, budgetMs: deadlineMs.read, now: () => clock.now() });
      return calls.read({
        ...{ question: asked, request, longMs: Number.POSITIVE_INFINITY, isAnswerable, ask: database },
      });
    };
    const overlay = live?.overlay(namespace);
    let isMixed = false;
    try {
      if (overlay === undefined) return marked(await asking(question, ask), false);
      const over = overlaid(question, overlay, () => {
        isMixed = true;
      });
      try {
        // The database does not have what this process wrote last.
        return marked(await asking(over, undefined), isMixed);
      } catch (error) {
        if (signal?.aborted === true || !guard.admits(namespace, 'READ')) throw error;
        return marked(await asking(question, ask), false);
      }
    } catch (error) {
      throw answered(error);
    }
  }

  /**
   * The next part of a read that the database has begun to answer: nothing else can go on with it. `isHurried`: the read can be
   * begun anew elsewhere, so the wait is short.
   * @throws FallbackError DATABASE_UNAVAILABLE; what the driver throws otherwise
   */
  async goOn<D>(namespace: string, isHurried: boolean, work: () => Promise<D>): Promise<D> {
    const { guard, deadlineMs } = this.#parts ?? (await this.ready());
    const ms = isHurried ? deadlineMs.read : Number.POSITIVE_INFINITY;
    const gone = (cause?: unknown): unknown =>
      told(unavailable(`read "${namespace}": the database went away in the middle of an answer`, cause));
    if (!guard.admits(namespace, 'READ')) throw gone();
    try {
      return await guard.run({ collection: namespace, operation: 'READ', ms, work });
    } catch (error) {
      throw isOfDatabase(error) && !isAnswer(error) ? gone(error) : error;
    }
  }

  /**
   * `documents`: how many beside the first; Infinity: not known, it takes what it takes. `form`: what waits in the journal when
   * the database certainly did not take it. @throws FallbackError DATABASE_UNAVAILABLE, WRITE_OUTCOME_UNKNOWN, JOURNAL_FULL; what the driver throws otherwise
   */
  async write<R>(namespace: string, documents: number, run: () => Promise<R>, form?: Journalable<R>): Promise<R> {
    const { calls, live, incidents, deadlineMs } = this.#parts ?? (await this.ready());
    const ms = deadlineMs.write + documents * DOCUMENT_MS;
    const attempt = live?.holds(namespace, form)
      ? { error: unavailable(`write to "${namespace}": earlier writes to the same documents wait in the journal`) }
      : await calls.attempt({ collection: namespace, ms, run });
    if ('result' in attempt) return attempt.result;
    let error = answered(attempt.error);
    if (form !== undefined && isHoldfastError(error, 'DATABASE_UNAVAILABLE')) {
      try {
        const taken = await live?.take(namespace, form, error);
        if (taken !== undefined) {
          incidents.countWrite('journaled');
          return form.waits(form.answer(taken));
        }
      } catch (thrown) {
        error = told(thrown);
      }
    }
    if (isHoldfastError(error)) {
      incidents.countWrite(error.code === 'WRITE_OUTCOME_UNKNOWN' ? 'unknown' : 'refused');
    }
    throw error;
  }

  async status(): Promise<ClientStatus> {
    const { guard, incidents, live } = await this.ready();
    return {
      ...{ state: guard.state, scopes: guard.status(), incidents: incidents.list() },
      live: live?.status() ?? null,
    };
  }

  async force(scope: Scope, state: 'OPEN' | 'CLOSED'): Promise<void> {
    (await this.ready()).guard.force(scope, state);
  }

  async release(scope: Scope): Promise<void> {
    (await this.ready()).guard.release(scope);
  }

  async stop(): Promise<void> {
    await this.#opening.catch(() => undefined);
    await this.#end.disposeAsync();
  }

  async #open(
    asked: Asked,
    given: FallbackSettings | Promise<FallbackSettings>,
    connect: Connect | undefined,
  ): Promise<Parts> {
    const settings = await given;
    if (settings.database !== undefined) this.home.name(settings.database);
    const { breaker, clock = systemClock, logger } = settings;
    const deadlineMs = deadlinesOf(settings);
    const copies = this.#end.use(await openCopies(settings, this.home));
    const incidents = new Incidents({ logger: logger as Logger | undefined, now: Date.now });
    const live = await ClientLive.open(settings, this.home, connect, (namespace) => guard.admits(namespace, 'WRITE'));
    const tiers = new Tiers([...(live?.tiers ?? []), ...copies.tiers], (namespace) => copies.rules(namespace));
    const guard: Guard = new Guard({
      probe: async ({ collection, operation }, signal) => {
        const peek = collection === undefined || operation === 'WRITE' ? undefined : asked.peek(collection, signal);
        await Promise.all([asked.ping(signal), peek]);
      },
      ...{ breaker, clock, recover: (scope: Scope) => live?.recover(scope) ?? Promise.resolve() },
      onOpened: ({ scope, cause, sinceMs }) => incidents.opened(scope, cause, clock.now() - sinceMs),
      onClosed: (scope) => incidents.closed(scope),
    });
    if (live !== undefined) this.#end.use(live);
    this.#end.defer(() => guard.stop());
    live?.start();
    const calls = new Calls({ guard, tiers, incidents, deadlineMs, now: () => clock.now() });
    const hasCopies = copies.tiers.length > 0 || live?.isComplete === true;
    return { hasCopies, live, guard, calls, incidents, deadlineMs, clock };
  }
}

function marked<D>(
  found: DatabaseAnswer<D> | TierAnswer<readonly Document[]>,
  isMixed: boolean,
): DatabaseAnswer<D> | CopiedAnswer {
  return found.tier === undefined ? found : { ...found, isMixed };
}

/** What the database itself answered stays the driver's error. */
function answered(error: unknown): unknown {
  const { cause } = error as { readonly cause?: unknown };
  return isHoldfastError(error) && isAnswer(cause) ? cause : told(error);
}

/** Whether the database said so: that a call took too long, say, or that there is too much to do. */
function isAnswer(error: unknown): boolean {
  const { class: fault, evidence } = classify(error);
  return (fault === 'AMBIGUOUS' || fault === 'OVERLOAD') && evidence === 'NONE';
}
