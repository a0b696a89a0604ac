import type { Position } from '../model/position.ts';

/**
 * Tells other processes on the same database that the log advanced, so that they need not ask. Carries a position and never data;
 * a ring may be lost, repeated or late, and whoever waits for one also looks by itself now and then.
 */
export interface Doorbell {
  /** Never waits and never throws; rings that come fast are merged. */
  ring(position: Position): void;
  /** Returns the function that ends it. */
  onRing(listener: (position: Position) => void): () => void;
  close(): Promise<void>;
}
