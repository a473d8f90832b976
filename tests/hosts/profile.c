/* A profile started and ended by the host, figures of holes and of calls for
   memory, and what is refused. The argument is a file to write. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua.h"
#include "lauxlib.h"
#include "lualib.h"

#include "lua_pool.h"

static void on_error (void *ud, int code, const char *message) {
  (void)ud;
  printf("callback: %d %s\n", code, message);
}

static const char *script =
    "local function fill (t, n) for i = 1, n do t[i] = {i} end end\n"
    "kept = {}\n"
    "fill(kept, 300000)\n"
    "for i = 1, #kept do if i % 1000 ~= 0 then kept[i] = false end end\n";

/* most of the script's tables are garbage, with one left in some pages */
static int has_holes (lua_State *L, lua_pool *pool) {
  lua_pool_statistics stats;
  lua_gc(L, LUA_GCCOLLECT, 0);
  lua_pool_trim(pool, 0, NULL);
  lua_pool_stats(pool, &stats, sizeof(stats));
  return stats.hole_bytes > (1u << 20) && stats.hole_bytes < stats.used_bytes
      && stats.hole_bytes % 4096 == 0 && stats.purged_bytes >= stats.hole_bytes
      && stats.memory_calls > 0;
}

int main (int argc, char **argv) {
  lua_pool_config config;
  lua_pool *pool, *hardened;
  lua_State *L;
  int was_on = -1;
  if (argc < 2)
    return EXIT_FAILURE;
  lua_pool_config_init(&config);
  config.on_error = on_error;
  pool = lua_pool_new(&config);
  printf("no state: %d\n", lua_pool_profile_start(pool, argv[1], 0));
  L = lua_newstate(lua_pool_alloc, pool);
  if (L == NULL)
    return EXIT_FAILURE;
  luaL_openlibs(L);
  printf("no path: %d\n", lua_pool_profile_start(pool, NULL, 0));
  printf("no folder: %d\n", lua_pool_profile_start(pool, "no such folder/out", 0) == LUA_POOL_ERRPROFILE);
  printf("none to end: %d", lua_pool_profile_stop(pool, &was_on));
  printf(" %d\n", was_on);
  printf("start: %d\n", lua_pool_profile_start(pool, argv[1], 4096));
  if (luaL_dostring(L, script) != LUA_OK)
    printf("%s\n", lua_tostring(L, -1));
  printf("end: %d", lua_pool_profile_stop(pool, &was_on));
  printf(" %d\n", was_on);
  printf("holes: %d\n", has_holes(L, pool));
  printf("sound: %d\n", lua_pool_verify(pool));
  lua_close(L);
  lua_pool_close(pool);

  config.flags = LUA_POOL_HARDENED;
  hardened = lua_pool_new(&config);
  printf("hardened: %d\n", lua_pool_profile_start(hardened, argv[1], 0));
  lua_pool_close(hardened);
  printf("closed: %d\n", lua_pool_profile_stop(hardened, NULL));
  return EXIT_SUCCESS;
}
