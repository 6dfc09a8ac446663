import { AppError, type AppErrorOptions } from '../app-error.ts';

/**
 * Every error code that the API answers with: its HTTP status, and what happened and what to do. An error with any
 * other code is our own trouble and leaves as INTERNAL or UNAVAILABLE: see answer.ts.
 */
export const ERROR_CODES = {
  INPUT_INVALID: {
    status: 400,
    message: 'Some fields are missing, unknown, too long or of the wrong form: correct `fields`.',
  },
  BODY_INVALID: {
    status: 400,
    message: 'The body must be one JSON object in UTF-8, of at most 16 KiB (an update for the bot: 256 KiB).',
  },
  RECOVERY_KEY_INVALID: {
    status: 400,
    message:
      'A recovery key is the did:key of a k256 or p256 key of your own: make one and send its public half.',
  },
  RECOVERY_KEY_NOT_PROVEN: {
    status: 400,
    message:
      'The signature does not show that you hold this key: sign the SHA-256 of `statement` (GET) with your did:key behind it; 64 bytes r and s, low s, base64url.',
  },
  RECOVERY_KEY_NOT_CONFIRMED: {
    status: 400,
    message:
      'The confirmation is not by your present recovery key over the statement with the new one behind it: sign that, or leave it out and wait 72 hours.',
  },
  TARGET_INVALID: {
    status: 400,
    message:
      'The new home needs the https origin of a PDS on the public internet, a k256 or p256 key as did:key, and a handle of your own: correct `fields`.',
  },
  HANDLE_INVALID: {
    status: 400,
    message:
      'A handle is one name under our domain: 3 to 18 of a-z, 0-9 and single hyphens inside, with a letter among them.',
  },
  HANDLE_RESERVED: { status: 400, message: 'This handle is kept for nobody: choose another one.' },
  BODY_UNEXPECTED: { status: 400, message: 'This route takes no body: leave it out.' },

  SESSION_REQUIRED: { status: 401, message: 'There is no living session: log in again.' },
  LOGIN_SIGNATURE_INVALID: {
    status: 401,
    message: 'Telegram has not signed this login: log in with Telegram again.',
  },
  LOGIN_EXPIRED: {
    status: 401,
    message: 'Telegram signed this login too long ago: log in with Telegram again.',
  },
  LOGIN_FROM_THE_FUTURE: {
    status: 401,
    message: 'This login is dated in the future: log in with Telegram again.',
  },
  LOGIN_REPLAYED: { status: 401, message: 'This login was used before: log in with Telegram again.' },
  LOGIN_STATE_INVALID: {
    status: 401,
    message: 'This login was begun in another browser, over 10 minutes ago, or is done: begin it again.',
  },
  LOGIN_REFUSED: { status: 401, message: 'Telegram did not confirm this login: log in with Telegram again.' },
  LOGIN_TOKEN_INVALID: {
    status: 401,
    message: 'This login link or code is unknown, too old or was used before: ask for a new one.',
  },
  SIGNATURE_INVALID: {
    status: 401,
    message: 'The request is not signed by a key that we accept: check the key and what is signed.',
  },
  SIGNATURE_EXPIRED: {
    status: 401,
    message: 'The request was signed over 5 minutes ago or in the future: check the clock and sign it anew.',
  },
  SIGNATURE_REPLAYED: {
    status: 401,
    message:
      'This very request, with this nonce or of this moment, was here before: sign it with a new nonce, or `issued_at`.',
  },
  RECOVERY_SIGNATURE_INVALID: {
    status: 401,
    message:
      'This is not signed by the recovery key of this DID: check DID, key and what is signed. Of a did:web it must be registered, of a did:plc be among its rotation keys.',
  },
  RECOVERY_SIGNATURE_EXPIRED: {
    status: 401,
    message: '`issued_at` is over 5 minutes ago or in the future: check the clock and sign anew.',
  },
  WEBHOOK_SECRET_INVALID: { status: 401, message: 'Only Telegram, with our secret token, may call this.' },

  EDGE_REQUIRED: { status: 403, message: 'Requests come through the public address of this service only.' },
  ORIGIN_FORBIDDEN: {
    status: 403,
    message: 'Browsers may call this from our own pages and those of allowed origins only.',
  },
  ADMIN_REQUIRED: { status: 403, message: 'This route is for administrators.' },
  STEP_UP_REQUIRED: {
    status: 403,
    message: 'This needs your second factor: confirm this operation with POST /api/auth/2fa/step-up first.',
  },
  LOGIN_NOT_FRESH: {
    status: 403,
    message:
      'A second factor is set up right after a login only: log in again, then repeat this within 10 minutes.',
  },
  CODE_INVALID: {
    status: 403,
    message: 'This code is wrong, too old or was used before: enter the next one that your app shows.',
  },
  TOTP_LOCKED: {
    status: 403,
    message:
      'After 100 wrong codes in a row those of your app are not taken any more: enter a recovery code.',
  },

  SECOND_ADMIN_REQUIRED: {
    status: 403,
    message:
      'This needs another administrator than the one who asked for it, and none whose own account it is about.',
  },

  NOT_FOUND: { status: 404, message: 'There is nothing at this address: check the host name and the path.' },
  HOST_UNKNOWN: { status: 404, message: 'No identity is served at this host name.' },
  SESSION_NOT_FOUND: { status: 404, message: 'You have no such session (any more): look at the list.' },
  MEMBER_NOT_FOUND: { status: 404, message: 'There is no such member: he has to log in once.' },
  WORK_NOT_FOUND: {
    status: 404,
    message: 'There is no such work in the queue (any more): look at GET /api/admin/dead-letters.',
  },
  JOIN_NOT_FOUND: {
    status: 404,
    message: 'There is no such join, or it is none of yours: look at the list.',
  },
  CHANGE_NOT_FOUND: { status: 404, message: 'You have no such change: look at GET /api/pds/changes.' },
  APP_PASSWORD_NOT_FOUND: {
    status: 404,
    message: 'You have no app password by this name (any more): look at the list.',
  },
  RECOVERY_KEY_NOT_FOUND: {
    status: 404,
    message: 'You have no recovery key: GET /api/pds/recovery-key says what one is.',
  },
  EXPORT_NOT_FOUND: {
    status: 404,
    message: 'You have no such export (any more): look at GET /api/pds/exports, or ask for a new one.',
  },
  PROVIDER_NOT_FOUND: {
    status: 404,
    message: 'This service has no such PDS (any more) that takes members: look at GET /api/pds/providers.',
  },
  BACKUP_NOT_FOUND: { status: 404, message: 'You have no such backup: look at the list.' },
  LOGIN_METHOD_OFF: { status: 404, message: 'This way to log in is not set up here: take another one.' },
  IDENTITY_NOT_FOUND: { status: 404, message: 'You have no identity yet: ask for one with retry-provision.' },

  IDENTITY_NOT_READY: {
    status: 409,
    message:
      'This needs an active identity, and yours is not: GET /api/pds/info says what it is or waits for.',
  },
  JOIN_IN_PROGRESS: {
    status: 409,
    message:
      'One of the two accounts takes part in another join: withdraw that one first, or wait until it is over.',
  },
  JOIN_NOT_OPEN: {
    status: 409,
    message: 'This join is over, too old, or being carried out: look at the list, and ask for a new one.',
  },
  CHANGE_IN_PROGRESS: {
    status: 409,
    message:
      'Another change of your identity is under way, and there is one at a time: GET /api/pds/changes says which, and whether it can be cancelled.',
  },
  CHANGE_NOT_CANCELLABLE: {
    status: 409,
    message: 'This change is over, or too far on to be taken back: GET /api/pds/changes says how it stands.',
  },
  CHANGE_OF_RECOVERY_KEY: {
    status: 409,
    message:
      'Your recovery key asked for this, so only it can take it back: POST /api/recovery/cancel. If somebody has stolen it, replace it at once with its own signature.',
  },
  TARGET_UNREACHABLE: {
    status: 409,
    message: 'No PDS on the public internet answers at this address: check it, or try again when it is up.',
  },
  TARGET_NOT_A_PDS: {
    status: 409,
    message:
      'What answers at this address is no PDS, or one that goes by the DID of another host: ask its operator for the right address.',
  },
  TARGET_IS_OURS: {
    status: 409,
    message:
      'Your account on this PDS is the one that we made for you: name a PDS where you have made one yourself. To go to another PDS of this service, use POST /api/pds/move.',
  },
  EXPORT_IN_PROGRESS: {
    status: 409,
    message:
      'Another export of yours is under way, and there is one at a time: GET /api/pds/exports says how far it is.',
  },
  EXPORT_NOT_READY: {
    status: 409,
    message:
      'This export cannot be downloaded (yet): GET /api/pds/exports says how far it is, or why it failed.',
  },
  MOVE_ALREADY_THERE: {
    status: 409,
    message: 'You live on this PDS already: GET /api/pds/providers says where else you could.',
  },
  HANDLE_UNCHANGED: { status: 409, message: 'This is your handle already.' },
  HANDLE_TAKEN: { status: 409, message: 'Somebody else has this name: choose another one.' },
  HANDLE_GIVEN_UP: {
    status: 409,
    message:
      'Somebody else had this handle until lately, and it goes to nobody for 90 days: choose another one.',
  },
  HANDLES_TOO_MANY: {
    status: 409,
    message:
      'You have given up 10 handles that nobody else may have yet: take one of them back, or wait until one is free.',
  },
  TOTP_NOT_ENROLLED: {
    status: 409,
    message: 'You have no second factor yet: set one up with POST /api/auth/2fa/enroll.',
  },
  TOTP_ALREADY_ENROLLED: {
    status: 409,
    message: 'You have a second factor already: disable it first to set up another one.',
  },
  BACKUP_EXPIRED: { status: 409, message: 'This backup has expired: take a newer one.' },
  BACKUP_USED: { status: 409, message: 'This backup was restored before: take another one.' },
  BACKUP_REJECTED: {
    status: 409,
    message:
      'Your PDS does not accept (any more) what this backup holds, and nothing was changed: take another one. If it accepts none, your password was changed there: ask the administrators.',
  },
  RESTORE_IN_PROGRESS: {
    status: 409,
    message:
      'Your credentials are being restored or checked by somebody else at the moment: try again in a minute.',
  },
  APP_PASSWORD_EXISTS: {
    status: 409,
    message:
      'You have an app password by this name, and it cannot be shown again: revoke it first, or take another name.',
  },
  APP_PASSWORD_LIMIT: {
    status: 409,
    message: 'You have as many app passwords as there may be: revoke one that you do not need.',
  },
  APP_PASSWORDS_REFUSED: {
    status: 409,
    message:
      'Your PDS refuses this, or does not accept (any more) the password that we keep for you: if you have changed it there, restore a backup; if it stays so, ask the administrators.',
  },
  NO_ROTATION_KEYS: {
    status: 409,
    message:
      'Your DID is a did:web and has no rotation keys: who holds our domain holds its document. A did:plc has some.',
  },
  ROTATION_KEYS_NOT_OURS: {
    status: 409,
    message:
      'Our key is not among the rotation keys of your DID any more: only who holds one that is can change them.',
  },
  ROTATION_KEYS_CHANGED: {
    status: 409,
    message:
      'Somebody else was faster to change your DID: look at its rotation keys (GET), then confirm anew and try again.',
  },
  PLC_REFUSED: {
    status: 409,
    message:
      'The PLC directory refused this, and nothing was changed. It takes 10 operations on a DID an hour and 30 a day: confirm anew and try again tomorrow, and if it stays, ask the administrators.',
  },
  LOG_TOO_LARGE: {
    status: 409,
    message: 'Your log has more entries than one file holds: ask the administrators for it.',
  },
  CONTENT_TYPE_UNSUPPORTED: { status: 415, message: 'Send the body as application/json in UTF-8.' },
  RATE_LIMITED: { status: 429, message: 'That was too often: wait as long as the retry-after header says.' },

  INTERNAL: {
    status: 500,
    message: 'Something is wrong on our side. Tell us the request id if it stays so.',
  },
  UNAVAILABLE: { status: 503, message: 'This does not work at the moment: try again in a few seconds.' },
  APP_PASSWORD_UNCERTAIN: {
    status: 503,
    message:
      'It is not certain that your PDS made this app password: look at the list in a minute. If it is there, nobody knows it: revoke it and make another one.',
  },
  PLC_UNAVAILABLE: {
    status: 503,
    message:
      'The PLC directory does not answer, or not as it should: in some minutes look at the rotation keys (GET) before you try again.',
  },
  AUDIT_TOO_LARGE: {
    status: 503,
    message: 'The log has more entries than can be verified here in time: use `npm run audit:verify`.',
  },
  TIMEOUT: { status: 503, message: 'This took too long: look at the current state before you try again.' },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/** An error of the documented list, with its status and its message. */
export function apiError(
  code: ErrorCode,
  options: Pick<AppErrorOptions, 'fields' | 'retryAfter' | 'cause'> = {},
): AppError {
  const { status, message } = ERROR_CODES[code];
  return new AppError(code, message, { ...options, status });
}
