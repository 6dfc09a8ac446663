import type { JsonValue } from '../../db/connect.ts';
import type { HealthProblem } from '../health-problems.ts';
import { XrpcError } from '../xrpc-error.ts';

/** What a probe sees when it gets its answer. */
export type Finding = {
  passed: boolean;
  details: { [name: string]: JsonValue };
  /** What a person has to know who is to do something about it. */
  problem?: HealthProblem | undefined;
};

/** How a probe ended. */
export type Probed = {
  status: 'success' | 'failed' | 'timeout';
  responseTimeMs: number;
  details: { [name: string]: JsonValue };
  errorMessage: string | null;
  problem?: HealthProblem | undefined;
  /** The request that went wrong, if it was a PDS's. */
  error?: XrpcError | undefined;
};

/**
 * Runs one probe. What goes wrong is a finding: it throws only what is no fault of the network or of who answers.
 * `meaning` is what stands in the way when the request fails.
 */
export async function probe(
  ask: () => Promise<Finding>,
  meaning: (error: XrpcError) => HealthProblem,
): Promise<Probed> {
  const begun = performance.now();
  const responseTimeMs = () => Math.round(performance.now() - begun);
  try {
    const { passed, ...found } = await ask();
    const status = passed ? 'success' : 'failed';
    return { status, responseTimeMs: responseTimeMs(), errorMessage: null, ...found };
  } catch (error) {
    if (!(error instanceof XrpcError)) throw error;
    return {
      status: error.fault === 'timeout' ? 'timeout' : 'failed',
      responseTimeMs: responseTimeMs(),
      details: { fault: error.fault, nsid: error.nsid, ...(error.error && { error: error.error }) },
      errorMessage: error.message,
      problem: error.fault === 'throttled' ? undefined : meaning(error),
      error,
    };
  }
}

/** Several probes as one: as bad as the worst of them, with the details of all. */
export function together(probes: readonly Probed[]): Probed {
  const worst =
    probes.find(({ status }) => status === 'failed') ?? probes.find(({ status }) => status === 'timeout');
  return {
    status: worst?.status ?? 'success',
    responseTimeMs: Math.max(0, ...probes.map(({ responseTimeMs }) => responseTimeMs)),
    details: Object.assign({}, ...probes.map(({ details }) => details)),
    errorMessage: worst?.errorMessage ?? null,
    problem: worst?.problem,
    error: probes.find(({ error }) => error !== undefined)?.error,
  };
}

/** What a failed request about an account says: that the PDS is down, that it refused, or nothing that makes sense. */
export function meaningOf(refused: HealthProblem) {
  return ({ providerDown, fault }: XrpcError): HealthProblem => {
    if (providerDown) return 'PROVIDER_DOWN';
    return fault === 'rejected' ? refused : 'CHECK_FAILED';
  };
}
