// Our labels as AWS's tags, there and back, and what AWS allows in them.
import { refuse } from '../../core/errors.ts'
import type { AwsService } from '../aws-calls.ts'

/** Labels as AWS takes tags, without those that are to go. */
export const awsTags = (labels: Readonly<Record<string, string | null>>): { Key: string; Value: string }[] => Object.entries(labels).flatMap(([Key, Value]) => (Value === null ? [] : [{ Key, Value }]))

/** A secret's tags as labels. A mark of Latchkey's own without a value is on its way out. */
export const awsLabels = (tags: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] = []): Readonly<Record<string, string>> =>
  Object.fromEntries(tags.flatMap(({ Key = '', Value = '' }) => (Value === '' && Key.startsWith('latchkey-') ? [] : [[Key, Value]])))

/** What to set and what to take off, where the tags that are there are known. Two calls are not one step: a mark that goes while others come is emptied by the call that brings those. */
export const awsTagChange = (labels: Readonly<Record<string, string | null>>, there: Readonly<Record<string, string>> | undefined): { readonly Tags: { Key: string; Value: string }[]; readonly TagKeys: string[] } => {
  const set = awsTags(labels).filter(({ Key, Value }) => there?.[Key] !== Value)
  const TagKeys = Object.keys(labels).filter((key) => labels[key] === null)
  return { Tags: set.length === 0 ? [] : [...set, ...TagKeys.filter((key) => key.startsWith('latchkey-')).map((Key) => ({ Key, Value: '' }))], TagKeys }
}

/** What AWS allows in tags. @throws invalid_request */
export const checkAwsTags = ({ title }: AwsService, limits: { readonly pairs: number; readonly keyBytes: number; readonly valueBytes: number }, labels: Readonly<Record<string, string | null>>): void => {
  const entries = Object.entries(labels).map(([key, value]) => [key, value ?? ''] as const)
  if (entries.length > limits.pairs) throw refuse('tags', `there are ${entries.length}; ${title} holds ${limits.pairs}`)
  if (entries.some(([key, value]) => key === '' || key.length > limits.keyBytes || value.length > limits.valueBytes)) throw refuse('tags', `on ${title} a name has 1 to ${limits.keyBytes} characters and a value at most ${limits.valueBytes}`)
  if (entries.some(([key]) => /^aws:/i.test(key))) throw refuse('tags', 'names that begin with "aws:" belong to AWS')
  if (entries.some((pair) => !/^[\p{L}\p{N}\p{Zs}+\-=._:/@]*$/u.test(pair.join('')))) throw refuse('tags', `${title} allows letters, digits, spaces and + - = . _ : / @`)
}
