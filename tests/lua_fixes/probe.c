/* A C module for the bugs that only a C function can show; loaded by the scripts with require "probe". */
#include <lauxlib.h>
#include <lua.h>

/* pop_closing(object): pops 'object', to be closed, from under another value, then returns "result". */
static int pop_closing (lua_State *L) {
  lua_settop(L, 1);
  lua_toclose(L, 1);
  lua_pushinteger(L, 1);
  lua_settop(L, 0);
  lua_pushliteral(L, "result");
  return 1;
}


static int calls;

static void count_and_yield (lua_State *L, lua_Debug *ar) {
  if (ar->event == LUA_HOOKCALL)
    calls++;
  else if (ar->event == LUA_HOOKCOUNT)
    lua_yield(L, 0);
}

/* count_calls(coroutine): runs it to its end, interrupted at each instruction; returns how often the call hook ran. */
static int count_calls (lua_State *L) {
  lua_State *thread = lua_tothread(L, 1);
  int results;
  calls = 0;
  lua_sethook(thread, count_and_yield, LUA_MASKCALL | LUA_MASKCOUNT, 1);
  while (lua_resume(thread, L, 0, &results) == LUA_YIELD)
    ;
  lua_pushinteger(L, calls);
  return 1;
}


LUAMOD_API int luaopen_probe (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"pop_closing", pop_closing},
    {"count_calls", count_calls},
    {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
