import { GraphQLObjectType, GraphQLSchema } from 'graphql';
import type { Model } from '../model/entity.ts';
import { subscriptionFields } from './changes.ts';
import { mutationFields } from './mutations.ts';
import type { ApiFields } from './output-types.ts';
import { queryFields } from './queries.ts';
import { Types } from './types.ts';

/** Options of {@link buildSchema}. */
export interface SchemaOptions {
  /** Sets timestamps; the real clock by default. */
  readonly clock?: () => Date;
}

/** The executable schema of a model, over an ApiContext. */
export function buildSchema(model: Model, options: SchemaOptions = {}): GraphQLSchema {
  const { clock = () => new Date() } = options;
  const types = new Types(model);
  const root = (name: string, fields: (entity: Model['entities'][number]) => ApiFields) =>
    new GraphQLObjectType({ name, fields: () => Object.assign({}, ...model.entities.map(fields)) });
  return new GraphQLSchema({
    query: root('Query', (entity) => queryFields(types, entity)),
    mutation: root('Mutation', (entity) => mutationFields(types, entity, clock)),
    subscription: root('Subscription', (entity) => subscriptionFields(types, entity)),
  });
}
