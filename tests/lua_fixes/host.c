/* A host for the bugs that the programs survive unharmed, or that need memory to run out at the right moment.
   Its allocator fails on demand, overwrites what is freed, and aborts when a block was written beyond its end.
   usage: host SCRIPT | host error-in-error | host panic-status | host string-size | host traceback-stack */
/* a function that uses more of the stack than it made sure of is noticed */
#define LUA_USE_APICHECK
#include "lprefix.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A locale in which '\1' does not count. */
static int colliding_strcoll (const char *a, const char *b) {
  for (;; a++, b++) {
    while (*a == '\1') a++;
    while (*b == '\1') b++;
    if (*a != *b || *a == '\0')
      return (unsigned char)*a - (unsigned char)*b;
  }
}

#define strcoll colliding_strcoll
#include "onelua.c"
#undef strcoll

#define FENCE 256
#define FENCE_BYTE 0x7E  /* '~', which compares greater than any letter */
#define FREED_BYTE 0xDB
#define HELD_BACK (1 << 20)  /* freed blocks up to this size are never used again */

typedef union BlockHeader {
  size_t size;
  LUAI_MAXALIGN;
} BlockHeader;

static enum { NEVER, NEXT, ALWAYS } fail;

static void release (void *block) {
  BlockHeader *header = (BlockHeader *)block - 1;
  unsigned char *end = (unsigned char *)block + header->size;
  int i;
  for (i = 0; i < FENCE - 1; i++) {
    if (end[i] != FENCE_BYTE) {
      fprintf(stderr, "a block of %zu bytes was written beyond its end\n", header->size);
      abort();
    }
  }
  memset(block, FREED_BYTE, header->size);
  if (header->size > HELD_BACK)
    free(header);
}

static void *allocate (void *ud, void *block, size_t osize, size_t nsize) {
  BlockHeader *header;
  (void)ud;
  if (nsize == 0) {
    if (block)
      release(block);
    return NULL;
  }
  if (block == NULL || nsize > osize) {
    if (fail != NEVER) {
      if (fail == NEXT)
        fail = NEVER;
      return NULL;
    }
  }
  header = malloc(sizeof(BlockHeader) + nsize + FENCE);
  if (header == NULL)
    return NULL;
  header->size = nsize;
  memset((unsigned char *)(header + 1) + nsize, FENCE_BYTE, FENCE - 1);
  ((char *)(header + 1))[nsize + FENCE - 1] = '\0';  /* a fence read as a string ends */
  if (block) {
    memcpy(header + 1, block, osize < nsize ? osize : nsize);
    release(block);
  }
  return header + 1;
}

static int fail_next (lua_State *L) {
  (void)L;
  fail = NEXT;
  return 0;
}

static int fail_never (lua_State *L) {
  (void)L;
  fail = NEVER;
  return 0;
}

static lua_State *new_state (void) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (L == NULL)
    exit(2);
  luaL_openlibs(L);
  lua_register(L, "fail_next", fail_next);
  lua_register(L, "fail_never", fail_never);
  return L;
}

static int die (const char *what) {
  fail = NEVER;
  fprintf(stderr, "%s\n", what);
  return 1;
}


static int run_script (const char *name) {
  lua_State *L = new_state();
  if (luaL_dofile(L, name))
    return die(lua_tostring(L, -1));
  lua_close(L);
  return 0;
}


/* A message handler that fails until Lua gives up, and memory that ends just before Lua does. */

static int handled, fail_at;

static int failing_handler (lua_State *L) {
  if (++handled == fail_at)
    fail = ALWAYS;
  return lua_error(L);
}

static int first_error (lua_State *L) {
  return luaL_error(L, "first error");
}

static int error_in_error (void) {
  lua_State *L = new_state();
  int round, status = LUA_OK;
  for (round = 1; round <= 2; round++) {
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);  /* nothing left of the first round's message */
    lua_pushcfunction(L, failing_handler);
    lua_pushcfunction(L, first_error);
    handled = 0;
    status = lua_pcall(L, 0, 0, 1);  /* not inside of another protected call */
    fail_at = handled;
  }
  fail = NEVER;
  if (status != LUA_ERRERR || strcmp(lua_tostring(L, -1), "error in error handling") != 0)
    return die("not an error in error handling");
  lua_close(L);
  puts("ok");
  return 0;
}


/* The status of the state that the panic function sees. */

static jmp_buf out_of_panic;
static int status_in_panic;

static int jump_out (lua_State *L) {
  status_in_panic = lua_status(L);
  longjmp(out_of_panic, 1);
}

static int panic_status (void) {
  lua_State *L = new_state();
  lua_atpanic(L, jump_out);
  if (setjmp(out_of_panic) == 0) {
    lua_pushliteral(L, "message");
    lua_error(L);
  }
  if (status_in_panic != LUA_ERRRUN)
    return die("the panic function does not see the status of the error");
  puts("ok");
  return 0;
}


/* What a concatenation asks for on a 32-bit machine, where its limit is the largest size_t. */

static int too_long (lua_State *L) {
  luaS_createlngstrobj(L, MAX_SIZET - 30);
  return 0;
}

static int string_size (void) {
  lua_State *L = new_state();
  lua_pushcfunction(L, too_long);
  if (lua_pcall(L, 0, 0, 0) != LUA_ERRRUN || strstr(lua_tostring(L, -1), "too big") == NULL)
    return die("a string of nearly all addressable memory was created, or asked for");
  lua_close(L);
  puts("ok");
  return 0;
}


/* luaL_traceback with four of the guaranteed LUA_MINSTACK slots left. */

static int traceback_when_full (lua_State *L) {
  while (lua_gettop(L) < LUA_MINSTACK - 4)
    lua_pushnil(L);
  luaL_traceback(L, L, "message", 0);
  return 1;
}

static int traceback_stack (void) {
  lua_State *L = new_state();
  lua_register(L, "trace", traceback_when_full);
  if (luaL_dostring(L, "return trace()") || strstr(lua_tostring(L, -1), "function 'trace'") == NULL)
    return die("no traceback");
  lua_close(L);
  puts("ok");
  return 0;
}


int main (int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "error-in-error") == 0)
    return error_in_error();
  if (strcmp(what, "panic-status") == 0)
    return panic_status();
  if (strcmp(what, "string-size") == 0)
    return string_size();
  if (strcmp(what, "traceback-stack") == 0)
    return traceback_stack();
  return run_script(what);
}
