/*
** The program that the build trains: it runs the script named first, whose output is nobody's business.
** Nothing of it gets into lua54 or lua54_pool.
*/

#include <stdio.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

#if defined(LUA_POOL_TRAINING)
extern lua_State *training_state (void);
#else
#define training_state luaL_newstate
#endif


int main (int argc, char **argv) {
  lua_State *L = training_state();
  int failed;
  if (L == NULL || argc != 2) return 2;
  luaL_openlibs(L);
  lua_gc(L, LUA_GCGEN, 0, 0);  /* as 'lua' does */
  failed = luaL_dofile(L, argv[1]);
  if (failed)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return failed;
}
