import { HoldfastError } from '../../errors.ts';

/**
 * What may stand at the top of a suffix changes which rows are selected, one by one. These words would order, limit or combine the
 * selected rows instead, or keep rows that the condition does not hold for.
 */
const REFUSED = new Set(
  'limit,offset,fetch,order,group,having,union,except,intersect,for,window,into,left,right,full,natural,using,returning,values'.split(
    ',',
  ),
);
const BEGINS = new Set(['where', 'inner', 'join']);

/**
 * Checks the form of a suffix: `WHERE …` or `INNER JOIN … ON …` (several) with an optional WHERE, the table itself as `t`. Whether
 * the server understands it is found out by preparing it.
 * @throws VALIDATION_FAILED
 */
export function assertSuffix(table: string, suffix: string): void {
  const refuse = (why: string): never => {
    throw new HoldfastError('VALIDATION_FAILED', `The suffix of ${table} ${why}: ${suffix}`, { details: { table } });
  };
  let depth = 0;
  const words: string[] = [];
  for (const token of tokens(suffix)) {
    if (token === '(') depth += 1;
    else if (token === ')') depth -= 1;
    else if (token === ';') refuse('has a semicolon');
    else if (depth === 0) words.push(token.toLowerCase());
    if (depth < 0) refuse('closes a parenthesis that it did not open');
  }
  if (depth > 0) refuse('opens a parenthesis that it does not close');
  if (!BEGINS.has(words[0] ?? '')) refuse('must begin with WHERE or INNER JOIN');
  const wrong = words.find((word) => REFUSED.has(word));
  if (wrong !== undefined) refuse(`may not use ${wrong.toUpperCase()} outside of parentheses`);
}

/** Words and signs of SQL without strings, quoted names and comments. */
function* tokens(sql: string): Generator<string> {
  const pattern =
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[^\s]/g;
  for (const [token] of sql.matchAll(pattern)) {
    if (/^[A-Za-z_\u0080-\uffff]/.test(token) || token.length === 1) yield token;
  }
}
