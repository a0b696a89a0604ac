import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { makeExecutableSchema } from '@graphql-tools/schema';
import DataLoader from 'dataloader';
import Fastify from 'fastify';
import type { GraphQLSchema } from 'graphql';
import { keyOfText } from '../../src/store/key.ts';

/**
 * The peers, written by hand over Holdfast's own SQLite file as a careful engineer would write them: prepared statements,
 * lookups by the primary key, JSON parsed once per document, a DataLoader per request.
 * usage: node peers.ts --kind mercurius|mercurius-jit|yoga|apollo --port N --file holdfast.db --teachers TABLE --schools TABLE
 */
const { values } = parseArgs({
  options: {
    kind: { type: 'string' },
    port: { type: 'string' },
    file: { type: 'string' },
    teachers: { type: 'string' },
    schools: { type: 'string' },
  },
});
const { kind = '', port = '0', file = '', teachers = '', schools = '' } = values;

interface School {
  readonly _id: string;
}
interface Teacher {
  readonly schoolId: string | null;
}
interface Context {
  readonly schools: DataLoader<string, School | null>;
}

const database = new DatabaseSync(file, { readOnly: true });
const parse = (row: Record<string, unknown> | undefined): unknown =>
  row === undefined ? null : JSON.parse(row.text as string);
const teacherByKey = database.prepare(`SELECT text FROM ${teachers} WHERE key = ?`);
const teacherPage = database.prepare(`SELECT text FROM ${teachers} ORDER BY key LIMIT ?`);
const schoolByKey = database.prepare(`SELECT text FROM ${schools} WHERE key = ?`);

/** The key of a document whose id is a string. */
const keyOfId = (id: string): Uint8Array => keyOfText(JSON.stringify(id));

function context(): Context {
  return {
    schools: new DataLoader((ids) =>
      Promise.resolve(ids.map((id) => parse(schoolByKey.get(keyOfId(id))) as School | null)),
    ),
  };
}

const id = (document: { readonly _id: string }): string => document._id;
const schema = (): GraphQLSchema =>
  makeExecutableSchema({
    typeDefs: `
      type School { id: ID! name: String! kind: String! }
      type Teacher { id: ID! name: String! email: String subjects: [String!]! fullTime: Boolean! school: School }
      type Query { teacher(id: ID!): Teacher teachers(limit: Int = 50): [Teacher!]! }`,
    resolvers: {
      Query: {
        teacher: (_: unknown, args: { id: string }) => parse(teacherByKey.get(keyOfId(args.id))),
        teachers: (_: unknown, args: { limit: number }) => teacherPage.all(args.limit).map(parse),
      },
      Teacher: {
        id,
        school: (teacher: Teacher, _: unknown, { schools }: Context) =>
          teacher.schoolId === null ? null : schools.load(teacher.schoolId),
      },
      School: { id },
    },
  });

const app = Fastify();
if (kind === 'mercurius' || kind === 'mercurius-jit') {
  const { default: mercurius } = await import('mercurius');
  await app.register(mercurius, { schema: schema(), jit: kind === 'mercurius-jit' ? 1 : 0, path: '/graphql', context });
} else if (kind === 'apollo') {
  const { ApolloServer } = await import('@apollo/server');
  const { default: fastifyApollo, fastifyApolloDrainPlugin } = await import('@as-integrations/fastify');
  const apollo = new ApolloServer<Context>({ schema: schema(), plugins: [fastifyApolloDrainPlugin(app)] });
  await apollo.start();
  await app.register(fastifyApollo(apollo), { path: '/graphql', context: () => Promise.resolve(context()) });
} else if (kind === 'yoga') {
  const { createYoga } = await import('graphql-yoga');
  const yoga = createYoga({ schema: schema(), logging: false, context });
  app.addContentTypeParser('application/json', {}, (_request, _payload, done) => done(null));
  app.route({
    url: yoga.graphqlEndpoint,
    method: ['GET', 'POST'],
    handler: (request, reply) => yoga.handleNodeRequestAndResponse(request, reply),
  });
} else {
  throw new Error(`unknown peer ${kind}`);
}
await app.listen({ port: Number(port), host: '127.0.0.1' });
process.stdout.write('ready\n');
