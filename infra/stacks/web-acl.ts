import { CfnWebACL } from 'aws-cdk-lib/aws-wafv2';
import type { Construct } from 'constructs';
import { telegramWebhook } from '../../lib/auth/api.ts';

/**
 * What each kind of host turns away before it costs anything.
 * - `app`: AWS's common rules, addresses of bad repute, and more than 10,000 requests in 5 minutes from one address: far
 *   above what a crowd behind one address does that logs in (600 a minute) and watches its identities being made. All of
 *   that but for the bot's updates: they come in crowds from few addresses, may be longer than the common rules allow,
 *   and hold whatever members write; one that is blocked, Telegram sends again and again. They have a bound of their own,
 *   since they share the API's throttle with everybody else.
 * - `members`: the common rules would refuse clients without a User-Agent, which resolvers of DIDs may be; and one
 *   relay or AppView asks for all members from few addresses, so only floods are cut off.
 */
const RULES = {
  app: { common: true, requestsPer5Minutes: 10_000, updatesPer5Minutes: 15_000 },
  members: { common: false, requestsPer5Minutes: 100_000, updatesPer5Minutes: undefined },
};

const AN_UPDATE: CfnWebACL.StatementProperty = {
  byteMatchStatement: {
    fieldToMatch: { uriPath: {} },
    positionalConstraint: 'EXACTLY',
    searchString: telegramWebhook.path,
    textTransformations: [{ priority: 0, type: 'NONE' }],
  },
};
const NO_UPDATE: CfnWebACL.StatementProperty = { notStatement: { statement: AN_UPDATE } };

export function addWebAcl(scope: Construct, id: string, kind: keyof typeof RULES): CfnWebACL {
  const { common, requestsPer5Minutes, updatesPer5Minutes } = RULES[kind];
  const others = updatesPer5Minutes === undefined ? {} : { scopeDownStatement: NO_UPDATE };
  const managed = [
    ...(common ? ['AWSManagedRulesCommonRuleSet'] : []),
    'AWSManagedRulesAmazonIpReputationList',
  ];
  const rules: CfnWebACL.RuleProperty[] = managed.map((name, priority) => ({
    name,
    priority,
    overrideAction: { none: {} },
    statement: { managedRuleGroupStatement: { vendorName: 'AWS', name, ...others } },
    visibilityConfig: visibility(name),
  }));
  const bound = (name: string, limit: number, which: object) =>
    rules.push({
      name,
      priority: rules.length,
      action: { block: { customResponse: { responseCode: 429 } } },
      statement: { rateBasedStatement: { aggregateKeyType: 'IP', limit, ...which } },
      visibilityConfig: visibility(name),
    });
  bound('requests-by-address', requestsPer5Minutes, others);
  if (updatesPer5Minutes !== undefined)
    bound('updates-by-address', updatesPer5Minutes, { scopeDownStatement: AN_UPDATE });
  return new CfnWebACL(scope, id, {
    scope: 'CLOUDFRONT',
    defaultAction: { allow: {} },
    rules,
    visibilityConfig: visibility(id),
  });
}

function visibility(metricName: string): CfnWebACL.VisibilityConfigProperty {
  // No samples: they would keep cookies, bearers and login links of members for whoever may look at them.
  return { metricName, cloudWatchMetricsEnabled: true, sampledRequestsEnabled: false };
}
