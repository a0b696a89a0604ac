import { readFileSync } from 'node:fs';
import {
  buildASTSchema,
  type DocumentNode,
  type GraphQLDirective,
  type GraphQLSchema,
  parse,
  specifiedScalarTypes,
} from 'graphql';

/** `schema/` of the package, beside `src/` here and in the published build. */
export const SCHEMA_DIRECTORY: URL = new URL('../../schema/', import.meta.url);

let document: DocumentNode | undefined;
let schema: GraphQLSchema | undefined;

/** The directives and scalars every SDL may use: `schema/directives.graphql` and `schema/scalars.graphql`, read once. */
export function builtInDocument(): DocumentNode {
  document ??= parse(readSchemaFile('scalars.graphql') + readSchemaFile('directives.graphql'), { noLocation: true });
  return document;
}

/** The directives of {@link builtInDocument}, with their argument types. */
export function builtInDirectives(): ReadonlyMap<string, GraphQLDirective> {
  return new Map(
    builtInSchema()
      .getDirectives()
      .map((directive) => [directive.name, directive]),
  );
}

/** Names of the scalars, enums and input types that {@link builtInDocument} and GraphQL itself define. */
export function builtInTypeNames(): ReadonlySet<string> {
  return new Set([...Object.keys(builtInSchema().getTypeMap()), ...specifiedScalarTypes.map((type) => type.name)]);
}

function builtInSchema(): GraphQLSchema {
  schema ??= buildASTSchema(builtInDocument(), { assumeValid: true });
  return schema;
}

function readSchemaFile(name: string): string {
  return readFileSync(new URL(name, SCHEMA_DIRECTORY), 'utf8');
}
