// Conjur's variables, call by call: values by name and number, batches that are all or nothing, policies that make and delete variables, lists, privileges.
// Policies are written with a quoter of our own: JSON's string is YAML's double-quoted scalar once the few characters on which they differ are refused.
import { isCode, LatchkeyError } from '../../core/errors.ts'
import { encodePart, type HttpResponse } from '../../core/http-client.ts'
import { jsonOf } from '../../core/http/answers.ts'
import type { NameCodec } from '../../core/names.ts'
import { checkCall, type Call, type ProviderIo } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import { conjurFailure, conjurTitle, type ConjurAction, type ConjurConnection } from './login.ts'

/** A variable as a list shows it. */
export interface ListedVariable {
  readonly id: string
  /** The numbers of the values that are kept, oldest first. */
  readonly numbers: readonly number[]
}

const idsAtOnce = 50
const queryBytes = 7_000
const listedAtOnce = 1_000
const policyTries = 5
const valueTries = 4

/** What a policy may not hold: YAML breaks lines at some of these, and an id with a dot segment would be another path. */
const legalId = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^\p{Cc}\u2028\u2029\uFEFF\uFFFE\uFFFF]{1,512}$/u

/** Conjur holds our names as they are; what belongs to the records is nobody's name. */
export const conjurNames = (account: string, isRecord: (id: string) => boolean): NameCodec => ({
  kind: 'verbatim',
  encode: ({ text, place }) => {
    const own = `${account}:variable:`
    const id = place === 'native' && text.startsWith(own) ? text.slice(own.length) : text
    if (!id.isWellFormed() || !legalId.test(id)) throw new LatchkeyError('invalid_request', 'name: must be 1 to 512 characters without control characters, line separators and dot segments.', { param: 'name', issues: [{ path: 'name', message: 'holds what a Conjur variable may not' }] })
    if (isRecord(id)) throw new LatchkeyError('invalid_request', "name: is one of Latchkey's own records.", { param: 'name' })
    return id
  },
  decode: (id) => (isRecord(id) ? undefined : id),
})

const nonsense = (action: string): LatchkeyError => new LatchkeyError('provider_unavailable', `${conjurTitle} could not be reached, or did not answer ${action} sensibly.`)

/** The bytes of a value's answer. A page, or JSON that is none, was not answered by Conjur. */
const valueOf = (response: HttpResponse, what: ConjurAction): SecretValue => {
  const type = response.headers['content-type'] ?? ''
  if (response.status !== 200) throw conjurFailure(response, what)
  if (type.includes('html')) throw nonsense(what.action)
  if (type.includes('json')) jsonOf(response, conjurTitle)
  return SecretValue.ofBytes(response.body)
}

