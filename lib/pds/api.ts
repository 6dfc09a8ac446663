import * as z from 'zod/mini';
import { contract } from '../http/contract.ts';
import { timestamp } from '../http/fields.ts';
import { limit, offset } from '../http/paging.ts';

const identityStatus = z.enum(['pending', 'active', 'error', 'revoked', 'disabled']);
const verificationStatus = z.enum(['accessible', 'inaccessible', 'unknown']);
/** What a probe has found; `unknown`: it did not say in time. */
const answer = z.enum(['passed', 'failed', 'unknown']);
/** Where the saga stands: the last step that is done and stored. */
const provisioningStep = z.enum([
  'requested',
  'reserved',
  'account_created',
  'identity_published',
  'activated',
  'secured',
]);

/** A member's identity as its owner sees it. Handles are shown as `@name.domain`; null until they are reserved. */
export const identityInfo = z.object({
  pnptv_uuid: z.uuid(),
  pds_handle: z.nullable(z.string()),
  pds_did: z.nullable(z.string()),
  pds_endpoint: z.nullable(z.string()),
  status: identityStatus,
  verification_status: verificationStatus,
  created_at: timestamp,
  provisioning_step: provisioningStep,
  left_at: z.nullable(timestamp),
  error: z.nullable(z.object({ code: z.string(), message: z.string() })),
});

export const info = contract({
  operationId: 'info',
  summary: "The member's identity",
  method: 'GET',
  path: '/api/pds/info',
  access: 'member',
  host: 'app',
  data: identityInfo,
  errors: ['IDENTITY_NOT_FOUND'],
});

export const retryProvision = contract({
  operationId: 'retryProvision',
  summary: 'Try again what failed; answers at once with the current state',
  method: 'POST',
  path: '/api/pds/retry-provision',
  access: 'member',
  host: 'app',
  limits: { member: { max: 10, windowSeconds: 600 }, address: { max: 300, windowSeconds: 600 } },
  data: z.pick(identityInfo, { pnptv_uuid: true, pds_handle: true, pds_did: true, status: true }),
});

export const health = contract({
  operationId: 'health',
  summary: 'Check now whether the identity works: probes in parallel, at most 3 seconds',
  method: 'GET',
  path: '/api/pds/health',
  access: 'member',
  host: 'app',
  data: z.object({
    has_pds: z.boolean(),
    pds_handle: z.nullable(z.string()),
    pds_did: z.nullable(z.string()),
    status: identityStatus,
    verification_status: verificationStatus,
    accessible: z.boolean(),
    last_verified_at: z.nullable(timestamp),
    probes: z.nullable(
      z.object({ pds: answer, endpoint: answer, account: answer, did_document: answer, handle: answer }),
    ),
    problem: z.nullable(z.object({ code: z.string(), message: z.string() })),
  }),
  errors: ['RATE_LIMITED'],
});

export const provisioningLog = contract({
  operationId: 'provisioningLog',
  summary: "The member's own audit log, newest first",
  method: 'GET',
  path: '/api/pds/provisioning-log',
  access: 'member',
  host: 'app',
  query: z.strictObject({ limit: limit(50), offset }),
  data: z.array(
    z.object({
      id: z.number(),
      action: z.string(),
      status: z.enum(['success', 'failed', 'pending']),
      details: z.nullable(z.record(z.string(), z.unknown())),
      error_message: z.nullable(z.string()),
      created_at: timestamp,
    }),
  ),
  paginated: true,
});

export const healthChecks = contract({
  operationId: 'healthChecks',
  summary: 'The newest health checks',
  method: 'GET',
  path: '/api/pds/health-checks',
  access: 'member',
  host: 'app',
  query: z.strictObject({ limit: limit(20) }),
  data: z.array(
    z.object({
      id: z.number(),
      check_type: z.enum(['connectivity', 'endpoint_reachable', 'at_protocol', 'credentials']),
      status: z.enum(['success', 'failed', 'timeout']),
      response_time_ms: z.nullable(z.number()),
      details: z.nullable(z.record(z.string(), z.unknown())),
      created_at: timestamp,
    }),
  ),
});

export const provision = contract({
  operationId: 'provision',
  summary: 'Provision a member by hand: waits up to 25 seconds and then says what is',
  method: 'POST',
  path: '/api/pds/provision',
  access: 'admin',
  host: 'app',
  body: z.strictObject({ userId: z.string().check(z.regex(/^\d{1,20}$/, 'must be a Telegram id')) }),
  data: z.extend(identityInfo, { duration_ms: z.number() }),
  errors: ['MEMBER_NOT_FOUND'],
});

export const healthz = contract({
  operationId: 'healthz',
  summary: 'Whether the service and its database answer',
  method: 'GET',
  path: '/api/healthz',
  access: 'public',
  host: 'app',
  data: z.object({ status: z.enum(['ok']) }),
});
