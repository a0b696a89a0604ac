import type { SqliteChangeLog } from '../src/changelog/sqlite-change-log.ts';
import type { Database } from '../src/sqlite/database.ts';
import type { Logger } from '../src/telemetry/logger.ts';
import { type Clock, systemClock } from '../src/util/clock.ts';
import { Divergence, type KeepDivergent } from './divergence.ts';
import { Following } from './following.ts';
import { Lag } from './lag.ts';
import { Loading } from './loading.ts';
import type { LocalCopy } from './local-copy.ts';
import { Machine, type MachineOptions } from './machine.ts';
import type { AdoptedSchema } from './progress.ts';
import { Readiness } from './readiness.ts';
import { Reporter } from './reporter.ts';
import type { Prepare } from './row-store.ts';
import { Sessions, type SourceAddress } from './session.ts';

/** What a replica is given. */
export interface ReplicaOptions {
  /** Stable name, as the source lists it. */
  readonly name: string;
  /** Where it serves clients, once it does; told to the source. */
  readonly url?: (() => string | undefined) | undefined;
  /** At least one; the next is tried when one is lost. */
  readonly sources: readonly SourceAddress[];
  readonly database: Database;
  /** Of the same database; nothing else may append to it. */
  readonly log: SqliteChangeLog;
  readonly prepare: Prepare;
  /** The SDL to insist on; a source with another one is not followed. Default: the source's is adopted. */
  readonly schema?: AdoptedSchema | undefined;
  /**
   * Keeps the entries from `from` on, which the source does not have, where people find them; resolves with the place once that is durable. Called
   * when a fork was located, and again before an order gives them up. Default: nothing is kept.
   */
  readonly keepDivergent?: KeepDivergent | undefined;
  readonly logger: Logger;
  readonly clock?: Clock | undefined;
  /** Wall clock in ms; for `asOf` only. */
  readonly wall?: (() => number) | undefined;
  readonly random?: (() => number) | undefined;
}

/** What a replica is made of. */
export interface Parts {
  readonly copy: LocalCopy;
  readonly lag: Lag;
  readonly sessions: Sessions;
  readonly machine: Machine;
  readonly readiness: Readiness;
  readonly reporter: Reporter;
  readonly following: Following;
  readonly loading: Loading;
  readonly divergence: Divergence;
}

/** Makes the parts of a replica over what it has. `perform` is first called when the machine runs. */
export function joinParts(options: ReplicaOptions, copy: LocalCopy, perform: MachineOptions['perform']): Parts {
  const { clock = systemClock, random, wall, sources, logger, name, url, keepDivergent } = options;
  const lag = new Lag({ clock, wall, storedAsOf: copy.progress.asOf });
  const sessions = new Sessions({ sources, clock, random });
  const recovered = (): void => {
    sessions.recovered();
    reporter.recovered();
  };
  const machine = new Machine({
    stored: copy.progress.facts,
    session: () => sessions.current,
    perform,
    changed: (before) => {
      readiness.changed();
      if (before.name !== machine.state.name) reporter.entered(machine.state, before, loading.counts);
      // Nothing may come after it for a long time.
      if (before.task !== null && machine.state.task === null) recovered();
    },
    performed: () => {
      if (sessions.current !== undefined) following.lookForHead(sessions.current);
    },
    troubled: (error) => reporter.troubled(error, readiness.isReady()),
  });
  const readiness = new Readiness({ copy, lag, clock, state: () => machine.state });
  const reporter = new Reporter(logger, () => {
    return { state: machine.state.name, source: sessions.sourceName, position: copy.positionText() };
  });
  const divergence = new Divergence(copy, keepDivergent);
  const loading = new Loading({ copy, lag, divergence, random });
  let moved = 0;
  const following = new Following({
    ...{ name, url, copy, lag, machine, reporter, clock },
    applied: () => {
      // Frames come also while the calls of a task fail: then only what it moves, or its end, shows that it works.
      const { rows, repaired } = loading.counts;
      if (machine.state.task !== null && rows + repaired === moved) return;
      moved = rows + repaired;
      recovered();
    },
  });
  return { copy, lag, sessions, machine, readiness, reporter, following, loading, divergence };
}
