import type { IResolvers } from '@graphql-tools/utils';
import { concatAST, type DocumentNode, GraphQLObjectType, GraphQLSchema, validateSchema, visit } from 'graphql';
import { HoldfastError } from '../errors.ts';
import type { Entity, Model } from '../model/entity.ts';
import { subscriptionFields } from './changes.ts';
import { addResolvers, extended, extrasOf, type OnOverride, type SchemaPart } from './extend.ts';
import { mutationFields } from './mutations.ts';
import type { ApiFields } from './output-types.ts';
import { queryFields } from './queries.ts';
import { Types } from './types.ts';

/** Options of {@link buildSchema}. */
export interface SchemaOptions {
  /** Hand-written resolvers; they win over generated ones. */
  readonly resolvers?: IResolvers | undefined;
  /** Further parts of the API, e.g. the sync fields. */
  readonly parts?: readonly SchemaPart[] | undefined;
  /** Told of each generated field that SDL or a resolver takes the place of. Default: nobody is. */
  readonly onOverride?: OnOverride | undefined;
  /** Sets timestamps. Default: the machine's clock. */
  readonly clock?: (() => Date) | undefined;
}

/**
 * The executable schema of a model, over an ApiContext: DESIGN's data API, with the user's own types and resolvers.
 * @throws SCHEMA_INVALID when the user's types, resolvers and the generated ones do not fit together.
 */
export function buildSchema(model: Model, options: SchemaOptions = {}): GraphQLSchema {
  const { resolvers, parts = [], onOverride = () => undefined, clock = () => new Date() } = options;
  const extras = concatAST([extrasOf(model), ...parts.map((part) => part.document)]);
  const generated = generatedSchema(model, clock, extras);
  const schema = extended(generated, extras, onOverride);
  for (const part of parts) if (part.resolvers) addResolvers(schema, part.resolvers, generated, onOverride);
  if (resolvers !== undefined) addResolvers(schema, resolvers, generated, onOverride);
  const [mistake] = validateSchema(schema);
  if (mistake !== undefined) {
    throw new HoldfastError('SCHEMA_INVALID', mistake.message, { cause: mistake, details: { mistakes: [] } });
  }
  return schema;
}

function generatedSchema(model: Model, clock: () => Date, extras: DocumentNode): GraphQLSchema {
  const types = new Types(model);
  const root = (name: string, fields: (entity: Entity) => ApiFields) =>
    new GraphQLObjectType({ name, fields: () => Object.assign({}, ...model.entities.map(fields)) });
  return new GraphQLSchema({
    query: root('Query', (entity) => queryFields(types, entity)),
    mutation: root('Mutation', (entity) => mutationFields(types, entity, clock)),
    subscription: root('Subscription', (entity) => subscriptionFields(types, entity)),
    types: leavesOf(extras, types),
  });
}

/** Scalars and enums that only the extras use: they are not found from the generated root types. */
function leavesOf(extras: DocumentNode, types: Types) {
  const names = new Set<string>();
  visit(extras, { NamedType: (node) => void names.add(node.name.value) });
  return [...names].flatMap((name) => types.knownLeaf(name) ?? []);
}
