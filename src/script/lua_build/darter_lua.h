/*
 * Included before every file of the vendored Lua, so that scripts see the numbers and the table
 * order that they know from Redis without a change to Lua's own source.
 */
#ifndef DARTER_LUA_H
#define DARTER_LUA_H

#include <string.h>

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

/* Where Redis cuts an integer argument such as string.rep("x", 2.5), do not raise an error. */
#define LUA_FLOORN2I F2Ifloor

/* One seed for all states: the order of `pairs` must not differ between interpreters. */
#define luai_makeseed(L) ((unsigned int)0x5bd1e995u)

#endif
