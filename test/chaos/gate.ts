/** Where writers wait while what they wrote is judged. */
export class Gate {
  #passage: Promise<void> = Promise.resolve();
  #open: () => void = () => {};
  #busy = 0;
  #whenIdle: () => void = () => {};

  /** Resolves when the gate is open. */
  passed(): Promise<void> {
    return this.#passage;
  }

  /** Does what {@link close} waits for. */
  async through(step: () => Promise<void>): Promise<void> {
    this.#busy += 1;
    await step();
    this.#busy -= 1;
    if (this.#busy === 0) this.#whenIdle();
  }

  /** Nobody passes until {@link open}; resolves when what was begun has ended. */
  async close(): Promise<void> {
    this.#passage = new Promise((open) => {
      this.#open = open;
    });
    if (this.#busy === 0) return;
    await new Promise<void>((idle) => {
      this.#whenIdle = idle;
    });
  }

  open(): void {
    this.#open();
  }
}
