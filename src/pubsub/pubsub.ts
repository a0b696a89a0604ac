/**
 * Carries short notices between the parts and processes of one database: "the log advanced", "the status changed". A notice
 * may be lost, doubled or late; it never carries the data of record. Whoever gets one looks at the record itself, and looks
 * now and then without one.
 */
export interface PubSub {
  /** Tells everybody who listens to `topic`. Resolves when handed over, not when received. Never rejects for want of listeners. */
  publish(topic: string, message: string): Promise<void>;
  /** Calls `listener` for each notice of `topic` from now on. Resolves, once listening, with the function that ends it. */
  subscribe(topic: string, listener: (message: string) => void): Promise<() => void>;
  close(): Promise<void>;
}
