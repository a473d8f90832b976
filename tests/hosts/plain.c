/*
** A host that knows nothing of the pool: runs a script, on Lua's own
** allocator or, asked for with --own, on one that counts.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua.h"
#include "lauxlib.h"
#include "lualib.h"

static unsigned long calls;

static void *count (void *ud, void *ptr, size_t osize, size_t nsize) {
  (void)ud; (void)osize;
  calls++;
  if (nsize == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, nsize);
}

int main (int argc, char **argv) {
  int own = argc > 1 && strcmp(argv[1], "--own") == 0;
  int leave = argc > 1 && strcmp(argv[1], "--leave") == 0;
  const char *script = argv[argc - 1];
  lua_State *L = own ? lua_newstate(count, NULL) : luaL_newstate();
  lua_State *coroutine;
  if (L == NULL) {
    fprintf(stderr, "plain: cannot create a Lua state\n");
    return EXIT_FAILURE;
  }
  luaL_openlibs(L);
  if (luaL_loadfile(L, script) != 0 || lua_pcall(L, 0, 0, 0) != 0)
    printf("plain: %s\n", lua_tostring(L, -1));
  coroutine = lua_newthread(L);
  if (!leave)
    lua_close(coroutine);  /* closes the whole state */
  printf("%s\n", calls > 0 ? "own allocator" : "Lua's allocator");
  return EXIT_SUCCESS;
}
