import { describe, expect, test } from 'vitest';
import { testApi } from '../support/api.ts';
import { seededRandom } from '../support/random.ts';

const SDL = `
type Teacher @entity { id: ID! @id  name: String  years: Int  born: Date  place: Place }
type Place { city: String }
`;

interface Page {
  edges: { cursor: string; node: { id: string } }[];
  nodes: { id: string }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
  totalCount: number;
}

const QUERY = `query($where: TeacherWhere, $orderBy: [TeacherOrder!], $first: Int, $after: String, $last: Int, $before: String) {
  teachersConnection(where: $where, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
  }
}`;

function setUp(count = 0, seed = 1) {
  const api = testApi(SDL);
  const random = seededRandom(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  api.service.seed(
    api.entity('Teacher'),
    Array.from({ length: count }, (_, n) => {
      const name = pick([undefined, null, 'a', 'b', 'é', '']);
      const years = pick([undefined, null, -1, 0, 3]);
      return {
        _id: `t${String(Math.floor(random() * 1e6)).padStart(6, '0')}-${n}`,
        ...(name === undefined ? {} : { name }),
        ...(years === undefined ? {} : { years }),
        born: pick([null, new Date(0), new Date(86_400_000)]),
        place: pick([null, {}, { city: 'x' }, { city: 'y' }]),
      };
    }),
  );
  const page = async (variables: Record<string, unknown>): Promise<Page> =>
    (await api.data<{ teachersConnection: Page }>(QUERY, variables)).teachersConnection;
  return { ...api, page };
}

const ORDERS = [
  undefined,
  [{ id: 'DESC' }],
  [{ name: 'ASC' }],
  [{ name: 'DESC' }],
  [{ name: 'ASC' }, { years: 'DESC' }],
  [{ years: 'DESC' }, { name: 'DESC' }, { id: 'DESC' }],
  [{ born: 'DESC' }, { years: 'ASC' }],
  [{ place: { city: 'DESC' } }, { id: 'ASC' }],
  [{ place: { city: 'ASC' } }, { name: 'DESC' }],
];

describe('pages of a connection', () => {
  test.each(ORDERS.map((orderBy) => [JSON.stringify(orderBy), orderBy]))(
    'hold every document once, forwards and backwards, by %s',
    async (_name, orderBy) => {
      const { page, data } = setUp(60);
      const listed = await data<{ teachers: { id: string }[] }>(
        'query($orderBy: [TeacherOrder!]) { teachers(orderBy: $orderBy, limit: 100) { id } }',
        { orderBy },
      );
      const all = listed.teachers.map(({ id }) => id);
      expect(all).toHaveLength(60);

      const forwards: string[] = [];
      for (let after: string | null = null, more = true; more; ) {
        const { nodes, edges, pageInfo, totalCount } = await page({ orderBy, first: 7, after });
        expect(edges.map(({ node }) => node.id)).toEqual(nodes.map(({ id }) => id));
        expect([totalCount, pageInfo.hasPreviousPage]).toEqual([60, after !== null]);
        expect([pageInfo.startCursor, pageInfo.endCursor]).toEqual([edges[0]?.cursor, edges.at(-1)?.cursor]);
        forwards.push(...nodes.map(({ id }) => id));
        after = pageInfo.endCursor;
        more = pageInfo.hasNextPage;
      }
      expect(forwards).toEqual(all);

      const backwards: string[] = [];
      for (let before: string | null = null, more = true; more; ) {
        const { nodes, pageInfo } = await page({ orderBy, last: 7, before });
        expect(pageInfo.hasNextPage).toBe(before !== null);
        backwards.unshift(...nodes.map(({ id }) => id));
        before = pageInfo.startCursor;
        more = pageInfo.hasPreviousPage;
      }
      expect(backwards).toEqual(all);
    },
  );

  test('stay right while documents are added and deleted before the cursor', async () => {
    const { page, data } = setUp();
    for (const id of ['b', 'd', 'f', 'h']) await data(`mutation { createTeacher(input: {id: "${id}"}) { outcome } }`);
    const first = await page({ first: 2 });
    await data('mutation { deleteTeacher(id: "d") { outcome } }');
    await data('mutation { createTeacher(input: {id: "a"}) { outcome } }');
    const second = await page({ first: 2, after: first.pageInfo.endCursor });
    expect([first, second].map(({ nodes }) => nodes.map(({ id }) => id))).toEqual([
      ['b', 'd'],
      ['f', 'h'],
    ]);
  });

  test('respect where, also in the count', async () => {
    const { page } = setUp(60);
    const where = { name: { eq: 'a' } };
    const all = await page({ where, first: 60 });
    expect(all.totalCount).toBe(all.nodes.length);
    const rest = await page({ where, first: 60, after: all.edges[1]?.cursor });
    expect(rest.totalCount).toBe(all.totalCount);
    expect(rest.nodes).toEqual(all.nodes.slice(2));
  });

  test('can be bounded on both sides', async () => {
    const { page } = setUp(20);
    const { edges } = await page({ first: 20 });
    const [after, before] = [edges[3]?.cursor, edges[8]?.cursor];
    const between = edges.slice(4, 8).map(({ node }) => node);
    expect((await page({ first: 20, after, before })).nodes).toEqual(between);
    expect((await page({ last: 2, after, before })).nodes).toEqual(between.slice(-2));
  });

  test('hold 50 by default, and may be empty', async () => {
    const { page } = setUp(60);
    expect((await page({})).nodes).toHaveLength(50);
    const empty = await page({ first: 0 });
    expect(empty.pageInfo).toEqual({ hasNextPage: true, hasPreviousPage: false, startCursor: null, endCursor: null });
  });

  test('cost one read, and a count only when it is asked for', async () => {
    const { data, service } = setUp(10);
    await data('{ teachersConnection { nodes { id } } }');
    expect(service.take()).toEqual(['find Teacher']);
    await data('{ teachersConnection { totalCount nodes { id } } }');
    expect(service.take()).toEqual(['find Teacher', 'count Teacher']);
  });

  test.each([
    ['first and last together', { first: 1, last: 1 }],
    ['a negative first', { first: -1 }],
    ['a negative last', { last: -5 }],
    ['a cursor that is none', { after: 'nonsense' }],
    ['an empty cursor', { before: '' }],
    ['a cursor with other content', { after: Buffer.from('["_id"]').toString('base64url') }],
    ['a cursor that is too long', { after: 'A'.repeat(100_000) }],
  ])('refuse %s', async (_what, variables) => {
    const { error } = setUp(3);
    expect((await error(QUERY, variables)).code).toBe('BAD_USER_INPUT');
  });

  test('refuse a cursor of another order', async () => {
    const { page, error } = setUp(3);
    const { pageInfo } = await page({ orderBy: [{ name: 'ASC' }], first: 1 });
    const refusal = await error(QUERY, { orderBy: [{ name: 'DESC' }], after: pageInfo.endCursor });
    expect(refusal).toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringContaining('orderBy') });
  });
});

