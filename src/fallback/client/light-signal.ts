/**
 * A signal for one call of the driver: as much of an `AbortSignal` as the driver uses. It listens to its signal in half a dozen
 * places for each command, which with Node's own costs a sixth of the whole call.
 */
export class LightSignal {
  aborted = false;
  reason: unknown;
  readonly #listeners = new Set<() => void>();

  /** A signal that ends with `signal`. */
  static of(signal: AbortSignal): AbortSignal {
    const light = new LightSignal();
    if (signal.aborted) light.#abort(signal.reason);
    else signal.addEventListener('abort', () => light.#abort(signal.reason), { once: true });
    return light as unknown as AbortSignal;
  }

  addEventListener(_: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  #abort(reason: unknown): void {
    this.aborted = true;
    this.reason = reason;
    for (const listener of [...this.#listeners]) listener.call(this);
    this.#listeners.clear();
  }
}
