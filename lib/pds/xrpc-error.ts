/**
 * How a request to a PDS went wrong. What follows from it is the caller's to say.
 *
 * - `unreachable`: no connection, so the request never left.
 * - `timeout`, `interrupted`: it may have left and may still be at work there.
 * - `unavailable`: 502, 503 or 504, from the PDS or from something before it.
 * - `throttled`: 429; `retryAt` says when to come back.
 * - `rejected`: a 4xx in the words of XRPC: the PDS has understood and refused.
 * - `server_error`: any other 5xx.
 * - `malformed`: an answer that no PDS gives: a redirect, HTML, half a JSON, the wrong fields, too long.
 */
export type XrpcFault =
  | 'unreachable'
  | 'timeout'
  | 'interrupted'
  | 'unavailable'
  | 'throttled'
  | 'rejected'
  | 'server_error'
  | 'malformed';

/**
 * @NOTE `@atproto/pds`, `calcKey` in createSession.ts and updateHandle.ts; everything else counts for our address. So does
 * uploadBlob.ts, but by itself and for a whole day: it must not keep those away who bring no blobs.
 */
const LIMITED_BY_ACCOUNT = [
  'com.atproto.server.createSession',
  'com.atproto.identity.updateHandle',
  'com.atproto.repo.uploadBlob',
];

export type XrpcErrorOptions = {
  nsid: string;
  fault: XrpcFault;
  /** HTTP status, if there was an answer. */
  status?: number;
  /** The lexicon's error name, e.g. `InvalidInviteCode`. */
  error?: string;
  /** What the PDS says about it; never anything that we sent. */
  detail?: string;
  retryAt?: Date;
  cause?: unknown;
};

/** A request to a PDS that did not get its answer. Holds nothing of the request but its method. */
export class XrpcError extends Error {
  override readonly name = 'XrpcError';
  readonly nsid: string;
  readonly fault: XrpcFault;
  readonly status: number | undefined;
  readonly error: string | undefined;
  readonly detail: string | undefined;
  readonly retryAt: Date | undefined;

  constructor({ nsid, fault, status, error, detail, retryAt, cause }: XrpcErrorOptions) {
    super(`${nsid}: ${[fault, status, error, detail].filter((part) => part !== undefined).join(' ')}`, {
      cause,
    });
    this.nsid = nsid;
    this.fault = fault;
    this.status = status;
    this.error = error;
    this.detail = detail;
    this.retryAt = retryAt;
  }

  /** Whether the PDS itself has answered that the operation is over and failed: an error in XRPC's own form. */
  get final(): boolean {
    return this.error !== undefined && (this.fault === 'rejected' || this.fault === 'server_error');
  }

  /** Whether a 429 is about this one account: nobody else has to wait for it. */
  get accountBusy(): boolean {
    return this.fault === 'throttled' && LIMITED_BY_ACCOUNT.includes(this.nsid);
  }

  /** Whether the PDS, and not this one request, is in trouble. */
  get providerDown(): boolean {
    return ['unreachable', 'timeout', 'interrupted', 'unavailable'].includes(this.fault);
  }
}

/** Whether this is a PDS's refusal by this name (or by one of these). */
export function isRejection(error: unknown, ...names: readonly string[]): error is XrpcError {
  return (
    error instanceof XrpcError &&
    error.fault === 'rejected' &&
    (names.length === 0 || (error.error !== undefined && names.includes(error.error)))
  );
}

/** Whether a PDS answered that it does not offer this: other ones than `@atproto/pds` leave things out. */
export function isNotOffered(error: unknown): error is XrpcError {
  return error instanceof XrpcError && (error.fault === 'rejected' || error.status === 501);
}
