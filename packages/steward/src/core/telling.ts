/** A story for people. */
export type Telling = {
  readonly title: string
  readonly lines: readonly { readonly at: number; readonly text: string; readonly wire: readonly string[] }[]
  readonly answers: {
    /** Did the provider do it? */
    readonly happened: string
    /** What do we know, and how? */
    readonly known: string
    /** What happens next, and when? */
    readonly next: string
    /** Is it safe to press retry? */
    readonly retry: string
  }
}
