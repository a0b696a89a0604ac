import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { create, type Node, nodes, type Subscriber, subscriber } from '../support/nodes.ts';

interface Event {
  readonly thingChanged: { readonly id: string; readonly position: string };
}

const CHANGES = 'subscription($after: Position) { thingChanged(after: $after) { id position } }';
const REFUSALS = new Set(['SHUTTING_DOWN', 'ECONNREFUSED', 'ECONNRESET', 'UND_ERR_SOCKET']);
const CREATE = 'mutation($input: CreateThingInput!) { createThing(input: $input) { outcome } }';

it('lets requests in flight finish on SIGTERM; subscribers resume and see every change exactly once', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  const replica = await cluster.replica('replica', [primary]);
  await replica.ready;
  const after = await create(primary.url, ['start']);
  const subscribers = [primary, replica].map((node) => ({
    node,
    from: subscriber<Event>(node.websocket, CHANGES, { after }),
  }));
  const stopWriting = new AbortController();
  const created = new Set<string>();
  const refusals = new Map<string, number>();
  const cut = new Set<string>();
  const writers = Array.from({ length: 8 }, (_, writer) =>
    write(primary.url, writer, created, refusals, cut, stopWriting.signal),
  );
  const enough = async (more: number) => {
    const goal = created.size + more;
    await eventually(`${more} more are created`, () => created.size >= goal, 60_000);
  };
  await enough(100);

  expect(await primary.stop()).toBe(0);
  const [first] = subscribers;
  await first?.from.ended;
  await eventually('a writer is refused', () => refusals.size > 0);
  primary.start();
  await primary.ready;
  await enough(100);
  stopWriting.abort();
  await Promise.all(writers);

  // Whoever was not let in was told so, or found nobody; a connection closed while it was idle had brought nothing in.
  expect([...refusals.keys()].filter((code) => !REFUSALS.has(code))).toEqual([]);
  const ids = [...cut];
  expect(await ask(primary.url, 'query($ids: [ID]) { things(where: { id: { in: $ids } }) { id } }', { ids })).toEqual({
    things: [],
  });
  for (const { node, from } of subscribers)
    expect(await everything(node, from, created.size)).toEqual([...created].sort());
});

/** The ids of what this subscriber and its successors saw, until there are `count`, sorted. */
async function everything(node: Node, first: Subscriber<Event>, count: number): Promise<string[]> {
  const seen = [...first.events];
  first.stop();
  const after = seen.at(-1)?.thingChanged.position;
  expect(after).toBeDefined();
  const rest = subscriber<Event>(node.websocket, CHANGES, { after });
  await eventually(`${node.url} tells all changes`, () => seen.length + rest.events.length >= count);
  rest.stop();
  return [...seen, ...rest.events].map(({ thingChanged }) => thingChanged.id).sort();
}

/**
 * Creates one thing after the other, each under its own key until it is there. One whose connection was cut is not tried again,
 * so that it can be seen whether it had been carried out.
 */
async function write(
  url: string,
  writer: number,
  created: Set<string>,
  refusals: Map<string, number>,
  cut: Set<string>,
  signal: AbortSignal,
): Promise<void> {
  const refused = (code: string): void => {
    refusals.set(code, (refusals.get(code) ?? 0) + 1);
  };
  for (let n = 0; !signal.aborted; ) {
    const id = `${writer}-${n}`;
    try {
      const answer = await post(url, CREATE, { input: { id, name: id } }, { 'idempotency-key': id });
      const code = answer.errors?.[0]?.extensions.code;
      if (code === undefined) {
        created.add(id);
        n++;
      } else refused(code);
    } catch (error) {
      const code = String(((error as Error).cause as { code?: string } | undefined)?.code ?? error);
      refused(code);
      if (code !== 'ECONNREFUSED') cut.add(`${writer}-${n++}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
