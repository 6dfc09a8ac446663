import { XrpcError } from '../../pds/xrpc-error.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { OutcomeUnknown, outcomeOf, Parked } from '../queue/outcome.ts';
import { callWaiting } from '../queue/relay.ts';
import type { Outcome } from '../queue/settle.ts';
import { type Run, reserved, stopInTime } from '../run.ts';
import { changeProvider } from './change-provider.ts';
import { otherProviders } from './choose-provider.ts';
import { type AccountHost, openAccountHost, reportProvider } from './provider-access.ts';

/** Refusals that say: there is no account of this member here. */
const REFUSED = new Set([
  'PROVIDER_NOT_CONFIGURED',
  'NO_INVITE',
  'NO_SERVICE_DOMAIN',
  'ACCOUNT_REFUSED',
  'HANDLES_REFUSED',
  'IDENTITY_NOT_REACHABLE',
  'ACCOUNT_CREATION_BROKE',
  'ACCOUNT_CREATION_UNANSWERED',
  'ACCOUNT_NOT_OURS_TO_OPEN',
]);

/**
 * Whether another provider may take the member over after this error. Only before there is an account, and when this
 * provider cannot make one now: it is down, too busy, or refuses. If nobody knows whether it has made one, then only with
 * did:web, where our DID document decides which account counts; a PDS that made a did:plc has decided itself. A provider
 * that answers, and with which an earlier attempt may still be at work, is waited for: at most the quarantine.
 */
export function mayFailOver({ identity }: Run, error: unknown): boolean {
  if (identity.provisioning_step !== 'reserved') return false;
  if (identity.did_method === 'plc' && identity.create_started_at !== null) return false;
  if (error instanceof Parked) return error.reason === 'provider_down' || error.reason === 'provider_busy';
  if (error instanceof ProvisioningError) return REFUSED.has(error.code);
  return error instanceof OutcomeUnknown || error instanceof XrpcError;
}

type Failure = { providerId: string; error: unknown };

/**
 * Has the account made by the member's provider, or, if that cannot, by the next one that would let him in, in this very
 * run. When none can, the work ends with the mildest of their reasons, at that provider: who may wait does not fail.
 */
export async function createSomewhere(
  run: Run,
  create: (run: Run, host: AccountHost) => Promise<void>,
): Promise<void> {
  const failures: Failure[] = [];
  for (;;) {
    stopInTime(run);
    try {
      run.host ??= await openAccountHost(run);
      return await create(run, run.host);
    } catch (error) {
      if (!mayFailOver(run, error)) throw await priceOf(run, failures, error);
      failures.push({ providerId: reserved(run).provider_id, error });
      if (!(await takeNext(run, failures))) throw await settleFor(run, failures);
    }
  }
}

/**
 * Who comes back to a provider, and waits there for what he sent before, has spent the attempt that another one did not
 * answer in this very run: or two that never answer would have him between them for ever.
 */
async function priceOf(run: Run, failures: readonly Failure[], error: unknown): Promise<unknown> {
  if (!(error instanceof Parked) || error.reason !== 'outcome_unknown') return error;
  const unanswered = failures.find((failure) => failure.error instanceof OutcomeUnknown);
  if (!unanswered) return error;
  await takeLeave(run, error);
  return unanswered.error;
}

async function takeNext(run: Run, failures: readonly Failure[]): Promise<boolean> {
  const tried = failures.map(({ providerId }) => providerId);
  for (const { id } of await otherProviders(run, tried)) {
    if (await moveTo(run, id, failures.at(-1)?.error)) return true;
  }
  return false;
}

async function settleFor(run: Run, failures: readonly Failure[]): Promise<unknown> {
  const { work, now, random } = run;
  const weight = ({ error }: Failure) =>
    MILDEST.indexOf(outcomeOf(error, { work, now: now(), random: random.fraction }).kind);
  const [last] = failures.slice(-1);
  const mildest = failures.toSorted((a, b) => weight(a) - weight(b))[0];
  if (!mildest || !last || weight(mildest) === weight(last)) return last?.error;
  return (await moveTo(run, mildest.providerId, last.error)) ? mildest.error : last.error;
}
const MILDEST: readonly Outcome['kind'][] = ['parked', 'again', 'failed'];

/** Leaves the member's provider for this one. */
async function moveTo(run: Run, to: string, error: unknown): Promise<boolean> {
  const { provider_id: from, create_started_at } = reserved(run);
  if (!(await changeProvider(run, to))) return false;
  run.log.warn('another provider takes over', {
    from,
    to,
    possible_orphan: create_started_at !== null,
    error,
  });
  await takeLeave(run, error);
  return true;
}

/** Asks the provider of this run nothing more, and tells the others how it did. */
async function takeLeave(run: Run, error: unknown): Promise<void> {
  const { host } = run;
  delete run.host;
  if (!host) return;
  const { recovered } = await reportProvider(run, host, error);
  if (recovered) await callWaiting(run, host.provider.id);
}
