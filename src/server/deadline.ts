/**
 * A time limit shared by many: entries that stay longer than `ms` are handed to `onOver`. All have the same limit, so the
 * oldest is always the next one due, and one timer serves them all; adding and removing cost next to nothing.
 */
export class Deadline<T> {
  readonly #ms: number;
  readonly #onOver: (entry: T) => void;
  /** Due times, oldest first. */
  readonly #due = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, onOver: (entry: T) => void) {
    this.#ms = ms;
    this.#onOver = onOver;
  }

  add(entry: T): void {
    if (!Number.isFinite(this.#ms)) return;
    this.#due.set(entry, performance.now() + this.#ms);
    this.#timer ??= this.#wakeIn(this.#ms);
  }

  delete(entry: T): void {
    this.#due.delete(entry);
  }

  #wakeIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#check(), ms).unref();
  }

  #check(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [entry, due] of this.#due) {
      if (due > now) {
        this.#timer = this.#wakeIn(due - now);
        return;
      }
      this.#due.delete(entry);
      this.#onOver(entry);
    }
  }
}
