/*
** A C module with the mistakes that valgrind and AddressSanitizer are for.
*/

#include <string.h>

#include "lua.h"
#include "lauxlib.h"

/* writes one byte beyond a userdata of 'size' bytes */
static int write_beyond (lua_State *L) {
  size_t size = (size_t)luaL_checkinteger(L, 1);
  volatile char *block = (volatile char *)lua_newuserdatauv(L, size, 0);
  block[size] = 1;
  return 0;
}

/* reads one byte beyond a block from the state's allocator */
static int read_beyond (lua_State *L) {
  size_t size = (size_t)luaL_checkinteger(L, 1);
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  volatile char *block = (volatile char *)alloc(ud, NULL, 0, size);
  char byte;
  memset((char *)block, 0, size);
  byte = block[size];
  alloc(ud, (void *)block, size, 0);
  lua_pushinteger(L, byte != 0);
  return 1;
}

/* reads a block that it has freed */
static int read_freed (lua_State *L) {
  size_t size = (size_t)luaL_checkinteger(L, 1);
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  volatile char *block = (volatile char *)alloc(ud, NULL, 0, size);
  memset((char *)block, 0, size);
  alloc(ud, (void *)block, size, 0);
  lua_pushinteger(L, block[size - 1]);
  return 1;
}

/* uses all of its blocks, and no more */
static int behave (lua_State *L) {
  size_t size = (size_t)luaL_checkinteger(L, 1);
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  char *block = (char *)alloc(ud, NULL, 0, size);
  memset(block, 1, size);
  block = (char *)alloc(ud, block, size, 3 * size);
  memset(block + size, block[size - 1], 2 * size);
  block = (char *)alloc(ud, block, 3 * size, size / 2 + 1);
  lua_pushinteger(L, block[size / 2]);
  alloc(ud, block, size / 2 + 1, 0);
  memset(lua_newuserdatauv(L, size, 0), 1, size);
  lua_pop(L, 1);
  return 1;
}

int luaopen_misuse (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"write_beyond", write_beyond}, {"read_beyond", read_beyond}, {"read_freed", read_freed}, {"behave", behave},
    {NULL, NULL}
  };
  luaL_newlib(L, functions);
  return 1;
}
