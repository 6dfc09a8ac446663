import { notifyOperators } from '../../operators/notify.ts';
import { storeHealthChecks } from '../../pds/health-checks.ts';
import { checkOf } from '../../pds/probe-identity.ts';
import { type PublicIdentity, probeDocument, probeHandle } from '../../pds/probes/outside.ts';
import { together } from '../../pds/probes/probe.ts';
import { askForChecks } from './doubts.ts';
import { type Group, isBeingChecked, membersOf, type SweepDeps, WIDTH } from './group.ts';
import { sideBySide } from './side-by-side.ts';

/** Each sweep takes another part of the members: all of them have their turn once a day. */
const PARTS = 24;

/** The database's clock from ours. Nobody was looked at so shortly before his turn, or it was as good. */
const CLOCKS_DIFFER_MS = 600_000;
/** From so many wrong names on, if they are most of those looked at, it is nothing about their members. */
const MANY = 5;

type Named = PublicIdentity & { id: number; user_id: string; pnptv_uuid: string };

/**
 * Looks at the DID document and the handle as the outside sees them: of those whose credentials were just proven, and of
 * the day's part of the others, who get their daily row with it: once a sweep, however often its message comes. Whose are
 * wrong gets a whole check; but when most are, it is our edge, DNS or the PLC directory: nothing is said about any member,
 * operators are told, and they are looked at later. True when some are left for later.
 */
export async function lookAtNames(
  deps: SweepDeps,
  group: Group,
  proven: readonly number[],
): Promise<boolean> {
  const { sql, now, outside, log } = deps;
  const { sweep, home, deadline } = group;
  const since = new Date(sweep.started_at.getTime() - CLOCKS_DIFFER_MS);
  const members = await sql<Named[]>`
    SELECT id, user_id, pnptv_uuid, pds_did, pds_handle, pds_endpoint, atproto_public_key FROM user_pds_mapping m
    WHERE ${membersOf(sql, group, now())} AND verification_status = 'accessible' AND NOT ${isBeingChecked(sql)}
      AND (document_settles_at IS NULL OR document_settles_at <= ${now()})
      AND (id = ANY(${proven}::bigint[]) OR id % ${PARTS}::int = ${sweep.id % PARTS}::int AND NOT EXISTS (
        SELECT FROM pds_health_checks c WHERE c.user_id = m.user_id AND c.created_at >= ${since}
          AND c.check_type = 'at_protocol' AND c.status = 'success'))`;
  const looked = await sideBySide(members, WIDTH, async (member) => {
    if (now() > deadline) return undefined;
    const found = together(await Promise.all([probeDocument(outside, member), probeHandle(outside, member)]));
    return { member, found };
  });
  const heard = looked.filter((look) => look !== undefined);
  const wrong = heard.filter(({ found }) => found.status !== 'success').map(({ member }) => member);
  const [first] = wrong;
  if (first && wrong.length >= MANY && wrong.length > heard.length / 2) {
    await notifyOperators(sql, { kind: 'names_wrong', subject: domainOf(first) });
    log.warn('most names are wrong: it is not about their members', {
      provider: home.id,
      looked_at: heard.length,
      wrong: wrong.length,
    });
    return true;
  }
  await storeHealthChecks(
    sql,
    heard
      .filter(({ member, found }) => found.status !== 'success' || member.id % PARTS === sweep.id % PARTS)
      .map(({ member: { user_id, pnptv_uuid }, found }) => ({
        ...checkOf('at_protocol', home.endpoint, found),
        subject: { userId: user_id, pnptvUuid: pnptv_uuid },
      })),
  );
  const isLeft = await askForChecks(
    deps,
    group,
    wrong.map(({ id }) => id),
  );
  return isLeft || heard.length < members.length;
}

/** Without the member's own label, which may be his name on Telegram. */
function domainOf({ pds_handle }: Named): string {
  return pds_handle.slice(pds_handle.indexOf('.') + 1);
}
