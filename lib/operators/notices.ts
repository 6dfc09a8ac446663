/** What a kind of notice means, and what to do about it, for somebody who is woken by it. `see`: a section of the README. */
export type NoticeText = { means: string; todo: string; see: string };

/** Everything that operators are told of, whatever it is about stands in the notice's subject. */
export const NOTICES = {
  identity_failed: {
    means: 'A member was told that his identity could not be made.',
    todo: 'Read the cause in GET /api/admin/dead-letters, repair it, then redrive.',
    see: 'Dead letters',
  },
  work_failed: {
    means:
      'Work on an identity that exists failed for good: a check, an export, or a change, which then stays where it came to.',
    todo: 'Read the cause in GET /api/admin/dead-letters, repair it, then redrive.',
    see: 'Dead letters',
  },
  dead_letter: {
    means: 'Work crashed or timed out every time that it was begun, and is given up.',
    todo: 'Read its log lines by queue_id (log groups provision-identity and change-identity), repair the cause, then redrive.',
    see: 'Dead letters',
  },
  account_left_open: {
    means:
      'A member was handed over to another PDS, and the one that he left did not let us close his account within a day.',
    todo: 'Deactivate the account there by hand once the PDS answers. His document does not name it any more.',
    see: 'Leaving for any PDS',
  },
  circuit_open: {
    means: 'A PDS does not answer. New members wait for it and lose nothing.',
    todo: 'See to the PDS (/xrpc/_health). When it answers, everybody who waits goes on by himself.',
    see: 'Who is told what',
  },
  circuit_closed: {
    means: 'A PDS that did not answer is back. Those who waited for it go on by themselves.',
    todo: 'Nothing.',
    see: 'Who is told what',
  },
  admin_password_refused: {
    means: 'A PDS refuses our admin password: creations broken off cannot be cleared, nor passwords reset.',
    todo: 'Write the password that the PDS has into its secret (PDS_ADMIN_PASSWORD, or PDS_REMOTE_ADMIN_PASSWORD), then restart the functions that read it at their start.',
    see: 'Who is told what',
  },
  identity_inaccessible: {
    means: 'An identity failed three checks in a row: its member cannot use it.',
    todo: 'Read health_problem in user_pds_mapping (by pnptv_uuid); lib/pds/health-problems.ts says whose turn it is.',
    see: 'Health',
  },
  provider_inaccessible: {
    means:
      'A PDS did not answer three times in a row, in hourly sweeps or when a member was checked: its members count as inaccessible.',
    todo: 'See to the PDS (/xrpc/_health). When it answers, the next sweep makes them accessible again by itself.',
    see: 'Health',
  },
  names_wrong: {
    means:
      'Most DID documents and handles that a sweep looked at are wrong or not answered: the world does not find their members.',
    todo: 'Fetch one as the world does: https://HANDLE/.well-known/atproto-did (a HANDLE from user_pds_mapping). No answer: DNS, certificate, WAF, edge. Another one: cache, or the service itself. For a did:plc, see what PDS_PLC_URL answers. Members are looked at again by themselves.',
    see: 'Health',
  },
  plc_directory_down: {
    means:
      'The PLC directory does not answer: nobody can look up a did:plc. New members wait for it and lose nothing.',
    todo: 'See what PDS_PLC_URL answers (/_health), from here and from the PDS. When it is back, they go on by themselves.',
    see: 'did:web or did:plc',
  },
  plc_operation_refused: {
    means:
      'The PLC directory refused the new keys of a did:plc. Its rotation is tried again every hour, and until then its keys are as they were.',
    todo: 'If it comes again for a day, read its log (PDS_PLC_URL/DID/log/audit): it takes 10 operations on a DID an hour and 30 a day.',
    see: 'Key rotation',
  },
  invite_needed: {
    means: 'A PDS takes new accounts by invitation only, and we have no invite code that it takes.',
    todo: 'Ask its operator for one, write it into PDS_REMOTE_INVITE_CODE, restart the worker, redrive who failed.',
    see: 'Modes and providers',
  },
  orphan_left: {
    means:
      'An account that a member does not use lies deactivated on a PDS that only its operator can delete it from.',
    todo: 'Nothing has to be done. To be rid of it, write PDS_REMOTE_ADMIN_PASSWORD: then it is deleted.',
    see: 'Modes and providers',
  },
  account_left: {
    means:
      'A member was deleted, and his account on a PDS could not be: it is deactivated, not ours to open, or that PDS did not answer for a week.',
    todo: 'Ask the operator of that PDS to delete the account with this e-mail address. We know nothing of it any more.',
    see: 'Leaving for good',
  },
  orphan_foreign: {
    means:
      'A PDS has an account with the DID of a member who lives elsewhere, and our password does not open it.',
    todo: 'Ask the operator of that PDS who made it. We do not touch it, and the member is not harmed.',
    see: 'Modes and providers',
  },
  move_unfinished: {
    means:
      'A member is on his way to another PDS and cannot be brought to its end, nor back: it is tried again every five minutes, for as long as it takes.',
    todo: 'See how far it is in GET /api/admin/changes, and why in the log of change-identity, both by pnptv_uuid. Mostly a PDS refuses to activate an account: its log says why. From `activated` on it does not come home by itself: if the new PDS is gone for good, npm run move:back.',
    see: 'Moving',
  },
  deletion_unfinished: {
    means:
      'A member is being deleted, and it cannot be brought to its end: it is tried again every hour. After a week a PDS that is in the way is left out.',
    todo: 'Read why in the log of change-identity (by pnptv_uuid; how far it is says GET /api/admin/changes). Mostly a PDS answers with an error: its log says why.',
    see: 'Leaving for good',
  },
} as const satisfies Record<string, NoticeText>;

export type NoticeKind = keyof typeof NOTICES;
