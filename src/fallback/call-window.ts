/** How many calls succeeded and failed within the last `windowMs`, in slots of a tenth of it. */
export class CallWindow {
  readonly #slotMs: number;
  readonly #ok = new Uint32Array(10);
  readonly #failed = new Uint32Array(10);
  #slot = -1;

  constructor(windowMs: number) {
    this.#slotMs = windowMs / 10;
  }

  add(ok: boolean, now: number): void {
    this.#turn(now);
    const counts = ok ? this.#ok : this.#failed;
    counts[this.#slot % 10] = (counts[this.#slot % 10] ?? 0) + 1;
  }

  sums(now: number): { readonly ok: number; readonly failed: number } {
    this.#turn(now);
    const sum = (counts: Uint32Array): number => counts.reduce((total, count) => total + count, 0);
    return { ok: sum(this.#ok), failed: sum(this.#failed) };
  }

  clear(): void {
    this.#ok.fill(0);
    this.#failed.fill(0);
  }

  #turn(now: number): void {
    const slot = Math.floor(now / this.#slotMs);
    if (slot === this.#slot) return;
    if (slot - this.#slot >= 10 || this.#slot < 0) this.clear();
    else {
      for (let passed = this.#slot + 1; passed <= slot; passed++) {
        this.#ok[passed % 10] = 0;
        this.#failed[passed % 10] = 0;
      }
    }
    this.#slot = slot;
  }
}
