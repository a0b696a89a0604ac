// Everything of the driver, so that its import can be exchanged for this one: what is listed below takes the place of the same names.
export * from 'mongodb';
export { ERRORS, type ErrorCode, HoldfastError, isHoldfastError } from '../errors.ts';
export type { JournalEntry, JournalListing, JournalService } from '../service/journal-service.ts';
export type { ScopeStatus } from './breaker.ts';
export type { DeadlinesMs } from './calls.ts';
export type { ClientStatus } from './client/client-fallback.ts';
export { FallbackError } from './client/fallback-error.ts';
export type { ClientLiveStatus } from './client/live.ts';
export { MongoClient, type MongoClientOptions } from './client/mongo-client.ts';
export { type CreateFallbackOptions, createFallback, type FallbackFunctions } from './client/mongo-functions.ts';
export { type Provenance, provenance } from './client/results.ts';
export type {
  ChangeLogSettings,
  DatasetDocuments,
  DescribedDataset,
  FallbackSettings,
  GivenDataset,
} from './client/settings.ts';
export type { Incident } from './incidents.ts';
export type { Scope } from './scope.ts';
