// Prints every line of the access table as questions with whole policies, and the same without `sts:ExternalId` anywhere: for an evaluator that is not ours. A process of its own, because the stacks
// are typed apart from the rest.
import { accessRows } from './access-table.ts'
import type { Asked } from './checks.ts'
import { makeSubject } from './subject.ts'

const subject = await makeSubject()
const isEmpty = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
const weakened = (asked: readonly Asked[]): readonly Asked[] => JSON.parse(JSON.stringify(asked), (key, value: unknown) => (key === 'sts:ExternalId' || isEmpty(value) ? undefined : value)) as readonly Asked[]

process.stdout.write(JSON.stringify(accessRows.map(({ role, action, on, wanted, asked }) => ({ title: `${role}: ${action} on ${on}`, wanted, asked: asked(subject), weakened: weakened(asked(subject)) }))))
