import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LeakIndex } from '../../src/mask/leak-index.ts';

it('finds a value as a whole, inside, at the ends and in other case', () => {
  const index = new LeakIndex();
  index.add('Ada Lovelace');
  for (const text of ['ada lovelace', 'xAda LovelaceX', 'Dear ADA LOVELACE', 'Ada Lovelace!']) {
    expect(index.find(text)?.part).toBe('ada lovelace');
  }
  expect(index.find('Ada Lovelac')).toBeUndefined();
  expect(index.find('ada  lovelace')).toBeUndefined();
  expect(index.find('ADA LOVELACE')?.whole).toBe(true);
});

it('finds exactly what includes() finds', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'C', 'ü', '7'), maxLength: 90 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 30 }), text, (values, searched) => {
      const index = new LeakIndex();
      for (const value of values) index.add(value);
      const expected = values.some(
        (value) => value.length >= 4 && searched.toLowerCase().includes(value.toLowerCase().slice(0, 64)),
      );
      expect(index.find(searched) !== undefined).toBe(expected);
    }),
    { numRuns: 2_000 },
  );
});

it('asks whether what it found counts, and goes on', () => {
  const index = new LeakIndex();
  for (const value of ['1234', '12345678']) index.add(value);
  expect(index.find('id-12345678', ({ part }) => part.length > 4)?.part).toBe('12345678');
  expect(index.find('id-1234-999', ({ part }) => part.length > 4)).toBeUndefined();
});

it('does not look for what every text holds', () => {
  const index = new LeakIndex();
  index.add('a');
  index.add('abc');
  expect(index.size).toBe(0);
  expect(index.find('abcabc')).toBeUndefined();
});
