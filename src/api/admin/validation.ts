import type { FastifySchemaCompiler } from 'fastify'
import { z } from 'zod'
import { EverleafError } from '../../errors.ts'

const places: Record<string, string> = {
  body: 'the body',
  querystring: 'the query',
  params: 'the path',
  headers: 'the headers',
}

/** Checks input by its zod schema; an absent body counts as an empty object. `bad-input` names each field and what it takes. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart = 'body' }) => {
  const valid = schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
  return (data: unknown) => {
    const result = schema.safeParse(httpPart === 'body' ? (data ?? {}) : data)
    if (result.success) return { value: result.data }
    const problems = result.error.issues.map((issue) => describe(issue, valid))
    return { error: new EverleafError('bad-input', `${places[httpPart]}: ${problems.join('; ')}`) }
  }
}

const describe = (issue: z.core.$ZodIssue, valid: readonly string[]): string => {
  if (issue.code === 'unrecognized_keys')
    return `unknown ${issue.keys.map((key) => JSON.stringify(key.slice(0, 64))).join(', ')}, ${valid.length > 0 ? `valid are ${valid.join(', ')}` : 'nothing is taken here'}`
  const path = issue.path.join('.')
  return path === '' ? issue.message : `${path}: ${issue.message}`
}
