import { readFileSync } from 'node:fs';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { defaultFieldResolver, type GraphQLSchema } from 'graphql';
import { badInput } from '../src/api/bad-input.ts';
import { SCHEMA_DIRECTORY } from '../src/model/built-in.ts';
import { SCALARS } from '../src/model/scalars.ts';
import type { AuditEntry, AuditLog } from '../src/service/audit-log.ts';

const TYPE_DEFS = new URL('audit.graphql', SCHEMA_DIRECTORY);
const MAX_ENTRIES = 500;

/** What the audit log needs of the context. */
export interface AuditContext {
  readonly principal: string;
  readonly address: string;
}

/** The fields of `schema/audit.graphql`. */
export function buildAuditSchema(audit: AuditLog): GraphQLSchema {
  return makeExecutableSchema({
    typeDefs: readFileSync(TYPE_DEFS, 'utf8'),
    resolvers: {
      DateTime: SCALARS.get('DateTime')!.type,
      AuditEntry: {
        at: ({ at }: AuditEntry) => new Date(at),
        endedAt: ({ endedAt }: AuditEntry) => endedAt && new Date(endedAt),
      },
      Query: {
        auditLog: (_source: unknown, { first, before }: { first: number; before?: string | null }) => {
          if (first < 1 || first > MAX_ENTRIES) throw badInput(`first must be 1 to ${MAX_ENTRIES}, not ${first}`);
          return audit.list(first, positionOf(before));
        },
      },
    },
  });
}

/** Puts every mutation of a schema on the audit log, whatever it is: none runs that is not written down. */
export function withAudit(schema: GraphQLSchema, audit: AuditLog): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    const resolve = field.resolve ?? defaultFieldResolver;
    field.resolve = (source, args, context: AuditContext, info) =>
      audit.run({ by: context.principal, address: context.address, action: field.name, arguments: args }, () =>
        resolve(source, args, context, info),
      );
  }
  return schema;
}

function positionOf(before: string | null | undefined): number | undefined {
  if (before === undefined || before === null) return undefined;
  if (/^\d{1,15}$/.test(before)) return Number(before);
  throw badInput('before must be the id of an entry');
}
