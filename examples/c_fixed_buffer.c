/*
** A Lua state in one static buffer, as on a console or a small device: no
** memory is ever asked of the system for it. When the buffer is full, Lua
** collects garbage, and then raises "not enough memory".
**
**     cc c_fixed_buffer.c $(pkg-config --cflags --libs \
**        lua_pool_allocator lua5.4)
*/

#include <stdio.h>
#include <stdlib.h>

#include "lua.h"
#include "lauxlib.h"
#include "lualib.h"

#include "lua_pool.h"

#define BUFFER_BYTES  (4u * 1024 * 1024)

/* an alignment to 65536 bytes would gain one unit of that size */
static char memory[BUFFER_BYTES];

static const char *const script =
  "local function fill ()\n"
  "  local list = {}\n"
  "  for i = 1, math.huge do list[i] = { name = 'item ' .. i } end\n"
  "end\n"
  "local fits, message = pcall(fill)\n"
  "print(fits, message)\n"
  "collectgarbage()\n"
  "local words = {}\n"
  "for i = 1, 10000 do words[i] = 'word ' .. i end\n"
  "print(#words, 'still here')\n";


/* Lua 5.5 wants a seed for its hashes; 5.1 has only its own choice */
static lua_State *new_state (lua_Alloc alloc, void *ud) {
#if LUA_VERSION_NUM >= 505
  return lua_newstate(alloc, ud, luaL_makeseed(NULL));
#else
  return lua_newstate(alloc, ud);
#endif
}


int main (void) {
  lua_pool_config config;
  lua_pool_statistics stats;
  lua_pool *pool;
  lua_State *L;
  int status;
  lua_pool_config_init(&config);
  config.buffer = memory;
  config.buffer_bytes = sizeof(memory);
  pool = lua_pool_new(&config);
  if (pool == NULL)
    return EXIT_FAILURE;  /* standard error tells why */
  L = new_state(lua_pool_alloc, pool);
  if (L == NULL) {
    fprintf(stderr, "c_fixed_buffer: cannot create a Lua state\n");
    return EXIT_FAILURE;
  }
  luaL_openlibs(L);
  status = luaL_loadstring(L, script) || lua_pcall(L, 0, 0, 0);
  if (status != 0)
    fprintf(stderr, "c_fixed_buffer: %s\n", lua_tostring(L, -1));
  if ((char *)L < memory || (char *)L >= memory + sizeof(memory)) {
    fprintf(stderr, "c_fixed_buffer: the state is not in the buffer\n");
    status = 1;
  }
  if (lua_pool_stats(pool, &stats, sizeof(stats)) == LUA_POOL_OK)
    fprintf(stderr, "pool: %lu blocks handed out, %lu bytes at the peak\n",
            (unsigned long)stats.allocations,
            (unsigned long)stats.peak_bytes);
  lua_close(L);
  lua_pool_close(pool);
  return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
