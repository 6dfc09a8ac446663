/** Why work was given up, for operators: what it means and what to do before it is redriven. */
export type Cause = { means: string; todo: string };

/** `means` stands here where what the member reads of it does not say enough. */
type Words = { means?: string; todo: string };

const OTHER: Words = {
  todo: 'Read the log of provision-identity (of a change or an export: change-identity) by this queue_id. Repair what it names, then redrive.',
};
const VAULT_TODO = 'Change nothing in pds_data_keys. See to the KMS key and the alarms of it, then redrive.';
const DNS_TODO = 'Check DNS, TLS and caches of PDS_DOMAIN from where the PDS is, then redrive.';

/** By the code of `error_details`, or of a dead letter. */
const CAUSES: Readonly<Record<string, Words>> = {
  // What the PDS says
  PDS_SERVER_ERROR: { todo: 'Read the log of the PDS at the time of the failure, repair it, then redrive.' },
  PDS_MALFORMED: { todo: 'See whether a PDS answers at its address (/xrpc/_health), then redrive.' },
  PDS_REJECTED: { todo: 'The details name the request and the refusal: repair its reason, then redrive.' },
  NO_INVITE: {
    todo: 'Enter the admin password of the PDS or, in PDS_REMOTE_INVITE_CODE, an invite code, then redrive.',
  },
  ACCOUNT_REFUSED: {
    todo: 'The details name the refusal: settle it with the operator of the PDS, then redrive.',
  },
  ACCOUNT_LOCKED: {
    todo: 'Enter the admin password of the PDS, with which the worker resets it, then redrive.',
  },
  ACCOUNT_NOT_OURS_TO_OPEN: {
    todo: 'Enter the admin password of the PDS, or have its operator look, then redrive.',
  },
  ACCOUNT_TAKEN_DOWN: { todo: 'Ask the operator of the PDS why. Redrive once he has put the account back.' },
  ACCOUNT_WITHOUT_REPO: {
    todo: 'Enter the admin password of the PDS, or have its operator delete it, then redrive.',
  },
  ACCOUNT_CREATION_BROKE: {
    todo: 'Read the log of the PDS at the time of the failure, repair it, then redrive.',
  },
  ACCOUNT_CREATION_UNANSWERED: { todo: 'See whether the PDS answers in time (/xrpc/_health), then redrive.' },
  HANDLES_REFUSED: {
    todo: 'Have the PDS take handles under PDS_DOMAIN; the details name its refusal. Then redrive.',
  },
  NO_HANDLE_FREE: { todo: 'Redrive: other names are tried.' },
  IDENTITY_NOT_REACHABLE: { todo: DNS_TODO },
  DID_DOCUMENT_NOT_SEEN: { todo: DNS_TODO },
  ACCOUNT_NOT_ACTIVATED: {
    todo: 'Read the log of the PDS at the time of the failure, repair it, then redrive.',
  },
  ACCOUNT_NOT_DEACTIVATED: {
    todo: 'Read the log of the PDS at the time of the failure, repair it, then redrive.',
  },
  HANDLE_NOT_CONFIRMED: {
    todo: 'See which handle the PDS and the document say (README, “Another handle”), repair the PDS, then redrive.',
  },
  PDS_ADDRESS_WRONG: {
    todo: 'Give the PDS the public hostname under which it answers (PDS_HOSTNAME of the PDS), then redrive.',
  },
  DID_NOT_OURS: { todo: 'Read the log of the PDS at the time of the failure, repair it, then redrive.' },
  // What the PLC directory says
  PLC_ANSWER_WRONG: { todo: 'See what PDS_PLC_URL answers about this DID, repair it, then redrive.' },
  PLC_ENTRY_WRONG: { todo: 'Compare what PDS_PLC_URL says of this DID with the PDS, then redrive.' },
  DID_ENDED: {
    todo: 'Ask the member: only a rotation key of his DID can have ended it. Redriving does not help.',
  },
  // What we find
  CHECK_FAILED: { todo: 'Look at his newest rows in pds_health_checks, repair what failed, then redrive.' },
  STORAGE_UNAVAILABLE: {
    means: 'The bucket of exports did not answer, or refused.',
    todo: 'See whether the worker may read and write in the bucket EXPORTS_BUCKET, then redrive: it goes on where it was.',
  },
  // What the settings say
  NO_PROVIDER: { todo: 'Set PDS_MODE and its PDS (README, “Settings”), deploy, then redrive.' },
  PROVIDER_NOT_CONFIGURED: {
    todo: 'Put the PDS that it names back into the settings, deploy, then redrive.',
  },
  NO_SERVICE_DOMAIN: {
    todo: 'Give the PDS a domain of its own for handles, or set PDS_DID_METHOD=web, then redrive.',
  },
  // What is ours
  DATABASE_BUSY: { todo: 'See whether the database has room (its alarms, its dashboard), then redrive.' },
  WORKER_CRASHED: {
    means: 'The worker crashed or timed out at this work, each time that SQS gave it the message.',
    todo: OTHER.todo,
  },
  CLAIMED_TOO_OFTEN: {
    means: 'Workers began this work again and again and none wrote down how it ended: they crashed or hung.',
    todo: OTHER.todo,
  },
  NOT_DONE_IN_TIME: {
    todo: 'See why nothing worked on it (alarms of the relay and the worker, PDS_PROVISIONING_ENABLED), then redrive.',
  },
  KMS_UNAVAILABLE: {
    means: 'KMS did not answer.',
    todo: 'See whether KMS answers in this region, then redrive.',
  },
  KMS_REFUSED: { means: 'KMS refused to make or open a data key.', todo: VAULT_TODO },
  DATA_KEY_NOT_FOUND: { means: 'The data key of a sealed value is not in the database.', todo: VAULT_TODO },
  DATA_KEY_UNREADABLE: { means: 'KMS does not open a data key that is in the database.', todo: VAULT_TODO },
  SEALED_VALUE_UNREADABLE: {
    means: 'A sealed credential of this member does not open: it was changed, or put in another place.',
    todo: 'Compare his row with a backup of the database, and verify his audit log. Redriving alone does not help.',
  },
  // What names no work
  NO_SUCH_WORK: {
    means:
      'A message in the queue names no work of ours, or work that was cleaned up. It can only be put away.',
    todo: 'Read message_body in the table dead_letters: who may send to the queue? Then redrive all, which puts it away.',
  },
  WORK_WENT_ON: {
    means: 'A message died, but its work went on or was taken over since: nothing has to be done again.',
    todo: 'Redrive all, which puts it away.',
  },
};

/** The words for a cause. `message` is what the member reads of it, if anything. */
export function explainCause(code: string, message?: string): Cause {
  const { means, todo } = Object.hasOwn(CAUSES, code) ? (CAUSES[code] ?? OTHER) : OTHER;
  return { means: means ?? message ?? 'This version has no words for it.', todo };
}

/** For the test that finds a code without words. */
export function hasWords(code: string): boolean {
  return Object.hasOwn(CAUSES, code);
}
