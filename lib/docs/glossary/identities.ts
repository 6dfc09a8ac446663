import { ALICE_DID, EXAMPLE_DOMAIN, type Words } from './word.ts';

/** An identity and how it is doing. */
export const IDENTITIES: Words = {
  pnptv_uuid: { means: 'Our own id of the identity; never changes' },
  pds_handle: { means: 'Handle; null until it is reserved', example: `@alice.${EXAMPLE_DOMAIN}` },
  'revealCredentials.pds_handle': {
    means: 'Handle; a PDS and its apps take it without the `@`',
    example: `@alice.${EXAMPLE_DOMAIN}`,
  },
  pds_did: { means: 'DID; null until it is reserved', example: ALICE_DID },
  'revealCredentials.pds_did': { means: 'DID', example: ALICE_DID },
  pds_endpoint: {
    means: 'URL of the PDS that holds the account; null until it is chosen',
    example: `https://pds.${EXAMPLE_DOMAIN}`,
  },
  'revealCredentials.pds_endpoint': {
    means: 'URL of the PDS that holds the account',
    example: `https://pds.${EXAMPLE_DOMAIN}`,
  },
  status: { means: 'What became of it, or how it is now', example: 'active' },
  'retryProvision.status': { means: 'How it is now', example: 'pending' },
  'entries.status': { means: 'What became of it: `success`, `failed` or `pending`', example: 'success' },
  left_at: {
    means:
      'When it was handed over to a PDS of your own choice, which `pds_endpoint` names; null if it was not',
    example: null,
  },
  verification_status: { means: 'Whether the last check reached the account' },
  provisioning_step: { means: 'The last step of provisioning that is done and stored', example: 'secured' },
  error: {
    means: 'What stopped provisioning and what to do; null unless `status` is `error`',
    example: null,
  },
  code: { means: 'What happened, for programs', example: 'PDS_REJECTED' },
  message: { means: 'What happened and what to do, for people', example: 'The PDS refused this account.' },
  has_pds: { means: 'There is an account on a PDS' },
  accessible: { means: 'Every probe succeeded just now; a PDS that is too busy to answer changes nothing' },
  probes: {
    means:
      'What was found just now of each part; `unknown`: no answer within 3 seconds. Null if there is nothing to probe',
  },
  'probes.pds': { means: 'The PDS runs' },
  'probes.endpoint': { means: 'The PDS answers at its public address' },
  'probes.account': { means: 'The PDS calls the account active' },
  'probes.did_document': { means: 'The world reads the right DID document' },
  'probes.handle': { means: 'The handle leads the world to the DID' },
  problem: {
    means: 'What made the identity inaccessible, and who can do what about it; null if nothing did',
    example: null,
  },
  last_verified_at: { means: 'When an identity was last seen to work; null if never' },
  duration_ms: { means: 'How long it took, in milliseconds', example: 1005 },
};
