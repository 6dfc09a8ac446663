/** Failed checks in a row after which an identity counts as inaccessible; one alone may be a restart. */
export const FAILURES_TO_INACCESSIBLE = 3;

/** What can stand in the way of an identity, and what the member is told: what it is, and who can do what about it. */
export const HEALTH_PROBLEMS = {
  PROVIDER_DOWN:
    'Your identity server does not answer. You need not do anything: it is asked again every hour, and operators know.',
  ENDPOINT_UNREACHABLE:
    'Your identity server does not answer at its public address. You need not do anything: operators see to it.',
  ACCOUNT_MISSING:
    'Your identity server has no account of yours any more. Tell an operator; your DID and handle remain yours.',
  ACCOUNT_TAKEN_DOWN:
    'Your identity server has taken your account down. Only its operator can tell why and undo it: ask them.',
  ACCOUNT_DEACTIVATED:
    'Your account is deactivated. “Reactivate” activates it again, and so do you at your identity server; what you need for that, “reveal credentials” shows.',
  CREDENTIALS_REFUSED:
    'Your identity server accepts neither the session nor the password that we keep: somebody has changed it there. Change it back to what “reveal credentials” shows, or tell an operator.',
  DOCUMENT_WRONG:
    'What the world reads as your DID document is not what we keep. Nothing is lost; operators see to the domain and the edge.',
  PLC_DOWN:
    'The PLC directory, where your DID document lies, does not answer: nobody can look it up. You need not do anything: operators know.',
  HANDLE_WRONG:
    'Your handle does not lead to your DID. Nothing is lost; operators see to the domain and the edge.',
  CHECK_FAILED:
    'Your identity server gave an answer that makes no sense. You need not do anything: it is checked again.',
} as const;

export type HealthProblem = keyof typeof HEALTH_PROBLEMS;

/** A stored problem in the form that the API shows it in. */
export function showProblem(code: HealthProblem | null): { code: HealthProblem; message: string } | null {
  return code === null ? null : { code, message: HEALTH_PROBLEMS[code] };
}
