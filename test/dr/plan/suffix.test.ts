import { describe, expect, it } from 'vitest';
import { assertSuffix } from '../../../src/dr/plan/suffix.ts';
import { isHoldfastError } from '../../../src/errors.ts';

const accepts = (suffix: string): boolean => {
  try {
    assertSuffix('film', suffix);
    return true;
  } catch (error) {
    if (isHoldfastError(error, 'VALIDATION_FAILED')) return false;
    throw error;
  }
};

describe('assertSuffix', () => {
  it.each([
    'WHERE t.id = 1',
    'where t.id in (select id from other order by id limit 3)',
    'INNER JOIN customer c ON c.id = t.customer_id WHERE c.store_id = 1',
    'JOIN a ON true INNER JOIN b ON true',
    "WHERE t.note = 'a;b) LIMIT'",
    'WHERE t."limit" = 1 -- the end; LIMIT 1',
    'WHERE t.note = $x$ ; ) $x$ AND true /* ; ) */',
    "WHERE t.id = any ('{1,2}')",
  ])('accepts %s', (suffix) => expect(accepts(suffix)).toBe(true));

  it.each([
    '',
    't.id = 1',
    'WHERE true; DROP TABLE film',
    'WHERE true) OR (true',
    'WHERE (true',
    'WHERE true LIMIT 3',
    'WHERE true ORDER BY 1',
    'WHERE true UNION SELECT 1',
    'WHERE true FOR UPDATE',
    'LEFT JOIN a ON true WHERE true',
    'INNER JOIN a ON true RIGHT JOIN b ON true',
    'INNER JOIN a USING (id)',
    ', other WHERE true',
    'WHERE true GROUP BY t.id',
  ])('refuses %s', (suffix) => expect(accepts(suffix)).toBe(false));
});
