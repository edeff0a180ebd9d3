// Google's clients in Python, over REST and over gRPC, as an operator of any language would call them: by a token that stands on its own, with no repetition of theirs, and
// with checksums reckoned bit by bit. A program prints JSON.
import { signedToken } from '../../conformance/operators/google.ts'
import { foreignAccount, knownAccount } from '../../fakes/google-bearer.ts'
import type { RunningGrpc } from '../../fakes/google-grpc.ts'
import { clientEnv, run } from '../python-peers.ts'

/** `call(name, **request)` is one call with a good token; `name_of(act)` what it came to; `crc(data)` a checksum; `argument` what the test gives. */
const prelude = (module: string, service: string): string => `
import functools, json, sys
import google.auth.exceptions, grpc
from google.api_core import exceptions
from google.cloud import ${module}
from google.cloud.${module}.services.${service.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toLowerCase()} import transports
from google.oauth2.credentials import Credentials

argument = json.loads(sys.argv[1])
way = argument['way']

@functools.cache
def transport(token):
    if way == 'REST': return transports.${service}RestTransport(host=argument['rest'], credentials=Credentials(token), url_scheme='http')
    return transports.${service}GrpcTransport(channel=grpc.insecure_channel(argument['grpc']))

def call(method, token=argument['token'], **request):
    client = ${module}.${service}Client(transport=transport(token))
    metadata = [] if way == 'REST' else [('authorization', 'Bearer ' + token)]
    return getattr(client, method)(request=request, metadata=metadata, retry=None, timeout=10)

def name_of(act):
    try: return act() is not None and 'ok'
    except exceptions.GoogleAPICallError as error: return error.response.json()['error']['status'] if way == 'REST' else error.grpc_status_code.name
    # Over REST a token that is refused makes the client ask for another, which these credentials cannot give.
    except google.auth.exceptions.RefreshError: return 'UNAUTHENTICATED'

def crc(data):
    rest = 0xffffffff
    for bit in (byte >> at & 1 for byte in data for at in range(8)): rest = rest >> 1 ^ (0x82f63b78 if (rest ^ bit) & 1 else 0)
    return rest ^ 0xffffffff
assert crc(b'123456789') == 0xe3069283
`

/** What a program talks to: a fake's two doors, and whatever else it is to know. */
export interface Doors {
  readonly fake: { readonly url: string }
  readonly front: RunningGrpc
  readonly more: Readonly<Record<string, string>>
}

/** Runs programs of one service, which all begin with `own` as well. Answers what a program prints. @throws with the last line of what went wrong */
export const callsOf = (interpreter: string, module: string, service: string, own: string) => async ({ fake, front, more }: Doors, way: 'REST' | 'gRPC', program: string): Promise<unknown> => {
  const account = knownAccount().file
  const argument = {
    ...more, way, rest: fake.url.replace('http://', ''), grpc: `127.0.0.1:${front.port}`,
    token: signedToken(account), foreign: signedToken(foreignAccount().file), expired: signedToken(account, Date.now() - 3_600_000), elsewhere: signedToken(account, Date.now(), { scope: 'https://www.googleapis.com/auth/drive' }),
  }
  return JSON.parse(await run(interpreter, ['-c', prelude(module, service) + own + program, JSON.stringify(argument)], clientEnv(fake.url))) as unknown
}

/** A scenario: its title, an expression in Python, and what it must come to. */
export type Scenario = readonly [title: string, act: string, expected: string]

/** What each scenario came to, beside its title. One program runs all of them. */
export const outcomesOf = async (scenarios: readonly Scenario[], python: (program: string) => Promise<unknown>): Promise<readonly (readonly [title: string, came: string | undefined])[]> => {
  const came = (await python(`\nprint(json.dumps([name_of(act) for act in (${scenarios.map(([, act]) => `lambda: ${act}`).join(', ')})]))`)) as string[]
  return scenarios.map(([title], index) => [title, came[index]])
}
