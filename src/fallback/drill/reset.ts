import type { Socket } from 'node:net';

/**
 * Ends a connection by a reset, as a crash would. One that is being ended already is only closed: Node (24) never frees a socket that is
 * reset while its end is on the way, and turns in a circle when the process is to exit.
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
