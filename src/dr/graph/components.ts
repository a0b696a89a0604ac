/**
 * The strongly connected components of a directed graph (Tarjan, 1972), in an order in which a component comes after every
 * component that its members point to. Within a component, and among components that do not depend on each other, the order
 * is that of `nodes`. Works without recursion, in linear time.
 */
export function components(
  nodes: readonly number[],
  targetsOf: (node: number) => readonly number[],
): readonly (readonly number[])[] {
  const found: number[][] = [];
  const place = new Map(nodes.map((node, index) => [node, index]));
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const stack: number[] = [];
  const onStack = new Set<number>();
  const visits: { readonly node: number; next: number }[] = [];

  const enter = (node: number): void => {
    index.set(node, index.size);
    low.set(node, index.get(node)!);
    stack.push(node);
    onStack.add(node);
    visits.push({ node, next: 0 });
  };
  const lower = (node: number, value: number): void => {
    if (value < low.get(node)!) low.set(node, value);
  };

  for (const root of nodes) {
    if (index.has(root)) continue;
    enter(root);
    while (visits.length > 0) {
      const visit = visits.at(-1)!;
      const target = targetsOf(visit.node)[visit.next++];
      if (target !== undefined) {
        if (!index.has(target)) enter(target);
        else if (onStack.has(target)) lower(visit.node, index.get(target)!);
        continue;
      }
      visits.pop();
      const parent = visits.at(-1);
      if (parent !== undefined) lower(parent.node, low.get(visit.node)!);
      if (low.get(visit.node) !== index.get(visit.node)) continue;
      const members = stack.splice(stack.lastIndexOf(visit.node));
      for (const member of members) onStack.delete(member);
      found.push(members.sort((a, b) => place.get(a)! - place.get(b)!));
    }
  }
  return found;
}
