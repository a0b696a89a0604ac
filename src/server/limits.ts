/** What a client may ask for. `Infinity` switches a limit off. */
export interface Limits {
  /** HTTP request body. */
  readonly bodyBytes: number;
  /** Lexical tokens of a document. */
  readonly tokens: number;
  /** Fields nested in each other, leaves included. Introspection does not count. */
  readonly depth: number;
  readonly aliases: number;
  /** Root fields of an operation, fragments expanded. */
  readonly rootFields: number;
  readonly directives: number;
  /** Objects an operation can return; see cost.ts. */
  readonly cost: number;
  /** Largest value of `limit`, `first` and `last`. */
  readonly page: number;
  /** Time for a query or mutation. */
  readonly executionMs: number;
  /** Requests of one principal; undefined: no limit. */
  readonly rate: { readonly perSecond: number; readonly burst: number } | undefined;
  /** One message from a websocket client. */
  readonly socketPayloadBytes: number;
  /** Time between opening a websocket and `connection_init`. */
  readonly socketInitMs: number;
  /** Operations running at once on one websocket. */
  readonly socketOperations: number;
}

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 1024 * 1024,
  tokens: 2_000,
  depth: 10,
  aliases: 15,
  rootFields: 20,
  directives: 8,
  cost: 5_000,
  page: 500,
  executionMs: 10_000,
  rate: undefined,
  socketPayloadBytes: 1024 * 1024,
  socketInitMs: 3_000,
  socketOperations: 100,
};
