import type { ExecutionResult, GraphQLError, GraphQLFormattedError, GraphQLSchema } from 'graphql';
import type { ErrorReport } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/metrics.ts';
import type { Limits } from './limits.ts';

/** Who asks, and all that a request says beside its operation. One for each GraphQL operation, also over a websocket. */
export interface RequestInfo {
  /** Header `x-request-id` when it is a plain one, else drawn here. It is in the answer, in errors and in the log. */
  readonly requestId: string;
  readonly transport: 'HTTP' | 'WS';
  /** Who asks; `anonymous` without authentication. */
  readonly principal: string;
  readonly roles: readonly string[];
  /** Address of the client's end of the connection. */
  readonly address: string;
  /**
   * `authorization`, `user-agent`, `x-request-id`, `traceparent`, `idempotency-key` and everything that starts with
   * `holdfast-`, in lower case. Over a websocket, entries of the connection's parameters and of the operation's
   * `extensions` (but `authorization`) count as headers of the same name; the operation's win.
   */
  readonly headers: Readonly<Record<string, string>>;
  /** Payload of `connection_init`; undefined over HTTP. */
  readonly connectionParams: Readonly<Record<string, unknown>> | undefined;
  /** Header `idempotency-key`. */
  readonly idempotencyKey: string | undefined;
  /** Header `holdfast-min-position`, not checked. */
  readonly minPosition: string | undefined;
  /** Header `holdfast-max-staleness-ms`, not checked. */
  readonly maxStalenessMs: string | undefined;
  /** Aborts when the client is gone, its subscription ends, the execution limit is reached or the server gives up waiting at its stop. */
  readonly signal: AbortSignal;
}

/** A caller as authentication found it. */
export interface Caller {
  readonly principal: string;
  readonly roles: readonly string[];
}

/** What authentication may look at. */
export interface Credentials {
  readonly transport: 'HTTP' | 'WS';
  /** As in {@link RequestInfo}. */
  readonly headers: Readonly<Record<string, string>>;
  readonly connectionParams: Readonly<Record<string, unknown>> | undefined;
  readonly address: string;
}

/** An operation as a client sent it. */
export interface Operation {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
}

/** What is known of an operation before it is executed. */
export interface OperationSummary {
  readonly type: 'query' | 'mutation' | 'subscription';
  /** Names of the root fields, without aliases. */
  readonly fields: readonly string[];
}

/** Where an answer's data came from: `extensions.holdfast`, and the headers `holdfast-source`, `holdfast-as-of`, `holdfast-position`. */
export interface Provenance {
  readonly source: string;
  /** ISO 8601. */
  readonly asOf: string;
  /** Null when the source has none: then there is no header. */
  readonly position: string | null;
}

/** How a process feels; shown at `/health/*` of the ops port. */
export interface Health {
  /** Whether the process should be left alone: false asks to be restarted. */
  readonly live: boolean;
  /** Whether requests should be sent here. */
  readonly ready: boolean;
  /** Works, but something is wrong: still ready, unless the asker is strict. */
  readonly degraded: boolean;
  /** Shown as it is. */
  readonly components: Readonly<Record<string, unknown>>;
}

/** A GraphQL API that the explorer page can be pointed at. */
export interface Explorable {
  readonly name: string;
  /** Path on this server, or a full URL (whose server must then accept this one's origin). */
  readonly url: string;
}

/** The error as the client sees it: always with `code`, `retryable` and `requestId` among its extensions. */
export type FormatError = (error: GraphQLError, report: ErrorReport) => GraphQLFormattedError;

export interface HttpOptions {
  /** Address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 for any free one. */
  readonly port: number;
  /** Flag that sets the port, for the message of PORT_IN_USE. Default `--port`. */
  readonly portFlag?: string;
  /** Path of the API, for HTTP and websockets. Default `/graphql`. */
  readonly path?: string;
  readonly schema: GraphQLSchema;
  /** The context resolvers get; called once for each operation. What it throws is the answer. */
  readonly context: (info: RequestInfo) => object | Promise<object>;
  /** Called before an operation is read, which needs the schema: what it throws is the answer. Default: nothing. */
  readonly checkReady?: () => void;
  /** Read after the operation was executed. */
  readonly provenance?: (context: object) => Provenance | undefined;
  /** Answers a mutation in place of its resolvers (a replica hands it to its primary); undefined: execute it here. */
  readonly forward?: (
    operation: Operation,
    info: RequestInfo,
    summary: OperationSummary,
  ) => Promise<ExecutionResult> | undefined;
  /** Turns an error into what the client sees. */
  readonly formatError: FormatError;
  /**
   * Finds the caller, before a body is read; throws UNAUTHENTICATED or FORBIDDEN. Once per HTTP request and per websocket.
   * Default: everybody is `anonymous` with no roles.
   */
  readonly authenticate?: (credentials: Credentials) => Caller | Promise<Caller>;
  /** Whether a caller found before may go on; asked twice a second for each open websocket, which is closed with 4401 when not. Default: always. */
  readonly isCurrent?: (caller: Caller) => boolean;
  /** Called before an operation is executed, forwarded or subscribed to; throws FORBIDDEN. Default: everybody may everything. */
  readonly authorize?: (caller: Caller, operation: OperationSummary) => void;
  /** Called before metrics and the components of the health are shown; throws FORBIDDEN. Default: everybody may see them. */
  readonly authorizePages?: (caller: Caller) => void;
  readonly limits?: Partial<Limits>;
  /** Whether page, cost, rate and execution limits are waived for this operation. Default: never. */
  readonly exempt?: (info: RequestInfo, operation: OperationSummary) => boolean;
  /** No introspection, no suggestions, no stacks in errors. Default false. */
  readonly production?: boolean;
  /** Origins of browsers that may ask, beside pages served from here. Default none. */
  readonly cors?: readonly string[];
  /** `loopback`: the Host header must name this machine (a defence against DNS rebinding when nobody must log in). Default `any`. */
  readonly hostCheck?: 'loopback' | 'any';
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Makes this the ops port: `/health/live`, `/health/ready`, `/metrics`, `/graphiql` and a page that lists them. */
  readonly health?: () => Health;
  /** APIs the explorer offers, first one first. Default: the one of this server. */
  readonly explore?: readonly Explorable[];
  /** At {@link HttpServer.stop}, how long requests are still taken after `state` says `draining`, so that balancers notice. Default 0. */
  readonly drainMs?: number;
  /** Websocket keep-alive: how often a client is pinged, and how long it may take to answer. Default 12,000. */
  readonly pingMs?: number;
  /** Whether queries that come again are compiled (graphql-jit); the answers are the same. Default true. */
  readonly compile?: boolean;
  /** Waits; used while stopping. Default: a timer. */
  readonly delay?: (ms: number) => Promise<unknown>;
  /** Draws a number in [0, 1). Default Math.random. */
  readonly random?: () => number;
}

/** A listening server. */
export interface HttpServer {
  /** `http://host:port`, with the port that was taken. */
  readonly url: string;
  readonly port: number;
  readonly state: 'serving' | 'draining' | 'stopped';
  /** Requests from now on use `schema`; running ones and open subscriptions keep theirs. */
  replaceSchema(schema: GraphQLSchema): void;
  /**
   * Stops: the state turns to `draining`, after `drainMs` new requests get SHUTTING_DOWN, running ones may finish,
   * websockets are closed with 1001 in small waves; what is left after `graceMs` (default 10,000) is cut off. Idempotent.
   */
  stop(options?: { graceMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
