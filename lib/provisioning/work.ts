import { verify } from './check/verify.ts';
import { LeaseLost, updateIdentity } from './identity.ts';
import { reportProvider } from './providers/provider-access.ts';
import { type Claim, claim } from './queue/claim.ts';
import { outcomeOf } from './queue/outcome.ts';
import { type QueueId, sendQueued } from './queue/queue.ts';
import { callWaiting } from './queue/relay.ts';
import { completeRow, type Outcome, settle } from './queue/settle.ts';
import type { Actions, QueueDeps, Run, WorkerDeps } from './run.ts';
import { provision } from './saga.ts';

/** What became of a message: one of the outcomes, or why nothing was done. */
export type WorkResult = 'done' | Outcome['kind'] | 'lease_lost' | Exclude<Claim['kind'], 'claimed'>;

/** Work that finds other work on its member comes back so soon; the relay, which would bring it too, takes a minute. */
const LOOK_AGAIN_MS = 2_000;

/**
 * Does the work of one row of the queue. Whatever its result, it is in the database and the message has served;
 * it throws only where nothing could be written down, and then the message must come back.
 */
export async function performWork(deps: WorkerDeps & QueueDeps, queueId: QueueId): Promise<WorkResult> {
  const claimed = await claim(deps, queueId);
  if (claimed.kind !== 'claimed') {
    if (claimed.kind === 'dead') deps.metrics.count('ProvisioningDead');
    if (claimed.kind === 'busy') await sendQueued(deps, queueId, LOOK_AGAIN_MS);
    return claimed.kind;
  }
  const { work, identity, username } = claimed;
  const log = deps.log.with({ queue_id: queueId, action: work.action, pnptv_uuid: identity.pnptv_uuid });
  const run: Run = { ...deps, log, work, identity, username, startedAt: deps.now() };
  try {
    await deps.actions[work.action]?.(run);
  } catch (error) {
    if (error instanceof LeaseLost) {
      log.info('another worker has taken over');
      return 'lease_lost';
    }
    return await conclude(deps, run, error);
  }
  const report = run.host && (await reportProvider(run, run.host, run.host.trouble));
  if (run.followUp !== undefined) await sendQueued(deps, run.followUp);
  if (run.host && report?.recovered) await callWaiting(run, run.host.provider.id);
  return 'done';
}

/** What the provisioning worker does. */
export const PROVISIONING: Actions = {
  create: makeIdentity,
  retry: makeIdentity,
  verify: (run) => (run.identity.status === 'active' ? verify(run) : finish(run)),
};

async function makeIdentity(run: Run): Promise<void> {
  const { identity, now, startedAt, metrics, log } = run;
  if (identity.status === 'active' || identity.status === 'revoked') return finish(run);
  if (identity.status === 'error') {
    await updateIdentity(run.sql, identity, { status: 'pending', error_code: null, error_message: null });
  }
  await provision(run);
  metrics.count('IdentityProvisioned');
  const took = now().getTime() - startedAt.getTime();
  metrics.took('ProvisioningDuration', took);
  log.info('identity active', { took_ms: took });
}

/** Ends work for which there is nothing to do any more. */
export async function finish({ sql, work, identity }: Run): Promise<void> {
  await sql.begin(async (tx) => {
    await completeRow(tx, work);
    await updateIdentity(tx, identity, { lease_until: null });
  });
}

async function conclude(deps: WorkerDeps & QueueDeps, run: Run, error: unknown): Promise<WorkResult> {
  const { sql, work, identity, now, random, log, metrics } = run;
  const report = run.host && (await reportProvider(run, run.host, error));
  const outcome = outcomeOf(error, { work, now: now(), random: random.fraction });
  // Comes back as the next probe; those that find the breaker open wait for what it finds.
  const pausedUntil = report?.pausedUntil;
  if (pausedUntil && outcome.kind === 'parked' && pausedUntil > outcome.until) outcome.until = pausedUntil;
  try {
    await settle(sql, work, identity, outcome);
  } catch (lost) {
    if (lost instanceof LeaseLost) return 'lease_lost';
    throw lost;
  }
  const fields = { outcome: outcome.kind, step: identity.provisioning_step, error };
  if (outcome.kind === 'failed') {
    metrics.count('ProvisioningFailed');
    log.error('work failed', { ...fields, code: outcome.error.code });
  } else {
    log.info('work waits', { ...fields, until: outcome.until.toISOString() });
    if (outcome.kind === 'again' || outcome.tellWorker) {
      // SQS brings the row back when it is due. If it does not, the relay does.
      await sendQueued(deps, work.queueId, outcome.until.getTime() - now().getTime());
    }
  }
  if (run.host && report?.recovered) await callWaiting(run, run.host.provider.id);
  return outcome.kind;
}
