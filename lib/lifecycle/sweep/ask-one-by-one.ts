import type { Did } from '../../brands.ts';
import { probeAccount } from '../../pds/probes/account.ts';
import { askForChecks } from './doubts.ts';
import { type Group, isBeingChecked, membersOf, type SweepDeps, WIDTH } from './group.ts';
import { connectionOf } from './homes.ts';
import { noteSeen } from './list-accounts.ts';
import { minding } from './provider-trouble.ts';
import { takeRequests } from './request-budget.ts';
import { sideBySide } from './side-by-side.ts';

/**
 * Where the host is mostly other people's, asks for the state of each member's account, those who were not seen for the
 * longest time first, as far as the budget goes. True when some are left for later.
 */
export async function askOneByOne(deps: SweepDeps, group: Group): Promise<boolean> {
  const { sql, now } = deps;
  const { sweep, home, deadline } = group;
  const unseen = await sql<{ id: number; pds_did: Did }[]>`
    SELECT id, pds_did FROM user_pds_mapping m
    WHERE ${membersOf(sql, group, now())} AND seen_in_sweep < ${sweep.id} AND NOT ${isBeingChecked(sql)}
    ORDER BY seen_in_sweep, last_verified_at NULLS FIRST`;
  const granted = await takeRequests(sql, home.id, { wanted: unseen.length, now: now() });
  const pds = connectionOf(deps, home);
  const trouble = minding(deps, home.id);
  const answers = await sideBySide(unseen.slice(0, granted), WIDTH, async ({ id, pds_did }) => {
    if (trouble.found || now() > deadline) return undefined;
    const probed = await probeAccount(pds, pds_did);
    return (await trouble.note(probed.error)) ? undefined : { id, active: probed.status === 'success' };
  });
  const heard = answers.filter((answer) => answer !== undefined);
  const active = heard.filter((answer) => answer.active).map(({ id }) => id);
  await noteSeen(sql, sweep, { now: now(), who: sql`id = ANY(${active}::bigint[])` });
  const doubtful = heard.filter((answer) => !answer.active).map(({ id }) => id);
  const isLeft = await askForChecks(deps, group, doubtful);
  return isLeft || heard.length < unseen.length;
}
