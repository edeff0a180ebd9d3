// Hosts that are this machine.

/** Whether a host is this machine: there plain http needs no setting that allows it. */
export const isLoopbackHost = (hostname: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(hostname)
