import type { LocalCopy } from './local-copy.ts';
import type { Session } from './session.ts';
import { type Event, overrides, type State } from './state.ts';

/** Asks the source whether this replica may resume, adopts its SDL, and gives the answer as an event of the machine. */
export async function greet(session: Session, copy: LocalCopy, state: () => State): Promise<Event> {
  const { joined } = copy.progress.facts;
  const hello = await session.greet(joined ? copy.cursor() : null, joined ? copy.log.epochs() : []);
  const { status } = hello;
  if ((status === 'FORK' || status === 'FENCED') && !overrides(state(), status)) return { type: status };
  if (status === 'SCHEMA_MISMATCH' || copy.mismatches(hello.sdlHash)) return { type: 'MISMATCH' };
  const adopted = await copy.adopt(hello, session.signal);
  if (!copy.progress.facts.joined) return { type: 'NEW' };
  if (status !== 'OK') return { type: status };
  const isEnded = await copy.leaveEnded(hello, session.signal);
  return { type: 'OK', repair: adopted || isEnded };
}
