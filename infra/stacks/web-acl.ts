import { CfnWebACL } from 'aws-cdk-lib/aws-wafv2';
import type { Construct } from 'constructs';

/**
 * What each kind of host turns away before it costs anything.
 * - `app`: AWS's common rules, addresses of bad repute, and more than 2,000 requests in 5 minutes from one address.
 * - `members`: the common rules would refuse clients without a User-Agent, which resolvers of DIDs may be; and one
 *   relay or AppView asks for all members from few addresses, so only floods are cut off.
 */
const RULES = {
  app: { common: true, requestsPer5Minutes: 2_000 },
  members: { common: false, requestsPer5Minutes: 100_000 },
};

export function addWebAcl(scope: Construct, id: string, kind: keyof typeof RULES): CfnWebACL {
  const { common, requestsPer5Minutes } = RULES[kind];
  const managed = [
    ...(common ? ['AWSManagedRulesCommonRuleSet'] : []),
    'AWSManagedRulesAmazonIpReputationList',
  ];
  const rules: CfnWebACL.RuleProperty[] = managed.map((name, priority) => ({
    name,
    priority,
    overrideAction: { none: {} },
    statement: { managedRuleGroupStatement: { vendorName: 'AWS', name } },
    visibilityConfig: visibility(name),
  }));
  rules.push({
    name: 'requests-by-address',
    priority: rules.length,
    action: { block: { customResponse: { responseCode: 429 } } },
    statement: { rateBasedStatement: { aggregateKeyType: 'IP', limit: requestsPer5Minutes } },
    visibilityConfig: visibility('requests-by-address'),
  });
  return new CfnWebACL(scope, id, {
    scope: 'CLOUDFRONT',
    defaultAction: { allow: {} },
    rules,
    visibilityConfig: visibility(id),
  });
}

function visibility(metricName: string): CfnWebACL.VisibilityConfigProperty {
  return { metricName, cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true };
}
