import postgres from 'postgres';
import { AppError } from '../app-error.ts';
import { tlsFor } from './tls.ts';

type Types = { bigint: number };

/** A database: queries, and `begin` for transactions. */
export type Sql = postgres.Sql<Types>;
/** Inside a transaction: queries and savepoints. */
export type Transaction = postgres.TransactionSql<Types>;
/** Either: for a query that does not mind where it runs. */
export type Queryable = postgres.ISql<Types>;
/** What may be handed to `sql.json()`. */
export type JsonValue = postgres.JSONValue;

export type ConnectOptions = {
  /** Shown in pg_stat_activity: the Lambda's name. */
  applicationName?: string;
  /** Connections; a Lambda serves one request at a time and needs one. Default 1. */
  max?: number;
  /** Named prepared statements; false behind RDS Proxy, where they pin the session. Default true. */
  prepare?: boolean;
  /** Seconds without a query after which a connection closes. Default 20. */
  idleTimeout?: number;
  /** Seconds to wait for a connection. Default 5. */
  connectTimeout?: number;
};

/**
 * A client for a Lambda's module scope; connects with the first query and does not keep the process alive.
 *
 * How values come back: bigint and count(*) as `number` (an id beyond 2^53 fails with DATABASE_NUMBER_TOO_LARGE,
 * never silently rounds), timestamptz as `Date` (milliseconds; who needs microseconds selects text), jsonb parsed,
 * numeric as string. Over the network the server's certificate is verified: see tls.ts.
 */
export function connect(url: string, options: ConnectOptions = {}): Sql {
  const { hostname, searchParams } = new URL(url);
  return postgres<{ bigint: postgres.PostgresType<number> }>(url, {
    max: options.max ?? 1,
    prepare: options.prepare ?? true,
    idle_timeout: options.idleTimeout ?? 20,
    max_lifetime: 15 * 60,
    connect_timeout: options.connectTimeout ?? 5,
    ssl: tlsFor(hostname, searchParams.get('sslmode')),
    connection: { application_name: options.applicationName ?? 'pds' },
    types: { bigint: { to: 20, from: [20], parse: safeInteger, serialize: String } },
    onnotice: () => {},
  });
}

function safeInteger(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number;
  throw new AppError('DATABASE_NUMBER_TOO_LARGE', `The database holds ${text}, which is no safe integer.`);
}
