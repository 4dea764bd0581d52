/*
 * Included before every file of the vendored Lua, so that scripts see the numbers and the table
 * order that they know from Redis without a change to Lua's own source. Other C code that is
 * built with the same flags does not find luaconf.h and is left alone.
 */
#ifndef DARTER_LUA_H
#define DARTER_LUA_H

#if defined(__has_include)
#if __has_include("luaconf.h")

#include <math.h>
#include <string.h>

#include "luaconf.h"

/* luaconf.h gives these to files that define LUA_CORE or LUA_LIB before they include it. */
#define l_likely(x) luai_likely(x)
#define l_unlikely(x) luai_unlikely(x)

/*
 * Lua asks with this set, and only with it, whether a float's text looks like an integer before it
 * appends ".0". The answer 0 means no, so 10/2 reads "5", as in Lua 5.1.
 */
static inline size_t darter_span(const char *text, const char *accepted) {
  if (strcmp(accepted, "-0123456789") == 0)
    return 0;
  return (strspn)(text, accepted);
}
#define strspn(text, accepted) darter_span(text, accepted)

/*
 * Lua looks for these characters, and only for these, before it reads a float from a text, and
 * refuses those with an "n". Without it "inf" and "nan" are numbers, as in Lua 5.1: ZSCORE returns
 * such texts.
 */
static inline char *darter_break(const char *text, const char *accepted) {
  if (strcmp(accepted, ".xXnN") == 0)
    accepted = ".xX";
  return (strpbrk)(text, accepted);
}
#define strpbrk(text, accepted) darter_break(text, accepted)

/*
 * Where an argument must be an integer, as in string.rep("x", 2.5), Lua 5.1 cuts a fraction off
 * and Lua 5.4 raises an error. A fourth rounding mode cuts: l_floor serves luaV_flttointeger,
 * whose parameter `mode` it reads, and floor division, which gets a definition without it.
 */
#define LUA_FLOORN2I ((F2Imod)3)
#define luai_numidiv(L, a, b) ((void)L, floor(luai_numdiv(L, a, b)))
#undef l_floor
#define l_floor(x) ((int)mode == 3 ? trunc(x) : floor(x))

/* One seed for all states: the order of `pairs` must not differ between interpreters. */
#define luai_makeseed(L) ((unsigned int)0x5bd1e995u)

#endif
#endif

#endif
