import { AppError } from '../../app-error.ts';
import { appendAudit } from '../../audit/append.ts';
import type { Did } from '../../brands.ts';
import type { Queryable, Sql } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { getRecommendedDidCredentials } from '../../pds/client/identity.ts';
import { repoMultikey, SETTLING_MS } from '../../provisioning/steps/identity_published.ts';
import { expectNoChange } from '../changes/request.ts';
import { inSession, type SessionDeps, type SessionOwner } from '../custody/in-session.ts';

/*
 * The key that signs a repository is made and held by the PDS, and no API replaces it. Whoever runs the PDS can: README,
 * "What is rotated, and what cannot be". These are the steps of it that are ours, done as the owner of the database.
 */

type Holder = SessionOwner & { pnptv_uuid: string; pds_endpoint: string; atproto_public_key: string };

/**
 * Has the member's document served with no-store until {@link publishRepoKey}. Once this is a minute old, nobody has one
 * in store that names the present key. May be repeated. Throws NO_SUCH_IDENTITY, and CHANGE_IN_PROGRESS.
 */
export async function prepareRepoKey(sql: Sql, did: Did): Promise<void> {
  await sql.begin(async (tx) => {
    const { user_id } = await readHolder(tx, did);
    await expectNoChange(tx, user_id);
    await tx`UPDATE user_pds_mapping SET document_settles_at = NULL WHERE user_id = ${user_id}`;
  });
}

/**
 * Publishes the key that the PDS now signs the member's repository with, whichever that is, as the PDS says it, and
 * writes it into his log. May be repeated: it is also what takes `prepareRepoKey` back. Throws NO_SUCH_IDENTITY,
 * CHANGE_IN_PROGRESS, PDS_ADDRESS_WRONG and XrpcError, and changes nothing then.
 */
export async function publishRepoKey(
  deps: SessionDeps & { sql: Sql },
  did: Did,
): Promise<{ before: string; after: string }> {
  const { sql, now } = deps;
  const holder = await readHolder(sql, did);
  const { user_id: userId, atproto_public_key: before } = holder;
  const { repoKey, endpoint } = await inSession(deps, holder, getRecommendedDidCredentials);
  if (endpoint !== holder.pds_endpoint) {
    throw new AppError(
      'PDS_ADDRESS_WRONG',
      `The PDS calls itself ${endpoint}, and the document of ${did} names ${holder.pds_endpoint}: check its hostname.`,
    );
  }
  const after = repoMultikey(repoKey);
  await sql.begin(async (tx) => {
    await expectNoChange(tx, userId);
    // A move that was over before this transaction has published the key of another PDS.
    const published = await tx`
      UPDATE user_pds_mapping SET atproto_public_key = ${after},
        document_settles_at = ${new Date(now().getTime() + SETTLING_MS)}
      WHERE user_id = ${userId} AND pds_did = ${did} AND status = 'active'
        AND atproto_public_key = ${before} AND pds_endpoint = ${endpoint}`;
    if (published.count === 0) throw apiError('CHANGE_IN_PROGRESS');
    if (after === before) return;
    await appendAudit(tx, {
      userId,
      pnptvUuid: holder.pnptv_uuid,
      action: 'updated',
      status: 'success',
      details: { atproto_public_key: after, replaces: before },
      createdBy: 'operator',
    });
  });
  return { before, after };
}

async function readHolder(sql: Queryable, did: Did): Promise<Holder> {
  const [holder] = await sql<Holder[]>`
    SELECT user_id, pnptv_uuid, pds_did, pds_endpoint, provider_id, account_password_sealed, credential_version,
      atproto_public_key
    FROM user_pds_mapping WHERE pds_did = ${did} AND status = 'active'`;
  if (holder) return holder;
  throw new AppError('NO_SUCH_IDENTITY', `No member has an active identity ${did}.`);
}
