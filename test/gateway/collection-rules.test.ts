import { expect, it } from 'vitest';
import { masked } from '../../src/fallback/masked.ts';
import { collectionRules } from '../../src/gateway/fallback.ts';
import { loadModel } from '../../src/model/load.ts';

const MODEL = loadModel([
  {
    file: 'school.graphql',
    text: `type Teacher @entity { id: ID! @id  name: String!  nick: String  home: Address  places: [Address!]! @field(name: "seen")  node: Node }
      type Address { street: String! @field(name: "road")  city: String }
      type Node { label: String!  next: Node }`,
  },
]);
const rules = collectionRules(MODEL.entities[0]!, MODEL);

it('knows what is never null, also inside of objects', () => {
  expect(rules.requiredPaths.toSorted()).toEqual([...['_id', 'home.road', 'name', 'node.label', 'seen', 'seen.road']]);
});

it('refuses a masked value inside of an object where it is asked for, when it is never null', () => {
  const hide = masked(['home.road', 'home.city', 'seen.road'], rules);
  const refused = expect.objectContaining({ code: 'FALLBACK_MASKED' });
  expect(hide({ _id: 'a', home: { road: 'r', city: 'c' }, seen: [{ road: 'x' }] })).toEqual({
    ...{ _id: 'a', home: { road: refused, city: null }, seen: [{ road: refused }] },
  });
});
