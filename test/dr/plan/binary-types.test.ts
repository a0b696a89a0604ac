import { describe, expect, it } from 'vitest';
import { isBinaryStable } from '../../../src/dr/plan/binary-types.ts';

describe('isBinaryStable', () => {
  it('knows the types that are the same everywhere, and arrays of them', () => {
    expect(isBinaryStable(['integer', 'text', 'jsonb', 'timestamp with time zone', 'numeric[]'])).toBe(true);
    expect(isBinaryStable([])).toBe(true);
  });

  it.each(['regclass', 'oid', 'public.mood', 'public.mood[]', 'public.citext', 'xml', 'tsvector', 'int4range'])(
    'keeps %s as text',
    (type) => expect(isBinaryStable(['integer', type])).toBe(false),
  );
});
