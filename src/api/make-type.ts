import {
  GraphQLInputObjectType,
  type GraphQLInputObjectTypeConfig,
  GraphQLObjectType,
  type GraphQLObjectTypeConfig,
} from 'graphql';

/** Shared by all that has no extensions: graphql-js would make an object of its own for each, and 500 entities have 60,000 of these. */
const NO_EXTENSIONS: Readonly<Record<string, never>> = Object.freeze(Object.create(null));

/** A generated object type. */
export function objectType<Source, Context>(
  config: GraphQLObjectTypeConfig<Source, Context>,
): GraphQLObjectType<Source, Context> {
  const { fields } = config;
  return new GraphQLObjectType({
    ...config,
    extensions: NO_EXTENSIONS,
    fields: () => withoutExtensions(typeof fields === 'function' ? fields() : fields),
  });
}

/** A generated input type. */
export function inputType(config: GraphQLInputObjectTypeConfig): GraphQLInputObjectType {
  const { fields } = config;
  return new GraphQLInputObjectType({
    ...config,
    extensions: NO_EXTENSIONS,
    fields: () => withoutExtensions(typeof fields === 'function' ? fields() : fields),
  });
}

interface Extended {
  extensions?: object | null | undefined;
}

function withoutExtensions<Fields extends Record<string, Extended & { args?: Record<string, Extended> }>>(
  fields: Fields,
): Fields {
  for (const field of Object.values(fields)) {
    field.extensions ??= NO_EXTENSIONS;
    for (const argument of Object.values(field.args ?? {})) argument.extensions ??= NO_EXTENSIONS;
  }
  return fields;
}
