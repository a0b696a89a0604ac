import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom } from '../support/random.ts';
import { Gate } from './gate.ts';

/** Several who write at the same time without end, and wait while what they wrote is judged. */
export abstract class Crew {
  readonly #gate = new Gate();
  readonly #end = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  /** Makes one write under a name that no other has; ends soon after {@link isEnding}. */
  protected abstract write(writer: number, name: string, random: () => number): Promise<void>;

  protected get isEnding(): boolean {
    return this.#end.signal.aborted;
  }

  /** Lets `writers` of them begin. Between two writes one rests for at most `restMs`. */
  protected begin(writers: number, seed: number, restMs = 0): void {
    this.#running = Promise.all(
      Array.from({ length: writers }, (_, writer) => this.#work(writer, seededRandom(seed + writer), restMs)),
    );
  }

  /** Resolves when what was begun has its answer; nothing is begun until {@link resume}. */
  pause(): Promise<void> {
    return this.#gate.close();
  }

  resume(): void {
    this.#gate.open();
  }

  /** Ends them all, with what they wait for. */
  async stop(): Promise<void> {
    this.#end.abort();
    this.#gate.open();
    await this.#running;
  }

  async #work(writer: number, random: () => number, restMs: number): Promise<void> {
    for (let number = 0; ; number++) {
      await this.#gate.passed();
      if (this.isEnding) return;
      await this.#gate.through(() => this.write(writer, `w${writer}-${number}`, random));
      if (restMs > 0) await pause(restMs * random());
    }
  }
}
