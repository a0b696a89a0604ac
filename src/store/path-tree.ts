/** Dotted paths as a tree: true for a path that ends here, a tree for paths that go on. */
export type PathTree = Map<string, PathTree | true>;

/** Adds a path; false when the tree has it already, or a path of which one is the beginning of the other. */
export function addPath(tree: PathTree, parts: readonly string[]): boolean {
  const last = parts.length - 1;
  let node = tree;
  for (let i = 0; i < last; i++) {
    const part = parts[i] as string;
    const next = node.get(part) ?? new Map();
    if (next === true) return false;
    node.set(part, next);
    node = next;
  }
  if (node.has(parts[last] as string)) return false;
  node.set(parts[last] as string, true);
  return true;
}
