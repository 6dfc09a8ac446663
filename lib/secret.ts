/**
 * Reads a secret's current string value from AWS Secrets Manager. The SDK is loaded only when there is a secret
 * to read, so a function whose settings are all plain does not pay for it.
 */
export async function readSecret(arn: string): Promise<string> {
  const { SecretsManagerClient, GetSecretValueCommand } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient();
  try {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn }));
    if (SecretString === undefined) throw new Error('the secret has no string value');
    return SecretString;
  } finally {
    client.destroy();
  }
}
