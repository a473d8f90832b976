/*
** Runs a script with arguments, as lua.c does. Compiled with the Lua that has our fixes but none of the other patches.
*/

#include <stdio.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"


/* a function of its own: tracebacks show it */
static int run (lua_State *L) {
  const int argc = (int)lua_tointeger(L, 1);
  char **argv = (char **)lua_touserdata(L, 2);
  int i;
  luaL_openlibs(L);
  lua_gc(L, LUA_GCGEN, 0, 0);
  lua_newtable(L);
  for (i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
  if (luaL_loadfile(L, argv[1]) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}


int main (int argc, char **argv) {
  lua_State *L = luaL_newstate();
  int failed;
  if (L == NULL || argc < 2) return 2;
  lua_pushcfunction(L, run);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  failed = lua_pcall(L, 2, 0, 0);
  if (failed)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return failed;
}
