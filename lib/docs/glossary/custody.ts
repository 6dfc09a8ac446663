import { ALICE_DID, type Words } from './word.ts';

/** What we keep for a member: backups, credentials, app passwords. */
export const CUSTODY: Words = {
  backup_id: { means: 'The number of the backup', example: 42 },
  'listBackups.id': { means: 'The number of the backup', example: 42 },
  'restoreBackup.id': { means: 'The number of the backup', example: '42' },
  backup_type: {
    means: 'Asked for (`manual`), of proven credentials (`auto`), or of what was then replaced (`recovery`)',
  },
  is_used: { means: 'It was restored', example: false },
  used_at: { means: 'When it was restored; null if never', example: null },
  restorable: { means: 'It can be restored: it is unused, and not expired or the newest of the unused ones' },
  'listBackups.reason': { means: 'Why it cannot be restored; null if it can', example: null },
  restored_at: { means: 'When it was restored' },
  recovery_backup_id: { means: 'The backup of what was there before, to go back to', example: 43 },
  credential: { means: 'Which of the credentials', example: 'private_key' },
  key_id: { means: 'The verification method of the DID document', example: `${ALICE_DID}#pnptv-1` },
  public_key_multibase: {
    means: 'The public key, Ed25519 as Multikey',
    example: 'z6Mkf5rGMoatrSj1f4CyvuHBeXJELe9RPdzo2PKGNCKVtZxP',
  },
  private_key: {
    means:
      "The private key, 32 bytes in base64url: Ed25519's seed (RFC 8032, 5.1.5); of the rotation key k256's scalar (SEC 1, 2.3.7)",
    example: 'AAAA'.repeat(10).concat('AAA'),
  },
  password: {
    means: 'The password of the account: logs in at `pds_endpoint`, with `pds_did` as the identifier',
    example: 'correct-horse-battery-staple',
  },
  name: {
    means: 'What the app password is for; at most 32 letters, digits, spaces, dots and hyphens',
    example: 'My phone',
  },
  'listAppPasswords.name': { means: 'The name that it was given', example: 'My phone' },
  'revokeAppPassword.name': { means: 'The name of the app password, percent-encoded', example: 'My phone' },
  privileged: {
    means: 'The app may also use direct messages, and have another PDS make the account',
    example: false,
  },
  'createAppPassword.password': {
    means: 'The app password: logs in with your handle or DID at any AT Protocol app. Shown this once',
    example: 'xxxx-xxxx-xxxx-xxxx',
  },
  'revokeAppPassword.revoked': { means: 'Nobody can log in by it any more' },
};
