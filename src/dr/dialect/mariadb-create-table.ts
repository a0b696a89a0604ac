/** A CREATE TABLE statement as SHOW CREATE TABLE prints it, taken apart. */
export interface CreateTable {
  /** `CREATE TABLE …` with columns, primary key, checks and what cannot come later. */
  readonly statement: string;
  /** What each index is added by, e.g. `ADD KEY …`; a full-text index stands last, to be added by itself. */
  readonly indexes: readonly TableIndex[];
  readonly foreignKeys: readonly TableForeignKey[];
}

export interface TableIndex {
  readonly name: string;
  readonly isFulltext: boolean;
  readonly clause: string;
}

export interface TableForeignKey {
  readonly name: string;
  readonly clause: string;
}

const NAME = '`(?:[^`]|``)+`';
const INDEX = new RegExp(`^(UNIQUE |FULLTEXT |SPATIAL )?KEY (${NAME}) `);
const FOREIGN_KEY = new RegExp(`^CONSTRAINT (${NAME}) FOREIGN KEY `);
const AUTO_INCREMENT = new RegExp(`^(${NAME}) [\\s\\S]*\\bAUTO_INCREMENT\\b`);

/**
 * Takes a printed CREATE TABLE apart.
 * @param keepIndexes leaves the indexes where they are; foreign keys are taken out in any case
 */
export function splitCreateTable(printed: string, keepIndexes: boolean): CreateTable {
  const { head, items, tail } = itemsOf(printed);
  const counter = items
    .map((item) => AUTO_INCREMENT.exec(withoutStrings(item))?.[1])
    .find((name) => name !== undefined);
  const kept: string[] = [];
  const indexes: TableIndex[] = [];
  const foreignKeys: TableForeignKey[] = [];
  // A counted column needs an index that begins with it from the start.
  let counterHasIndex = counter === undefined || items.some((item) => item.startsWith(`PRIMARY KEY (${counter}`));
  for (const item of items) {
    const key = FOREIGN_KEY.exec(item);
    const index = INDEX.exec(item);
    if (key !== null) foreignKeys.push({ name: unquote(key[1] ?? ''), clause: `ADD ${item}` });
    else if (index === null || keepIndexes) kept.push(item);
    else if (!counterHasIndex && item.includes(`(${counter}`)) {
      kept.push(item);
      counterHasIndex = true;
    } else {
      const isFulltext = index[1] === 'FULLTEXT ';
      indexes.push({ name: unquote(index[2] ?? ''), isFulltext, clause: `ADD ${item}` });
    }
  }
  const statement = `${head}(\n  ${kept.join(',\n  ')}\n)${tail}`;
  return { statement, indexes, foreignKeys };
}

/** A CREATE TABLE with foreign keys, given by their {@link TableForeignKey.clause}, after its columns and indexes. */
export function withForeignKeys(statement: string, clauses: readonly string[]): string {
  const { head, items, tail } = itemsOf(statement);
  const keys = clauses.map((clause) => clause.replace(/^ADD /, ''));
  return `${head}(\n  ${[...items, ...keys].join(',\n  ')}\n)${tail}`;
}

/** The text before the list of columns and keys, the list, and what follows it. */
function itemsOf(printed: string): { readonly head: string; readonly items: string[]; readonly tail: string } {
  const items: string[] = [];
  let depth = 0;
  let begin = 0;
  let open = 0;
  for (let at = 0; at < printed.length; at++) {
    const sign = printed[at] as string;
    if (sign === '`' || sign === "'" || sign === '"') at = endOfQuoted(printed, at);
    else if (sign === '(') {
      depth += 1;
      if (depth === 1) {
        open = at;
        begin = at + 1;
      }
    } else if (sign === ',' && depth === 1) {
      items.push(printed.slice(begin, at).trim());
      begin = at + 1;
    } else if (sign === ')') {
      depth -= 1;
      if (depth === 0) {
        items.push(printed.slice(begin, at).trim());
        return { head: printed.slice(0, open), items, tail: printed.slice(at + 1) };
      }
    }
  }
  throw new Error(`no list of columns in: ${printed}`);
}

/** Index of the quote that ends what begins at `from`. */
function endOfQuoted(text: string, from: number): number {
  const quote = text[from];
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '\\' && quote !== '`') at += 1;
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at;
      at += 1;
    }
  }
  return text.length;
}

function withoutStrings(item: string): string {
  return item.replace(/'(?:[^'\\]|\\[\s\S]|'')*'/g, "''");
}

function unquote(name: string): string {
  return name.slice(1, -1).replaceAll('``', '`');
}
