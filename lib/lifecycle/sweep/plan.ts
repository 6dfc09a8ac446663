import type { Sql } from '../../db/connect.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { notifyOperators } from '../../operators/notify.ts';
import { noteThrottled } from '../../pds/breaker.ts';
import { storeHealthChecks } from '../../pds/health-checks.ts';
import { FAILURES_TO_INACCESSIBLE } from '../../pds/health-problems.ts';
import { checkOf } from '../../pds/probe-identity.ts';
import { probeConnectivity, probeEndpoint } from '../../pds/probes/provider.ts';
import { advisedHours, asksTooMuch } from './advice.ts';
import { connectionOf, type Home, readHomes } from './homes.ts';
import { type ListDeps, listAccounts } from './list-accounts.ts';
import { type HealthQueue, sendCohorts } from './messages.ts';
import {
  type Begun,
  beginSweep,
  endPlanning,
  type Findings,
  keepSweep,
  leaveSweep,
  type ProviderFinding,
  type Sweep,
  SweepLost,
  storeFindings,
} from './sweeps.ts';

export type Planned = { sweepId: number; cohorts: number };
export type PlanDeps = ListDeps & HealthQueue & { metrics: Pick<Metrics, 'count'>; checkHours: number };

/**
 * Begins a sweep: finds out once for each provider what concerns all of its members, and sends a message for each data
 * key to the workers, who do the rest. May be repeated at any point: another run goes on with what a dead one began.
 * Undefined while another planner is at it.
 */
export async function planSweep(deps: PlanDeps): Promise<Planned | undefined> {
  const { sql, now, log } = deps;
  const begun = await beginSweep(sql, now());
  try {
    if (begun) return await plan(deps, begun);
  } catch (error) {
    if (!(error instanceof SweepLost)) {
      // If not even that can be written, the lease is over before Lambda begins another run.
      if (begun) await leaveSweep(sql, begun.sweep, now()).catch(() => undefined);
      throw error;
    }
  }
  log.info('another planner is at it');
  return undefined;
}

async function plan(deps: PlanDeps, { sweep, previous }: Begun): Promise<Planned> {
  const { sql, now, log } = deps;
  const homes = await readHomes(sql);
  const findings: Findings = {};
  for (const home of homes) {
    await keepSweep(sql, sweep, now());
    findings[home.id] = await examine(deps, { sweep, home, before: previous[home.id] });
    advise(deps, home);
  }
  await storeFindings(sql, sweep, findings);
  const cohorts = await readDataKeys(sql);
  await sendCohorts(
    deps,
    cohorts.map(({ data_key_id }) => ({ sweepId: sweep.id, dataKeyId: data_key_id })),
  );
  await sql.begin(async (tx) => {
    if (!(await endPlanning(tx, sweep, now()))) return;
    for (const [subject, { failures }] of Object.entries(findings)) {
      if (failures === FAILURES_TO_INACCESSIBLE)
        await notifyOperators(tx, { kind: 'provider_inaccessible', subject });
    }
  });
  log.info('sweep planned', { sweep_id: sweep.id, cohorts: cohorts.length, findings });
  return { sweepId: sweep.id, cohorts: cohorts.length };
}

type Examined = { sweep: Sweep; home: Home; before: ProviderFinding | undefined };

async function examine(deps: PlanDeps, { sweep, home, before }: Examined): Promise<ProviderFinding> {
  const { sql } = deps;
  const pds = connectionOf(deps, home);
  const [connectivity, endpoint] = await Promise.all([
    probeConnectivity(pds),
    probeEndpoint({ ...pds, endpoint: home.public_endpoint, rateLimitBypassKey: undefined }),
  ]);
  await storeHealthChecks(sql, [
    { ...checkOf('connectivity', home.endpoint, connectivity), subject: null },
    { ...checkOf('endpoint_reachable', home.public_endpoint, endpoint), subject: null },
  ]);
  const errors = [connectivity.error, endpoint.error].filter((error) => error !== undefined);
  const busyUntil = errors.find(({ fault }) => fault === 'throttled')?.retryAt;
  if (busyUntil) await noteThrottled(sql, home.id, busyUntil);
  if (errors.some(({ fault }) => fault !== 'throttled')) {
    return { state: 'down', listing: 'broken', failures: (before?.failures ?? 0) + 1 };
  }
  // That it takes no more accounts for now is another limit: only its answers to us count.
  if (busyUntil) return { state: 'busy', listing: 'broken', failures: before?.failures ?? 0 };
  const listing = await listAccounts(deps, sweep, home);
  if (listing === 'broken') deps.metrics.count('AccountListBroken');
  return { state: 'well', listing, failures: 0 };
}

function advise({ checkHours, log, metrics }: PlanDeps, { id, members }: Home): void {
  if (!asksTooMuch(members, checkHours)) return;
  metrics.count('CredentialChecksOverBudget');
  log.warn('PDS_CREDENTIAL_CHECK_HOURS asks more of a provider than its budget: checks come later', {
    provider: id,
    members,
    hours: checkHours,
    advised_hours: advisedHours(members),
  });
}

async function readDataKeys(sql: Sql): Promise<{ data_key_id: string }[]> {
  return sql<{ data_key_id: string }[]>`
    SELECT DISTINCT data_key_id FROM user_pds_mapping WHERE status = 'active'`;
}
