import { expect, it } from 'vitest';
import { diffModels } from '../../src/model/diff.ts';
import { loadModel } from '../../src/model/load.ts';

const BEFORE = `
  type School @entity { id: ID! @id name: String! kind: Kind teachers: [Teacher!]! @relation(field: "schoolId") address: Address }
  type Teacher @entity { id: ID! @id schoolId: ID otherId: ID @index name: String age: Int email: String @unique }
  type Gone @entity { id: ID! @id }
  type Address { city: String }
  enum Kind { A B }
`;

function diff(after: string): string[] {
  const [a, b] = [BEFORE, after].map((text) => loadModel([{ file: 'sdl', text }]));
  return diffModels(a!, b!).map(
    ({ change, name, message, breaking }) => `${breaking ? '!' : ' '} ${change} ${name}: ${message}`,
  );
}

it('finds nothing where only the layout differs', () => {
  expect(diff(`# other\n${BEFORE.replaceAll('\n', '\n\n')}`)).toEqual([]);
});

it('tells what changes for documents and clients, and what breaks them', () => {
  const after = `
    type School @entity(collection: "sites") @replicate(mode: NONE) { id: ID! @id name: String! @hidden @default(value: "x") kind: Kind teachers: [Teacher!]! @relation(field: "otherId") address: Address }
    type Teacher @entity { id: ID! @id schoolId: ID otherId: ID @unique name: String! @field(name: "n") age: Int @default(value: 3) email: String level: Int! note: String }
    type New @entity { id: ID! @id place: Place }
    type Place { city: String }
    type Address { city: [String!] }
    enum Kind { A C }
  `;
  expect(diff(after)).toEqual([
    '! CHANGED Address.city: the type was String and is [String!]',
    '! REMOVED Gone: the entity is gone; its documents stay stored',
    '! REMOVED Kind.B: documents that hold the value cannot be read',
    '  ADDED Kind.C: a new value',
    '  ADDED New: a new entity',
    '  ADDED Place: a new nested type',
    '! CHANGED School: the collection was schools and is sites',
    '  CHANGED School: replication was true and is false',
    '! CHANGED School.name: hidden was false and is true',
    '  CHANGED School.name: the default was absent and is "x"',
    '! CHANGED School.teachers: the relation was _id = Teacher.schoolId and is _id = Teacher.otherId',
    '! CHANGED Teacher: the index "otherId_1" was otherId and is unique otherId',
    '! CHANGED Teacher: the index "email_1" is gone',
    '  CHANGED Teacher: the index "schoolId_1" is gone',
    '  CHANGED Teacher.age: the default was absent and is 3',
    '! ADDED Teacher.level: a new field that every document must have',
    '! CHANGED Teacher.name: the type was String and is String!',
    '! CHANGED Teacher.name: the stored name was name and is n',
    '  ADDED Teacher.note: a new field',
  ]);
});
