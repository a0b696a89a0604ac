import { afterAll, beforeAll } from 'vitest';

/** A server that is started before the tests of this block and disposed of after them. Gives it from the first hook after this call on. */
export function shared<Server extends AsyncDisposable>(start: () => Promise<Server>): () => Server {
  let server: Server | undefined;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());
  return () => server!;
}
