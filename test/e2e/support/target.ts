import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import { type Answer, ask } from '../../support/graphql.ts';
import { startHoldfast } from '../../support/holdfast.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const SDL = `type Thing @entity {
  id: ID! @id
  name: String @index
  code: String @unique
  whole: Int
  number: Float
  safe: SafeInt
  data: JSON
  tags: [String!]
  parentId: ID
  parent: Thing @relation(field: "parentId")
  children: [Thing!]! @relation(field: "parentId")
}
`;
const APOLLO_CODES = [
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_SUPPORTED',
];
/** Sent with every request; must not be seen in answers or in the log. */
const SECRET = 'a-secret-nobody-may-read';
const MEMORY_BYTES = 700 * 1024 * 1024;

export const CREATE =
  'mutation($input: CreateThingInput!) { createThing(input: $input) { thing { id name code number data } } }';
export const FIND = 'query($where: ThingWhere) { things(where: $where) { id } }';

/** A primary that is sent what nobody should send. */
export interface Target extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Holds its SDL, in `schema`. */
  readonly directory: string;
  /** The codes that are documented. */
  readonly known: ReadonlySet<unknown>;
  /** Sends bytes as a request; the answer must be GraphQL's, every error coded, documented and without a stack. */
  send(body: string | Uint8Array<ArrayBuffer>, headers?: Record<string, string>): Promise<Answer>;
  run(query: string, variables?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** The variables as JSON that no JavaScript value gives. */
  runText(query: string, variables: string): Promise<Answer>;
  /** Whatever was sent: it answers, has not grown, and nothing failed since the last look that was not expected to. */
  expectWell(): Promise<void>;
}

export async function startTarget(): Promise<Target> {
  await using parts = new AsyncDisposableStack();
  const { path } = parts.use(await temporaryDirectory());
  const schema = join(path, 'schema');
  await mkdir(schema);
  await writeFile(join(schema, 'thing.graphql'), SDL);
  const manual = await readFile(resolve(import.meta.dirname, '../../../docs/errors.md'), 'utf8');
  const known = new Set([...manual.matchAll(/^## ([A-Z_]+)$/gm)].map(([, code]) => code).concat(APOLLO_CODES));
  const primary = parts.use(
    startHoldfast(
      [...['start', '--port', '0', '--ops-port', '0'], ...['--schema', schema, '--data', join(path, 'primary')]],
      { NODE_ENV: 'production' },
    ),
  );
  const { url, opsUrl } = await primary.ready;
  /** Length of the log that was looked at. */
  let logged = 0;
  const target: Omit<Target, typeof Symbol.asyncDispose> = {
    ...{ url, port: Number(new URL(url).port), directory: path, known },
    async send(body, headers = {}) {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${SECRET}`, ...headers },
        body,
        signal: AbortSignal.timeout(15_000),
      });
      const text = await response.text();
      expect(text).not.toMatch(/ {4}at |node_modules|file:\/\//);
      expect(text).not.toContain(SECRET);
      const answer = JSON.parse(text) as Answer;
      for (const { extensions } of answer.errors ?? []) {
        expect(known).toContain(extensions.code);
        expect(extensions.code).not.toBe('INTERNAL_SERVER_ERROR');
        expect(extensions).toMatchObject({ retryable: expect.any(Boolean), requestId: expect.any(String) });
      }
      return answer;
    },
    run: (query, variables = {}, headers = {}) => target.send(JSON.stringify({ query, variables }), headers),
    runText: (query, variables) => target.send(`{"query":${JSON.stringify(query)},"variables":${variables}}`),
    async expectWell() {
      expect(await ask(url, '{ thing(id: "nobody") { id } }')).toEqual({ thing: null });
      const metrics = await (await fetch(new URL('/metrics', opsUrl))).text();
      const bytes = Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);
      expect(bytes).toBeLessThan(MEMORY_BYTES);
      const log = primary.output().slice(logged);
      logged += log.length;
      // A forged epoch looks like that of a promoted replica: the operator is told, and nothing else happens.
      const bad =
        /^(?!.*a replica follows a newer primary).*("level":[56]0|INTERNAL_SERVER_ERROR|a-secret-nobody).*$/gm;
      expect(log.match(bad)).toBeNull();
    },
  };
  const owned = parts.move();
  return Object.assign(target, { [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

/** Of the first error. */
export const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code;
