import type { SchemaObject } from '../archive/manifest.ts';
import { splitCreateTable } from './mariadb-create-table.ts';
import { withoutRuns } from './mariadb-statements.ts';

/**
 * Objects in a form in which two databases with the same tables have the same: a table is one object with all of its indexes and keys,
 * whichever of them a backup has taken out, without the next number of its counter; an event is one that never runs.
 */
export function comparableObjects(objects: readonly SchemaObject[]): SchemaObject[] {
  const parts = Map.groupBy(
    objects.filter(({ kind }) => kind === 'INDEX' || kind === 'FK CONSTRAINT'),
    ({ table }) => table,
  );
  return objects
    .filter(({ kind }) => kind !== 'INDEX' && kind !== 'FK CONSTRAINT')
    .map((object) => {
      if (object.kind === 'EVENT') return { ...object, statements: object.statements.map(withoutRuns) };
      if (object.kind !== 'TABLE') return object;
      const { statement, indexes, foreignKeys } = splitCreateTable(object.statements[0] ?? '', false);
      const inside = [...indexes, ...foreignKeys].map(({ clause }) => clause);
      const outside = (parts.get(object.table) ?? []).flatMap(({ statements }) => addedClauses(statements[0] ?? ''));
      return {
        ...object,
        statements: [comparable(statement), ...[...inside, ...outside].sort()],
      };
    });
}

/** MySQL remembers of a column whether its character set was named beside its collation; a printed table cannot say otherwise. */
function comparable(statement: string): string {
  return statement.replace(/ AUTO_INCREMENT=\d+/, '').replace(/ CHARACTER SET \w+ COLLATE /g, ' COLLATE ');
}

/** What separates the clauses of an ALTER TABLE of a backup: no line ends within one. */
export const BETWEEN_CLAUSES = ',\n  ';

function addedClauses(statement: string): string[] {
  return statement.slice(statement.indexOf(' ADD ') + 1).split(BETWEEN_CLAUSES);
}
