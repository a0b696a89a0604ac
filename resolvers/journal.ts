import {
  type JournalEntry,
  type JournalService,
  type JournalState,
  withoutJournal,
} from '../src/service/journal-service.ts';

interface Listing {
  readonly state?: JournalState | null;
  readonly first: number;
  readonly after?: string | null;
}

/** Resolvers of `schema/journal.graphql`; without a service there is nothing to say. */
export function journalResolvers(service: JournalService | undefined) {
  const required = (): JournalService => {
    if (service !== undefined) return service;
    throw withoutJournal();
  };
  const date = (at: number | null): Date | null => (at === null ? null : new Date(at));
  return {
    Journal: {
      oldestAt: ({ oldestAt }: { readonly oldestAt: number | null }) => date(oldestAt),
      entries: (_source: unknown, { state = null, first, after = null }: Listing) =>
        required().list({ state, first, after }),
    },
    JournalEntry: {
      id: ({ seq }: JournalEntry) => String(seq),
      document: ({ id }: JournalEntry) => id,
      at: ({ at }: JournalEntry) => date(at),
      endedAt: ({ endedAt }: JournalEntry) => date(endedAt),
    },
    Query: { journal: () => service?.counts() ?? null },
    Mutation: {
      journalReplay: (_source: unknown, { ids = null }: { readonly ids?: readonly string[] | null }) =>
        required().replay(ids),
      journalDiscard: (_source: unknown, { id }: { readonly id: string }) => required().discard(id),
    },
  };
}
