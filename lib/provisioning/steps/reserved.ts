import type { Did, Handle } from '../../brands.ts';
import type { Transaction } from '../../db/connect.ts';
import { newDid } from '../../identity/did.ts';
import { handleCandidates } from '../../identity/handle.ts';
import { reserveHostnames } from '../../identity/hostnames.ts';
import { newBootstrapKey, newMemberKey } from '../../identity/keys.ts';
import { chooseDataKey } from '../../vault/choose-data-key.ts';
import { sealSecret } from '../../vault/secrets.ts';
import { updateIdentity } from '../identity.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import type { Run } from '../run.ts';
import { mappingPlace, sealForMapping } from '../secrets.ts';

const MOST_CANDIDATES = 50;
const FIRST_MEMBER_KEY = 'pnptv-1';
/** 256 bits; a PDS takes up to 256 characters. */
const PASSWORD_BYTES = 32;

/**
 * requested → reserved: chooses everything that makes the identity, seals what is secret of it, and stores it all
 * in one transaction, before anything remote happens. None of it changes afterwards but a handle that a PDS refuses.
 */
export async function reserve(run: Run): Promise<void> {
  const { sql, vault, identity, naming, random } = run;
  const [provider] = run.providers;
  if (!provider) {
    throw new ProvisioningError(
      'NO_PROVIDER',
      'There is no identity server to use. Operators must set PDS_LOCAL_ENDPOINT.',
    );
  }
  const dataKeyId = await chooseDataKey(vault);
  const memberKey = newMemberKey(random.bytes);
  const bootstrapKey = newBootstrapKey(random.bytes);
  const password = Buffer.from(random.bytes(PASSWORD_BYTES)).toString('base64url');
  const [sealedKey, sealedBootstrapKey, sealedPassword] = await Promise.all([
    sealSecret(vault, dataKeyId, mappingPlace(identity, 'pds_private_key_encrypted'), memberKey.privateKey),
    sealForMapping(vault, dataKeyId, identity, 'bootstrap_key_sealed', bootstrapKey.privateKey),
    sealForMapping(vault, dataKeyId, identity, 'account_password_sealed', password),
  ]);
  memberKey.privateKey.fill(0);
  bootstrapKey.privateKey.fill(0);

  await sql.begin(async (tx) => {
    const { did, handle } = await reserveNames(tx, run);
    await updateIdentity(tx, identity, {
      pds_did: did,
      pds_handle: handle,
      provider_id: provider.id,
      data_key_id: dataKeyId,
      pds_public_key: memberKey.publicKeyMultibase,
      pds_private_key_encrypted: sealedKey.body,
      pds_private_key_iv: sealedKey.iv,
      pds_private_key_auth_tag: sealedKey.tag,
      bootstrap_key_sealed: sealedBootstrapKey,
      account_password_sealed: sealedPassword,
      // Not the member's address: whoever receives mail for the account can reset its password.
      account_email: `${random.uuid()}@${naming.emailDomain}`,
      atproto_public_key: bootstrapKey.publicKeyMultibase,
      provisioning_step: 'reserved',
    });
    await tx`
      INSERT INTO pds_verification_keys (user_id, key_id, public_key_multibase)
      VALUES (${identity.user_id}, ${FIRST_MEMBER_KEY}, ${memberKey.publicKeyMultibase})`;
  });
}

async function reserveNames(
  tx: Transaction,
  { identity, username, naming, random }: Run,
): Promise<{ did: Did; handle: Handle }> {
  const { domain, strategy, reserved } = naming;
  const wishes = handleCandidates({ username, strategy, domain, reserved, randomInt: random.int });
  for (const handle of wishes.take(MOST_CANDIDATES)) {
    const did = newDid({ handle, domain, randomBytes: random.bytes });
    if (await reserveHostnames(tx, { userId: identity.user_id, did, handle })) return { did, handle };
  }
  throw new ProvisioningError('NO_HANDLE_FREE', 'No free handle was found. Try again.', { retryable: true });
}
