import { MetricUnit, Metrics as PowertoolsMetrics } from '@aws-lambda-powertools/metrics';

/**
 * Business metrics of a Lambda, printed as CloudWatch's embedded metric format. A dimension makes a metric of its own
 * for each of its values and is paid for each: so there are none here but the service, and never a member.
 */
export type Metrics = {
  count(name: string, by?: number): void;
  /** A duration in milliseconds. */
  took(name: string, milliseconds: number): void;
  /** Prints what was counted since the last time; nothing when nothing was. At the end of every invocation. */
  flush(): void;
};

const NAMESPACE = 'PdsProvisioning';

/** Opens the metrics of a Lambda, at module scope. */
export function openMetrics(serviceName: string): Metrics {
  const metrics = new PowertoolsMetrics({ namespace: NAMESPACE, serviceName });
  return {
    count: (name, by = 1) => metrics.addMetric(name, MetricUnit.Count, by),
    took: (name, milliseconds) => metrics.addMetric(name, MetricUnit.Milliseconds, milliseconds),
    flush: () => {
      if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
    },
  };
}
