// What every read looks for: whether a deletion wrote the version.

const deletion = /^\d{1,9}-delete-[0-9a-f]{32}$/

/** Whether a version ends its key: a text that cannot be a token, made current by a deletion. The form is that of `operationText`. */
export const isTombstone = (version: { readonly operation?: string } | undefined): boolean => deletion.test(version?.operation ?? '')
