import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { sdlHash } from '../../src/model/sdl-hash.ts';

const hashOf = (sdl: string) => sdlHash(parse(sdl));
const SDL = 'type A { f(a: Int = 3, b: [String!] = ["x", "y"]): String @d(t: "z") g: Int } enum E { X Y }';

describe('sdlHash', () => {
  it.each([
    ['layout', 'type A {\n f(a: Int=3 b: [String!]=["x" "y"]): String @d(t: "z")\n g: Int\n}\nenum E { X, Y }'],
    [
      'comments',
      '# hi\ntype A { f(a: Int = 3, b: [String!] = ["x", "y"]): String @d(t: "z") # hi\n g: Int } enum E { X Y }',
    ],
    [
      'descriptions',
      '"A" type A { """F""" f("a" a: Int = 3, "b" b: [String!] = ["x", "y"]): String @d(t: "z") "g" g: Int } "E" enum E { "X" X Y }',
    ],
    [
      'order of definitions',
      'enum E { X Y } type A { f(a: Int = 3, b: [String!] = ["x", "y"]): String @d(t: "z") g: Int }',
    ],
    ['quotes', 'type A { f(a: Int = 3, b: [String!] = ["x", """y"""]): String @d(t: """z""") g: Int } enum E { X Y }'],
  ])('ignores %s', (_what, sdl) => {
    expect(hashOf(sdl)).toBe(hashOf(SDL));
  });

  it.each([
    ['a value in a list', SDL.replace('"y"', '"yy"')],
    ['an argument', SDL.replace('"z"', '"zz"')],
    ['a default', SDL.replace('= 3', '= 4')],
    ['a type', SDL.replace('g: Int', 'g: Int!')],
    ['a value instead of a name', SDL.replace('"z"', 'z')],
    ['an enum value', SDL.replace('X Y', 'X Z')],
  ])('sees %s', (_what, sdl) => {
    expect(hashOf(sdl)).not.toBe(hashOf(SDL));
  });

  it('is 32 hexadecimal digits', () => {
    expect(hashOf(SDL)).toMatch(/^[0-9a-f]{32}$/);
  });
});
