import { type ExecutionArgs, type ExecutionResult, GraphQLError } from 'graphql';
import { type Context, makeServer, type Server as Protocol, type SubscribePayload } from 'graphql-ws';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import { ANONYMOUS } from './callers.ts';
import type { Connection, SocketOptions } from './connection.ts';
import { operationOf, type Prepared } from './documents.ts';
import { formatted, fromFormatted, toGraphQLError } from './errors.ts';
import { present, type Running } from './executor.ts';
import { requestIdFrom, ServerRequest, withExtensions, withParameters } from './request.ts';
import { Subscription } from './subscription.ts';

/** Arguments of graphql-js, with the operation they were made for. */
interface Args extends ExecutionArgs {
  readonly running: Running;
}

/** The `graphql-transport-ws` protocol over {@link Connection}s: what graphql-ws leaves to its user. */
export function createProtocol(options: SocketOptions): Protocol<Connection> {
  const { executor, limits, errors, observer, logger, authenticate, gate } = options;

  async function onConnect(context: Context<Record<string, unknown> | undefined, Connection>): Promise<boolean> {
    const connection = context.extra;
    connection.connectionParams = context.connectionParams;
    const headers = withParameters(connection.headers, context.connectionParams);
    const { address, connectionParams } = connection;
    try {
      connection.caller = (await authenticate?.({ transport: 'WS', headers, connectionParams, address })) ?? ANONYMOUS;
      return true;
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      logger.info({ code: error.code, address }, 'websocket refused');
      // The protocol's own answer to `false` is 4403, which clients take for a lack of rights; the first code counts.
      if (error.code === 'UNAUTHENTICATED') connection.unauthorized('Unauthorized');
      return false;
    }
  }

  function onSubscribe(
    { extra: connection, subscriptions }: Context<Record<string, unknown> | undefined, Connection>,
    _id: string,
    payload: SubscribePayload,
  ): ExecutionArgs | readonly GraphQLError[] {
    const request = requestOf(connection, payload);
    const refuse = (reasons: readonly GraphQLError[]) => {
      const answers = reasons.map((reason) => formatted(reason, request.requestId, errors));
      const startedMs = performance.now();
      observer.ended({ request, type: 'invalid', name: undefined, outcome: 'refused', errors: answers, startedMs });
      return answers.map(fromFormatted);
    };
    let prepared: Prepared;
    try {
      gate.check();
      if (Object.keys(subscriptions).length > limits.socketOperations) throw tooManyOperations(limits.socketOperations);
      prepared = executor.prepare(request, payload.query);
    } catch (error) {
      return refuse([toGraphQLError(error)]);
    }
    if (prepared.errors.length > 0) return refuse(prepared.errors);
    const found = operationOf(prepared, payload.operationName ?? undefined);
    if (found instanceof GraphQLError) return refuse([found]);
    const operation = {
      query: payload.query,
      operationName: payload.operationName ?? undefined,
      variables: payload.variables ?? undefined,
    };
    const args: Args = {
      schema: found.schema,
      document: found.document,
      operationName: found.name,
      variableValues: operation.variables,
      rootValue: undefined,
      contextValue: connection,
      running: { request, prepared: found, operation },
    };
    return args;
  }

  async function execute(args: ExecutionArgs): Promise<ExecutionResult> {
    const { running } = args as Args;
    const connection = args.contextValue as Connection;
    const { request, prepared } = running;
    const startedMs = performance.now();
    connection.begin(request);
    const answer = await connection.working(executor.run(running));
    connection.finish(request);
    const { type, name } = prepared;
    const { result, answers } = present(answer, request.requestId, errors);
    const outcome = answers === undefined ? 'ok' : 'error';
    observer.ended({ request, type, name, outcome, errors: answers, startedMs });
    return result;
  }

  async function start(args: ExecutionArgs): Promise<ExecutionResult | AsyncGenerator<ExecutionResult>> {
    const { running } = args as Args;
    const connection = args.contextValue as Connection;
    const { request, prepared } = running;
    const startedMs = performance.now();
    connection.begin(request);
    const events = await executor.subscribe(running);
    if ('source' in events) {
      return new Subscription({ ...events, request, prepared, startedMs, connection, errors, observer });
    }
    connection.finish(request);
    const { type, name } = prepared;
    const { result, answers } = present({ result: events, provenance: undefined }, request.requestId, errors);
    observer.ended({ request, type, name, outcome: 'error', errors: answers, startedMs });
    return result;
  }

  return makeServer<Record<string, unknown> | undefined, Connection>({
    connectionInitWaitTimeout: limits.socketInitMs,
    onConnect,
    onSubscribe,
    execute,
    subscribe: start,
  });
}

function requestOf(connection: Connection, { extensions }: SubscribePayload): ServerRequest {
  const { connectionParams, address, caller = ANONYMOUS } = connection;
  const headers = withExtensions(withParameters(connection.headers, connectionParams), extensions);
  // The header of the handshake names the connection, not its operations.
  const requestId = requestIdFrom(withExtensions({}, extensions)['x-request-id']);
  return new ServerRequest({ requestId, transport: 'WS', caller, address, headers, connectionParams });
}

function tooManyOperations(max: number): HoldfastError {
  return new HoldfastError('RATE_LIMITED', `At most ${max} operations run at once on one websocket.`, {
    details: { max },
  });
}
