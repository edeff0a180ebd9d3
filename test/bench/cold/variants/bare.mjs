// The floor of every bundle: a handler that returns a constant.
export const handler = async () => ({ statusCode: 200, body: 'ok' })
