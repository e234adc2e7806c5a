import type { ParsedCertificate } from './certificate.ts'

/** What to call a certificate before people: its subject, or the serial number of one that is named by its SAN alone. */
export const nameOf = ({ subjectText, serial }: Pick<ParsedCertificate, 'subjectText' | 'serial'>): string =>
  subjectText === '' ? `serial ${serial}` : subjectText
