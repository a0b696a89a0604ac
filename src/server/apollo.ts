import { ApolloServer, type ApolloServerOptions } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import type { ExecutionResult, GraphQLSchema } from 'graphql';
import type { Logger } from '../telemetry/logger.ts';
import type { Operation } from './options.ts';

/** Apollo's context of one request: what to do when Apollo has checked the request and wants it executed. */
export interface ApolloContext {
  readonly execute: (operation: Operation) => Promise<ExecutionResult>;
}

/**
 * Apollo Server, for the parts of HTTP it knows best. It gets only documents that were validated here (with our limits first,
 * and the same way as for websockets), executes through its `gateway.executor` hook, and runs no plugin: the one for cache
 * control alone doubles the cost of a list, because it wraps every resolver.
 */
export async function startApollo(
  schema: GraphQLSchema,
  maxTokens: number,
  logger: Logger,
): Promise<ApolloServer<ApolloContext>> {
  const gateway: ApolloServerOptions<ApolloContext>['gateway'] = {
    onSchemaLoadOrUpdate(callback) {
      callback({ apiSchema: schema, coreSupergraphSdl: '' });
      return () => {};
    },
    load: async () => ({
      executor: ({ request: { query, operationName, variables }, context }) =>
        (context as ApolloContext).execute({ query: query ?? '', operationName, variables }),
    }),
    stop: async () => {},
  };
  const apollo = new ApolloServer<ApolloContext>({
    gateway,
    logger,
    parseOptions: { maxTokens },
    dangerouslyDisableValidation: true, // done by Documents
    csrfPrevention: false, // done by OriginPolicy; Apollo's way makes three audits of GraphQL over HTTP impossible
    persistedQueries: false,
    allowBatchedHttpRequests: false,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    stringifyResult: (result) => JSON.stringify(result),
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
    ],
  });
  await apollo.start();
  return apollo;
}
