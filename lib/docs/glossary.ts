/**
 * What a field means and, where its type does not say it, what stands in it. A field of a `failure` only is in no
 * example: those show what goes well.
 */
export type Word = { readonly means: string; readonly example?: unknown; readonly failure?: true };

/** Stands for PDS_DOMAIN in every example, those of the contracts too: openapi.ts puts the real one in its place. */
export const EXAMPLE_DOMAIN = 'pnptv.example';

const HASH = '5f'.repeat(32);
/** 256 bits, base64url. */
const TOKEN = 'p0uV3uZQ'.repeat(5).concat('abc');
const TOTP_SECRET = 'JBSWY3DPEHPK3PXP'.repeat(2);
const ALICE_DID = `did:web:alice-nf5wn3.${EXAMPLE_DOMAIN}`;
const ROTATION_KEY = 'did:key:zQ3shR6ZRPvP3QHbGnJXBFBYyniEZuW13ZL9urvob9EiNf6AW';
const STATEMENT = {
  means: 'What you sign, with your did:key right behind it, to show that you hold that key',
  example: `pds-provisioning recovery-key v1\n${ALICE_DID}\n`,
};
const ROTATION_KEYS_THERE = {
  means:
    'Of a did:plc: those that the new PDS wants to see, `rotationKeys` of getRecommendedDidCredentials; they stand below yours and ours',
  example: [ROTATION_KEY],
};
const SIGNATURE = 'ZBW_b0_RM2ODifTNk-bD9xxYPseCItiGuRoy8RtwrKVzQ4gGDe8_GDpWFmZaOqI-ga76xxUVTtDqPq-GIkThMA';
const ECDSA = 'ECDSA, 64 bytes r and s, s in the lower half, in base64url';
const JOIN_OPERATIONS = [
  'requestJoin',
  'listJoins',
  'listOwnJoins',
  'approveJoin',
  'withdrawJoin',
  'consentToJoin',
  'refuseJoin',
];
const INIT_DATA = `user=%7B%22id%22%3A123456789%7D&auth_date=1795512600&hash=${HASH}`;

/**
 * The names of fields, in requests and answers. What is special to a field of one object stands under `object.field`,
 * to one of a route's topmost object under `operationId.field`. A test fails for a field that is missing here and for a word that no route uses.
 */
