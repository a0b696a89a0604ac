import type { ExecutionResult } from 'graphql';
import type { Connection } from './connection.ts';
import type { PreparedOperation } from './documents.ts';
import { type ErrorFormat, formatted, fromFormatted, toGraphQLError } from './errors.ts';
import { type Events, present } from './executor.ts';
import type { Observer } from './observer.ts';
import type { ServerRequest } from './request.ts';

export interface SubscriptionOptions extends Events {
  readonly request: ServerRequest;
  readonly prepared: PreparedOperation;
  readonly connection: Connection;
  readonly errors: ErrorFormat;
  readonly observer: Observer;
  readonly startedMs: number;
}

/**
 * The results of one subscription, pulled one at a time by the protocol. Its end (by the client, the connection or the source)
 * ends the request first: a generator that waits for something can be returned only after its wait, and the signal ends that.
 */
export class Subscription implements AsyncGenerator<ExecutionResult, void, void> {
  readonly #options: SubscriptionOptions;
  #events = 0;
  #open = true;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    options.observer.metrics.holdfast_subscriptions_active.inc();
  }

  async next(): Promise<IteratorResult<ExecutionResult, void>> {
    const { source, provenance, request, errors, observer } = this.#options;
    try {
      const item = await source.next();
      if (item.done === true || !this.#open) return this.#end();
      this.#events++;
      observer.metrics.holdfast_subscription_events_total.inc();
      const answer = { result: item.value, provenance: provenance() };
      return { done: false, value: present(answer, request.requestId, errors).result };
    } catch (error) {
      if (!this.#open) return { done: true, value: undefined };
      const answer = formatted(toGraphQLError(error), request.requestId, errors);
      this.#end([answer]);
      throw fromFormatted(answer);
    }
  }

  async return(): Promise<IteratorResult<ExecutionResult, void>> {
    if (!this.#open) return { done: true, value: undefined };
    const ended = this.#end();
    await this.#options.source.return();
    return ended;
  }

  async throw(error: unknown): Promise<IteratorResult<ExecutionResult, void>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #end(errors?: readonly ReturnType<typeof formatted>[]): IteratorResult<ExecutionResult, void> {
    if (this.#open) {
      this.#open = false;
      const { request, prepared, connection, observer, startedMs } = this.#options;
      request.end(new Error('The subscription has ended.'));
      connection.finish(request);
      observer.metrics.holdfast_subscriptions_active.dec();
      const outcome = errors === undefined ? 'ok' : 'error';
      const { name } = prepared;
      observer.ended({ request, type: 'subscription', name, outcome, errors, startedMs, events: this.#events });
    }
    return { done: true, value: undefined };
  }
}
