import { describe, expect, it } from 'vitest';
import { literalPostgres, qualifiedPostgres, quoteMysql, quotePostgres } from '../../src/sql/identifiers.ts';

describe('quoting', () => {
  it('doubles the sign that ends a name', () => {
    expect(quotePostgres('a"b')).toBe('"a""b"');
    expect(quoteMysql('a`b')).toBe('`a``b`');
    expect(qualifiedPostgres({ schema: 'S x', name: 't' })).toBe('"S x"."t"');
  });

  it('writes strings that no setting can change', () => {
    expect(literalPostgres("it's")).toBe("'it''s'");
    expect(literalPostgres("a\\'b")).toBe(" E'a\\\\''b'");
  });
});
