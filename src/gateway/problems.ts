import { isHoldfastError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';

/** What is wrong, each told to the log once when it begins, when it becomes something else, and when it ends. */
export class Problems {
  readonly #logger: Logger;
  readonly #now = new Map<string, { readonly code: string | undefined; readonly message: string }>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  set(what: string, error: unknown): void {
    if (error === null) {
      if (this.#now.delete(what)) this.#logger.info(`no longer: ${what}`);
      return;
    }
    const before = this.#now.get(what);
    const code = isHoldfastError(error) ? error.code : undefined;
    this.#now.set(what, { code, message: error instanceof Error ? error.message : String(error) });
    if (before === undefined || before.code !== code) this.#logger.error({ err: error }, what);
  }

  /** For work in the background that is tried again by itself. */
  warn(work: string, error: unknown): void {
    this.#logger.warn({ err: error }, `the ${work} of the database did not end; the next one tries again`);
  }

  list(): string[] {
    return Array.from(this.#now, ([what, { message }]) => `${what}: ${message}`);
  }
}
