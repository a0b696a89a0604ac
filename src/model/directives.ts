import {
  type ConstDirectiveNode,
  type DirectiveLocation,
  type GraphQLDirective,
  isRequiredArgument,
  Kind,
  print,
  valueFromAST,
} from 'graphql';
import { builtInDirectives } from './built-in.ts';
import type { Mistakes } from './mistakes.ts';
import { didYouMean, type Symbols } from './symbols.ts';

/** A directive where it is used, its arguments checked and completed with their defaults. */
export interface AppliedDirective {
  readonly node: ConstDirectiveNode;
  readonly args: Readonly<Record<string, unknown>>;
}

/** The directives at one place, by name; those with mistakes are left out. */
export type AppliedDirectives = ReadonlyMap<string, readonly AppliedDirective[]>;

const NONE: AppliedDirectives = new Map();

/** GraphQL's own directives for definitions; graphql-js checks their arguments when the schema is built. */
const SPECIFIED = ['deprecated', 'specifiedBy', 'oneOf'];

/** Reads directives where they are used, against the definitions in `schema/directives.graphql`. */
export class DirectiveReader {
  readonly #definitions: ReadonlyMap<string, GraphQLDirective> = builtInDirectives();
  readonly #symbols: Symbols;
  readonly #mistakes: Mistakes;
  /** Results by the nodes read: a place may be read more than once, and is checked once. */
  readonly #read = new Map<readonly ConstDirectiveNode[], AppliedDirectives>();

  constructor(symbols: Symbols, mistakes: Mistakes) {
    this.#symbols = symbols;
    this.#mistakes = mistakes;
  }

  /** Checks and reads what stands at one place: known directives, allowed there, once, with the arguments they take. */
  read(nodes: readonly ConstDirectiveNode[] | undefined, location: DirectiveLocation): AppliedDirectives {
    if (nodes === undefined || nodes.length === 0) return NONE;
    const known = this.#read.get(nodes);
    if (known !== undefined) return known;
    const applied = new Map<string, AppliedDirective[]>();
    for (const node of nodes) {
      const name = node.name.value;
      const definition = this.#definitions.get(name);
      if (definition === undefined) {
        this.#checkForeign(name, node);
        continue;
      }
      const earlier = applied.get(name);
      if (!definition.locations.includes(location)) {
        const places = definition.locations.map((place) => PLACES[place] ?? place).join(' or ');
        this.#mistakes.add(node, `@${name} does not belong here`, `it goes on ${places}`);
      } else if (earlier !== undefined && !definition.isRepeatable) {
        this.#mistakes.add(node, `@${name} stands here twice`, 'remove one');
      } else {
        const args = this.#argumentsOf(node, definition);
        if (args !== undefined) applied.set(name, [...(earlier ?? []), { node, args }]);
      }
    }
    this.#read.set(nodes, applied);
    return applied;
  }

  /** Whether `schema/directives.graphql` defines it. */
  isBuiltIn(name: string): boolean {
    return this.#definitions.has(name);
  }

  #checkForeign(name: string, node: ConstDirectiveNode): void {
    if (this.#symbols.directives.has(name) || SPECIFIED.includes(name)) return;
    const known = [...this.#definitions.keys(), ...this.#symbols.directives.keys()];
    this.#mistakes.add(node, `unknown directive "@${name}"`, didYouMean(name, known)?.replace('"', '"@'));
  }

  #argumentsOf(node: ConstDirectiveNode, definition: GraphQLDirective): Record<string, unknown> | undefined {
    const args: Record<string, unknown> = {};
    let sound = true;
    const mistake = (at: Parameters<Mistakes['add']>[0], message: string, suggestion?: string): void => {
      sound = false;
      this.#mistakes.add(at, message, suggestion);
    };
    const given = new Map<string, NonNullable<typeof node.arguments>[number]>();
    for (const argument of node.arguments ?? []) {
      const name = argument.name.value;
      if (given.has(name)) mistake(argument, `${name} of @${definition.name} is given twice`, 'remove one');
      given.set(name, argument);
      if (!definition.args.some((known) => known.name === name)) {
        const names = definition.args.map((known) => known.name);
        mistake(
          argument,
          `@${definition.name} has no argument "${name}"`,
          didYouMean(name, names) ?? (names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`),
        );
      }
    }
    for (const known of definition.args) {
      const argument = given.get(known.name);
      if (argument === undefined) {
        if (isRequiredArgument(known)) {
          mistake(
            node,
            `@${definition.name} needs ${known.name}: ${known.type}`,
            `write: @${definition.name}(${known.name}: …)`,
          );
        } else if (known.defaultValue !== undefined) args[known.name] = known.defaultValue;
        continue;
      }
      const value = valueFromAST(argument.value, known.type);
      if (value === undefined && argument.value.kind !== Kind.NULL) {
        const shown = print(argument.value).slice(0, 60);
        mistake(argument, `${known.name} of @${definition.name} takes ${known.type}, not ${shown}`);
      } else if (value === undefined) {
        mistake(argument, `${known.name} of @${definition.name} cannot be null`);
      } else if (value !== null) args[known.name] = value;
    }
    return sound ? args : undefined;
  }
}

const PLACES: Readonly<Record<string, string>> = { OBJECT: 'a type', FIELD_DEFINITION: 'a field' };
