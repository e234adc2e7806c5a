/** What the person at the device types to enrol it. */
export interface EnrolmentCommand {
  token: string
  device: string
  /** https URL that devices use. */
  server: string
  /** SHA-256 of the root certificate's DER, hexadecimal: the first contact is authenticated by it. */
  fingerprint: string
}

/** The token travels in the environment: arguments of a process are seen by every user of the machine. */
export const enrolmentCommand = ({ token, device, server, fingerprint }: EnrolmentCommand): string =>
  [
    `EVERLEAF_TOKEN=${quote(token)} node dist/everleaf-agent.mjs enroll`,
    `--server ${quote(server)}`,
    `--fingerprint ${quote(fingerprint)}`,
    `--device ${quote(device)}`,
    `--directory ${quote(`./${device}`)}`,
  ].join(' ')

/** For a POSIX shell. */
const quote = (text: string): string =>
  /^[A-Za-z0-9_./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
