// Powertools as its own documentation uses it.
import { getSecret } from '@aws-lambda-powertools/parameters/secrets'

export const handler = async () => ({ statusCode: 200, body: await getSecret('app-key-1', { maxAge: 300 }) })