describe('lists', () => {
  test.each([
    ['a negative limit', 'limit: -1'],
    ['a negative offset', 'offset: -1'],
    ['an offset beyond reason', 'offset: 2000000'],
    ['an order by nothing', 'orderBy: [{}]'],
    ['an order by two fields at once', 'orderBy: [{name: ASC, years: ASC}]'],
    ['an order by null', 'orderBy: [{name: null}]'],
    ['a field ordered by twice', 'orderBy: [{name: ASC}, {name: DESC}]'],
    ['an order by nothing of an object', 'orderBy: [{place: {}}]'],
  ])('refuse %s', async (_what, args) => {
    const { error } = setUp(3);
    expect((await error(`{ teachers(${args}) { id } }`)).code).toBe('BAD_USER_INPUT');
  });

  test('take limit, offset and order; null means the default', async () => {
    const { data } = setUp();
    for (const id of ['a', 'b', 'c']) await data(`mutation { createTeacher(input: {id: "${id}"}) { outcome } }`);
    expect(await data('{ teachers(orderBy: {id: DESC}, limit: 1, offset: 1) { id } }')).toEqual({
      teachers: [{ id: 'b' }],
    });
    expect(await data('{ teachers(orderBy: null, limit: null, offset: null, where: null) { id } }')).toEqual({
      teachers: [{ id: 'a' }, { id: 'b' }, { id: 'c' }],
    });
    expect(await data('{ teachers(limit: 0) { id } }')).toEqual({ teachers: [] });
  });
});
