import { LogFormatter, Logger, LogItem } from '@aws-lambda-powertools/logger';
import type { LogAttributes, UnformattedAttributes } from '@aws-lambda-powertools/logger/types';
import { redact } from './redact.ts';

/** What a line says beside its message. An error goes under `error`; it is printed with code, stack and causes. */
export type Fields = Readonly<Record<string, unknown>>;

/** Writes JSON lines. Secrets by name or shape are taken out on the way: see redact.ts. */
export type Log = {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** The same log with these fields in every line, e.g. the request id. */
  with(fields: Fields): Log;
};

type Level = Exclude<keyof Log, 'with'>;
const DEEPEST_CAUSE = 5;

/** Opens the log of a Lambda, at module scope. `POWERTOOLS_LOG_LEVEL` sets the level (default INFO). */
export function openLog(serviceName: string): Log {
  const logger = new Logger({ serviceName, logFormatter: new Formatter(), jsonReplacerFn: redact });
  return bind((level, message, fields) => logger[level](message, fields), {});
}

/** A log that says nothing, for code that runs where nobody listens. */
export const silentLog: Log = bind(() => {}, {});

function bind(write: (level: Level, message: string, fields: Fields) => void, bound: Fields): Log {
  const at = (level: Level) => (message: string, fields?: Fields) =>
    write(level, message, { ...bound, ...fields });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => bind(write, { ...bound, ...fields }),
  };
}

/**
 * One flat object a line. Of an error it prints only what is known to be safe: libraries hang more on theirs, `postgres`
 * the parameters of the query, the AWS SDK the whole response.
 */
class Formatter extends LogFormatter {
  override formatAttributes(
    { logLevel, message, timestamp, serviceName, xRayTraceId }: UnformattedAttributes,
    fields: LogAttributes,
  ): LogItem {
    const standard = { level: logLevel, message, timestamp: timestamp.toISOString(), service: serviceName };
    return new LogItem({ attributes: { ...standard, ...fields, xray_trace_id: xRayTraceId } });
  }

  override formatError(error: Error) {
    return describeError(error);
  }
}

type ErrorDescription = { name: string; code?: string; message: string; stack?: string; cause?: unknown };

function describeError(error: Error, depth = 1): ErrorDescription {
  const { cause } = error;
  return {
    name: error.name,
    ...('code' in error && { code: String(error.code) }),
    message: error.message,
    ...(error.stack !== undefined && { stack: error.stack }),
    ...(cause instanceof Error && depth < DEEPEST_CAUSE && { cause: describeError(cause, depth + 1) }),
  };
}
