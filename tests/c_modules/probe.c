/*
** A C module as people write them: upvalues, userdata with a finalizer, string buffers, a coroutine's yield across C,
** and memory taken straight from the state's allocator, freed with osize 0 as some published modules do.
*/

#include <string.h>

#include "lua.h"
#include "lauxlib.h"

#define COUNTER	"probe.counter"


static int counter_next (lua_State *L) {
  lua_Integer *count = (lua_Integer *)luaL_checkudata(L, 1, COUNTER);
  lua_pushinteger(L, ++*count);
  return 1;
}


static int counter_gc (lua_State *L) {
  luaL_checkudata(L, 1, COUNTER);
  lua_pushinteger(L, 1);
  lua_setglobal(L, "collected");
  return 0;
}


static int counter (lua_State *L) {
  lua_Integer *count = (lua_Integer *)lua_newuserdatauv(L, sizeof(lua_Integer), 0);
  *count = luaL_checkinteger(L, 1);
  luaL_setmetatable(L, COUNTER);
  return 1;
}


static int repeated (lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  lua_Integer times = luaL_checkinteger(L, 2);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  while (times-- > 0)
    luaL_addlstring(&buffer, text, length);
  luaL_pushresult(&buffer);
  return 1;
}


static int borrow (lua_State *L) {
  void *ud;
  lua_Alloc allocator = lua_getallocf(L, &ud);
  size_t size = (size_t)luaL_checkinteger(L, 1);
  unsigned char *block = (unsigned char *)allocator(ud, NULL, 0, size);
  size_t i, kept = 0;
  if (block == NULL)
    return luaL_error(L, "not enough memory");
  memset(block, 0x5A, size);
  block = (unsigned char *)allocator(ud, block, size, 3 * size);
  if (block == NULL)
    return luaL_error(L, "not enough memory");
  for (i = 0; i < size; i++)
    kept += (block[i] == 0x5A);
  allocator(ud, block, 0, 0);  /* a wrong size, as seen in the wild */
  lua_pushinteger(L, (lua_Integer)kept);
  return 1;
}


static int resumed (lua_State *L, int status, lua_KContext context) {
  (void)status;
  lua_pushinteger(L, (lua_Integer)context);
  return 1;
}


static int pause (lua_State *L) {
  return lua_yieldk(L, 0, 42, resumed);
}


int luaopen_probe (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"counter", counter}, {"repeated", repeated}, {"borrow", borrow}, {"pause", pause}, {NULL, NULL}
  };
  luaL_newmetatable(L, COUNTER);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, counter_next);
  lua_setfield(L, -2, "next");
  lua_pushcfunction(L, counter_gc);
  lua_setfield(L, -2, "__gc");
  luaL_newlib(L, functions);
  return 1;
}
