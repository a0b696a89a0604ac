import { greet } from './greeting.ts';
import type { Parts } from './parts.ts';
import type { Session } from './session.ts';
import { type Effect, isHalted } from './state.ts';

/** Performs one effect of the state machine. What takes long runs beside the machine, and ends in an event. */
export async function perform(parts: Parts, effect: Effect, session: Session | undefined): Promise<void> {
  const { machine, sessions, copy, readiness, reporter } = parts;
  const { state } = machine;
  switch (effect) {
    case 'CONNECT':
      connect(parts);
      break;
    case 'CLOSE':
      sessions.close();
      break;
    case 'BACK_OFF':
      sessions.backOff(isHalted(state), () => machine.post({ type: 'RETRY' }));
      break;
    case 'SAVE':
      await copy.save(state);
      readiness.changed();
      break;
    case 'ALARM':
      reporter.alarm(state.repairs);
      break;
    default:
      if (session !== undefined) await performOn(session, parts, effect);
  }
}

async function performOn(session: Session, parts: Parts, effect: Effect): Promise<void> {
  const { machine, copy, reporter, following, loading, divergence } = parts;
  const { state } = machine;
  switch (effect) {
    case 'GREET':
      machine.spawn(session, async () => {
        machine.post(await greet(session, copy, () => machine.state), session);
      });
      break;
    case 'RESET':
      await loading.reset(session, state);
      break;
    case 'FOLLOW':
      session.following = true;
      machine.spawn(session, () => following.follow(session));
      break;
    case 'LOAD':
      machine.spawn(session, async () => {
        await loading.load(session, state);
        machine.post({ type: 'LOADED' }, session);
      });
      break;
    case 'PROVE':
      machine.spawn(session, () => prove(session, parts));
      break;
    case 'LOCATE_FORK': {
      const { fork, kept } = await divergence.locate(session);
      reporter.forked(fork, kept);
      break;
    }
  }
}

function connect({ sessions, machine }: Parts): void {
  const session = sessions.open();
  if (session === undefined) return;
  machine.spawn(session, async () => {
    await session.connect();
    machine.post({ type: 'CONNECTED' }, session);
  });
}

async function prove(session: Session, { loading, reporter, machine }: Parts): Promise<void> {
  const differs = await loading.prove(session);
  reporter.differs(differs);
  if (differs === null) session.differs = false;
  machine.post({ type: differs === null ? 'PROVEN' : 'DIFFERS' }, session);
}
