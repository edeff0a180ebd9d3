// The ways into Latchkey's API, whichever front door there is. What is not listed is answered by the front door itself.
/** One way in: what is asked, and which function answers. */
export interface ApiRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly to: 'read' | 'keys'
}

const route = (to: ApiRoute['to']) => (method: ApiRoute['method'], path: string): ApiRoute => ({ method, path, to })
const [read, keys] = [route('read'), route('keys')]

/** Every route of Latchkey's API, by the function that has it. `{proxy+}` is whatever follows, slashes included. */
export const apiRoutes: readonly ApiRoute[] = [
  ...['/secrets', '/secrets/{proxy+}', '/health', '/ready', '/whoami', '/capabilities'].map((path) => read('GET', path)),
  read('POST', '/secrets:read'),
  keys('PUT', '/secrets/{proxy+}'),
  keys('DELETE', '/secrets/{proxy+}'),
  keys('POST', '/secrets/{proxy+}'),
  keys('GET', '/key/{proxy+}'),
  keys('POST', '/key/{proxy+}'),
  keys('POST', '/keys:adopt'),
  keys('POST', '/keys:reconcile'),
  keys('POST', '/events/rotation'),
]
