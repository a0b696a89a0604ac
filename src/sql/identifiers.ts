/** `name` as PostgreSQL reads it whatever it holds: `"sel""ect"`. */
export function quotePostgres(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `schema.name`, both quoted for PostgreSQL. */
export function qualifiedPostgres(table: { readonly schema: string; readonly name: string }): string {
  return `${quotePostgres(table.schema)}.${quotePostgres(table.name)}`;
}

/** Pattern of a name as PostgreSQL prints it: `"…"` or a plain word. */
export const POSTGRES_NAME = '(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)';

/** A string constant for PostgreSQL; correct with `standard_conforming_strings` on and off. */
export function literalPostgres(text: string): string {
  const doubled = text.replaceAll("'", "''");
  return text.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

/** `name` as MariaDB and MySQL read it whatever it holds. */
export function quoteMysql(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A string constant for MariaDB and MySQL in utf8mb4, without NO_BACKSLASH_ESCAPES. */
export function literalMysql(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
