import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
/** A list whose first item fails after its second one did. */
const LIST = `
  const schema = makeExecutableSchema({
    typeDefs: 'type Item { n: Int!  now: Int! } type Query { items: [Item!] }',
    resolvers: {
      Query: { items: () => [{ id: 1 }, { id: 2 }] },
      Item: {
        n: ({ id }) => id === 1 ? new Promise((_, fail) => setTimeout(() => fail(new Error('late')), 5)) : 2,
        now: ({ id }) => { if (id === 2) throw new Error('at once'); return 1; },
      },
    },
  });
  console.log(JSON.stringify((await execute({ schema, document: parse('{ items { n now } }') })).data));
  await new Promise((done) => setTimeout(done, 50));
`;

/** What a process prints that tolerates stray rejections, or not; rejects when it ends with a failure. */
async function run(body: string, tolerate = true): Promise<string> {
  const script = `
    import { makeExecutableSchema } from '@graphql-tools/schema';
    import { execute, parse } from 'graphql';
    import { tolerateStrayRejections } from './src/server/stray-rejections.ts';
    ${tolerate ? 'tolerateStrayRejections(); tolerateStrayRejections();' : ''}
    ${body}
    console.log('alive');`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd: root });
  return stdout;
}

test('what graphql-js leaves behind does not end the process', async () => {
  expect(await run(LIST)).toBe('{"items":null}\nalive\n');
});

test('without it the process ends', async () => {
  await expect(run(LIST, false)).rejects.toThrow('late');
});

test('another rejection that nobody handles still does', async () => {
  const body = 'Promise.reject(new Error("unheard")); await new Promise((done) => setTimeout(done, 50));';
  await expect(run(body)).rejects.toThrow('unheard');
});
