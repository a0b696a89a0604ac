import { ConsecutiveBreaker, circuitBreaker, fallback, handleAll, TimeoutStrategy, timeout, wrap } from 'cockatiel';
import { type Document, MongoClient as DriverClient } from 'mongodb';
import { MongoClient, provenance } from '../../../src/fallback/index.ts';

export const DEADLINE_MS = 400;
const RESET_MS = 1_000;

/** Documents of the database, and of whatever answers in its place. */
export const DOCUMENTS: readonly Document[] = Array.from({ length: 1_000 }, (_, _id) => ({
  ...{ _id, name: `thing ${_id}`, size: _id % 50, tags: ['a', `t${_id % 7}`], at: new Date(1_700_000_000_000 + _id) },
}));
const BY_ID = new Map(DOCUMENTS.map((document) => [document._id as number, document]));

/** One way to read a document by its id. */
export interface Contender {
  readonly name: string;
  /** The document, and whether the database gave it. */
  read(id: number): Promise<{ readonly document: Document | null; readonly isLive: boolean }>;
  /** Keeps its reads from the database until it is called off; left out where there is nothing that could. */
  readonly forceOpen?: () => Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** Of opossum, which has no types, what is used here. */
type Opossum = new (
  action: (id: number) => Promise<Document | null>,
  options: { readonly timeout: number; readonly resetTimeout: number; readonly errorThresholdPercentage: number },
) => {
  fallback(answer: (id: number) => Stored): void;
  open(): void;
  close(): void;
  fire(id: number): Promise<Document | null | Stored>;
  shutdown(): void;
};

/** What the peers' fallbacks give: a look into a map, as a careful engineer would write it for this very query. */
class Stored {
  readonly document: Document | null;

  constructor(id: number) {
    this.document = BY_ID.get(id) ?? null;
  }
}

function told(found: Document | null | Stored) {
  return found instanceof Stored ? { document: found.document, isLive: false } : { document: found, isLive: true };
}

/** The driver as it comes, and with each peer around it; all with the same driver options, and the same deadline where they have one. */
export async function openContenders(url: string): Promise<readonly Contender[]> {
  const plain = new DriverClient(url);
  const guarded = new DriverClient(url);
  const ours = new MongoClient(url, { fallback: { datasets: { things: { from: DOCUMENTS, complete: true } } } });
  const cockatiel = new DriverClient(url);
  for (const client of [plain, guarded, ours, cockatiel]) await client.connect();
  const things = (client: DriverClient) => client.db().collection<Document & { _id: number }>('things');
  const [direct, behindOpossum, behindCockatiel, behindUs] = [plain, guarded, cockatiel, ours].map(things);
  const { default: CircuitBreaker } = (await import('opossum' as string)) as { readonly default: Opossum };
  const breaker = new CircuitBreaker((_id) => behindOpossum!.findOne({ _id }), {
    ...{ timeout: DEADLINE_MS, resetTimeout: RESET_MS, errorThresholdPercentage: 50 },
  });
  breaker.fallback((id) => new Stored(id));
  const policy = (id: number) =>
    wrap(
      fallback(handleAll, () => new Stored(id)),
      circuit,
      limit,
    );
  const circuit = circuitBreaker(handleAll, { halfOpenAfter: RESET_MS, breaker: new ConsecutiveBreaker(3) });
  const limit = timeout(DEADLINE_MS, TimeoutStrategy.Aggressive);
  return [
    {
      name: 'driver',
      read: async (_id) => ({ document: await direct!.findOne({ _id }), isLive: true }),
      close: () => plain.close(),
    },
    {
      name: 'opossum',
      read: async (id) => told(await breaker.fire(id)),
      forceOpen: async () => {
        breaker.open();
        return async () => breaker.close();
      },
      close: async () => {
        breaker.shutdown();
        await guarded.close();
      },
    },
    {
      name: 'cockatiel',
      read: async (_id) => told(await policy(_id).execute(() => behindCockatiel!.findOne({ _id }))),
      forceOpen: async () => {
        const isolated = circuit.isolate();
        return async () => isolated.dispose();
      },
      close: () => cockatiel.close(),
    },
    {
      name: 'holdfast',
      read: async (_id) => {
        const document = await behindUs!.findOne({ _id });
        return { document, isLive: document !== null && provenance(document).source === 'DATABASE' };
      },
      forceOpen: async () => {
        await ours.fallbackForce({}, 'OPEN');
        return () => ours.fallbackRelease({});
      },
      close: () => ours.close(),
    },
  ];
}
