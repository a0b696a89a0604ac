import type { Store } from '../../store/store.ts';
import type { Tier } from '../tiers.ts';

/** Databases that servers keep for themselves. */
const OF_SERVERS: ReadonlySet<string> = new Set(['admin', 'config', 'local']);

/**
 * The database that copies belong to. One that was not named is the only one that is used: with two nobody knows which was meant,
 * and neither is answered from a copy.
 */
export class Home {
  #named: string | undefined;
  readonly #used = new Set<string>();

  constructor(named: string | undefined) {
    this.#named = named;
  }

  name(database: string): void {
    this.#named = database;
  }

  /** Somebody uses `database`. */
  use(database: string): void {
    if (!OF_SERVERS.has(database)) this.#used.add(database);
  }

  /** The database itself; undefined when nobody knows. */
  get database(): string | undefined {
    return this.#database();
  }

  /** Name of the collection of a namespace (`database.collection`); undefined when it lies elsewhere. */
  collectionOf(namespace: string): string | undefined {
    const dot = namespace.indexOf('.');
    return namespace.slice(0, dot) === this.#database() ? namespace.slice(dot + 1) : undefined;
  }

  #database(): string | undefined {
    if (this.#named !== undefined) return this.#named;
    return this.#used.size === 1 ? this.#used.values().next().value : undefined;
  }
}

/** A tier that knows collections by name, for who knows them by namespace. */
export function atHome(tier: Tier, home: Home): Tier {
  const nameOf = (namespace: string): string => home.collectionOf(namespace) ?? namespace;
  const store: Store = {
    get capabilities() {
      return tier.store.capabilities;
    },
    collection: (namespace) => tier.store.collection(nameOf(namespace)),
    close: () => tier.store.close(),
  };
  return {
    ...{ source: tier.source, store },
    coverage: (namespace) => {
      const name = home.collectionOf(namespace);
      return name === undefined ? 'NONE' : tier.coverage(name);
    },
    stalenessMs: (namespace) => tier.stalenessMs(nameOf(namespace)),
    position: () => tier.position(),
    maskedPaths: (namespace) => tier.maskedPaths?.(nameOf(namespace)) ?? [],
  };
}
