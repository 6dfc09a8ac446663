import type { Sql } from './connect.ts';

const LOST = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
]);

/**
 * Makes sure of a living connection at the start of an invocation. While a Lambda is frozen its sockets die unseen;
 * the first query afterwards would fail, and by then nobody can tell whether it was executed. So after a pause
 * a query that may run twice goes first: it fails, the client connects anew, and the real ones never notice.
 * Costs one round trip, and only after `idleMs` without a call. `connect` itself replaces a client that was idle for
 * longer than its time-out; this is for work whose failure would be expensive even after a shorter pause.
 */
export function wakeAfterFreeze(sql: Sql, { now = Date.now, idleMs = 5_000 } = {}): () => Promise<void> {
  let lastUse = now();
  return async () => {
    const idle = now() - lastUse;
    lastUse = now();
    if (idle < idleMs) return;
    try {
      await sql`SELECT 1`;
    } catch (error) {
      if (!isLost(error)) throw error;
      await sql`SELECT 1`;
    }
  };
}

function isLost(error: unknown): boolean {
  return error instanceof Error && 'code' in error && LOST.has(String(error.code));
}
