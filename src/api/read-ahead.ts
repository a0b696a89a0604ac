import {
  type FieldNode,
  type GraphQLFieldResolver,
  type GraphQLResolveInfo,
  getNamedType,
  isObjectType,
  Kind,
} from 'graphql';
import type { Document } from '../model/document.ts';
import type { RelatedSource } from './loaders.ts';
import type { Operation } from './operation.ts';

/** A relation to one document, as its generated resolver follows it. */
export interface RelationToOne {
  /** Path of the key in the owner. */
  readonly ownerPath: string;
  readonly source: RelatedSource;
}

type Resolver = GraphQLFieldResolver<unknown, Operation>;

const relations = new WeakMap<Resolver, RelationToOne>();
/** What was found out about a field of a document; the document is parsed once for each schema. */
const selected = new WeakMap<FieldNode, readonly RelationToOne[]>();

/** Makes a resolver known as one that follows `relation` and does nothing else; one written by hand in its place is not. */
export function followsOne(resolver: Resolver, relation: RelationToOne): Resolver {
  relations.set(resolver, relation);
  return resolver;
}

/**
 * Reads what the selected relations of a list's documents lead to, one call for each relation, so that their resolvers have
 * it at once: a promise for each document costs more than the documents. Never fails: the resolvers ask again for
 * what could not be read.
 */
export async function readAhead(
  documents: readonly Document[],
  { loaders }: Operation,
  info: GraphQLResolveInfo,
): Promise<void> {
  if (documents.length < 2) return;
  const reads: Promise<void>[] = [];
  for (const { ownerPath, source } of relationsOf(info)) {
    const keys = new Set<string>();
    for (const document of documents) {
      const key = document[ownerPath];
      if (typeof key === 'string') keys.add(key);
    }
    if (keys.size > 0) reads.push(loaders.ahead(source, keys));
  }
  if (reads.length > 0) await Promise.all(reads);
}

/**
 * The relations to one document that the list's first field node selects itself and without conditions: all of them in an
 * operation that is flattened for the compiler. Those in fragments are followed document by document.
 */
function relationsOf({ fieldNodes, returnType }: GraphQLResolveInfo): readonly RelationToOne[] {
  const [node] = fieldNodes;
  const type = getNamedType(returnType);
  if (node === undefined || !isObjectType(type)) return [];
  let found = selected.get(node);
  if (found === undefined) {
    const fields = type.getFields();
    const unique = new Set<RelationToOne>();
    for (const selection of node.selectionSet?.selections ?? []) {
      if (selection.kind !== Kind.FIELD || (selection.directives?.length ?? 0) > 0) continue;
      const { resolve } = fields[selection.name.value] ?? {};
      const relation = resolve && relations.get(resolve);
      if (relation !== undefined) unique.add(relation);
    }
    found = [...unique];
    selected.set(node, found);
  }
  return found;
}
