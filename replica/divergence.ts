import { type Fork, locateFork } from './fork.ts';
import type { LocalCopy } from './local-copy.ts';
import { type Session, SHAPE } from './session.ts';

/** Keeps the entries from `from` on where people find them; resolves with the place once that is durable, or null. */
export type KeepDivergent = (from: number) => Promise<string | null>;

/** What only this replica has: finds where it begins, and keeps it where people find it. */
export class Divergence {
  readonly #copy: LocalCopy;
  readonly #keepDivergent: KeepDivergent | undefined;

  constructor(copy: LocalCopy, keepDivergent: KeepDivergent | undefined) {
    this.#copy = copy;
    this.#keepDivergent = keepDivergent;
  }

  /** The fork, and where the entries from it on are kept. `fork` is undefined when the source went away meanwhile. */
  async locate({ source }: Session): Promise<{ readonly fork: Fork | undefined; readonly kept: string | null }> {
    const fork = await source
      .hello(this.#copy.cursor(), SHAPE)
      .then((hello) => locateFork(this.#copy.log, source, hello))
      .catch(() => undefined);
    return { fork, kept: fork === undefined ? null : await this.#keep(fork) };
  }

  /** Before what only this replica has is given up. */
  async keep({ source, hello }: Session): Promise<void> {
    if (!this.#copy.progress.facts.proven || (hello.status !== 'FORK' && hello.status !== 'FENCED')) return;
    await this.#keep(await locateFork(this.#copy.log, source, hello));
  }

  /** Resolves with the place; null when there are no such entries, or the source is of another database. */
  async #keep({ from }: Fork): Promise<string | null> {
    return from === null || this.#keepDivergent === undefined ? null : this.#keepDivergent(from);
  }
}
