import {
  type ConstDirectiveNode,
  type DocumentNode,
  type GraphQLSchema,
  isInterfaceType,
  isObjectType,
  Kind,
} from 'graphql';

/**
 * Takes over what directives of the SDL say about types and fields: `@cost(weight:)` as `extensions.cost`, where the
 * limit of a request reads it, and `@deprecated(reason:)`.
 */
export function annotate(schema: GraphQLSchema, document: DocumentNode): void {
  for (const node of document.definitions) {
    if (node.kind !== Kind.OBJECT_TYPE_DEFINITION && node.kind !== Kind.OBJECT_TYPE_EXTENSION) continue;
    const type = schema.getType(node.name.value);
    if (!isObjectType(type) && !isInterfaceType(type)) continue;
    const fields = type.getFields();
    weigh(type, node.directives);
    for (const { name, directives } of node.fields ?? []) {
      const field = fields[name.value];
      if (field === undefined) continue; // Hidden.
      weigh(field, directives);
      const reason = argumentOf(directives, 'deprecated', 'reason');
      if (reason !== undefined) field.deprecationReason = reason === '' ? 'No longer supported' : reason;
    }
  }
}

function weigh(annotated: { extensions: object }, directives: readonly ConstDirectiveNode[] | undefined): void {
  const weight = argumentOf(directives, 'cost', 'weight');
  if (weight !== undefined) annotated.extensions = { ...annotated.extensions, cost: Number(weight) };
}

/** The text of a directive's argument; `''` when it is left out, undefined without the directive. */
function argumentOf(
  directives: readonly ConstDirectiveNode[] | undefined,
  directive: string,
  argument: string,
): string | undefined {
  const node = directives?.find((candidate) => candidate.name.value === directive);
  const value = node?.arguments?.find((candidate) => candidate.name.value === argument)?.value;
  return value !== undefined && 'value' in value ? String(value.value) : node && '';
}
