import { type DocumentNode, type FragmentDefinitionNode, Kind, type SelectionSetNode } from 'graphql';
import { HoldfastError } from '../errors.ts';
import type { Limits } from './limits.ts';

/** Equal response names in one selection set are compared pair by pair in validation; nobody needs more than this. */
const MAX_REPEATS = 50;

/**
 * Refuses a document by its shape alone, before it is validated (some rules take quadratic time) and whoever sent it. Linear in
 * the document: each fragment is looked at once. Fragment cycles pass; validation names them.
 * @throws QUERY_TOO_DEEP, QUERY_TOO_COMPLEX
 */
export function checkShape(document: DocumentNode, limits: Limits): void {
  const shape = new Shape(document);
  refuseAbove('aliases', shape.aliases, limits.aliases);
  refuseAbove('directives', shape.directives, limits.directives);
  refuseAbove('repetitions of one field', shape.repeats, MAX_REPEATS);
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const { depth, fields } = shape.measure(definition.selectionSet);
    refuseAbove('root fields', fields, limits.rootFields);
    if (depth > limits.depth) {
      throw new HoldfastError('QUERY_TOO_DEEP', `The query is ${depth} levels deep; ${limits.depth} are allowed.`, {
        details: { depth, max: limits.depth },
      });
    }
  }
}

function refuseAbove(what: string, count: number, max: number): void {
  if (count <= max) return;
  throw new HoldfastError('QUERY_TOO_COMPLEX', `The query has ${count} ${what}; ${max} are allowed.`, {
    details: { limit: what, count, max },
  });
}

interface Measure {
  /** Fields nested in each other. */
  readonly depth: number;
  /** Fields directly in the selection set, fragments expanded. */
  readonly fields: number;
}

const NOTHING: Measure = { depth: 0, fields: 0 };

/** Counts over the text (aliases, directives, repeats) and measures with fragments expanded. */
class Shape {
  aliases = 0;
  directives = 0;
  repeats = 0;
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  readonly #measured = new Map<string, Measure>();

  constructor(document: DocumentNode) {
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.#fragments.set(definition.name.value, definition);
      if (definition.kind !== Kind.FRAGMENT_DEFINITION && definition.kind !== Kind.OPERATION_DEFINITION) continue;
      this.directives += definition.directives?.length ?? 0;
      if (definition.kind === Kind.OPERATION_DEFINITION) {
        for (const variable of definition.variableDefinitions ?? [])
          this.directives += variable.directives?.length ?? 0;
      }
      this.#count(definition.selectionSet);
    }
  }

  #count(set: SelectionSetNode): void {
    const names = new Map<string, number>();
    for (const selection of set.selections) {
      this.directives += selection.directives?.length ?? 0;
      if (selection.kind === Kind.FIELD) {
        if (selection.alias !== undefined) this.aliases++;
        const name = selection.alias?.value ?? selection.name.value;
        const seen = (names.get(name) ?? 0) + 1;
        names.set(name, seen);
        if (seen > this.repeats) this.repeats = seen;
      }
      if (selection.kind !== Kind.FRAGMENT_SPREAD && selection.selectionSet) this.#count(selection.selectionSet);
    }
  }

  measure(set: SelectionSetNode): Measure {
    let depth = 0;
    let fields = 0;
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        fields++;
        const nested = selection.selectionSet !== undefined && !selection.name.value.startsWith('__');
        depth = Math.max(depth, 1 + (nested ? this.measure(selection.selectionSet).depth : 0));
      } else {
        const inner =
          selection.kind === Kind.INLINE_FRAGMENT
            ? this.measure(selection.selectionSet)
            : this.#measureFragment(selection.name.value);
        depth = Math.max(depth, inner.depth);
        fields += inner.fields;
      }
    }
    return { depth, fields };
  }

  #measureFragment(name: string): Measure {
    const known = this.#measured.get(name);
    if (known !== undefined) return known;
    this.#measured.set(name, NOTHING); // what a cycle meets
    const fragment = this.#fragments.get(name);
    const measure = fragment === undefined ? NOTHING : this.measure(fragment.selectionSet);
    this.#measured.set(name, measure);
    return measure;
  }
}
