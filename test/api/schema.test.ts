import { expect, test } from 'vitest';
import { testApi } from '../support/api.ts';

const sdl = `
type School @entity { id: ID! @id  name: String! @index  teachers: [Teacher!]! @relation(field: "schoolId") }
type Teacher @entity { id: ID! @id  name: String!  schoolId: ID  school: School @relation(field: "schoolId") }
`;

test('creates, reads, lists, updates and deletes documents, and follows relations', async () => {
  const api = testApi(sdl);
  await api.data(`mutation { createSchool(input: {id: "s1", name: "Holm"}) { outcome } }`);
  const created = await api.data<{ createTeacher: unknown }>(
    `mutation { createTeacher(input: {id: "t1", name: "Ada", schoolId: "s1"}) { outcome version position teacher { id name school { name } } } }`,
  );
  expect(created.createTeacher).toEqual({
    outcome: 'COMMITTED',
    version: 1,
    position: '1.2',
    teacher: { id: 't1', name: 'Ada', school: { name: 'Holm' } },
  });
  expect(await api.data(`{ teacher(id: "t1") { name } schools { name teachers { id } } teachersCount }`)).toEqual({
    teacher: { name: 'Ada' },
    schools: [{ name: 'Holm', teachers: [{ id: 't1' }] }],
    teachersCount: 1,
  });
  await api.data(`mutation { updateTeacher(id: "t1", set: {name: "Bea"}) { outcome } }`);
  expect(await api.data(`{ teachers(where: {name: {startsWith: "B"}}) { id } }`)).toEqual({ teachers: [{ id: 't1' }] });
  await api.data(`mutation { deleteTeacher(id: "t1") { outcome } }`);
  expect(await api.data(`{ teacher(id: "t1") { id } }`)).toEqual({ teacher: null });
});
