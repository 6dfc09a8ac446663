import { ALICE_DID, HASH, ROTATION_KEY, type Words } from './word.ts';

const STATEMENT = {
  means: 'What you sign, with your did:key right behind it, to show that you hold that key',
  example: `pds-provisioning recovery-key v1\n${ALICE_DID}\n`,
};
const ROTATION_KEYS_THERE = {
  means:
    'Of a did:plc: those that the new PDS wants to see, `rotationKeys` of getRecommendedDidCredentials; they stand below yours and ours',
  example: [ROTATION_KEY],
  failure: true,
} as const;
const SIGNATURE = 'ZBW_b0_RM2ODifTNk-bD9xxYPseCItiGuRoy8RtwrKVzQ4gGDe8_GDpWFmZaOqI-ga76xxUVTtDqPq-GIkThMA';
const ECDSA = 'ECDSA, 64 bytes r and s, s in the lower half, in base64url';

/** The recovery key, and what it can do; handing over. */
export const LEAVING: Words = {
  did_method: { means: 'Where the DID is looked up: at our domain, or in the PLC directory', example: 'web' },
  recovery_key: { means: 'The key that counts now, as did:key; null: none', example: ROTATION_KEY },
  'next.recovery_key': { means: 'The one that takes its place; null: none does', example: ROTATION_KEY },
  trusted_at: {
    means:
      'From then on a session cannot take back what this key asks for; null for a did:plc, and without a key',
    example: '2026-11-27T09:30:00.000Z',
  },
  next: { means: 'What is to take its place; null: nothing is to change', example: null },
  takes_effect_at: { means: 'When it does', example: '2026-11-27T09:30:00.000Z' },
  rotation_keys: {
    means: 'Of a did:plc: who can change it, in order of power; null for a did:web',
    example: null,
  },
  did_key: { means: 'The public half of the key, as did:key', example: ROTATION_KEY },
  holder: {
    means: 'Who has the private half: you (`member`), we (`service`) or your PDS (`pds`)',
    example: 'member',
  },
  undoable_until: {
    means:
      'Of a did:plc: until when a key above the one that signed a change can undo it, and all that came after; null when nobody can',
    example: null,
  },
  missing: {
    means:
      'What is not there yet, and stands in the way if it is not by then: your account at the new PDS, or the handle that you named',
    example: ['ACCOUNT_NOT_THERE'],
  },
  'getRecoveryKey.statement': STATEMENT,
  'setRecoveryKey.statement': STATEMENT,
  'removeRecoveryKey.statement': STATEMENT,
  explanation: {
    means: 'What this key can do, and what follows from it for you',
    example: 'Your DID stands at our domain, so its document can be changed through us only. …',
  },
  changed: { means: 'Something was changed just now; false when it was so already' },
  'setRecoveryKey.public_key': {
    means: 'Your key, as did:key: k256 (`did:key:zQ3s…`) or p256 (`did:key:zDna…`)',
    example: ROTATION_KEY,
  },
  'setRecoveryKey.signature': {
    means: `By your key, over the SHA-256 of \`statement\` with \`public_key\` behind it: ${ECDSA}`,
    example: SIGNATURE,
  },
  confirmation: {
    means:
      'The same by the key that you had before, of a did:web: then the new one counts at once. The first one needs none',
    example: SIGNATURE,
    failure: true,
  },
  key: { means: 'The key to take away, as did:key', example: ROTATION_KEY },
  'makeRecoveryKey.private_key': {
    means: 'The new key, k256, 32 bytes in hex: keep it where nobody else gets at it, we have forgotten it',
    example: HASH,
  },
  'makeRecoveryKey.public_key': { means: 'Its public half', example: ROTATION_KEY },
  'makeRecoveryKey.signature': {
    means: 'What POST /api/pds/recovery-key takes with the public half',
    example: SIGNATURE,
  },
  'getRecoveryKey.pds_did': { means: 'DID', example: ALICE_DID },
  'setRecoveryKey.pds_did': { means: 'DID', example: ALICE_DID },
  'removeRecoveryKey.pds_did': { means: 'DID', example: ALICE_DID },
  endpoint: {
    means: 'The public URL of the new PDS, an https origin',
    example: 'https://pds.elsewhere.example',
  },
  atproto_key: {
    means:
      'Your key there, as did:key: `verificationMethods.atproto` of com.atproto.identity.getRecommendedDidCredentials',
    example: ROTATION_KEY,
  },
  handle: {
    means:
      'A handle of your own domain, which must lead to your DID by then; left out, the one that you have stays',
    example: 'alice.example.org',
  },
  'requestHandOver.rotation_keys': ROTATION_KEYS_THERE,
  'recoverByHandOver.rotation_keys': ROTATION_KEYS_THERE,
  did: { means: 'The DID', example: ALICE_DID },
  issued_at: {
    means: 'When it was signed: good for 5 minutes, and once',
    example: '2026-11-24T09:30:00.000Z',
  },
  'recoverByHandOver.signature': {
    means: `By your recovery key, over the SHA-256 of seven lines: \`pds-provisioning hand-over v1\`, DID, endpoint, key, handle (empty where it is left out), rotation keys (separated by commas), time: ${ECDSA}`,
    example: SIGNATURE,
  },
  'recoverByCancelling.signature': {
    means: `By your recovery key, over the SHA-256 of three lines: \`pds-provisioning cancel v1\`, DID, time: ${ECDSA}`,
    example: SIGNATURE,
  },
  cancelled_change_id: { means: 'The change that was waiting; null if there was none', example: 7 },
  kept_recovery_key: { means: 'Another key was to take the place of this one, and does not' },
};
