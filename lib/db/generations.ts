import type { Socket } from 'node:net';

/** As much of a client as is needed to replace it. */
type Client = { end(options?: { timeout?: number }): Promise<void> };

export type Generations<C extends Client> = {
  /** Makes a client. It calls `lost` when a connection is gone that it had not closed itself. */
  open(lost: () => Promise<void>): C;
  /** After this long without use a client is replaced: its sockets may have died unseen. */
  idleMs: number;
  now: () => number;
};

/**
 * The client to use now: the same one until it has lost a connection or was not used for a while, then a new one.
 * A client that lost a connection is ended first, so all that was or gets in flight on it fails.
 */
export function generations<C extends Client>({ open, idleMs, now }: Generations<C>) {
  let lastUse = now();
  let ended = false;
  let current = next();

  function next(): { client: C; lost: boolean } {
    const generation: { client: C; lost: boolean } = {
      lost: false,
      client: open(() => {
        generation.lost = true;
        return generation.client.end({ timeout: 0 });
      }),
    };
    return generation;
  }

  return {
    live(): C {
      const idle = now() - lastUse;
      lastUse = now();
      if (ended || (!current.lost && idle <= idleMs)) return current.client;
      // Whatever still runs on it, a long transaction, may finish.
      if (!current.lost) current.client.end().catch(() => {});
      current = next();
      return current.client;
    },
    end(options?: { timeout?: number }): Promise<void> {
      ended = true;
      return current.client.end(options);
    },
  };
}

/**
 * Shows the client a lost connection in the one order that it survives: `lost` ends the client, and only then does
 * the socket say `close`; it never says `error`.
 *
 * @NOTE postgres 3.4.9 mends a lost connection in place, with faults: a query between `error` and `close` never
 * settles (porsager/postgres#1142, #1186), a statement of the lost transaction can crash the process (#1133) or run
 * inside the next transaction (#1155), a buffered write blocks the connection for good. So it never gets to mend one.
 */
export function reportLoss(socket: Socket, lost: () => Promise<void>): Socket {
  const emit = socket.emit.bind(socket);
  const end = socket.end.bind(socket) as (...args: unknown[]) => Socket;
  let asked = false;
  socket.end = (...args: unknown[]) => {
    // The client's own goodbye carries a message; Node ends a socket without one when the server has.
    asked ||= args.length > 0;
    return end(...args);
  };
  socket.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event === 'error') return true;
    if (event !== 'close' || asked) return emit(event, ...args);
    lost().finally(() => emit('close', false));
    return true;
  };
  return socket;
}
