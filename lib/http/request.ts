import type * as z from 'zod/mini';
import type { Limiter } from '../auth/rate-limit.ts';
import type { Me, Member, Sessions } from '../auth/session/session.ts';
import type { StepUpNeed } from '../auth/step-up.ts';
import type { Log } from '../observability/log.ts';
import type { Contract } from './contract.ts';
import type { ApiEvent } from './event.ts';
import type { HostSettings, Origin } from './host.ts';

/** What any route needs. */
export type PublicRouteDeps = {
  hosts: HostSettings;
  log: Log;
  /** Awaited before the database is asked anything: see lib/db/wake.ts. */
  awake?: () => Promise<void>;
};
/** A member's or an admin's route needs to know members beside it, a signed one how to check who signed. */
export type RouteDeps<C extends Contract> = PublicRouteDeps &
  (C['limits'] extends object ? { limit: Limiter } : { limit?: Limiter }) &
  (C['access'] extends 'member' | 'admin' ? { sessions: Sessions } : { sessions?: Sessions }) &
  (C['access'] extends 'backend' | 'telegram' ? { admit: Admit } : { admit?: Admit });
/**
 * Throws unless the request was made by whom the route is for. Returns what tells a signed request from all others, for
 * its handler to use up: such a request counts once.
 */
export type Admit = (event: ApiEvent) => Promise<string | undefined>;

/** The token of the session that a request came with, and how: a page that gets no cookies sends it as a bearer. */
export type Presented = { readonly token: string; readonly as: 'cookie' | 'bearer' };

/** Nobody in particular; a request that a backend signed; who reads, as a query can find him; or who changes something, found already. */
type Asker<C extends Contract> = C['access'] extends 'member' | 'admin'
  ? C['method'] extends 'GET'
    ? { me: Me }
    : { member: Member; presented: Presented } & (C['stepUp'] extends object
        ? { stepUp: StepUpNeed }
        : unknown)
  : C['access'] extends 'backend'
    ? { signature: string }
    : unknown;

type Output<Schema> = Schema extends z.ZodMiniType ? z.output<Schema> : undefined;

/** A request as the handler of a contract gets it: asked at the right host, by the right one, in the right form. */
export type Request<C extends Contract> = Asker<C> &
  Origin & {
    query: Output<C['query']>;
    body: Output<C['body']>;
    params: Output<C['params']>;
    userAgent: string | undefined;
    /** The `Accept-Language` header. */
    acceptLanguage: string | undefined;
    /** As `name=value`. */
    cookies: readonly string[];
    /** Adds a Set-Cookie to the answer. */
    setCookie(cookie: string): void;
    /** Has the request id and the operation in every line. */
    log: Log;
    /** Aborts when there is no time left to answer. */
    signal: AbortSignal;
  };

export type Pagination = { limit: number; offset: number; total: number };
/** An answer without an envelope, e.g. a DID document. */
export type RawAnswer = {
  body: string;
  contentType: string;
  cacheControl: string;
  /** In place of the policy that every answer has. */
  contentSecurityPolicy?: string;
  /** In place of `no-referrer`, under which a browser hides even from us where a form comes from. */
  referrerPolicy?: 'same-origin';
};

/** What the handler of a contract returns. */
export type Result<C extends Contract> = C['data'] extends z.ZodMiniType
  ? C extends { paginated: true }
    ? { data: z.output<C['data']>; pagination: Pagination }
    : z.output<C['data']>
  : C['redirect'] extends number
    ? Redirect
    : RawAnswer;
/** `location`: an absolute URL, or a path of the app's origin. */
export type Redirect = { location: string };

export type Handler<C extends Contract> = (request: Request<C>) => Promise<Result<C>> | Result<C>;
