import { describe, expect, it } from 'vitest';
import { compileRegex, literalPrefix } from '../../src/store/regex.ts';

describe('compileRegex', () => {
  it('takes the options of MongoDB', () => {
    expect(compileRegex('^ A . b$', 'imsxu')('x\na\nB')).toBe(true);
  });

  it('refuses other options', () => {
    expect(() => compileRegex('a', 'ig')).toThrow('no option g');
  });
});

describe('literalPrefix', () => {
  it.each<[string, string, string]>([
    ['^abc', '', 'abc'],
    ['^abc$', '', 'abc'],
    ['^a\\.b\\/c', '', 'a.b/c'],
    ['^ab+', '', 'ab'],
    ['^ab*', '', 'a'],
    ['^ab?c', '', 'a'],
    ['^ab{0}', '', 'a'],
    ['^a😀*', '', 'a'],
    ['^a(?#c)*', '', ''],
    ['^a\\E*', '', ''],
    ['^a\\d', '', 'a'],
    ['^a b', '', 'a b'],
    ['^a b', 'x', ''],
    ['^a|b', '', ''],
    ['^a', 'i', ''],
    ['^a', 'm', ''],
    ['^a', 's', 'a'],
    ['abc', '', ''],
    ['^', '', ''],
    ['(^a)', '', ''],
  ])('of /%s/%s is "%s"', (pattern, options, prefix) => {
    expect(literalPrefix(pattern, options)).toBe(prefix);
  });
});
