import { AppError } from '../../app-error.ts';
import { isTransientDatabaseError } from '../../db/transient.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';
import type { ErrorDetails, Work } from '../identity.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { CALLED_AHEAD_MS } from '../times.ts';
import type { Outcome, ParkedReason } from './settle.ts';

/** Thrown by a step that must wait through no fault of its own. */
export class Parked extends Error {
  override readonly name = 'Parked';
  readonly reason: ParkedReason;
  readonly until: Date;
  constructor(reason: ParkedReason, until: Date) {
    super(`waits until ${until.toISOString()}: ${reason}`);
    this.reason = reason;
    this.until = until;
  }
}

/**
 * Thrown when a createAccount may or may not have happened. It spends an attempt but never the last one: what
 * follows is looking, and only when nothing can be running any more is it decided whether there is another attempt.
 */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
  readonly lookAgainAt: Date;
  constructor(cause: XrpcError, lookAgainAt: Date) {
    super('the PDS did not say how the account creation ended', { cause });
    this.lookAgainAt = lookAgainAt;
  }
}

/** Thrown when a check found the identity not working and is to be repeated. */
export class CheckFailed extends Error {
  override readonly name = 'CheckFailed';
  readonly repeatAt: Date;
  constructor(repeatAt: Date, cause: XrpcError | undefined) {
    super('the identity did not pass its check', { cause });
    this.repeatAt = repeatAt;
  }
}

/** A 429 that says nothing else: the window of most limits. */
const THROTTLED_MS = 5 * 60_000;
const FIRST_BACKOFF_MS = 4_000;
const LONGEST_BACKOFF_MS = 120_000;

/** What a person reads whose identity waits or failed because of the PDS. */
const PDS_MESSAGES: Partial<Record<XrpcError['fault'], string>> = {
  server_error:
    'The identity server answered with an internal error. Try again; if it stays, tell an operator.',
  malformed: 'The identity server gave an answer that makes no sense. Operators must check its address.',
  rejected:
    'The identity server refused the request. Operators can see why in the queue row’s error_details.',
};

const OUR_TROUBLE =
  'Something is wrong on our side, not with your identity. Operators look into it; then try again.';

/**
 * What an error means for the work it ended. `random` is uniform in [0, 1).
 * Rethrows what nobody foresaw: that is a crash of the worker, and SQS brings the message back.
 *
 * A provider in trouble (no connection, no answer in time, 502–504, 429) costs the member no attempt, or an outage
 * would fail everybody who logs in during it. A 500 or nonsense may be about this one member, so attempts bound it.
 */
export function outcomeOf(
  error: unknown,
  { work, now, random }: { work: Work; now: Date; random: () => number },
): Outcome {
  if (error instanceof Parked) return parked(error.reason, error.until, now);
  if (error instanceof OutcomeUnknown) {
    const message = 'The identity server did not answer in time. We look whether it did the work.';
    return { kind: 'again', error: { code: 'PDS_OUTCOME_UNKNOWN', message }, until: error.lookAgainAt };
  }
  if (error instanceof CheckFailed) {
    const message = 'The identity did not pass its check; it is checked again.';
    return { kind: 'again', error: { code: 'CHECK_FAILED', message }, until: error.repeatAt };
  }
  if (error instanceof XrpcError) {
    if (error.fault === 'throttled') {
      const reason = error.accountBusy ? 'account_busy' : 'provider_busy';
      return parked(reason, error.retryAt ?? new Date(now.getTime() + THROTTLED_MS), now);
    }
    if (error.providerDown) {
      // Comes back by itself, which the others in the line do not: the PDS has to be asked by somebody.
      return { kind: 'parked', reason: 'provider_down', until: jitter(now, 5_000, random), tellWorker: true };
    }
    return againOrFailed(describe(error), { work, now, random });
  }
  if (error instanceof AppError) {
    const message = error instanceof ProvisioningError ? error.message : OUR_TROUBLE;
    const details = { code: error.code, message, ...causeOf(error) };
    return error.retryable
      ? againOrFailed(details, { work, now, random })
      : { kind: 'failed', error: details };
  }
  if (isTransientDatabaseError(error)) {
    const message = 'Our database was busy. Try again.';
    return againOrFailed({ code: 'DATABASE_BUSY', message }, { work, now, random });
  }
  throw error;
}

/** Whoever stands in a provider's line is called by the relay, by age; before it comes again he has a message of his own. */
function parked(reason: ParkedReason, until: Date, now: Date): Outcome {
  const soon = until.getTime() - now.getTime() <= CALLED_AHEAD_MS;
  return { kind: 'parked', reason, until, tellWorker: soon && reason !== 'provider_down' };
}

function againOrFailed(
  error: ErrorDetails,
  { work, now, random }: { work: Work; now: Date; random: () => number },
): Outcome {
  if (work.attemptCount + 1 >= work.maxAttempts) return { kind: 'failed', error };
  return { kind: 'again', error, until: new Date(now.getTime() + backoffMs(work.attemptCount, random)) };
}

/**
 * Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): anywhere between
 * now and 4 s · 2^attempts.
 */
export function backoffMs(attempts: number, random: () => number): number {
  return random() * Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempts);
}

function describe(error: XrpcError): ErrorDetails {
  const message = PDS_MESSAGES[error.fault] ?? 'The identity server could not be used.';
  return { code: `PDS_${error.fault.toUpperCase()}`, message, ...facts(error) };
}

/** What operators need to know of a PDS's answer: for the queue row's `error_details`. */
function facts({ nsid, status, error, detail }: XrpcError) {
  return { nsid, ...(status && { status }), ...(error && { error }), ...(detail && { detail }) };
}

function causeOf({ cause }: AppError) {
  return cause instanceof XrpcError ? facts(cause) : {};
}

function jitter(from: Date, spreadMs: number, random: () => number): Date {
  return new Date(from.getTime() + spreadMs * (0.2 + 0.8 * random()));
}
