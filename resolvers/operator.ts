import { mergeSchemas } from '@graphql-tools/schema';
import type { GraphQLSchema } from 'graphql';
import type { AuditLog } from '../src/service/audit-log.ts';
import type { DrService } from '../src/service/dr-service.ts';
import type { FallbackService } from '../src/service/fallback-service.ts';
import { type AuditContext, buildAuditSchema, withAudit } from './audit.ts';
import { buildDrSchema, type DrContext } from './dr.ts';
import { buildFallbackSchema } from './fallback.ts';
import { buildOpsSchema, type OpsContext, type OpsSchemaOptions } from './ops.ts';

/** The context value of {@link buildOperatorSchema}. */
export type OperatorContext = OpsContext & DrContext & AuditContext;

/** Options of {@link buildOperatorSchema}. */
export interface OperatorSchemaOptions extends OpsSchemaOptions {
  readonly dr: DrService;
  readonly audit: AuditLog;
  /** Undefined where nothing answers in place of the database. */
  readonly fallback?: FallbackService | undefined;
}

/** Everything that the ops port serves, over an {@link OperatorContext}; each mutation goes by the audit log. */
export function buildOperatorSchema({ dr, audit, fallback, ...ops }: OperatorSchemaOptions): GraphQLSchema {
  const schemas = [buildOpsSchema(ops), buildDrSchema(dr), buildAuditSchema(audit), buildFallbackSchema(fallback)];
  return withAudit(mergeSchemas({ schemas }), audit);
}
