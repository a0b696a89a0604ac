import { describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { compilePcre } from '../../src/store/pcre.ts';

/** What PCRE2 10.42 (UTF) answers. */
const CASES: readonly [pattern: string, options: string, matching: readonly string[], others: readonly string[]][] = [
  ['b', '', ['abc'], ['ac', 'B']],
  ['b', 'i', ['aBc'], ['ac']],
  ['é', 'i', ['É'], ['e']],
  ['k', 'i', ['\u212a'], []],
  ['^a$', '', ['a', 'a\n'], ['ab', 'a\n\n', 'b\na']],
  ['^a$', 'm', ['a', 'b\na', 'a\nb'], ['ab']],
  ['^', 'm', ['', 'a\n'], []],
  ['\n^', 'm', ['a\nb'], ['a\n']],
  ['a.b', '', ['axb', 'a\rb', 'a\u2028b', 'a😀b'], ['a\nb', 'ab']],
  ['a.b', 's', ['a\nb'], ['ab']],
  ['a b # c', 'x', ['ab'], ['a b']],
  ['[ab ]c', 'x', [' c'], ['c']],
  ['^.$', '', ['😀'], ['ab']],
  ['\\s', '', [' ', '\t', '\v'], ['\u00a0', '\u2028']],
  ['^\\w$', 'i', ['a', '_'], ['\u212a', 'ſ', 'é']],
  ['\\bs', 'i', ['a s', 's'], ['as']],
  ['\\B', '', ['ab'], ['a', 'S😀s']],
  ['[\\w.]+@', 'i', ['A.b@'], ['é@']],
  ['^[^\\w.]$', '', ['-'], ['a', '.']],
  ['[]a]', '', [']', 'a'], ['b']],
  ['^[a-]$', '', ['-', 'a'], ['b']],
  ['[\\b]', '', ['\b'], ['b']],
  ['^[^a]$', '', ['\n', '😀'], ['a']],
  ['\\Aa\\z', '', ['a'], ['a\n']],
  ['a\\Z', '', ['a\n'], ['a\nb']],
  ['\\x41\\x{e9}\\.', '', ['Aé.'], ['Aéx']],
  ['\\Qa.b\\E+', '', ['a.bb'], ['axb']],
  ['(?i)AB', '', ['ab'], ['a']],
  ['(?<name>a)(?P<other>b)(?:c)(?#no)', '', ['abc'], ['ab']],
  ['a(?=b)(?!bc)', '', ['abd'], ['abc', 'a']],
  ['(?<=a)b(?<!ab)', '', [], ['ab', 'b']],
  ['a{2}b{1,}c{0,1}d??', '', ['aab'], ['ab']],
  ['a{b}', '', ['a{b}'], ['ab']],
  ['x{1,', '', ['x{1,'], ['x']],
  ['\\p{Lu}\\PN', '', ['Éa'], ['é1']],
  ['a|b|', '', ['x', ''], []],
  ['(?!a)(?!$)', '', ['b', '😀'], ['a', '']],
];

describe('compilePcre', () => {
  it.each(CASES)('/%s/%s', (pattern, options, matching, others) => {
    const matches = compilePcre(pattern, options);
    for (const text of matching) expect(matches(text), JSON.stringify(text)).toBe(true);
    for (const text of others) expect(matches(text), JSON.stringify(text)).toBe(false);
  });

  it.each([
    '(a)\\1',
    'a++',
    '(?>a)',
    '(?|a)',
    '(?R)',
    '[[:alpha:]]',
    'a(?i)b',
    '\\K',
    '\\X',
    '\\012',
    '(*UCP)a',
    'a{,2}',
  ])('refuses %s as not supported', (pattern) => {
    expect(() => compilePcre(pattern, '')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_OPERATOR' }));
  });

  it.each(['*a', '^+', '(?:+)', '\\b*', 'a|*', '[a', 'a\\', 'a\0'])('refuses %s as wrong', (pattern) => {
    expect(() => compilePcre(pattern, '')).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
  });

  it.each(['(a', 'a)', '[b-a]', '\\q'])('refuses %s', (pattern) => {
    try {
      compilePcre(pattern, '');
      expect.unreachable();
    } catch (error) {
      expect(isHoldfastError(error)).toBe(true);
    }
  });
});
