import { askOneByOne } from './ask-one-by-one.ts';
import { askAboutDoubtful } from './doubts.ts';
import type { Group, SweepDeps } from './group.ts';
import type { Home } from './homes.ts';
import { lookAtNames } from './look-at-names.ts';
import { type Cohort, sendLater } from './messages.ts';
import { renewDue } from './renew.ts';
import { readSweep, SWEEP_MS } from './sweeps.ts';
import { countFailures, countRecoveries } from './verdicts.ts';

/** What the budget or the time did not allow is asked for again when a good part of the budget is back. */
const LATER_MS = 300_000;

/**
 * Does one sweep's work on the members of one data key: those of a provider that is down count a failure, together; the
 * others come back, are doubted, have their credentials proven and their names looked at. Safe to be repeated, also by
 * two workers at once: what is done is done once. A sweep that is over is left to the next one.
 */
export async function sweepCohort(deps: SweepDeps, cohort: Cohort): Promise<'done' | 'later' | 'stale'> {
  const { sql, now, log } = deps;
  const sweep = await readSweep(sql, cohort.sweepId, now());
  if (!sweep) return 'stale';
  const deadline = new Date(now().getTime() + deps.runSeconds * 1000);
  const homes = await sql<Pick<Home, 'id' | 'endpoint'>[]>`
    SELECT id, endpoint FROM pds_providers WHERE id IN (
      SELECT provider_id FROM user_pds_mapping WHERE data_key_id = ${cohort.dataKeyId} AND status = 'active')`;
  let isLeft = false;
  for (const home of homes) {
    if (await sweepGroup(deps, { sweep, dataKeyId: cohort.dataKeyId, home, deadline })) isLeft = true;
  }
  if (!isLeft) return 'done';
  if (now().getTime() + LATER_MS < sweep.started_at.getTime() + SWEEP_MS)
    await sendLater(deps, cohort, LATER_MS);
  log.info('the rest of a cohort comes later', cohort);
  return 'later';
}

/** True when something is left for later. */
async function sweepGroup(deps: SweepDeps, group: Group): Promise<boolean> {
  const finding = group.sweep.findings[group.home.id];
  if (!finding || finding.state === 'busy') return false;
  if (finding.state === 'down') {
    await countFailures(deps, group);
    return false;
  }
  const left = [finding.listing === 'foreign' && (await askOneByOne(deps, group))];
  await countRecoveries(deps, group);
  left.push(await askAboutDoubtful(deps, group));
  const { proven, isLeft } = await renewDue(deps, group);
  left.push(isLeft, await lookAtNames(deps, group, proven));
  return left.includes(true);
}
