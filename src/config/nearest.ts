/** Letters to change, drop or add until `from` reads `to` (Levenshtein), in case-insensitive reading. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [index, letter] of [...from.toLowerCase()].entries()) {
    const next = [index + 1]
    for (const [column, other] of [...to.toLowerCase()].entries()) {
      const replaced = (row[column] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

/** "did you mean validity?", or what is valid where nothing comes near. */
export function suggestion(word: string, valid: readonly string[]): string {
  const [best] = valid
    .map((candidate) => ({ candidate, far: distance(word.slice(0, 64), candidate) }))
    .sort((left, right) => left.far - right.far)
  const near = best !== undefined && best.far <= Math.max(2, Math.floor(best.candidate.length / 3))
  return near ? `did you mean ${best.candidate}?` : `valid here: ${valid.join(', ')}`
}
