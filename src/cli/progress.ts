import type { Terminal } from './terminal.ts';

/** Work up to this long shows nothing. */
const QUIET_MS = 2_000;
const REDRAW_MS = 100;
/** Between lines when nobody watches. */
const LINE_MS = 5_000;
const BAR_WIDTH = 30;

/** Shows how far a long piece of work is: a bar on a terminal, plain lines elsewhere. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #startedAt: number;
  #shownAt: number;

  constructor(terminal: Terminal, now: () => number = () => performance.now()) {
    this.#terminal = terminal;
    this.#now = now;
    this.#startedAt = now();
    this.#shownAt = this.#startedAt + QUIET_MS - LINE_MS;
  }

  get elapsedMs(): number {
    return this.#now() - this.#startedAt;
  }

  /** `done` in 0…1; `text` says it in words. Shown when it is time. */
  show(done: number, text: string): void {
    const sinceMs = this.#now() - this.#shownAt;
    if (this.elapsedMs < QUIET_MS || sinceMs < (this.#terminal.interactive ? REDRAW_MS : LINE_MS)) return;
    this.#shownAt = this.#now();
    const percent = `${Math.floor(done * 100)} %`;
    if (this.#terminal.interactive) this.#terminal.redraw(`${bar(done)} ${percent}  ${text}`);
    else this.#terminal.note(`${percent}  ${text}`);
  }
}

function bar(done: number): string {
  const filled = Math.round(Math.min(1, done) * BAR_WIDTH);
  return `[${'#'.repeat(filled)}${' '.repeat(BAR_WIDTH - filled)}]`;
}
