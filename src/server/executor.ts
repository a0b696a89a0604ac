import { type ExecutionResult, execute, GraphQLError, type GraphQLFormattedError } from 'graphql';
import { HoldfastError } from '../errors.ts';
import { Documents, type PreparedOperation } from './documents.ts';
import { type ErrorFormat, formatted, fromFormatted, toGraphQLError } from './errors.ts';
import type { Limits } from './limits.ts';
import type { HttpOptions, Operation, Provenance } from './options.ts';
import { RateLimiter } from './rate.ts';
import type { ServerRequest } from './request.ts';

/** An operation on its way through the server. */
export interface Running {
  readonly request: ServerRequest;
  readonly prepared: PreparedOperation;
  readonly operation: Operation;
}

/** What came of an operation, errors not yet formatted. */
export interface Answer {
  readonly result: ExecutionResult;
  readonly provenance: Provenance | undefined;
}

/** Checks limits and executes operations; the same for HTTP and websockets. */
export class Executor {
  readonly limits: Limits;
  readonly #options: HttpOptions;
  readonly #rate: RateLimiter | undefined;
  readonly #running = new Set<ServerRequest>();
  #onIdle: (() => void)[] = [];
  #documents: Documents;

  constructor(options: HttpOptions, limits: Limits) {
    this.#options = options;
    this.limits = limits;
    this.#rate = limits.rate && new RateLimiter(limits.rate);
    this.#documents = this.#documentsOf(options.schema);
  }

  /** Documents of the present schema. */
  get documents(): Documents {
    return this.#documents;
  }

  replaceSchema(schema: HttpOptions['schema']): void {
    this.#documents = this.#documentsOf(schema);
  }

  /** Resolves when nothing is in flight. */
  async idle(): Promise<void> {
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Ends everything that is in flight. */
  endAll(reason: unknown): void {
    for (const request of this.#running) request.end(reason);
  }

  /**
   * Limits that depend on who asks and with which variables.
   * @throws RATE_LIMITED, QUERY_TOO_COMPLEX
   */
  admit({ request, prepared, operation }: Running): { readonly exempt: boolean } {
    if (this.#options.exempt?.(request, prepared) === true) return { exempt: true };
    this.#rate?.take(request.principal === 'anonymous' ? request.address : request.principal);
    prepared.cost.check(operation.variables ?? {}, this.limits);
    return { exempt: false };
  }

  /** The context resolvers get. What its maker throws is thrown. */
  contextOf(request: ServerRequest): object | Promise<object> {
    return this.#options.context(request);
  }

  /** Executes a query or mutation. Never throws: whatever fails is in the result. */
  async run(running: Running): Promise<Answer> {
    const { request } = running;
    let timer: NodeJS.Timeout | undefined;
    let context: object | undefined;
    this.#running.add(request);
    try {
      const { exempt } = this.admit(running);
      if (!exempt && Number.isFinite(this.limits.executionMs)) {
        timer = setTimeout(() => request.end(this.#timeout(running)), this.limits.executionMs);
      }
      const forwarded = this.#forward(running);
      if (forwarded !== undefined) return { result: adopt(await request.orEnd(forwarded)), provenance: undefined };
      const pending = this.contextOf(request);
      context = pending instanceof Promise ? await request.orEnd(pending) : pending;
      const executed = this.#execute(running, context);
      const result = executed instanceof Promise ? await request.orEnd(executed) : executed;
      return { result, provenance: this.#options.provenance?.(context) };
    } catch (error) {
      return {
        result: { errors: [toGraphQLError(error)] },
        provenance: context && this.#options.provenance?.(context),
      };
    } finally {
      clearTimeout(timer);
      this.#running.delete(request);
      if (this.#running.size === 0 && this.#onIdle.length > 0) {
        for (const resolve of this.#onIdle.splice(0)) resolve();
      }
    }
  }

  #forward({ request, prepared, operation }: Running): Promise<ExecutionResult> | undefined {
    return prepared.type === 'mutation' ? this.#options.forward?.(operation, request) : undefined;
  }

  #execute({ prepared, operation }: Running, contextValue: object): ExecutionResult | Promise<ExecutionResult> {
    const result = execute({
      schema: this.#documents.schema,
      document: prepared.document,
      contextValue,
      variableValues: operation.variables,
      operationName: prepared.name,
    });
    return result instanceof Promise ? result : refusedInput(result);
  }

  #timeout({ prepared }: Running): HoldfastError {
    const what = prepared.type === 'mutation' ? 'The mutation was not answered' : 'The query was not answered';
    return new HoldfastError('REQUEST_TIMEOUT', `${what} within ${this.limits.executionMs} ms.`, {
      details: { limitMs: this.limits.executionMs },
    });
  }

  #documentsOf(schema: HttpOptions['schema']): Documents {
    return new Documents(schema, this.limits, this.#options.production === true);
  }
}

/** An answer as it is sent: errors formatted, provenance in the extensions. */
export function present(
  { result, provenance }: Answer,
  requestId: string,
  format: ErrorFormat,
): { result: ExecutionResult; answers: readonly GraphQLFormattedError[] | undefined } {
  const { errors, ...rest } = result;
  if (provenance !== undefined) rest.extensions = { ...rest.extensions, holdfast: provenance };
  if (errors === undefined) return { result: rest, answers: undefined };
  const answers = errors.map((error) => formatted(error, requestId, format));
  return { result: { ...rest, errors: answers.map(fromFormatted) }, answers };
}

/** Without data, graphql-js found the variables wrong; it says so at once. */
function refusedInput(result: ExecutionResult): ExecutionResult {
  if (result.data !== undefined || result.errors === undefined) return result;
  const errors = result.errors.map(
    (error) =>
      new GraphQLError(error.message, {
        nodes: error.nodes ?? null,
        extensions: { code: 'BAD_USER_INPUT', ...error.extensions },
      }),
  );
  return { errors };
}

/** A result that another server formatted, as one of ours. */
function adopt(result: ExecutionResult): ExecutionResult {
  return result.errors === undefined
    ? result
    : { ...result, errors: result.errors.map((error) => fromFormatted(error)) };
}