/** The calls about variables on one connection. `branch` is the policy into which variables are loaded. */
export const conjurVariables = (connection: ConjurConnection, branch: string, { clock }: Pick<ProviderIo, 'clock'>) => {
  const { account, send } = connection
  const full = (id: string): string => `${account}:variable:${id}`
  const at = (id: string): string => `/secrets/${encodePart(account)}/variable/${encodePart(id)}`

  /** The value, or one by its number. @throws not_found, provider_denied, … */
  const value = async (id: string, call: Call, number?: number): Promise<SecretValue> => {
    const what = { action: 'reading a value', name: id, native: full(id), needs: 'the privileges read and execute on the variable' }
    return valueOf(await send({ method: 'GET', path: `${at(id)}${number === undefined ? '' : `?version=${number}`}` }, what, call), what)
  }
  const orAbsent = <T>(found: Promise<T>): Promise<T | undefined> => found.catch((error: unknown) => (isCode(error, 'not_found') ? undefined : Promise.reject(error as Error)))

  /** Several values in one call: all of them, or a failure. The server takes an id that is asked twice for one that is missing. */
  const together = async (ids: readonly string[], call: Call): Promise<ReadonlyMap<string, SecretValue>> => {
    const what = { action: 'reading values', needs: 'the privileges read and execute on every variable' }
    const path = `/secrets?variable_ids=${ids.map((id) => encodePart(full(id))).join('%2C')}`
    const response = await send({ method: 'GET', path, headers: { 'accept-encoding': 'base64' } }, what, call)
    if (response.status !== 200) throw conjurFailure(response, what)
    const found = jsonOf(response, conjurTitle)
    if (response.headers['content-encoding'] !== 'base64' || typeof found !== 'object' || found === null) throw nonsense(what.action)
    return new Map(ids.map((id) => {
      const text: unknown = Object.hasOwn(found, full(id)) ? (found as Record<string, unknown>)[full(id)] : undefined
      const packed = typeof text === 'string' ? text.replace(/\s/g, '') : undefined
      if (packed === undefined || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(packed)) throw nonsense(what.action)
      return [id, SecretValue.ofBytes(Buffer.from(packed, 'base64'))]
    }))
  }

  const isPartial = (error: unknown): boolean => isCode(error, 'not_found', 'provider_denied') && [403, 404].includes(error.details.vendor?.status ?? 0)
  const halves = async (ids: readonly string[], call: Call): Promise<readonly [string, SecretValue | LatchkeyError][]> => {
    const [only] = ids
    try {
      if (only !== undefined && ids.length === 1) return [[only, await value(only, call)]]
      return [...(await together(ids, call))]
    } catch (error) {
      if (!(error instanceof LatchkeyError) || call.signal.aborted) throw error
      if (ids.length === 1 || !isPartial(error)) return ids.map((id) => [id, error])
      const middle = Math.ceil(ids.length / 2)
      return [...(await halves(ids.slice(0, middle), call)), ...(await halves(ids.slice(middle), call))]
    }
  }
  /** Many values, each found or failed by itself: a batch that is refused as a whole is halved until the ones at fault stand alone. An id with a comma never goes into a batch. */
  const many = async (asked: readonly string[], call: Call): Promise<ReadonlyMap<string, SecretValue | LatchkeyError>> => {
    const ids = [...new Set(asked)]
    const parts: string[][] = ids.filter((id) => id.includes(',')).map((id) => [id])
    let [part, size]: [string[], number] = [[], 0]
    for (const id of ids.filter((each) => !each.includes(','))) {
      const more = encodePart(full(id)).length + 3
      if (part.length === idsAtOnce || size + more > queryBytes) {
        parts.push(part)
        ;[part, size] = [[], 0]
      }
      part.push(id)
      size += more
    }
    if (part.length > 0) parts.push(part)
    const found: (readonly [string, SecretValue | LatchkeyError])[] = []
    for (const each of parts) found.push(...(await halves(each, call)))
    return new Map(found)
  }

  /** Two values of one instant, where both are there. The first is asked first where they are not. */
  const pair = async (first: string, second: string, call: Call): Promise<readonly [SecretValue | undefined, SecretValue | undefined]> => {
    if (!first.includes(',')) {
      const both = await together([first, second], call).catch((error: unknown) => (isPartial(error) ? undefined : Promise.reject(error as Error)))
      if (both !== undefined) return [both.get(first), both.get(second)]
    }
    const one = await orAbsent(value(first, call))
    return [one, await orAbsent(value(second, call))]
  }

  /** Sends a value. `busy`: the server could not, because another write of the same variable was on its way; nothing is done. @throws not_found when the variable is not there */
  const setOnce = async (id: string, bytes: SecretValue, call: Call): Promise<'set' | 'busy'> => {
    const what = { action: 'writing a value', name: id, native: full(id), needs: 'the privilege update on the variable' }
    const response = await send({ method: 'POST', path: at(id), headers: { 'content-type': 'application/octet-stream' }, body: bytes, repeatable: false }, what, call)
    if (response.status === 500) return 'busy'
    if (response.status < 300 && response.status !== 201) throw nonsense(what.action)
    if (response.status !== 201) throw conjurFailure(response, what)
    return 'set'
  }
  /** Sets a value until the server takes it; an equal one again is no new version. `next` gives the value of each sending. */
  const set = async (id: string, next: (attempt: number) => SecretValue, call: Call): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      if ((await setOnce(id, next(attempt), call)) === 'set') return
      if (attempt === valueTries) throw nonsense('writing a value')
      await clock.sleep(50 * 2 ** attempt, call.signal)
    }
  }

  /** The id as the branch sees it. @throws invalid_request when the branch cannot hold it */
  const relative = (id: string): string => {
    if (branch === 'root') return id
    if (id.startsWith(`${branch}/`)) return id.slice(branch.length + 1)
    throw new LatchkeyError('invalid_request', `name: Latchkey writes only below the policy branch ${branch} (cyberark_policy_branch).`, { param: 'name' })
  }
  const quoted = (id: string): string => JSON.stringify(relative(id))

  const loadPolicy = async (method: 'POST' | 'PATCH', body: string, call: Call): Promise<void> => {
    const needs = `the privilege ${method === 'POST' ? 'create' : 'update'} on the policy ${branch} (cyberark_policy_branch)`
    const what = { action: 'a policy load', native: `${account}:policy:${branch}`, needs }
    for (let attempt = 1; ; attempt += 1) {
      const response = await send({ method, path: `/policies/${encodePart(account)}/policy/${encodePart(branch)}`, headers: { 'content-type': 'application/x-yaml' }, body, repeatable: false }, what, call)
      if (response.status === 201) return
      if (response.status < 300) throw nonsense(what.action)
      const failure = conjurFailure(response.status === 404 ? { ...response, status: 403 } : response, what)
      if (response.status !== 409 || attempt === policyTries) throw failure
      const pause = failure.details.retryAfter === undefined || response.headers['retry-after'] === undefined ? 100 * 2 ** attempt : failure.details.retryAfter * 1000
      if (clock.now() + pause >= call.deadline) throw failure
      await clock.sleep(pause, call.signal)
      checkCall(call, clock)
    }
  }

  /** One page of the server's list of variables. Its full-text search stems English words and drops small ones, so the prefix is looked for here. */
  const listed = async (path: string, what: ConjurAction, call: Call): Promise<readonly ListedVariable[]> => {
    const response = await send({ method: 'GET', path }, what, call)
    if (response.status !== 200) throw conjurFailure(response, what)
    const answer = jsonOf(response, conjurTitle)
    return (Array.isArray(answer) ? (answer as unknown[]) : [answer]).map((item) => {
      const { id, secrets } = (item ?? {}) as { readonly id?: unknown; readonly secrets?: unknown }
      if (typeof id !== 'string' || !id.startsWith(full('')) || !Array.isArray(secrets)) throw nonsense(what.action)
      const numbers = secrets.map((secret) => (secret as { readonly version?: unknown } | null)?.version).filter((number) => typeof number === 'number')
      return { id: id.slice(full('').length), numbers: numbers.sort((one, two) => one - two) }
    })
  }

  const pageAt = (limit: number, offset: number, call: Call): Promise<readonly ListedVariable[]> =>
    listed(`/resources/${encodePart(account)}/variable?limit=${limit}&offset=${offset}`, { action: 'listing variables' }, call)

  return {
    value,
    orAbsent,
    many,
    pair,
    set,
    /** Makes variables; those that are there already stay as they are. */
    make: (ids: readonly string[], call: Call): Promise<void> => loadPolicy('POST', ids.map((id) => `- !variable ${quoted(id)}\n`).join(''), call),
    /** Deletes variables with all their values, in one step. */
    unmake: (ids: readonly string[], call: Call): Promise<void> => loadPolicy('PATCH', ids.map((id) => `- !delete\n  record: !variable ${quoted(id)}\n`).join(''), call),
    /** @throws invalid_request when the branch cannot hold the variable */
    refuseOutside: (id: string): void => void relative(id),
    /** The numbers of the values that a variable keeps; none when it is not there. */
    numbers: async (id: string, call: Call): Promise<readonly number[]> =>
      (await orAbsent(listed(`/resources/${encodePart(account)}/variable/${encodePart(id)}`, { action: 'looking at a variable', name: id, needs: 'the privilege read on the variable' }, call)))?.[0]?.numbers ?? [],
    /** The first of the variables that this login may see, in one call. */
    first: (call: Call): Promise<readonly ListedVariable[]> => pageAt(listedAtOnce, 0, call),
    /** Every variable that this login may see. */
    all: async (call: Call): Promise<readonly ListedVariable[]> => {
      const found: ListedVariable[] = []
      for (;;) {
        const page = await pageAt(listedAtOnce, found.length, call)
        found.push(...page)
        if (page.length < listedAtOnce) return found
      }
    },
    /** Who Conjur says we are. */
    whoami: async (call: Call): Promise<void> => {
      const response = await send({ method: 'GET', path: '/whoami' }, { action: 'whoami' }, call)
      if (response.status !== 200) throw conjurFailure(response, { action: 'whoami' })
      const answer = jsonOf(response, conjurTitle) as { readonly account?: unknown } | null
      if (answer?.account !== account) throw nonsense('whoami')
    },
    /** Whether we have a privilege on something. What we may not see, we have none on. */
    may: async (privilege: string, kind: 'variable' | 'policy', id: string, call: Call): Promise<boolean> => {
      const what = { action: 'a check of privileges' }
      const response = await send({ method: 'GET', path: `/resources/${encodePart(account)}/${kind}/${encodePart(id)}?check=true&privilege=${privilege}` }, what, call)
      if (response.status === 204) return true
      if (response.status === 403 || response.status === 404) return false
      throw response.status < 300 ? nonsense(what.action) : conjurFailure(response, what)
    },
    close: () => connection.close(),
  }
}

/** The calls about variables. */
export type ConjurVariables = ReturnType<typeof conjurVariables>
