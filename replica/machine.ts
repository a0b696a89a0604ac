import { isHoldfastError } from '../src/errors.ts';
import type { Session } from './session.ts';
import { type Effect, type Event, initialState, type State, transition } from './state.ts';

export interface MachineOptions {
  readonly stored: Pick<State, 'proven' | 'task' | 'forked'>;
  /** The session there is now: what another one brings has no effect (R11). */
  readonly session: () => Session | undefined;
  /** A failure ends the effects of the event, and the session. */
  readonly perform: (effect: Effect, session: Session | undefined) => Promise<void>;
  /** Called for each event, before its effects. */
  readonly changed: (before: State) => void;
  /** Called for each event, after its effects. */
  readonly performed: () => void;
  /** A session is lost for this reason. */
  readonly troubled: (error: unknown) => void;
}

/** Runs the state machine: takes events in the order they came, one at a time, and has the effects of each performed. */
export class Machine {
  readonly #options: MachineOptions;
  readonly #events: { readonly event: Event; readonly session: Session | undefined }[] = [];
  #state: State;
  #wake = (): void => {};

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#state = initialState(options.stored).state;
  }

  get state(): State {
    return this.#state;
  }

  /** Tells what happened; of a session, when it happened on one. */
  post(event: Event, session?: Session): void {
    this.#events.push({ event, session });
    this.#wake();
  }

  /** Runs work of a session beside the machine; its failure ends the session, unless that has ended already. */
  spawn(session: Session, work: () => Promise<void>): void {
    work().catch((error: unknown) => this.#failed(session, error));
  }

  /** Resolves when the replica is stopped. Never rejects. */
  async run(): Promise<void> {
    const { stored, session: current, changed, performed } = this.#options;
    await this.#perform(initialState(stored).effects, undefined, this.#state);
    while (this.#state.name !== 'STOPPED') {
      const next = this.#events.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (next.session !== undefined && next.session !== current()) continue;
      const before = this.#state;
      const { state, effects } = transition(before, next.event);
      this.#state = state;
      changed(before);
      await this.#perform(effects, next.session, before);
      performed();
    }
  }

  /** What could not be made durable is not so in the state either. */
  async #perform(effects: readonly Effect[], session: Session | undefined, before: State): Promise<void> {
    for (const effect of effects) {
      try {
        await this.#options.perform(effect, session);
      } catch (error) {
        if (effect === 'SAVE' || effect === 'RESET') {
          const { proven, task, forked, order } = before;
          this.#state = { ...this.#state, proven, task, forked, order };
        }
        this.#failed(session ?? this.#options.session(), error);
        return;
      }
    }
  }

  #failed(session: Session | undefined, error: unknown): void {
    if (session === undefined || session !== this.#options.session() || session.signal.aborted) return;
    if (session.following && isHoldfastError(error) && (error.code === 'FORK' || error.code === 'FENCED')) {
      this.post({ type: error.code }, session);
    } else {
      this.#options.troubled(error);
      this.post({ type: 'LOST' }, session);
    }
  }
}
