import { createHash } from 'node:crypto';
import { canonicalJson } from '../audit/canonical.ts';
import type { Contract } from '../http/contract.ts';

/** What a step-up is for: the value of one field of the request, several fields by their names, or the operation as such. */
export type StepUpTarget = string | Readonly<Record<string, unknown>> | null;

/**
 * What a request of this contract needs a step-up for, by the parameters of its path and the fields of its body, as its
 * schemas have read them: with their defaults, and without what was left out.
 */
export function targetOf({ stepUp }: Contract, fields: Readonly<Record<string, unknown>>): StepUpTarget {
  const target = stepUp?.target;
  if (target === undefined) return null;
  if (typeof target === 'string') return String(fields[target]);
  return Object.fromEntries(
    target.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]),
  );
}

/** The form in which a target is stored and compared: of several fields SHA-256 of their canonical JSON (RFC 8785). */
export function storedTarget(target: StepUpTarget): string | null {
  if (target === null || typeof target === 'string') return target;
  return createHash('sha256').update(canonicalJson(target)).digest('base64url');
}
