import { storeHealthChecks } from '../../pds/health-checks.ts';
import { checkOf } from '../../pds/probe-identity.ts';
import { type PublicIdentity, probeDocument, probeHandle } from '../../pds/probes/outside.ts';
import { together } from '../../pds/probes/probe.ts';
import { askForChecks } from './doubts.ts';
import { type Group, isBeingChecked, membersOf, type SweepDeps, WIDTH } from './group.ts';
import { sideBySide } from './side-by-side.ts';

/** Each sweep takes another part of the members: all of them have their turn once a day. */
const PARTS = 24;

type Named = PublicIdentity & { id: number; user_id: string; pnptv_uuid: string };

/**
 * Looks at the DID document and the handle as the outside sees them: of those whose credentials were just proven, and of
 * the day's part of the others, who get their daily row with it. Whose are wrong gets a whole check.
 */
export async function lookAtNames(
  deps: SweepDeps,
  group: Group,
  proven: readonly number[],
): Promise<boolean> {
  const { sql, now, outside } = deps;
  const { sweep, home, deadline } = group;
  const members = await sql<Named[]>`
    SELECT id, user_id, pnptv_uuid, pds_did, pds_handle, pds_endpoint, atproto_public_key FROM user_pds_mapping m
    WHERE ${membersOf(sql, group, now())} AND verification_status = 'accessible' AND NOT ${isBeingChecked(sql)}
      AND (document_settles_at IS NULL OR document_settles_at <= ${now()})
      AND (id = ANY(${proven}::bigint[]) OR id % ${PARTS}::int = ${sweep.id % PARTS}::int)`;
  const looked = await sideBySide(members, WIDTH, async (member) => {
    if (now() > deadline) return undefined;
    const found = together(await Promise.all([probeDocument(outside, member), probeHandle(outside, member)]));
    return { member, found };
  });
  const heard = looked.filter((look) => look !== undefined);
  await storeHealthChecks(
    sql,
    heard
      .filter(({ member, found }) => found.status !== 'success' || member.id % PARTS === sweep.id % PARTS)
      .map(({ member: { user_id, pnptv_uuid }, found }) => ({
        ...checkOf('at_protocol', home.endpoint, found),
        subject: { userId: user_id, pnptvUuid: pnptv_uuid },
      })),
  );
  const wrong = heard.filter(({ found }) => found.status !== 'success').map(({ member }) => member.id);
  return askForChecks(deps, group, wrong);
}
