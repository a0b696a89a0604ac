import { readFileSync } from 'node:fs';
import { makeExecutableSchema } from '@graphql-tools/schema';
import type { GraphQLSchema } from 'graphql';
import { badInput } from '../src/api/bad-input.ts';
import { ACCESS_ROLES, type AccessRole } from '../src/config.ts';
import { SCHEMA_DIRECTORY } from '../src/model/built-in.ts';
import { POSITION_SCALAR, SCALARS } from '../src/model/scalars.ts';
import type { TokenService } from '../src/service/access.ts';
import type { Decision } from '../src/service/conflict-resolution.ts';
import type { Conflict } from '../src/service/conflicts.ts';
import type { ConflictsQuery, OpsService } from '../src/service/ops-service.ts';
import { abortable } from '../src/util/abortable.ts';

const TYPE_DEFS = new URL('ops.graphql', SCHEMA_DIRECTORY);
/** Bounds of `replicaLag(intervalMs)`. */
const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 3_600_000;
const MAX_CONFLICTS = 1_000;

/** The roles as GraphQL names them. */
const ROLES = Object.fromEntries(ACCESS_ROLES.map((role) => [role.toUpperCase(), role]));

/** The context value of the ops schema. */
export interface OpsContext {
  /** Ends the operation. */
  readonly signal: AbortSignal;
}

/** Options of {@link buildOpsSchema}. */
export interface OpsSchemaOptions {
  readonly service: OpsService;
  readonly tokens: TokenService;
}

interface TokenInput {
  readonly name: string;
  readonly roles: readonly AccessRole[];
  readonly expiresAt?: Date | null;
}

/** The executable schema of the ops port, over an {@link OpsContext}. Who may ask is for the server to decide. */
export function buildOpsSchema({ service, tokens }: OpsSchemaOptions): GraphQLSchema {
  const field =
    <Args, Result>(run: (args: Args, context: OpsContext) => Result) =>
    async (_source: unknown, args: Args, context: OpsContext) =>
      run(args, context);
  return makeExecutableSchema<OpsContext>({
    typeDefs: readFileSync(TYPE_DEFS, 'utf8'),
    resolvers: {
      SafeInt: SCALARS.get('SafeInt')!.type,
      Position: POSITION_SCALAR,
      DateTime: SCALARS.get('DateTime')!.type,
      AccessRole: ROLES,
      Conflict: {
        at: ({ at }: Conflict) => new Date(at),
        resolvedAt: ({ resolvedAt }: Conflict) => resolvedAt && new Date(resolvedAt),
      },
      Status: { replicas: () => service.replicas() },
      Query: {
        status: field(() => service.status()),
        replicas: field(() => service.replicas()),
        conflicts: field(({ all, limit, after = null }: ConflictsQuery) => {
          if (limit < 1 || limit > MAX_CONFLICTS) {
            throw badInput(`limit must be 1 to ${MAX_CONFLICTS}, not ${limit}`);
          }
          return service.conflicts({ all, limit, after });
        }),
        tokens: field(() => tokens.list()),
      },
      Mutation: {
        replicaVerify: field((options: { deep: boolean }) => service.replicaVerify(options)),
        replicaResync: field(async (options: { force: boolean }) => {
          await service.replicaResync(options);
          return service.status();
        }),
        replicaPromote: field((options: { force: boolean }) => service.replicaPromote(options)),
        conflictResolve: field(({ document = null, ...decision }: Decision) =>
          service.conflictResolve({ ...decision, document }),
        ),
        tokenCreate: field(({ input: { name, roles, expiresAt } }: { input: TokenInput }) =>
          tokens.create({ name, roles, expiresAt: expiresAt?.toISOString() ?? null }),
        ),
        tokenRevoke: field(({ id }: { id: string }) => tokens.revoke(id)),
      },
      Subscription: {
        statusChanged: {
          subscribe: field((_args, { signal }) => abortable(signal, (ended) => service.statusChanges(ended))),
          resolve: itself,
        },
        replicaLag: {
          subscribe: field(({ intervalMs }: { intervalMs: number }, { signal }) => {
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
