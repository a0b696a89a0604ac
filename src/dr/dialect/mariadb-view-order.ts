import { quoteMysql } from '../../sql/identifiers.ts';

/** A view, with what it selects as `information_schema.views` has it: there every table is named with its database, and no alias is. */
export interface ViewDefinition {
  readonly name: string;
  readonly definition: string;
}

const TEXT_OR_NAMES = /'(?:[^'\\]|\\[\s\S]|'')*'|`(?:[^`]|``)*`(?:\.`(?:[^`]|``)*`)?/g;

/**
 * Views of a database in an order in which each comes after those that it reads: what is created over a placeholder takes no changes,
 * or is refused. Otherwise the order is kept.
 */
export function inReadingOrder(views: readonly ViewDefinition[], database: string): string[] {
  const byName = new Map(views.map((view) => [`${quoteMysql(database)}.${quoteMysql(view.name)}`, view]));
  const ordered = new Set<string>();
  const begun = new Set<string>();
  const add = ({ name, definition }: ViewDefinition): void => {
    if (begun.has(name)) return;
    begun.add(name);
    for (const [read] of definition.matchAll(TEXT_OR_NAMES)) {
      const view = byName.get(read);
      if (view !== undefined) add(view);
    }
    ordered.add(name);
  };
  for (const view of views) add(view);
  return [...ordered];
}
