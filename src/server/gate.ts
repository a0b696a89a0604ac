import { HoldfastError } from '../errors.ts';
import type { HttpServer } from './options.ts';

/** Whether a server takes new work; asked by HTTP and by websockets. */
export class Gate {
  state: HttpServer['state'] = 'serving';
  #open = true;

  /** Refuses new work from now on. */
  close(): void {
    this.#open = false;
  }

  /** @throws SHUTTING_DOWN once closed */
  check(): void {
    if (!this.#open) throw new HoldfastError('SHUTTING_DOWN', 'This server is stopping; send the request again.');
  }
}
