import { type ExecutionResult, type GraphQLSchema, graphql, parse, subscribe } from 'graphql';
import { createApiContext } from '../../src/api/context.ts';
import { buildSchema, type SchemaOptions } from '../../src/api/schema.ts';
import type { Entity, Model } from '../../src/model/entity.ts';
import { loadModel } from '../../src/model/load.ts';
import type { RequestContext } from '../../src/service/data-service.ts';
import { MemoryService } from './memory-service.ts';

/** A schema over a MemoryService. */
export interface TestApi {
  readonly model: Model;
  readonly schema: GraphQLSchema;
  readonly service: MemoryService;
  entity(name: string): Entity;
  /** Executes one operation; the answer as JSON would carry it. */
  run(query: string, variables?: Record<string, unknown>, request?: Partial<RequestContext>): Promise<ExecutionResult>;
  /** The data of {@link run}; fails when there are errors. */
  data<T = Record<string, never>>(query: string, variables?: Record<string, unknown>): Promise<T>;
  /** The code and message of the first error of {@link run}; fails when there is none. */
  error(
    query: string,
    variables?: Record<string, unknown>,
  ): Promise<{ code: unknown; message: string; details: object }>;
  subscribe(query: string, request?: Partial<RequestContext>): Promise<AsyncIterableIterator<ExecutionResult>>;
}

/** The time of every timestamp in these tests. */
export const NOW = new Date('2026-03-01T12:00:00.000Z');

export function testApi(sdl: string, options: SchemaOptions = {}): TestApi {
  const model = loadModel([{ file: 'test.graphql', text: sdl }]);
  const schema = buildSchema(model, { clock: () => NOW, ...options });
  const service = new MemoryService();
  const context = (request: Partial<RequestContext>) =>
    createApiContext(service, { principal: 'test', signal: new AbortController().signal, ...request }, model);
  const run: TestApi['run'] = async (source, variableValues = {}, request = {}) => {
    const result = await graphql({ schema, source, variableValues, contextValue: context(request) });
    return { ...(JSON.parse(JSON.stringify(result)) as ExecutionResult), errors: result.errors } as ExecutionResult;
  };
  return {
    model,
    schema,
    service,
    run,
    entity(name) {
      const found = model.entities.find((entity) => entity.name === name);
      if (found === undefined) throw new Error(`no entity ${name}`);
      return found;
    },
    async data<T>(query: string, variables?: Record<string, unknown>) {
      const { data, errors } = await run(query, variables);
      if (errors !== undefined) throw errors[0]?.originalError ?? errors[0];
      return data as T;
    },
    async error(query, variables) {
      const { errors, data } = await run(query, variables);
      const [error] = errors ?? [];
      if (error === undefined) throw new Error(`no error, but ${JSON.stringify(data)}`);
      const original = error.originalError as { code?: string; details?: object } | undefined;
      return {
        code: original?.code ?? error.extensions.code,
        message: error.message,
        details: original?.details ?? {},
      };
    },
    async subscribe(query, request = {}) {
      const result = await subscribe({ schema, document: parse(query), contextValue: context(request) });
      if (!(Symbol.asyncIterator in result)) throw result.errors?.[0]?.originalError ?? result.errors?.[0];
      return result as AsyncIterableIterator<ExecutionResult>;
    },
  };
}
