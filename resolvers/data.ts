import type { GraphQLSchema } from 'graphql';
import { buildSchema, type SchemaOptions } from '../src/api/schema.ts';
import type { Model } from '../src/model/entity.ts';
import { buildSyncSchema, type SyncOptions } from './sync.ts';

/** Options of {@link buildDataSchema}. */
export interface DataSchemaOptions extends Omit<SchemaOptions, 'parts'> {
  /** The sync fields; left out when nobody may follow this node. */
  readonly sync?: SyncOptions | undefined;
}

/** All that the data port serves, over an ApiContext: the generated API, hand-written resolvers, and what replicas ask for. */
export function buildDataSchema(model: Model, { sync, ...options }: DataSchemaOptions = {}): GraphQLSchema {
  return buildSchema(model, { ...options, parts: sync === undefined ? [] : [buildSyncSchema(sync)] });
}
