import { notifyOperators } from '../../operators/notify.ts';
import { admit, noteFailure, noteSuccess, noteThrottled } from '../../pds/breaker.ts';
import type { PdsAdmin } from '../../pds/client/admin.ts';
import { describeServer } from '../../pds/client/server.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { connectionTo, type Provider } from '../../pds/provider.ts';
import { type ProviderState, providerOf, readProviderState, storeServiceDid } from '../../pds/providers.ts';
import type { PdsConnection } from '../../pds/xrpc.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';
import { restartQuarantine } from '../account/quarantine.ts';
import { Parked } from '../queue/outcome.ts';
import { type Run, reserved, type WorkerDeps } from '../run.ts';

/** A member's PDS, as a run uses it. */
export type AccountHost = {
  provider: Provider;
  state: ProviderState;
  pds: PdsConnection;
  /** Present where the operator gave us the admin password, and until the PDS refuses it. */
  admin?: PdsAdmin | undefined;
  /** The session of this run, once it has one. */
  session?: PdsSession;
  /** What went wrong with the provider in a run that could go on without it. */
  trouble?: XrpcError | undefined;
};

/** Opens the way to the member's PDS. Throws Parked when its breaker is open or it asked us to wait. */
export async function openAccountHost(run: Run): Promise<AccountHost> {
  const { sql, now, times } = run;
  const host = await findHost(run, reserved(run).provider_id);
  const admission = await admit(sql, host.state, { now: now(), probeMs: times.lease * 1000 });
  if (!admission.admitted) {
    if (admission.reason === 'provider_down') await restartQuarantine(run);
    throw new Parked(admission.reason, admission.until);
  }
  return host;
}

/** The way to a provider, whether or not it may be asked now. */
export async function findHost(
  deps: Pick<WorkerDeps, 'sql' | 'providers' | 'fetch' | 'now' | 'times'>,
  providerId: string,
): Promise<AccountHost> {
  const state = await readProviderState(deps.sql, providerId);
  const provider = providerOf(deps.providers, state);
  const pds = connectionTo(deps, provider, deps.times.http * 1000);
  const { adminPassword } = provider;
  return { provider, state, pds, admin: adminPassword === undefined ? undefined : { ...pds, adminPassword } };
}

/** The DID by which the PDS wants to be called in service tokens; asked for once and then known to all workers. */
export async function serviceDidOf(
  { sql }: WorkerDeps,
  { state, pds, provider }: AccountHost,
): Promise<string> {
  if (state.service_did === null) {
    const { did } = await describeServer(pds);
    await storeServiceDid(sql, provider.id, did);
    state.service_did = did;
  }
  return state.service_did;
}

/**
 * Tells the others how the provider did, once a run is over: any answer of its own, also a refusal, proves it well.
 * Returns the end of the pause if its breaker is open now, and whether this has closed it: then `callWaiting`.
 */
export async function reportProvider(
  { sql, now, log, metrics }: Pick<WorkerDeps, 'sql' | 'now' | 'log' | 'metrics'>,
  { provider, state }: AccountHost,
  error?: unknown,
): Promise<{ pausedUntil?: Date | undefined; recovered: boolean }> {
  const fault = error instanceof Error && !(error instanceof XrpcError) ? error.cause : error;
  const answered =
    error === undefined || (fault instanceof XrpcError && !fault.providerDown) || sawNoAccount(error);
  const recovered = answered && (await noteSuccess(sql, state));
  if (recovered) {
    log.info('circuit breaker closed', { provider: provider.id });
    await notifyOperators(sql, { kind: 'circuit_closed', subject: provider.id });
  }
  if (!(fault instanceof XrpcError)) return { recovered };
  if (fault.fault === 'throttled' && fault.retryAt && !fault.accountBusy) {
    await noteThrottled(sql, provider.id, fault.retryAt);
  }
  if (!fault.providerDown) return { recovered };
  const pausedUntil = await noteFailure(sql, provider.id, now());
  if (pausedUntil) {
    metrics.count('CircuitBreakerOpen');
    log.warn('circuit breaker open', { provider: provider.id, until: pausedUntil.toISOString() });
    await notifyOperators(sql, { kind: 'circuit_open', subject: provider.id });
  }
  return { pausedUntil, recovered };
}

/** Waiting out the quarantine comes after an answer: there is no such account, yet. */
function sawNoAccount(error: unknown): boolean {
  return error instanceof Parked && error.reason === 'outcome_unknown';
}
