/** Time as a long-lived part sees it. Passed in, so that a simulation decides when things happen. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /** Runs `task` once, after what is going on now. */
  soon(task: () => void): void;
  /** Runs `task` once after `ms`. Returns how to call it off. */
  after(ms: number, task: () => void): () => void;
  /** Runs `task` every `ms`. Returns how to end it. */
  every(ms: number, task: () => void): () => void;
}

/** The machine's clock. Its timers never keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  soon: (task) => void setImmediate(task),
  after: (ms, task) => {
    const timer = setTimeout(task, ms).unref();
    return () => clearTimeout(timer);
  },
  every: (ms, task) => {
    const timer = setInterval(task, ms).unref();
    return () => clearInterval(timer);
  },
};
