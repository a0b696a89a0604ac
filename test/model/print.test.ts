import { expect, it } from 'vitest';
import { loadModel } from '../../src/model/load.ts';
import { printModel } from '../../src/model/print.ts';

const SDL =
  'enum K { X } # note\n"A b." type B { n: Int } type Z @entity { id: ID! @id b:B }\nextend type Query { z: Int } type A @entity { id: ID!@id }';

it('prints entities first, in one layout, in the order of names', () => {
  expect(printModel(loadModel([{ file: 'sdl', text: SDL }]))).toBe(`type A @entity {
  id: ID! @id
}

type Z @entity {
  id: ID! @id
  b: B
}

"A b."
type B {
  n: Int
}

enum K {
  X
}

extend type Query {
  z: Int
}
`);
});

it('prints what loads to the same model and prints the same again', () => {
  const model = loadModel([{ file: 'sdl', text: SDL }]);
  const again = loadModel([{ file: 'sdl', text: printModel(model) }]);
  expect(again.sdlHash).toBe(model.sdlHash);
  expect(printModel(again)).toBe(printModel(model));
});
