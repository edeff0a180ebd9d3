// The environment under examination: variables in memory, and names that an operator hosts. Nothing is sent anywhere, so nothing can be broken.
import { hostedName } from '../../../shared/core/names.ts'
import { environment } from '../../../shared/providers/environment.ts'
import { envOf, filesOf, ManualClock, noHttp, SeededRandom } from '../../support/runtime.ts'
import { passOn, type Harness } from '../harness.ts'

/** Every name that the exam asks for is one that the operator opened. */
const readable: string[] = []

/** The harness of `environment`. */
export const environmentHarness: Harness = {
  mustHave: ['describe', 'readMany', 'list'],
  faults: [],
  faultsReason: 'nothing is sent anywhere',
  deviations: [{ case: 'read.missing-near', reason: 'a name that nobody opened is forbidden, whether it is there or not' }],
  name: (label) => {
    const name = hostedName(label.toUpperCase().replaceAll('-', '_'))
    readable.push(name.text)
    return name
  },
  open: async () => {
    const variables: Record<string, string> = {}
    const clock = new ManualClock()
    const io = { clock, random: new SeededRandom(), env: envOf(variables), files: filesOf({}), http: noHttp }
    const openOne = () => environment.open({ dotenv_path: '.env', readable }, io, { kind: 'operator' })
    return {
      provider: await openOne(),
      clock,
      pass: passOn(clock),
      seed: async (name, value) => {
        readable.push(name.text)
        variables[name.text] = typeof value === 'string' ? value : Buffer.from(value).toString('utf8')
      },
      reopen: openOne,
      close: async () => undefined,
    }
  },
}
