// Recursion: nothing but calls (fib), backtracking (queens), and a tree of nodes built and walked.
#include "corpus.h"

__attribute__((noinline)) static u64 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

EXPORT(fib) {
  u64 h = 0;
  while (n-- > 0) h = mix(h, fib(22));
  return h;
}

static u32 place(u32 row, u32 size, u32 columns, u32 left, u32 right) {
  if (row == size) return 1;
  u32 count = 0;
  for (u32 free = ((1u << size) - 1) & ~(columns | left | right); free; free &= free - 1) {
    u32 bit = free & -free;
    count += place(row + 1, size, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return count;
}

EXPORT(queens) {
  u64 h = 0;
  while (n-- > 0) h = mix(h, place(0, 8, 0, 0, 0));
  return h;
}

typedef struct node {
  struct node *left, *right;
  i32 key;
} node;

static node pool[4096];

static node *insert(node *root, node *fresh) {
  if (!root) return fresh;
  if (fresh->key < root->key)
    root->left = insert(root->left, fresh);
  else
    root->right = insert(root->right, fresh);
  return root;
}

static u64 walk(const node *root, u64 h) {
  if (!root) return h;
  h = walk(root->left, h);
  h = mix(h, (u32)root->key);
  return walk(root->right, h);
}

EXPORT(tree) {
  u64 h = 0, seed = 99;
  while (n-- > 0) {
    node *root = 0;
    for (u32 i = 0; i < 4096; i++) {
      pool[i] = (node){0, 0, (i32)next_random(&seed)};
      root = insert(root, &pool[i]);
    }
    h = walk(root, h);
  }
  return h;
}
