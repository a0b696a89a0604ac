import { HoldfastError } from '../src/errors.ts';
import type { Clock } from '../src/util/clock.ts';
import { Applier, MAX_GROUP_CHANGES } from './applier.ts';
import { gather } from './gather.ts';
import { requireOpen } from './guarded.ts';
import { type Incoming, Intake } from './incoming.ts';
import type { Lag } from './lag.ts';
import type { LocalCopy } from './local-copy.ts';
import type { Machine } from './machine.ts';
import type { Reporter } from './reporter.ts';
import { type Session, SHAPE } from './session.ts';

const LIMITS = { maxBatch: 500, maxBytes: 512 * 1024 };
/** A live replica this many changes behind is catching up. */
const BEHIND_CHANGES = 2_000;
/** Acknowledgements: at most this often, and at least. */
const ACK_MIN_MS = 500;
const ACK_MAX_MS = 5_000;
/** How often an idle replica notes when it was last at the head. */
const AS_OF_EVERY_MS = 30_000;

export interface FollowingOptions {
  readonly name: string;
  readonly url?: (() => string | undefined) | undefined;
  readonly copy: LocalCopy;
  readonly lag: Lag;
  readonly machine: Machine;
  readonly reporter: Reporter;
  readonly clock: Clock;
  /** Told of each group that was applied. */
  readonly applied: () => void;
}

/** The stream of frames: applies what comes, and tells the machine, the source and the log how far it is. */
export class Following {
  readonly #options: FollowingOptions;
  readonly #applier: Applier;
  #acked = { sequence: -1, at: Number.NEGATIVE_INFINITY };
  #asOfSavedAt: number;

  constructor(options: FollowingOptions) {
    const { copy, lag, clock } = options;
    this.#options = options;
    this.#applier = new Applier({ database: copy.database, log: copy.log, progress: copy.progress, lag });
    this.#asOfSavedAt = clock.now();
  }

  /** Applies frames until the session ends; never resolves. @throws PRIMARY_UNREACHABLE, FORK, FENCED and what a bad frame is refused with */
  async follow(session: Session): Promise<never> {
    const { copy, lag, clock } = this.#options;
    const { source, signal } = session;
    const known = new Set(copy.prepared.collections);
    const intake = new Intake({ source, isKnown: (name) => known.has(name), tail: copy.log.head() });
    const frames = source.changes(copy.cursor(), SHAPE, LIMITS, signal);
    lag.forgetHead();
    const most = { maxChanges: MAX_GROUP_CHANGES, maxBytes: 2 * LIMITS.maxBytes };
    const options = { ...most, soon: (task: () => void) => clock.soon(task), signal };
    for await (const group of gather(frames, options)) {
      const head = group.at(-1)?.head ?? 0;
      lag.heard(head);
      session.heard = true;
      const parts: Incoming[] = [];
      try {
        for (const frame of group) {
          let count = 0;
          for await (const part of intake.take(frame)) {
            // Several parts of one frame hold large images: one at a time.
            if (count++ > 0) await this.#apply(session, parts.splice(0));
            parts.push(part);
          }
        }
      } finally {
        // Also when a later frame of the group is refused: what came before it is good.
        await this.#apply(session, parts);
      }
      this.#advanced(session, head);
    }
    requireOpen(signal);
    throw new HoldfastError('PRIMARY_UNREACHABLE', 'the source ended the subscription');
  }

  /** Says once that there is something to repair; a task that is under way finds it itself. */
  differs(session: Session, differs: string): void {
    const { copy, reporter, machine } = this.#options;
    if (session.differs || copy.progress.facts.task !== null) return;
    session.differs = true;
    reporter.differs(differs);
    machine.post({ type: 'DIFFERS' }, session);
  }

  /** Live as soon as everything heard of is applied: nothing needs to be said again for that. */
  lookForHead(session: Session): void {
    const { lag, machine } = this.#options;
    const reached = session.heard && lag.report().lagChanges === 0;
    if (reached && machine.state.name === 'CATCHING_UP') machine.post({ type: 'AT_HEAD' }, session);
  }

  /** Notes for good when this replica was last at the head. */
  async saveAsOf(): Promise<void> {
    const { copy, lag, clock } = this.#options;
    this.#asOfSavedAt = clock.now();
    const asOf = lag.asOfMs();
    if (asOf !== null) {
      await copy.database.transaction((transaction) => copy.progress.saveAsOf(transaction, asOf));
    }
  }

  async #apply(session: Session, parts: readonly Incoming[]): Promise<void> {
    const { copy } = this.#options;
    const differs = await copy.lock.run(() => this.#applier.apply(parts, copy.prepared, session.signal));
    if (differs !== null) this.differs(session, differs);
  }

  /** A group was applied. */
  #advanced(session: Session, head: number): void {
    const { copy, machine, clock, applied } = this.#options;
    const { sequence } = copy.position();
    applied();
    this.lookForHead(session);
    if (machine.state.name === 'LIVE' && head - sequence > BEHIND_CHANGES) machine.post({ type: 'BEHIND' }, session);
    this.#acknowledge(session, sequence);
    if (clock.now() - this.#asOfSavedAt > AS_OF_EVERY_MS) machine.spawn(session, () => this.saveAsOf());
  }

  #acknowledge(session: Session, applied: number): void {
    const { name, url, copy, machine, clock } = this.#options;
    const since = clock.now() - this.#acked.at;
    if (since < ACK_MIN_MS || (applied === this.#acked.sequence && since < ACK_MAX_MS)) return;
    this.#acked = { sequence: applied, at: clock.now() };
    const { epoch } = copy.position();
    const ack = { replica: name, applied, epoch, state: machine.state.name, url: url?.() ?? null };
    // Only informs: what matters about the connection is seen by the subscription.
    session.source.ack(ack).catch(() => {});
  }
}
