/** What an error means to its caller, beside the message. */
export type AppErrorOptions = {
  /** HTTP status that the API answers with; 500 hides code and message from the caller. */
  status?: number;
  /** True when the same request may succeed later without anybody changing it. */
  retryable?: boolean;
  /** Names of the input fields that are wrong, for a 400. */
  fields?: readonly string[];
  /** Seconds until it makes sense to come back, for a 429 or 503. */
  retryAfter?: number;
  cause?: unknown;
};

/**
 * The one error of the project: made where the fact is known, mapped to HTTP in one place (lib/http).
 * `code` is SNAKE_CASE and documented; `message` says what happened and what to do, and holds no secret.
 */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: string;
  readonly status: number;
  readonly retryable: boolean;
  readonly fields: readonly string[];
  readonly retryAfter: number | undefined;

  constructor(code: string, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.status = options.status ?? 500;
    this.retryable = options.retryable ?? false;
    this.fields = options.fields ?? [];
    this.retryAfter = options.retryAfter;
  }
}
