import type { Did, Handle } from '../../brands.ts';
import type { Transaction } from '../../db/connect.ts';
import { newDid } from '../../identity/did.ts';
import { handleCandidates } from '../../identity/handle.ts';
import { reserveHostnames } from '../../identity/hostnames.ts';
import { newK256Key, newMemberKey } from '../../identity/keys.ts';
import { chooseDataKey } from '../../vault/choose-data-key.ts';
import { sealSecret } from '../../vault/secrets.ts';
import { updateIdentity } from '../identity.ts';
import { chooseProvider } from '../providers/choose-provider.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import type { Run } from '../run.ts';
import { mappingPlace, newAccountPassword, sealForMapping } from '../secrets.ts';

const MOST_CANDIDATES = 50;
export const FIRST_MEMBER_KEY = 'pnptv-1';

/**
 * requested → reserved: chooses everything that makes the identity, seals what is secret of it, and stores it all
 * in one transaction, before anything remote happens. None of it changes afterwards but a handle that a PDS refuses.
 */
export async function reserve(run: Run): Promise<void> {
  const { sql, vault, identity, naming, random } = run;
  const { didMethod } = naming;
  const provider = await chooseProvider(run);
  const dataKeyId = await chooseDataKey(vault);
  const memberKey = newMemberKey(random.bytes);
  const password = newAccountPassword(random.bytes);
  const [sealedKey, sealedPassword, ownKey] = await Promise.all([
    sealSecret(vault, dataKeyId, mappingPlace(identity, 'pds_private_key_encrypted'), memberKey.privateKey),
    sealForMapping(vault, dataKeyId, identity, 'account_password_sealed', password),
    didMethod === 'plc' ? newRotationKey(run, dataKeyId) : newFirstAtprotoKey(run, dataKeyId),
  ]);
  memberKey.privateKey.fill(0);

  await sql.begin(async (tx) => {
    const { did, handle } = await reserveNames(tx, run);
    await updateIdentity(tx, identity, {
      did_method: didMethod,
      pds_did: did,
      pds_handle: handle,
      provider_id: provider.id,
      data_key_id: dataKeyId,
      pds_public_key: memberKey.publicKeyMultibase,
      pds_private_key_encrypted: sealedKey.body,
      pds_private_key_iv: sealedKey.iv,
      pds_private_key_auth_tag: sealedKey.tag,
      account_password_sealed: sealedPassword,
      // Not the member's address: whoever receives mail for the account can reset its password.
      account_email: `${random.uuid()}@${naming.emailDomain}`,
      ...ownKey,
      provisioning_step: 'reserved',
    });
    await tx`
      INSERT INTO pds_verification_keys (user_id, key_id, public_key_multibase)
      VALUES (${identity.user_id}, ${FIRST_MEMBER_KEY}, ${memberKey.publicKeyMultibase})`;
  });
}

/** did:web: the key by which the DID is ours until the PDS's own takes over. */
async function newFirstAtprotoKey({ vault, identity, random }: Run, dataKeyId: string) {
  const { publicKeyMultibase, privateKey } = newK256Key(random.bytes);
  const sealed = await sealForMapping(vault, dataKeyId, identity, 'bootstrap_key_sealed', privateKey);
  privateKey.fill(0);
  return { bootstrap_key_sealed: sealed, atproto_public_key: publicKeyMultibase };
}

/** did:plc: the key that stands above those of the PDS, and below one of the member's own. */
async function newRotationKey({ vault, identity, random }: Run, dataKeyId: string) {
  const { publicKeyMultibase, privateKey } = newK256Key(random.bytes);
  const sealed = await sealForMapping(vault, dataKeyId, identity, 'rotation_key_sealed', privateKey);
  privateKey.fill(0);
  return { rotation_key_sealed: sealed, rotation_public_key: publicKeyMultibase };
}

async function reserveNames(
  tx: Transaction,
  { identity, username, naming, random }: Run,
): Promise<{ did: Did | null; handle: Handle }> {
  const { domain, strategy, reserved, didMethod } = naming;
  const wishes = handleCandidates({ username, strategy, domain, reserved, randomInt: random.int });
  for (const handle of wishes.take(MOST_CANDIDATES)) {
    // A did:plc is made by the PDS, together with the account.
    const did = didMethod === 'plc' ? null : newDid({ handle, domain, randomBytes: random.bytes });
    if (await reserveHostnames(tx, { userId: identity.user_id, did, handle })) return { did, handle };
  }
  throw new ProvisioningError('NO_HANDLE_FREE', 'No free handle was found. Try again.', { retryable: true });
}
