/**
 * Columns of a batch as parameters: one array per column, written as the text that PostgreSQL reads fastest.
 *
 * JSON text never holds a control character, so that records travel joined by one and are split by the server; escaping
 * them into an array literal would cost more than everything else that is done with them.
 */

const UNIT = '\u001f'

/** A column of JSON texts. */
export function jsonColumn(values: readonly string[]): string {
  return values.join(UNIT)
}

/** In a statement: the array of what `jsonColumn` joined. */
export function jsonArray(parameter: string): string {
  return `string_to_array(${parameter}::text, chr(31))`
}

/** Whole numbers; `null` where there is none. */
export function numberColumn(values: readonly (number | null)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : String(value))).join(',')}}`
}

/** Texts of any content. */
export function textColumn(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : `"${escaped(value)}"`)).join(',')}}`
}

function escaped(value: string): string {
  return /["\\]/.test(value) ? value.replace(/["\\]/g, '\\$&') : value
}
