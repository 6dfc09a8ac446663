import postgres from 'postgres';

/**
 * Whether a database error says nothing about the request: connection trouble, serialization failures and deadlocks,
 * resources, shutdown and start-up, lock time-outs (PostgreSQL, Appendix A), an unreachable host. The same request may work later.
 */
export function isTransientDatabaseError(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  const code = String(error.code);
  if (error instanceof postgres.PostgresError) return /^(08|40|53|57)|^55P03$/.test(code);
  return /^(CONNECTION_\w+|CONNECT_TIMEOUT|E(CONNREFUSED|CONNRESET|PIPE|TIMEDOUT|HOSTUNREACH|NOTFOUND|AI_AGAIN))$/.test(
    code,
  );
}
