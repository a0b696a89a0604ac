import { HoldfastError } from '../src/errors.ts';
import type { Logger } from '../src/telemetry/logger.ts';
import type { Fork } from './fork.ts';
import { isHalted, type State } from './state.ts';
import type { LoadCounts } from './work.ts';

/** What every line says. */
export interface ReportFacts {
  readonly state: State['name'];
  /** Name of the source. */
  readonly source: string;
  /** Applied here. */
  readonly position: string;
}

const FORK_REMEDY = 'compare the two, then give up what only this replica has with `holdfast replica resync --force`';

/** What an operator is told: lines in the log, one per incident and not per try, and the sentence of the status. */
export class Reporter {
  readonly #logger: Logger;
  readonly #facts: () => ReportFacts;
  /** Codes of this incident that were logged. */
  readonly #logged = new Set<string>();
  /** The task that was told of, and not its end. */
  #task: State['task'] = null;
  #message: string | null = null;

  constructor(logger: Logger, facts: () => ReportFacts) {
    this.#logger = logger;
    this.#facts = facts;
  }

  /** Why the replica is not following, or what is wrong, and what to do; null when all is well. */
  get message(): string | null {
    return this.#message;
  }

  /** The machine went from `before` to another state. */
  entered(state: State, before: State, counts: Readonly<LoadCounts>): void {
    const facts = this.#facts();
    const { source } = facts;
    switch (state.name) {
      case 'BOOTSTRAPPING':
      case 'RESYNCING':
      case 'REPAIRING':
        // A connection that is lost does not begin it anew.
        if (state.task !== this.#task) this.#began(state.name, facts);
        this.#task = state.task;
        break;
      case 'CATCHING_UP':
        this.#message = null;
        this.#task = null;
        if (before.task !== null) this.#logger.info({ ...facts, ...counts }, 'proven equal to the source');
        break;
      case 'FENCED':
        this.#stop(facts, `${source} is of an older epoch than this replica: point it at the current primary`);
        break;
      case 'MISMATCHED':
        this.#stop(facts, `${source} has another SDL than this replica was given: give it the same, or none`);
        break;
    }
  }

  /** A fork was looked for; `fork` is undefined when the source went away meanwhile. `kept` is where its changes are. */
  forked(fork: Fork | undefined, kept: string | null): void {
    const facts = this.#facts();
    const { source, position } = facts;
    if (fork === undefined) {
      this.#stop(facts, `${source} does not have the changes up to ${position} of this replica: ${FORK_REMEDY}`);
    } else if (fork.sequence === null) {
      this.#stop(facts, `${source} is another database than the one this replica copied: ${FORK_REMEDY}`);
    } else {
      const place = `${fork.kept ? 'at' : 'at or before'} change ${fork.sequence}`;
      this.#stop(
        facts,
        `the history of ${source} parts from this replica's ${place}; this replica is at ${position}${kept ? ` (its changes from there on are in ${kept})` : ''}: ${FORK_REMEDY}`,
      );
    }
  }

  /** The documents here are not the source's; `how` says in which way. */
  differs(how: string | null): void {
    this.#message = how;
  }

  /** A repair did not help, again. */
  alarm(repairs: number): void {
    this.#logger.error(
      { ...this.#facts(), repairs, differs: this.#message },
      'the replica still differs from its source after several repairs: look at `holdfast replica verify` and at the disk',
    );
  }

  /** A connection, or the attempt at one, failed. `serving`: whether there is something to serve meanwhile. */
  troubled(error: unknown, serving: boolean): void {
    const facts = this.#facts();
    const code = error instanceof HoldfastError ? error.code : 'INTERNAL_SERVER_ERROR';
    const reason = error instanceof Error ? error.message : String(error);
    // A frozen replica stays frozen for its own reason, whether or not the source can be asked again.
    if (!isHalted({ name: facts.state })) this.#message = `${code}: ${reason}`;
    if (this.#logged.has(code)) return;
    this.#logged.add(code);
    const meanwhile = serving ? 'serving what is here and trying again' : 'nothing to serve yet, trying again';
    const line = `the source is not followed: ${meanwhile}`;
    if (code === 'INTERNAL_SERVER_ERROR') this.#logger.error({ ...facts, code, err: error }, line);
    else this.#logger.warn({ ...facts, code, reason }, line);
  }

  /** The source is followed again, and a task moves on. */
  recovered(): void {
    if (this.#logged.size === 0) return;
    this.#logged.clear();
    this.#message = null;
    this.#logger.info(this.#facts(), 'following the source again');
  }

  #began(name: 'BOOTSTRAPPING' | 'RESYNCING' | 'REPAIRING', facts: ReportFacts): void {
    switch (name) {
      case 'BOOTSTRAPPING':
        this.#logger.info(facts, 'copying the source');
        break;
      case 'RESYNCING':
        this.#logger.warn(facts, 'starting again from the head of the source: fetching what differs');
        break;
      case 'REPAIRING':
        this.#logger.warn({ ...facts, differs: this.#message }, 'the documents differ from the source: repairing them');
        break;
    }
  }

  #stop(facts: ReportFacts, message: string): void {
    this.#message = message;
    this.#logger.error(facts, message);
  }
}
