import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { Sender } from '../../src/cli/import-sender.ts';
import { loadModel } from '../../src/model/load.ts';

const [entity] = loadModel([{ file: 's', text: 'type Thing @entity { id: ID! @id  name: String! }' }]).entities;

interface Request {
  readonly key: string;
  readonly inputs: readonly { readonly name: string }[];
}

/** A gateway that answers each request with what `answer` gives, and remembers what it got. */
async function gateway(answer: (request: Request, count: number) => unknown) {
  const requests: Request[] = [];
  const server = createServer(async (incoming, response) => {
    const body = JSON.parse((await incoming.toArray()).join('')) as { variables: { inputs: { name: string }[] } };
    const request = { key: String(incoming.headers['idempotency-key']), inputs: body.variables.inputs };
    requests.push(request);
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer(request, requests.length)));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const close = () => new Promise((closed) => server.close(closed));
  onTestFinished(async () => void (await close()));
  const { port } = server.address() as AddressInfo;
  const waits: number[] = [];
  const sender = (digest = 'digest') =>
    new Sender({
      url: `http://127.0.0.1:${port}/graphql`,
      entity: entity!,
      digest,
      signal: new AbortController().signal,
      wait: async (ms) => void waits.push(ms),
    });
  return { requests, waits, sender, close };
}

const items = (...names: string[]) =>
  names.map((name, i) => ({ line: i + 1, index: i, json: JSON.stringify({ name }) }));
const written = ({ inputs }: Request) => ({ data: { result: { written: inputs.length, refused: [] } } });
const error = (code: string, message = code) => ({ data: null, errors: [{ message, extensions: { code } }] });

it('writes documents in one request, and tells which were refused by their lines', async () => {
  const refused = [{ index: 1, code: 'ALREADY_EXISTS', message: 'there is one' }];
  const { sender, requests } = await gateway(() => ({ data: { result: { written: 2, refused } } }));
  expect(await sender().send(items('a', 'b', 'c'))).toEqual({
    written: 2,
    refused: [{ line: 2, index: 1, code: 'ALREADY_EXISTS', reason: 'there is one' }],
  });
  expect(requests.map(({ inputs }) => inputs)).toEqual([[{ name: 'a' }, { name: 'b' }, { name: 'c' }]]);
});

it('sends the same documents of the same file with the same key, others with another', async () => {
  const { sender, requests } = await gateway(written);
  await sender().send(items('a', 'b'));
  await sender().send(items('a', 'b'));
  await sender().send(items('a', 'c'));
  await sender('other').send(items('a', 'b'));
  const [first, again, otherDocuments, otherFile] = requests.map(({ key }) => key);
  expect(again).toBe(first);
  expect(new Set([first, otherDocuments, otherFile]).size).toBe(3);
});

it('tries again with the same key when the gateway is out for a while, with growing pauses', async () => {
  const { sender, requests, waits } = await gateway((request, count) =>
    count < 4 ? error('SHUTTING_DOWN') : written(request),
  );
  expect(await sender().send(items('a'))).toEqual({ written: 1, refused: [] });
  expect(new Set(requests.map(({ key }) => key)).size).toBe(1);
  expect(waits).toEqual([100, 200, 400]);
});

it('gives up after eight tries', async () => {
  const { sender, requests } = await gateway(() => error('DATABASE_UNAVAILABLE'));
  await expect(sender().send(items('a'))).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  expect(requests).toHaveLength(8);
});

it('finds the document that the gateway blames, and writes the others', async () => {
  const { sender } = await gateway((request) =>
    request.inputs.some(({ name }) => name === 'bad') ? error('BAD_USER_INPUT', 'bad is bad') : written(request),
  );
  expect(await sender().send(items('a', 'b', 'bad', 'c', 'd'))).toEqual({
    written: 4,
    refused: [{ line: 3, index: 2, code: 'BAD_USER_INPUT', reason: 'bad is bad' }],
  });
});

it('ends with an error that concerns every document', async () => {
  const { sender, requests } = await gateway(() => error('FORBIDDEN'));
  await expect(sender().send(items('a', 'b'))).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(requests).toHaveLength(1);
});

it('says that nobody answers', async () => {
  const { sender, close } = await gateway(written);
  await close();
  await expect(sender().send(items('a'))).rejects.toMatchObject({
    code: 'PRIMARY_UNREACHABLE',
    message: expect.stringMatching(/^no answer from http:.*: ECONNREFUSED$/),
  });
});
