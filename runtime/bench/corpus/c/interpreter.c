// A bytecode interpreter: one switch in one loop, the shape of language runtimes. The program sums primes by trial division.
#include "corpus.h"

enum { PUSH, LOAD, STORE, ADD, MOD, MUL, LESS, EQUAL, JUMP, JUMP_IF, HALT };

static const i32 code[] = {
    PUSH, 2, STORE, 0,                                   //  0: candidate = 2
    LOAD, 0, LOAD, 3, LESS, JUMP_IF, 13, HALT, HALT,     //  4: while candidate < limit
    PUSH, 2, STORE, 1,                                   // 13:   divisor = 2
    LOAD, 0, LOAD, 1, LOAD, 1, MUL, LESS, JUMP_IF, 46,   // 17:   if candidate < divisor * divisor: it is a prime
    LOAD, 0, LOAD, 1, MOD, PUSH, 0, EQUAL, JUMP_IF, 53,  // 27:   if candidate % divisor == 0: it is not
    LOAD, 1, PUSH, 1, ADD, STORE, 1, JUMP, 17,           // 37:   divisor++
    LOAD, 2, LOAD, 0, ADD, STORE, 2,                     // 46:   sum += candidate
    LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 4,            // 53:   candidate++
};

static i64 run(i32 limit) {
  i64 stack[16], vars[4] = {0, 0, 0, limit};
  i32 sp = 0;
  for (i32 pc = 0;;) {
    switch (code[pc++]) {
    case PUSH: stack[sp++] = code[pc++]; break;
    case LOAD: stack[sp++] = vars[code[pc++]]; break;
    case STORE: vars[code[pc++]] = stack[--sp]; break;
    case ADD: sp--; stack[sp - 1] += stack[sp]; break;
    case MUL: sp--; stack[sp - 1] *= stack[sp]; break;
    case MOD: sp--; stack[sp - 1] %= stack[sp]; break;
    case LESS: sp--; stack[sp - 1] = stack[sp - 1] < stack[sp]; break;
    case EQUAL: sp--; stack[sp - 1] = stack[sp - 1] == stack[sp]; break;
    case JUMP: pc = code[pc]; break;
    case JUMP_IF: pc = stack[--sp] ? code[pc] : pc + 1; break;
    case HALT: return vars[2];
    }
  }
}

EXPORT(interpreter) {
  u64 h = 0;
  while (n-- > 0) {
    i64 sum = run(2000);
    if (sum != 277050) return 0; // the primes below 2,000
    h = mix(h, (u64)sum);
  }
  return h;
}
