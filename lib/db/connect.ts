import postgres from 'postgres';
import { AppError } from '../app-error.ts';
import { generations, reportLoss } from './generations.ts';
import { openSocket } from './socket.ts';
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
  now?: () => number;
};

/**
 * A client for a Lambda's module scope; connects with the first query.
 *
 * How values come back: bigint and count(*) as `number` (an id beyond 2^53 fails with DATABASE_NUMBER_TOO_LARGE,
 * never silently rounds), timestamptz as `Date` (milliseconds; who needs microseconds selects text, and hands that text
 * in again), jsonb parsed, numeric as string. Over the network the server's certificate is verified: see tls.ts.
 *
 * A lost connection fails what was in flight on the client (CONNECTION_DESTROYED) and nothing else: nothing is sent
 * twice, the next query connects anew. A frozen Lambda does not notice that its sockets die, so after `idleTimeout`
 * by the clock the next query gets a new connection without trying the old one.
 */
export function connect(url: string, options: ConnectOptions = {}): Sql {
  const idleTimeout = options.idleTimeout ?? 20;
  const { live, end } = generations({
    open: (lost) => openClient(url, { ...options, idleTimeout }, lost),
    idleMs: idleTimeout * 1000,
    now: options.now ?? Date.now,
  });
  return new Proxy(live(), {
    apply: (_, __, args: Parameters<Sql>) => live()(...args),
    get: (_, name) => (name === 'end' ? end : Reflect.get(live(), name)),
  });
}

function openClient(url: string, options: ConnectOptions, lost: () => Promise<void>): Sql {
  const { hostname, port, searchParams } = new URL(url);
  const connectTimeout = options.connectTimeout ?? 5;
  const address = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 5432),
    tls: tlsFor(hostname, searchParams.get('sslmode')),
    timeoutMs: connectTimeout * 1000,
  };
  const settings = {
    max: options.max ?? 1,
    prepare: options.prepare ?? true,
    idle_timeout: options.idleTimeout,
    max_lifetime: 15 * 60,
    connect_timeout: connectTimeout,
    ssl: false, // the socket comes encrypted
    socket: async () => {
      try {
        // By host and port the client names the server in the errors of this socket.
        const { host, port } = address;
        return reportLoss(Object.assign(await openSocket(address), { host, port }), lost);
      } catch (error) {
        void lost();
        throw error;
      }
    },
    connection: { application_name: options.applicationName ?? 'pds' },
    types: { bigint: { to: 20, from: [20], parse: safeInteger, serialize: String }, date: MOMENT },
    onnotice: () => {},
  };
  return postgres<{ bigint: postgres.PostgresType<number> }>(url, settings);
}

/** date, timestamp and timestamptz. The driver's own way through a Date would cut the microseconds off a text. */
const MOMENT = {
  to: 1184,
  from: [1082, 1114, 1184],
  parse: (text: string) => new Date(text),
  serialize: (moment: Date | string) => (moment instanceof Date ? moment.toISOString() : moment),
};

function safeInteger(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number;
  throw new AppError('DATABASE_NUMBER_TOO_LARGE', `The database holds ${text}, which is no safe integer.`);
}
