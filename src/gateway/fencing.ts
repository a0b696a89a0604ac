import type { Fence } from '../service/fence.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface FencingOptions {
  readonly fence: Fence;
  readonly logger: Logger;
  /** Lets go of those who follow this node, so that they look for the new primary. */
  readonly onFenced: () => void;
  /** Keeps the changes from `from` on, which only this node has; resolves with the file, null when there are none. Default: they stay in the log only. */
  readonly keep?: ((from: number) => Promise<string | null>) | undefined;
}

/** What follows from a higher epoch: fence first, durably; then let followers go, and keep what only this node has. */
export class Fencing {
  readonly #options: FencingOptions;
  /** Steps run one after the other. */
  #last: Promise<void> = Promise.resolve();
  #kept: { readonly from: number; readonly file: string | null } | undefined;

  constructor(options: FencingOptions) {
    this.#options = options;
  }

  /** A follower showed a higher epoch; `from` is where it began. Resolves when this node is fenced for good. */
  async raise(epoch: number, from: number): Promise<void> {
    const { fence, logger, onFenced } = this.#options;
    const isFirst = fence.state === undefined;
    if (!(await fence.raise(epoch, from))) return;
    if (isFirst) {
      onFenced();
      logger.error({ epoch, from }, 'another node was promoted: this one takes no more writes');
    }
    this.#then(() => this.#keep());
  }

  /** Goes on where a process that was fenced before may have stopped. */
  resume(): void {
    this.#then(() => this.#keep());
  }

  /** Resolves when nothing of this is under way. */
  settled(): Promise<void> {
    return this.#last;
  }

  /** What an operator has to know. */
  problems(): readonly string[] {
    const { state } = this.#options.fence;
    if (state === undefined) return [];
    const kept =
      this.#kept?.file == null
        ? ''
        : `; its changes from ${this.#kept.from} on, which the new primary does not have, are in ${this.#kept.file} and listed in \`conflicts\``;
    return [
      `fenced by epoch ${state.epoch}: another node is the primary now, and this one takes no more writes${kept}. Stop it, then let its directory follow with \`holdfast replica\``,
    ];
  }

  async #keep(): Promise<void> {
    const { fence, keep, logger } = this.#options;
    const from = fence.state?.from;
    if (from === undefined || keep === undefined || this.#kept?.from === from) return;
    // Of what was begun before: it may still be acknowledged.
    await fence.idle();
    this.#kept = { from, file: await keep(from) };
    if (this.#kept.file !== null)
      logger.warn(this.#kept, 'changes that only this node has were written to a file and listed in conflicts');
  }

  #then(step: () => Promise<void>): void {
    this.#last = this.#last.then(step).catch((error: unknown) => {
      this.#options.logger.error(
        { err: error },
        'changes that only this node has could not be written to a file: that is tried again at the next start',
      );
    });
  }
}
