import { readHoldings } from '../../pds/client/migration.ts';
import { describeServer } from '../../pds/client/server.ts';
import { storeServiceDid } from '../../pds/providers.ts';
import { expectWelcome } from '../../provisioning/account/creation-rejected.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { findLeft, moveBackIn, NotFree } from '../../provisioning/orphans/left.ts';
import { openOrphanPassword } from '../../provisioning/orphans/password.ts';
import { ourRotationKey, readOwnLog } from '../../provisioning/plc/directory.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { newAccountPassword } from '../../provisioning/secrets.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import { sealForChange } from '../changes/sealed.ts';
import { NEW_PASSWORD, openEnd, ownerAt, runAt } from './stations.ts';

/**
 * requested → prepared: the new PDS would take him, the old one has his account, and his DID is ours to change; the
 * password of the new account is sealed before anything is done there. Who comes back to a PDS that he has moved away from
 * has the account and the password of then.
 */
export async function prepare(run: Run, change: Change): Promise<void> {
  const { sql, vault, identity, random, now } = run;
  const { data_key_id, provider_id } = reserved(run);
  const to = String(change.wish.provider);
  if (to === provider_id) throw new ProvisioningError('MOVE_ALREADY_THERE', 'You live on this PDS already.');
  if (!run.providers.some(({ id }) => id === to)) {
    throw new ProvisioningError(
      'PROVIDER_NOT_CONFIGURED',
      `The settings name no provider "${to}" any more. Choose another one.`,
    );
  }
  const left = await findLeft(run, to);
  if (left?.state === 'closing') throw notFree();
  const password = left ? await openOrphanPassword(vault, left) : newAccountPassword(random.bytes);
  await expectDidOurs(run);
  await expectSource(run);
  await expectTarget(run, await runAt(run, to, password));
  const sealed = await sealForChange(vault, data_key_id, change, NEW_PASSWORD, password);
  try {
    await sql.begin(async (tx) => {
      // The member before what he left behind, as everywhere.
      await tx`SELECT FROM user_pds_mapping WHERE user_id = ${identity.user_id} FOR UPDATE`;
      if (left) await moveBackIn(tx, left);
      // From now on nobody keeps the document: the new PDS must not read an old one when it is activated.
      await updateIdentity(tx, identity, {
        create_started_at: left ? now() : null,
        document_settles_at: null,
      });
      await advance(tx, run, change, {
        step: 'prepared',
        sealed: { [NEW_PASSWORD]: sealed },
        data_key_id,
        progress: { came_back: left !== undefined, from: provider_id },
      });
    });
  } catch (error) {
    throw error instanceof NotFree ? notFree() : error;
  }
}

/** With a did:web it always is. */
export async function expectDidOurs(run: Run): Promise<void> {
  if (run.identity.did_method === 'web') return;
  await hold(run);
  const { data } = await readOwnLog(run);
  if (data.rotationKeys.includes(ourRotationKey(run))) return;
  throw new ProvisioningError(
    'ROTATION_KEYS_NOT_OURS',
    'Our key is not among the rotation keys of your DID any more, so that only you can move it.',
  );
}

async function expectSource(run: Run): Promise<void> {
  const source = { run, host: await openEnd(run, run) };
  const { activated, validDid } = await readHoldings(await ownerAt(run, source));
  if (activated && validDid) return;
  throw new ProvisioningError(
    'MOVE_SOURCE_NOT_ACTIVE',
    'Your account is not active on your present PDS, or your DID does not lead there. GET /api/pds/health says more.',
  );
}

/** Asked anew, because this is what a token is made out to: it is not to be another service's name. */
async function expectTarget(run: Run, there: Run): Promise<void> {
  const host = await openEnd(run, there);
  await hold(run);
  const { did } = await describeServer(host.pds);
  if (did !== host.state.service_did) await storeServiceDid(run.sql, host.provider.id, did);
  await expectWelcome(there, host);
}

function notFree(): ProvisioningError {
  return new ProvisioningError(
    'MOVE_TARGET_CLOSING',
    'An account that you had on that PDS is being deleted there at this moment. Try again in half an hour.',
  );
}
