import { readFileSync } from 'node:fs';
import { makeExecutableSchema } from '@graphql-tools/schema';
import type { GraphQLSchema } from 'graphql';
import { badInput } from '../src/api/bad-input.ts';
import { SCHEMA_DIRECTORY } from '../src/model/built-in.ts';
import { SCALARS } from '../src/model/scalars.ts';
import type { DrJob, DrOrder, DrService, DrVerifyLevel } from '../src/service/dr-service.ts';
import { abortable } from '../src/util/abortable.ts';

const TYPE_DEFS = new URL('dr.graphql', SCHEMA_DIRECTORY);
/** Most jobs in one answer. */
const MAX_JOBS = 500;

/** What the disaster recovery resolvers need of the context. */
export interface DrContext {
  readonly principal: string;
  /** Ends the operation. */
  readonly signal: AbortSignal;
}

interface BackupInput {
  readonly source: string;
  readonly workers?: number | null;
  readonly suffixes?: readonly { readonly table: string; readonly sql: string }[] | null;
  readonly closure: boolean;
  readonly tables?: readonly string[] | null;
  readonly compress: string;
  readonly format: 'auto' | 'text' | 'binary';
}

interface RestoreInput {
  readonly backup: string;
  readonly target: string;
  readonly workers?: number | null;
  readonly mode: 'full' | 'data';
  readonly tables?: readonly string[] | null;
  readonly confirm?: string | null;
}

interface VerifyInput {
  readonly backup: string;
  readonly level: DrVerifyLevel;
  readonly target?: string | null;
}

/** The fields of `schema/dr.graphql`, over a {@link DrContext}. */
export function buildDrSchema(dr: DrService): GraphQLSchema {
  const field =
    <Args, Result>(run: (args: Args, context: DrContext) => Result) =>
    async (_source: unknown, args: Args, context: DrContext) =>
      run(args, context);
  const starts = <Input>(orderOf: (input: Input) => DrOrder) =>
    field(({ input }: { input: Input }, { principal, signal }) => dr.start(orderOf(input), principal, signal));
  return makeExecutableSchema<DrContext>({
    typeDefs: readFileSync(TYPE_DEFS, 'utf8'),
    resolvers: {
      SafeInt: SCALARS.get('SafeInt')!.type,
      DateTime: SCALARS.get('DateTime')!.type,
      DrRestoreMode: { FULL: 'full', DATA: 'data' },
      DrFormat: { AUTO: 'auto', TEXT: 'text', BINARY: 'binary' },
      DrJob: dates('createdAt', 'startedAt', 'endedAt'),
      DrTable: dates('startedAt', 'endedAt'),
      DrBackup: dates('startedAt', 'endedAt'),
      DrVerification: dates('endedAt'),
      Query: {
        drSources: field(() => dr.sources()),
        drBackups: field((_args, { signal }) => dr.backups(signal)),
        drJobs: field(({ first }: { first: number }) => {
          if (first < 1 || first > MAX_JOBS) throw badInput(`first must be 1 to ${MAX_JOBS}, not ${first}`);
          return dr.jobs(first);
        }),
        drJob: field(({ id }: { id: string }) => dr.job(id)),
        drGraph: field(({ source }: { source: string }) => dr.graph(source)),
      },
      Mutation: {
        drBackup: starts(({ suffixes, workers = null, tables = null, ...rest }: BackupInput) => ({
          ...{ kind: 'BACKUP', ...rest, workers, tables },
          suffixes: byTable(suffixes ?? []),
        })),
        drRestore: starts(({ workers = null, tables = null, confirm = null, ...rest }: RestoreInput) => ({
          ...{ kind: 'RESTORE', ...rest, workers, tables, confirm },
        })),
        drVerify: starts(({ target = null, ...rest }: VerifyInput) => ({ kind: 'VERIFY', ...rest, target })),
        drCancel: field(({ id }: { id: string }) => dr.cancel(id)),
        drResume: field(({ id }: { id: string }, { signal }) => dr.resume(id, signal)),
        drDelete: field(async ({ backup }: { backup: string }) => {
          await dr.delete(backup);
          return true;
        }),
      },
      Subscription: {
        drProgress: {
          subscribe: field(({ id }: { id: string }, { signal }) =>
            abortable(signal, (ended) => dr.progress(id, ended)),
          ),
          resolve: (job: DrJob) => job,
        },
      },
    },
  });
}

/** Resolvers of fields that are ISO 8601 in the service and moments in GraphQL. */
function dates(...names: readonly string[]) {
  const read = (name: string) => (source: Record<string, string | null>) => source[name] && new Date(source[name]);
  return Object.fromEntries(names.map((name) => [name, read(name)]));
}

function byTable(suffixes: readonly { readonly table: string; readonly sql: string }[]): Record<string, string> {
  const found = new Map(suffixes.map(({ table, sql }) => [table, sql]));
  if (found.size < suffixes.length) throw badInput('suffixes name a table twice');
  return Object.fromEntries(found);
}
