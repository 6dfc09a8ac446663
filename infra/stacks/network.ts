import {
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  type ISecurityGroup,
  type IVpc,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

/**
 * Where functions and database meet. Two zones; one NAT gateway, for functions that call PDSs and Telegram (a zone
 * that fails may take egress with it: provisioning then waits in its queue, logins and DID documents do not need it);
 * endpoints for the AWS services that functions call, so that their traffic and their failures stay inside.
 */
export class Network extends Construct {
  readonly vpc: IVpc;
  /** Worn by every function: what the database lets in. */
  readonly functions: ISecurityGroup;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const vpc = new Vpc(this, 'vpc', {
      ipAddresses: IpAddresses.cidr('10.0.0.0/18'),
      maxAzs: 2,
      natGateways: 1,
      subnetConfiguration: [
        { name: 'public', subnetType: SubnetType.PUBLIC, cidrMask: 24 },
        { name: 'functions', subnetType: SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 },
        { name: 'database', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 24 },
      ],
      gatewayEndpoints: { s3: { service: GatewayVpcEndpointAwsService.S3 } },
    });
    vpc.addFlowLog('rejected', {
      trafficType: FlowLogTrafficType.REJECT,
      destination: FlowLogDestination.toCloudWatchLogs(
        new LogGroup(this, 'rejected-traffic', { retention: RetentionDays.ONE_MONTH }),
      ),
    });
    this.functions = new SecurityGroup(this, 'functions', { vpc, description: 'Every Lambda function' });
    for (const [name, service] of Object.entries({
      kms: InterfaceVpcEndpointAwsService.KMS,
      sns: InterfaceVpcEndpointAwsService.SNS,
      sqs: InterfaceVpcEndpointAwsService.SQS,
      'secrets-manager': InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    })) {
      const endpoint = vpc.addInterfaceEndpoint(name, { service, open: false });
      endpoint.connections.allowDefaultPortFrom(this.functions, 'Functions call it');
    }
    this.vpc = vpc;
  }
}
