import { CfnWebACL } from 'aws-cdk-lib/aws-wafv2';
import type { Construct } from 'constructs';
import { telegramWebhook } from '../../lib/auth/api.ts';

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

/**
 * All requests but the bot's updates. These come in crowds from few addresses, may be longer than the common rules
 * allow, and hold whatever members write: one that is blocked, Telegram sends again and again. The API throttles them,
 * and believes only those that show its secret.
 */
const NOT_AN_UPDATE: CfnWebACL.StatementProperty = {
  notStatement: {
    statement: {
      byteMatchStatement: {
        fieldToMatch: { uriPath: {} },
        positionalConstraint: 'EXACTLY',
        searchString: telegramWebhook.path,
        textTransformations: [{ priority: 0, type: 'NONE' }],
      },
    },
  },
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
    statement: { managedRuleGroupStatement: { vendorName: 'AWS', name, scopeDownStatement: NOT_AN_UPDATE } },
    visibilityConfig: visibility(name),
  }));
  rules.push({
    name: 'requests-by-address',
    priority: rules.length,
    action: { block: { customResponse: { responseCode: 429 } } },
    statement: {
      rateBasedStatement: {
        aggregateKeyType: 'IP',
        limit: requestsPer5Minutes,
        scopeDownStatement: NOT_AN_UPDATE,
      },
    },
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
