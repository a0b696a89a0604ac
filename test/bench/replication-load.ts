import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Answer } from '../support/graphql.ts';

/** One change in so many is timed at the replica; timing each would measure the subscription instead. */
const SAMPLE_EVERY = 20;
const NOTE = 'n'.repeat(220);
/** Requests on their way at once. */
const MOST_OPEN = 4;
/** A rate beyond what the machine carries shows as lag, not as a failed run. */
export const OVERLOADED_MS = 120_000;

export const CREATE =
  'mutation($inputs: [CreateReadingInput!]!) { createReadings(inputs: $inputs) { written position } }';

export function readings(name: string, first: number, count: number): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `${name}-${first + i}`,
    station: `station-${(first + i) % 97}`,
    sample: (first + i) % SAMPLE_EVERY === 0,
    value: (first + i) / 7,
    note: NOTE,
  }));
}

/** Requests that create `count` readings, `batch` each. */
export function* createRequests(name: string, count: number, batch: number): Generator<Buffer> {
  for (let first = 0; first < count; first += batch) {
    const inputs = readings(name, first, Math.min(batch, count - first));
    yield Buffer.from(JSON.stringify({ query: CREATE, variables: { inputs } }));
  }
}

/** Sends all, four at a time, and waits for the answers. The cheapest client there is: it shares the machine with what is measured. */
export async function sendAll(url: string, requests: Iterable<Buffer>): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: MOST_OPEN });
  const left = Iterator.from(requests);
  const worker = async (): Promise<void> => {
    for (const body of left) await send(agent, url, body);
  };
  try {
    await Promise.all(Array.from({ length: MOST_OPEN }, worker));
  } finally {
    agent.destroy();
  }
}

async function send(agent: Agent, url: string, body: Buffer): Promise<void> {
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const sent = request(url, { agent, method: 'POST', headers, signal: AbortSignal.timeout(OVERLOADED_MS) });
  sent.end(body);
  const [response] = await once(sent, 'response');
  const answer = JSON.parse(await text(response)) as Answer;
  if (answer.errors !== undefined) throw new Error(`${url}: ${JSON.stringify(answer.errors)}`);
}
