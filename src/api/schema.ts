import type { IResolvers } from '@graphql-tools/utils';
import { type DocumentNode, GraphQLSchema, validateSchema, visit } from 'graphql';
import { HoldfastError } from '../errors.ts';
import type { Model } from '../model/entity.ts';
import { annotate } from './annotations.ts';
import { subscriptionFields } from './changes.ts';
import { addResolvers, extended, extrasOf, type OnOverride } from './extend.ts';
import { objectType } from './make-type.ts';
import { mutationFields } from './mutations.ts';
import { type RootFields, rootFieldsOf } from './parts.ts';
import { queryFields } from './queries.ts';
import { Types } from './types.ts';

/** Options of {@link buildSchema}. */
export interface SchemaOptions {
  /** Hand-written resolvers; they win over generated ones. */
  readonly resolvers?: IResolvers | undefined;
  /**
   * Schemas whose root fields are added to the generated ones, e.g. the sync API. They are taken apart: build them for
   * this.
   */
  readonly parts?: readonly GraphQLSchema[] | undefined;
  /** Told of each generated field that SDL or a resolver takes the place of. Default: nobody is. */
  readonly onOverride?: OnOverride | undefined;
  /** Sets timestamps. Default: the machine's clock. */
  readonly clock?: (() => Date) | undefined;
}

/**
 * The executable schema of a model, over an ApiContext: the generated API, the user's own types and resolvers, and
 * `parts`.
 * @throws SCHEMA_INVALID when these do not fit together.
 */
export function buildSchema(model: Model, options: SchemaOptions = {}): GraphQLSchema {
  const { resolvers = {}, parts = [], clock = () => new Date() } = options;
  const overridden = new Set<string>();
  const extras = extrasOf(model);
  const generated = generatedSchema(model, clock, parts.map(rootFieldsOf), extras);
  const schema = extended(generated, extras, (field) => overridden.add(field));
  addResolvers(schema, resolvers, generated, (field) => overridden.add(field));
  annotate(schema, model.document);
  const [mistake] = validateSchema(schema);
  if (mistake !== undefined) {
    throw new HoldfastError('SCHEMA_INVALID', mistake.message, { cause: mistake, details: { mistakes: [] } });
  }
  for (const field of overridden) options.onOverride?.(field);
  return schema;
}

function generatedSchema(
  model: Model,
  clock: () => Date,
  parts: readonly RootFields[],
  extras: DocumentNode,
): GraphQLSchema {
  const types = new Types(model);
  const entities = model.entities.map(
    (entity): RootFields => ({
      query: queryFields(types, entity),
      mutation: mutationFields(types, entity, clock),
      subscription: subscriptionFields(types, entity),
    }),
  );
  const root = (name: string, operation: keyof RootFields) =>
    objectType({
      name,
      fields: Object.assign({}, ...[...entities, ...parts].map((fields) => fields[operation])),
    });
  return new GraphQLSchema({
    query: root('Query', 'query'),
    mutation: root('Mutation', 'mutation'),
    subscription: root('Subscription', 'subscription'),
    types: leavesOf(extras, types),
  });
}

/** Scalars and enums that only the extras use: they are not found from the generated root types. */
function leavesOf(extras: DocumentNode, types: Types) {
  const names = new Set<string>();
  visit(extras, { NamedType: (node) => void names.add(node.name.value) });
  return [...names].flatMap((name) => types.knownLeaf(name) ?? []);
}
