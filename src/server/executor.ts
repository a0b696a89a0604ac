import { type ExecutionArgs, type ExecutionResult, GraphQLError, type GraphQLFormattedError, subscribe } from 'graphql';
import { HoldfastError } from '../errors.ts';
import { Deadline } from './deadline.ts';
import { Documents, type Prepared, type PreparedOperation } from './documents.ts';
import { type ErrorFormat, formatted, fromFormatted, toGraphQLError } from './errors.ts';
import type { Limits } from './limits.ts';
import type { HttpOptions, Operation, Provenance } from './options.ts';
import { RateLimiter } from './rate.ts';
import type { ServerRequest } from './request.ts';

const MAX_COERCION_ERRORS = 5;

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

/** The results of a subscription. */
export interface Events {
  readonly source: AsyncGenerator<ExecutionResult, void, void>;
  /** Of the last of them. */
  readonly provenance: () => Provenance | undefined;
}

/** Checks limits and executes operations; the same for HTTP and websockets. */
export class Executor {
  readonly #limits: Limits;
  readonly #options: HttpOptions;
  readonly #rate: RateLimiter | undefined;
  readonly #inFlight: { inc(): void; dec(): void };
  readonly #deadline: Deadline<ServerRequest>;
  readonly #running = new Set<ServerRequest>();
  #onIdle: (() => void)[] = [];
  #documents: Documents;

  constructor(options: HttpOptions, limits: Limits, inFlight: { inc(): void; dec(): void }) {
    this.#inFlight = inFlight;
    this.#options = options;
    this.#limits = limits;
    this.#deadline = new Deadline(limits.executionMs, (request) => request.end(timeout(limits.executionMs)));
    this.#rate = limits.rate && new RateLimiter(limits.rate);
    this.#documents = this.#documentsOf(options.schema);
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
   * The document of a query, by the present schema. A text that was not seen before counts as a request of its own: parsing
   * and validating it is work.
   * @throws RATE_LIMITED; what `checkReady` throws
   */
  prepare(request: ServerRequest, query: string): Prepared {
    this.#options.checkReady?.();
    const known = this.#documents.known(query);
    if (known !== undefined) return known;
    this.#rate?.take(payerOf(request));
    return this.#documents.prepare(query);
  }

  /**
   * Limits that depend on who asks and with which variables.
   * @throws FORBIDDEN, RATE_LIMITED, QUERY_TOO_COMPLEX
   */
  #admit({ request, prepared, operation }: Running): { readonly exempt: boolean } {
    const { authorize, exempt } = this.#options;
    authorize?.(request, prepared);
    if (exempt?.(request, prepared) === true) return { exempt: true };
    this.#rate?.take(payerOf(request));
    prepared.cost.check(operation.variables ?? {}, this.#limits);
    return { exempt: false };
  }

  /** Executes a query or mutation. Never throws: whatever fails is in the result. */
  async run(running: Running): Promise<Answer> {
    const { request } = running;
    const used: { context?: object } = {};
    let result: ExecutionResult;
    this.#running.add(request);
    this.#inFlight.inc();
    try {
      const { exempt } = this.#admit(running);
      const work = this.#start(running, used);
      if (work instanceof Promise) {
        if (!exempt) this.#deadline.add(request);
        result = await request.orEnd(work);
      } else {
        result = work;
      }
    } catch (error) {
      result = { errors: [toGraphQLError(error)] };
    } finally {
      this.#deadline.delete(request);
      this.#running.delete(request);
      this.#inFlight.dec();
      if (this.#running.size === 0 && this.#onIdle.length > 0) {
        for (const resolve of this.#onIdle.splice(0)) resolve();
      }
    }
    return { result, provenance: used.context && this.#options.provenance?.(used.context) };
  }

  /** Starts a subscription; a result with errors when it cannot start. Never throws. */
  async subscribe(running: Running): Promise<Events | ExecutionResult> {
    const { request, prepared, operation } = running;
    try {
      this.#admit(running);
      const contextValue = await this.#options.context(request);
      const started = await subscribe({ ...this.#argsOf(prepared, operation), contextValue });
      if (!(Symbol.asyncIterator in started)) return refusedInput(started);
      return { source: started, provenance: () => this.#options.provenance?.(contextValue) };
    } catch (error) {
      return { errors: [toGraphQLError(error)] };
    }
  }

  /** Forwards or executes; the context, once it is there, is put in `used`. */
  #start(running: Running, used: { context?: object }): ExecutionResult | Promise<ExecutionResult> {
    const { request, prepared, operation } = running;
    const forwarded = prepared.type === 'mutation' ? this.#options.forward?.(operation, request, prepared) : undefined;
    if (forwarded !== undefined) return forwarded.then(adopt);
    const execute = (context: object) => {
      used.context = context;
      return this.#execute(running, context);
    };
    const context = this.#options.context(request);
    return context instanceof Promise ? context.then(execute) : execute(context);
  }

  #execute({ prepared, operation }: Running, contextValue: object): ExecutionResult | Promise<ExecutionResult> {
    const compiled = prepared.compiler?.execute(prepared, contextValue, operation.variables);
    if (compiled === undefined) return this.#interpret(prepared, operation, contextValue);
    if (!(compiled instanceof Promise)) return compiled;
    return compiled.then((result) => result ?? this.#interpret(prepared, operation, contextValue));
  }

  #interpret(
    prepared: PreparedOperation,
    operation: Operation,
    contextValue: object,
  ): ExecutionResult | Promise<ExecutionResult> {
    const result = prepared.variables.execute({ ...this.#argsOf(prepared, operation), contextValue });
    return result instanceof Promise ? result : refusedInput(result);
  }

  #argsOf(prepared: PreparedOperation, { variables }: Operation): ExecutionArgs {
    return {
      schema: prepared.schema,
      document: prepared.document,
      variableValues: variables,
      operationName: prepared.name,
      hideSuggestions: this.#options.production === true,
      options: { maxCoercionErrors: MAX_COERCION_ERRORS },
    };
  }

  #documentsOf(schema: HttpOptions['schema']): Documents {
    const { production = false, compile = true } = this.#options;
    return new Documents(schema, { limits: this.#limits, production, compile });
  }
}

function timeout(limitMs: number): HoldfastError {
  return new HoldfastError('REQUEST_TIMEOUT', `The operation was not answered within ${limitMs} ms.`, {
    details: { limitMs },
  });
}

/** Whose requests are counted together. */
function payerOf({ principal, address }: ServerRequest): string {
  return principal === 'anonymous' ? address : principal;
}

/** An answer as it is sent. */
export interface Presented {
  readonly result: ExecutionResult;
  /** The errors of `result`, formatted. */
  readonly answers: readonly GraphQLFormattedError[] | undefined;
}

/** Formats errors, and puts provenance into the extensions. */
export function present({ result, provenance }: Answer, requestId: string, format: ErrorFormat): Presented {
  const { errors, ...rest } = result;
  if (provenance !== undefined) rest.extensions = { ...rest.extensions, holdfast: provenance };
  if (errors === undefined) return { result: rest, answers: undefined };
  const answers = errors.map((error) => formatted(error, requestId, format));
  return { result: { ...rest, errors: answers.map(fromFormatted) }, answers };
}

/** Errors without data and without a path are graphql-js saying that the variables are wrong. */
function refusedInput(result: ExecutionResult): ExecutionResult {
  if (result.data !== undefined || result.errors === undefined) return result;
  const errors = result.errors.map((error) =>
    error.path !== undefined
      ? error
      : new GraphQLError(error.message, {
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
