import { readFileSync } from 'node:fs';
import { makeExecutableSchema } from '@graphql-tools/schema';
import type { GraphQLSchema } from 'graphql';
import { SCHEMA_DIRECTORY } from '../src/model/built-in.ts';
import { SCALARS } from '../src/model/scalars.ts';
import { type FallbackService, withoutFallback } from '../src/service/fallback-service.ts';
import { journalResolvers } from './journal.ts';

const TYPE_DEFS = ['fallback.graphql', 'journal.graphql'].map((file) => new URL(file, SCHEMA_DIRECTORY));

interface Timed {
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/** The executable schema of what the ops port says about outages; without a service there is nothing to say. */
export function buildFallbackSchema(service: FallbackService | undefined): GraphQLSchema {
  const required = (): FallbackService => {
    if (service !== undefined) return service;
    throw withoutFallback();
  };
  const journal = journalResolvers(service?.journal);
  return makeExecutableSchema({
    typeDefs: TYPE_DEFS.map((file) => readFileSync(file, 'utf8')),
    resolvers: {
      SafeInt: SCALARS.get('SafeInt')!.type,
      DateTime: SCALARS.get('DateTime')!.type,
      FallbackScope: { scope: ({ name }: { readonly name: string }) => name },
      FallbackTierCollection: { stalenessMs: ({ stalenessMs }: { stalenessMs: number }) => finite(stalenessMs) },
      FallbackIncident: {
        startedAt: ({ startedAt }: Timed) => new Date(startedAt),
        endedAt: ({ endedAt }: Timed) => endedAt && new Date(endedAt),
      },
      FallbackDatasets: {
        startedAt: ({ startedAt }: { readonly startedAt: string | null }) => startedAt && new Date(startedAt),
        capturedAt: ({ capturedAt }: { readonly capturedAt: string | null }) => capturedAt && new Date(capturedAt),
      },
      Journal: journal.Journal,
      JournalEntry: journal.JournalEntry,
      Query: {
        ...journal.Query,
        fallbackStatus: () => service?.status() ?? null,
        fallbackDatasets: () => service?.datasets() ?? null,
      },
      Mutation: {
        ...journal.Mutation,
        fallbackForce: (_source, { scope, state }: { scope: string; state: 'OPEN' | 'CLOSED' }) =>
          required().force(scope, state),
        fallbackRefresh: () => required().refresh(),
        fallbackRelease: (_source, { scope }: { scope: string }) => required().release(scope),
      },
    },
  });
}

function finite(ms: number): number | null {
  return Number.isFinite(ms) ? Math.round(ms) : null;
}
