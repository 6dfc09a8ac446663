import type * as z from 'zod/mini';
import type { Limit } from '../auth/rate-limit.ts';
import type { ErrorCode } from './error-codes.ts';

/**
 * Who may call a route: whoever has a session, an administrator, a backend that signs its requests with one of
 * INTERNAL_API_KEYS, Telegram with TELEGRAM_WEBHOOK_SECRET. The `route()` wrapper enforces it; a test walks every contract.
 */
export type Access = 'public' | 'member' | 'admin' | 'backend' | 'telegram';
/** Which kind of host answers: the app's own origin, or a member's name under PDS_DOMAIN. */
export type HostKind = 'app' | 'member';

/**
 * The contract of one HTTP route. The same value gives CDK its route, OpenAPI its path and the handler its types.
 * `data` is what the envelope's `data` holds; `raw` routes (well-known documents, pages) answer without an envelope.
 */
export type Contract<
  Query extends z.ZodMiniType = z.ZodMiniType,
  Body extends z.ZodMiniType = z.ZodMiniType,
  Data extends z.ZodMiniType = z.ZodMiniType,
  Params extends z.ZodMiniType = z.ZodMiniType,
> = {
  /** camelCase; in kebab-case it is the name of the function's file. */
  readonly operationId: string;
  readonly summary: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: `/${string}`;
  readonly access: Access;
  readonly host: HostKind;
  /**
   * The route needs a second factor: a step-up for this operation, used up by the handler (auth/step-up.ts). `target`
   * names the parameter of the path or the field of the body whose value the step-up must be for, or all of those whose
   * values it must be for together. A test fails for one that would be left to whoever holds the session.
   */
  readonly stepUp?: { readonly target?: string | readonly string[] };
  /** How often a member, and a network, may use it; whoever does more is refused with `RATE_LIMITED`. */
  readonly limits?: { readonly member?: Limit; readonly address?: Limit };
  readonly query?: Query;
  /** Of the parameters in the path, e.g. `{id}`: one for each. */
  readonly params?: Params;
  /** Absent: the route takes no body, and one that is sent is refused. */
  readonly body?: Body;
  /** Of a route whose bodies may be longer than 16 KiB: what they have at most. */
  readonly maxBodyBytes?: number;
  readonly data?: Data;
  /** Of a route without `data`: what its answer is, and an example of it. */
  readonly bare?: { readonly contentType: string; readonly example: unknown };
  /** Of a route that answers with nothing but the way to another page: its status. */
  readonly redirect?: 302 | 303;
  /** Of a redirect: an example of where it leads; `/` unless said. */
  readonly leadsTo?: string;
  /** A success sets the cookie `__Host-session`, to a session or to its new token. */
  readonly setsSession?: true;
  /** A success sets the cookie `__Host-login`, or the route knows the browser by it. */
  readonly loginCookie?: 'set' | 'read';
  /** The answer also holds `pagination {limit, offset, total}`. */
  readonly paginated?: boolean;
  /** The name under which a browser keeps the answer as a file, instead of showing it. */
  readonly download?: string;
  /** Error codes of this route beside those that any route of its access may answer. */
  readonly errors?: readonly ErrorCode[];
};

/** Declares a contract, keeping its exact types. */
export function contract<const C extends Contract>(value: C): C {
  return value;
}