const GLOSSARY: Readonly<Record<string, Word>> = {
  // Logins and members
  id: { means: 'The number of this entry', example: 4711 },
  'member.id': { means: 'Telegram id, as text', example: '123456789' },
  'loginWidget.id': { means: 'Telegram id', example: 123456789 },
  first_name: { means: 'First name at Telegram', example: 'Alice' },
  last_name: { means: 'Last name at Telegram', example: 'Liddell' },
  username: { means: 'Name at Telegram, without @', example: 'alice' },
  photo_url: { means: 'Picture at Telegram', example: 'https://t.me/i/userpic/320/alice.jpg' },
  auth_date: { means: 'When Telegram signed this login, in seconds since 1970', example: 1_795_512_600 },
  hash: { means: "Telegram's signature over all other fields", example: HASH },
  token: { means: 'The one-use part of the link', example: TOKEN },
  init_data: { means: 'What Telegram gives the page as `WebApp.initData`, unchanged', example: INIT_DATA },
  'loginMiniApp.token': { means: 'For `Authorization: Bearer`; to be held in memory', example: TOKEN },
  return_to: {
    means: 'Where the browser goes on after the login: a path of ours, or a URL of an allowed origin',
    example: '/welcome',
  },
  state: { means: 'Which login this is: as it was given to Telegram', example: TOKEN },
  'finishOidcLogin.code': {
    means: 'Stands for the login at Telegram, once',
    example: 'SplxlOBeZQQYbYS6WxSbIA',
  },
  'finishOidcLogin.error': { means: 'Why there is no code', failure: true },
  'exchangeCode.code': { means: 'What the backend was answered with', example: TOKEN },
  telegramId: { means: 'Telegram id of the member', example: 123456789 },
  'internalLogin.code': { means: 'Logs the member in, once: see POST /api/auth/exchange', example: TOKEN },
  'internalLogin.expires_at': { means: 'When the code ends', example: '2026-11-24T09:32:00.000Z' },
  update_id: { means: 'The number of the update; one that was here before is ignored', example: 987_654_321 },
  'telegramWebhook.message': {
    means: 'What was written, if it is a new message: https://core.telegram.org/bots/api#message',
    example: {
      message_id: 42,
      date: 1_795_512_600,
      from: { id: 123456789, is_bot: false, first_name: 'Alice', username: 'alice', language_code: 'en' },
      chat: { id: 123456789, type: 'private', first_name: 'Alice' },
      text: '/start',
    },
  },
  handled: { means: 'The bot answers in the chat; false for what it ignores' },
  member: { means: 'Who is logged in' },
  role: { means: 'What the member may do' },
  pds: { means: "The state of the member's identity" },
  logged_out: { means: 'This session is over' },
  'listSessions.id': { means: 'The session' },
  'revokeSession.id': { means: 'The session to end' },
  device: {
    means: 'Browser and system as they name themselves; null when unknown',
    example: 'Firefox on Linux',
  },
  login_method: { means: 'How the member logged in', example: 'widget' },
  current: { means: 'It is the session that asks' },
  revoked: { means: 'How many sessions were ended', example: 1 },
  userId: { means: 'Telegram id of a member, as text', example: '123456789' },

  // The second factor
  enrolled: { means: 'There is a second factor, and its first code was confirmed' },
  recovery_codes_left: { means: 'How many recovery codes were not used yet', example: 10 },
  secret: { means: 'For an app that reads no QR code, in base32', example: TOTP_SECRET },
  otpauth_uri: {
    means: 'The same as a link for apps',
    example: `otpauth://totp/${EXAMPLE_DOMAIN}:alice?secret=${TOTP_SECRET}&issuer=${EXAMPLE_DOMAIN}`,
  },
  qr_svg: {
    means: 'The link as a QR code, a whole SVG image',
    example: '<svg xmlns="http://www.w3.org/2000/svg" …',
  },
  'confirmTotp.code': { means: 'The six digits that the app shows', example: '492039' },
  recovery_codes: {
    means: 'Each opens once what a code of the app opens; how they are typed does not matter',
    example: ['7k2mp-x04qd-9wzrt-cf3ha'],
  },
  operation: { means: 'What is confirmed: `x-step-up.operation` of the route', example: 'revealCredentials' },
  target: {
    means:
      'The value of the field or parameter that `x-step-up.target` of the route names; null if that is null',
    example: 'private_key',
  },
  'stepUp.code': {
    means: 'The six digits that the app shows now, or a recovery code; each works once',
    example: '492039',
  },
  'stepUp.expires_at': { means: 'Until when it can be used', example: '2026-11-24T09:35:00.000Z' },
  'stepUp.token': {
    means: 'The new token of a session whose token is sent as a bearer; null where a cookie is set',
    example: null,
  },

  // Identities
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
  backup_id: { means: 'The number of the backup', example: 42 },
  'listDeadLetters.offset': { means: 'How many of the oldest entries to leave out', example: '0' },
  queue_id: {
    means: 'The work: a row of the queue; null for a message that names none of ours',
    example: 4711,
  },
  'redriveWork.queue_id': { means: 'The row of the queue that has the work now', example: 4711 },
  'redriveWork.id': { means: 'The work, as `queue_id` of the list', example: '4711' },
  'listDeadLetters.action': { means: 'What the work was; null if there is none', example: 'create' },
  'listDeadLetters.code': { means: 'Why it was given up, for programs', example: 'PDS_REJECTED' },
  means: { means: 'Why it was given up, in words', example: 'The identity server refused the request.' },
  todo: {
    means: 'What to do about it, before it is redriven',
    example: 'The details name the request and the refusal: repair its reason, then redrive.',
  },
  'listDeadLetters.details': {
    means: 'What the PDS said, or the database; null if nothing',
    example: { nsid: 'com.atproto.server.createAccount', status: 400, error: 'InvalidEmail' },
  },
  attempts: { means: 'How often it was begun', example: 3 },
  receives: {
    means: 'How often SQS gave its message to a worker; 0 unless that is why it was given up',
    example: 0,
  },
  failed_at: { means: 'When it was given up' },
  age_seconds: { means: 'How long ago that was, in seconds', example: 5400 },
  'redriveWork.redriven': {
    means: 'It begins again; false if there was no need, and then `reason` says why',
    example: true,
  },
  'redriveWork.reason': {
    means: 'Why not: it is at work, it is done, or newer work has taken its place; null if it was redriven',
    example: null,
  },
  'redriveAll.redriven': { means: 'How many works begin again', example: 12 },
  put_away: {
    means: 'How many messages without work were put away: nothing could be redone for them',
    example: 1,
  },
  left: { means: 'How many entries the list still has: ask again', example: 0 },
  'listBackups.id': { means: 'The number of the backup', example: 42 },
  'restoreBackup.id': { means: 'The number of the backup', example: '42' },
  backup_type: {
    means: 'Asked for (`manual`), of proven credentials (`auto`), or of what was then replaced (`recovery`)',
  },
  is_used: { means: 'It was restored' },
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
  did_method: { means: 'Where the DID is looked up: at our domain, or in the PLC directory', example: 'web' },
  recovery_key: { means: 'The key that counts now, as did:key; null: none', example: ROTATION_KEY },
  'next.recovery_key': { means: 'The one that takes its place; null: none does', example: ROTATION_KEY },
  trusted_at: {
    means:
      'From then on a session cannot take back what this key asks for; null for a did:plc, and without a key',
    example: '2026-11-27T09:30:00.000Z',
  },
  next: { means: 'What is to take its place; null: nothing is to change', example: null },
  takes_effect_at: { means: 'When it does' },
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
  // App passwords
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
  confirmation: {
    means: 'The same by the key that you had before, of a did:web: then the new one counts at once',
    example: SIGNATURE,
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
  // Leaving
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
  // Exports
  export_id: { means: 'The number of the export', example: 3 },
  contents: {
    means: 'What is in it: what is yours (`data`), or that and your keys, encrypted (`data_and_keys`)',
    example: 'data_and_keys',
  },
  keys_code: {
    means: 'Opens `keys.jwe` in the archive; shown this once and kept nowhere. null without keys',
    example: 'abcde-fghij-klmno-pqrst-uvwxy-z',
  },
  'listExports.id': { means: 'The number of the export', example: 3 },
  'downloadExport.id': { means: 'The number of the export', example: '3' },
  'listExports.state': { means: 'How it stands', example: 'ready' },
  'listExports.step': {
    means:
      'What is in it: nothing yet, the files (`blobs`), the repository; `sealed`: all of it, with its manifest',
    example: 'sealed',
  },
  'listExports.ended_at': { means: 'When it ended; null while it is under way' },
  'listExports.expires_at': { means: 'Until when it can be downloaded' },
  'listExports.error': { means: 'Why it failed; null if nothing', example: null },
  blobs: { means: 'How many files (images, videos) are in it so far', example: 12 },
  size: { means: 'Bytes: so far, or of the whole archive', example: 1_048_576 },
  what: { means: 'What is not in it', example: 'preferences' },
  why: { means: 'Why it is not', example: 'Your PDS keeps none, or does not give them out.' },
  left_out: { means: 'What is not in it, and why', example: [] },
  url: {
    means: 'Where to GET it, also in pieces (Range); whoever has this URL can',
    example:
      'https://production-exports.s3.eu-central-1.amazonaws.com/27c5c996-…/archive.tar?X-Amz-Signature=…',
  },
  url_expires_at: { means: 'Until when a download can be begun' },
  file_name: { means: 'What a browser calls the file', example: 'identity-2026-11-24-3.tar' },

  // Changes
  kind: {
    means:
      'What is changed: new keys, another handle, deactivation and its end, deletion, another Telegram account, another PDS of ours, or one of the member’s own choice',
    example: 'rename',
  },
  'listChanges.state': { means: 'How it stands', example: 'under_way' },
  step: { means: 'What is done of it; `requested`: nothing yet', example: 'requested' },
  wish: { means: 'What was asked for, by kind', example: { handle: `alice2.${EXAMPLE_DOMAIN}` } },
  cancellable: {
    means: 'It can be taken back: nothing of it has happened yet, or all that has can be undone',
  },
  waits_for: {
    means:
      'Why it does not go on for now, as a code: `provider_down`, `plc_down`, what a new PDS lacks (`ACCOUNT_NOT_THERE`), …; null when it does',
    example: null,
  },
  cancel_wanted: { means: 'It was asked to be taken back, and is as far as that can be', example: false },
  due_at: { means: 'Before this nothing of it happens' },
  ended_at: { means: 'When it ended; null while it is under way', example: null },
  'listChanges.error': { means: 'Why it could not be done; null if nothing', example: null },
  'renameHandle.handle': {
    means: 'The handle, or its first label alone, with or without `@`',
    example: 'alice2',
  },
  'renameHandle.pds_handle': { means: 'The handle that it will be', example: `@alice2.${EXAMPLE_DOMAIN}` },
  'cancelChange.id': { means: 'The number of the change', example: '7' },
  change_id: { means: 'The number of the change', example: 7 },
  from_user_id: { means: 'Telegram id of the account whose identity goes', example: '123456789' },
  to_user_id: { means: 'Telegram id of the account that it comes to', example: '987654321' },
  'requestJoin.id': { means: 'The number of the join', example: 3 },
  'listJoins.id': { means: 'The number of the join', example: 3 },
  'listOwnJoins.id': { means: 'The number of the join', example: 3 },
  ...Object.fromEntries(
    ['approveJoin', 'withdrawJoin', 'consentToJoin', 'refuseJoin'].map((operation) => [
      `${operation}.id`,
      { means: 'The number of the join', example: '3' },
    ]),
  ),
  ...Object.fromEntries(
    JOIN_OPERATIONS.map((operation) => [
      `${operation}.state`,
      {
        means:
          'How it stands: `waiting` until all have agreed, `agreed` until it is carried out, then how it ended',
        example: 'waiting',
      },
    ]),
  ),
  ...Object.fromEntries(
    JOIN_OPERATIONS.map((operation) => [
      `${operation}.due_at`,
      { means: 'When it is carried out; null until all have agreed', example: null },
    ]),
  ),
  ...Object.fromEntries(
    ['requestJoin', 'listJoins', 'listOwnJoins'].map((operation) => [
      `${operation}.reason`,
      { means: 'Why, in an administrator’s words', example: 'Lost his phone; known to us in person.' },
    ]),
  ),
  ...Object.fromEntries(
    ['listJoins', 'listOwnJoins'].map((operation) => [
      `${operation}.expires_at`,
      { means: 'When it lapses, unless all have agreed by then', example: '2026-12-01T09:30:00.000Z' },
    ]),
  ),
  accepted_at: { means: 'When the new account agreed; null if it has not', example: null },
  consented_at: { means: 'When the old account agreed; null if it has not', example: null },
  approved_at: { means: 'When a second administrator agreed; null if none has', example: null },
  requested_by: { means: 'Which administrator asked for it', example: '4711' },
  approved_by: { means: 'Which other one approved; null if none has', example: null },
  side: {
    means: 'Whether your account is the one whose identity goes, or the one that it comes to',
    example: 'to',
  },
  'deleteAccount.account': {
    means:
      'What becomes of the account at the PDS: deleted, or only deactivated where its operator gave us no more rights; `none` when there is none',
    example: 'deleted',
  },
  cancelled: { means: 'It is taken back; false while whoever is at it still has to' },
  'getRecoveryKey.pds_did': { means: 'DID', example: ALICE_DID },
  'setRecoveryKey.pds_did': { means: 'DID', example: ALICE_DID },
  'removeRecoveryKey.pds_did': { means: 'DID', example: ALICE_DID },

  // Moving
  provider: {
    means: 'A PDS of this service, by the name that its settings give it',
    example: 'remote:pds.example.org',
  },
  host: { means: 'Where it is reached', example: 'pds.example.org' },
  'listProviders.current': { means: 'You live there', example: false },
  takes_you: { means: 'You could move there now, as far as we know without asking it' },
  'listProviders.reason': {
    means:
      'Why not: you live there, it does not answer, it wants to be left alone for a while, or an account that you had there is being deleted; null if nothing',
    example: null,
  },

  // Lists
  limit: { means: 'How many entries at most', example: '10' },
  offset: { means: 'How many of the newest entries to leave out', example: '0' },
  action: { means: 'What was done', example: 'created' },
  check_type: { means: 'What was checked' },
  response_time_ms: { means: 'How long the answer took, in milliseconds; null without one', example: 12 },
  details: {
    means: 'More about it, by action or kind of check',
    example: { pds_did: ALICE_DID, pds_handle: `alice.${EXAMPLE_DOMAIN}`, took_ms: 1005 },
  },
  'healthChecks.details': { means: 'More about it, by kind of check', example: { version: '0.4.204' } },
  error_message: { means: 'What went wrong; null if nothing', example: null },

  // The audit log
  intact: { means: 'Every entry is as it was written, and none is missing' },
  'verifyAudit.members': { means: 'How many chains hold, up to the first that does not', example: 120 },
  'verifyAudit.entries': { means: 'How many entries hold, up to the first that does not', example: 1440 },
  broken: { means: 'The first entry that does not hold; null if all do', example: null },
  seq: { means: "The entry's place in its member's chain", example: 3 },
  'exportLog.entries': { means: 'Every entry, the oldest first' },
  format: { means: 'How this file is made: see lib/audit/export.ts' },
  erasure_key: { means: 'The key of the commitments; null when it was destroyed', example: HASH },
  user_id: { means: 'Telegram id of the member; null when it was erased', example: '123456789' },
  error_code: { means: 'What went wrong, for programs; null if nothing', example: null },
  created_by: {
    means: 'Who did it: a Telegram id, or `system`; null: the member, when he was erased',
    example: 'system',
  },
  user_id_commitment: { means: 'HMAC of `user_id` under the erasure key, in hex', example: HASH },
  details_commitment: { means: 'HMAC of `details` under the erasure key, in hex', example: HASH },
  error_message_commitment: { means: 'HMAC of `error_message` under the erasure key, in hex', example: HASH },
  prev_hash: { means: '`row_hash` of the entry before, in hex', example: HASH },
  row_hash: { means: 'Hash over this entry and `prev_hash`, in hex', example: HASH },
  'exportLog.root': { means: 'Proof that this log is under the newest signed root; null until there is one' },
  statement: { means: 'What is signed, in the form of RFC 8785' },
  'statement.format': { means: 'How roots are made: see lib/audit/root.ts' },
  environment: { means: 'The stage whose log it is', example: 'production' },
  'statement.members': { means: 'How many members have a log', example: 120 },
  'statement.entries': { means: 'How many entries all logs have', example: 1440 },
  'statement.root': { means: 'Merkle tree hash over the ends of all logs (RFC 6962), in hex', example: HASH },
  signature: { means: 'The signature of our KMS key' },
  public_key: {
    means: 'DER (SubjectPublicKeyInfo) in base64',
    example: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE',
  },
  algorithm: { means: 'How it is signed: ECDSA over P-256 with SHA-256' },
  value: { means: 'The signature, DER in base64', example: 'MEUCIQDk3sZ0' },
  leaf_index: { means: 'The place of this log among all', example: 7 },
  'root.seq': { means: 'Up to which entry it is under the root', example: 3 },
  path: { means: 'The hashes from this log to the root (RFC 6962, audit path), in hex', example: [HASH] },
  reason: { means: 'What about it does not hold' },

  // Times
  last_seen_at: { means: 'When it was last used' },
  created_at: { means: 'When it was made' },
  'entries.created_at': {
    means: 'When it was written, with the microseconds that are hashed',
    example: '2026-11-24T09:30:00.000000Z',
  },
  expires_at: { means: 'When it ends', example: '2026-12-24T09:30:00.000Z' },
};

/** The word for a field of `parent`: the object that holds it, or the operation. */
export function wordFor(parent: string, name: string): Word | undefined {
  return [`${parent}.${name}`, name]
    .filter((key) => Object.hasOwn(GLOSSARY, key))
    .map((key) => GLOSSARY[key])[0];
}

/** Every name that is explained. */
export const GLOSSARY_NAMES: readonly string[] = Object.keys(GLOSSARY);
