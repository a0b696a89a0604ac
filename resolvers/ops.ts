import { readFileSync } from 'node:fs';
import { makeExecutableSchema } from '@graphql-tools/schema';
import type { GraphQLSchema } from 'graphql';
import { badInput } from '../src/api/bad-input.ts';
import { SCHEMA_DIRECTORY } from '../src/model/built-in.ts';
import { POSITION_SCALAR, SCALARS } from '../src/model/scalars.ts';
import type { OpsService } from '../src/service/ops-service.ts';
import { abortable } from '../src/util/abortable.ts';
import type { Authorize } from './authorize.ts';

const TYPE_DEFS = new URL('ops.graphql', SCHEMA_DIRECTORY);
/** Bounds of `replicaLag(intervalMs)`. */
const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 3_600_000;

/** The context value of the ops schema. */
export interface OpsContext {
  /** Ends the operation. */
  readonly signal: AbortSignal;
}

/** Options of {@link buildOpsSchema}. */
export interface OpsSchemaOptions {
  readonly service: OpsService;
  /** Default: everybody may. */
  readonly authorize?: Authorize<OpsContext> | undefined;
}

/** The executable schema of the ops port, over an {@link OpsContext}. */
export function buildOpsSchema({ service, authorize = () => undefined }: OpsSchemaOptions): GraphQLSchema {
  const guarded =
    <Args, Result>(run: (args: Args, context: OpsContext) => Result) =>
    async (_source: unknown, args: Args, context: OpsContext) => {
      await authorize(context, 'operator');
      return run(args, context);
    };
  return makeExecutableSchema<OpsContext>({
    typeDefs: readFileSync(TYPE_DEFS, 'utf8'),
    resolvers: {
      SafeInt: SCALARS.get('SafeInt')!.type,
      Position: POSITION_SCALAR,
      Status: { replicas: () => service.replicas() },
      Query: {
        status: guarded(() => service.status()),
        replicas: guarded(() => service.replicas()),
      },
      Mutation: {
        replicaVerify: guarded((options: { deep: boolean }) => service.replicaVerify(options)),
        replicaResync: guarded(async (options: { force: boolean }) => {
          await service.replicaResync(options);
          return service.status();
        }),
      },
      Subscription: {
        statusChanged: {
          subscribe: guarded((_args, { signal }) => abortable(signal, (ended) => service.statusChanges(ended))),
          resolve: itself,
        },
        replicaLag: {
          subscribe: guarded(({ intervalMs }: { intervalMs: number }, { signal }) => {
            if (intervalMs < MIN_INTERVAL_MS || intervalMs > MAX_INTERVAL_MS) {
              throw badInput(`intervalMs must be ${MIN_INTERVAL_MS} to ${MAX_INTERVAL_MS}, not ${intervalMs}`);
            }
            return abortable(signal, (ended) => service.replicaLag(intervalMs, ended));
          }),
          resolve: itself,
        },
      },
    },
  });
}

function itself<T>(event: T): T {
  return event;
}
