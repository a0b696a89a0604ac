/** What a run counts. */
export interface Counts {
  crashes: number;
  cuts: number;
  resyncs: number;
  repairs: number;
  promotions: number;
  /** Changes that only a former primary had. */
  divergent: number;
}

/** What happened in one run. */
export interface Report extends Readonly<Counts> {
  readonly seed: number;
  /** Hash of everything that was decided, in order: the same for the same seed and code. */
  readonly trace: number;
  readonly steps: number;
  readonly acknowledged: number;
  readonly entries: number;
  readonly requests: number;
  readonly reads: number;
  readonly events: number;
}
