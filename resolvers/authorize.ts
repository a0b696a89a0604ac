/** Called before a root field that needs a role; throws UNAUTHENTICATED or FORBIDDEN when the caller has not got it. */
export type Authorize<Context> = (context: Context, role: 'operator' | 'replica') => void | Promise<void>;
