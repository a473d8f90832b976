/*
** A C host on a pool: runs a script in a state of its own and reports what
** the pool served. The same source for Lua 5.1 to 5.5 and LuaJIT.
**
**     cc c_host.c $(pkg-config --cflags --libs lua_pool_allocator lua5.4)
**     ./a.out [--system | --attach | --checked] [SCRIPT.lua ARGUMENTS...]
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua.h"
#include "lauxlib.h"
#include "lualib.h"

#include "lua_pool.h"

static const char *const builtin_script =
  "local words = {}\n"
  "for i = 1, 20000 do words[i] = { name = 'word ' .. i, size = i } end\n"
  "table.sort(words, function (a, b) return a.name < b.name end)\n"
  "print(#words, words[1].name, words[#words].name)\n";


/* Lua 5.5 wants a seed for its hashes; 5.1 has only its own choice */
static lua_State *new_state (lua_Alloc alloc, void *ud) {
#if LUA_VERSION_NUM >= 505
  return lua_newstate(alloc, ud, luaL_makeseed(NULL));
#else
  return lua_newstate(alloc, ud);
#endif
}


static void on_error (void *ud, int code, const char *message) {
  fprintf(stderr, "%s: %s (%s)\n", (const char *)ud, message,
          lua_pool_error_text(code));
}


static void add_module (lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_alloc);
  lua_setfield(L, -2, "alloc");
  lua_pop(L, 2);
}


/* the table 'arg', as the program lua has it; words[0] is the script */
static void add_arguments (lua_State *L, char **words) {
  int i;
  lua_newtable(L);
  for (i = 0; words[i] != NULL; i++) {
    lua_pushstring(L, words[i]);
    lua_rawseti(L, -2, i);
  }
  lua_setglobal(L, "arg");
}


static int run (lua_State *L, char **words) {
  const char *script = words[0];
  luaL_openlibs(L);
  add_module(L);
  add_arguments(L, words);
  if ((script ? luaL_loadfile(L, script)
              : luaL_loadstring(L, builtin_script)) != 0
      || lua_pcall(L, 0, 0, 0) != 0) {
    fprintf(stderr, "c_host: %s\n", lua_tostring(L, -1));
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}


static void report (lua_pool *pool) {
  lua_pool_statistics stats;
  if (lua_pool_stats(pool, &stats, sizeof(stats)) == LUA_POOL_OK)
    fprintf(stderr, "pool: %lu blocks handed out, %lu live bytes, "
            "%lu bytes at the peak\n", (unsigned long)stats.allocations,
            (unsigned long)stats.live_bytes, (unsigned long)stats.peak_bytes);
}


int main (int argc, char **argv) {
  lua_pool_config config;
  lua_pool *pool = NULL;
  lua_State *L;
  int status;
  const char *mode = "";
  if (argc > 1 && strncmp(argv[1], "--", 2) == 0)
    mode = *++argv;
  if (strcmp(mode, "--system") != 0) {
    lua_pool_config_init(&config);
    config.on_error = on_error;
    config.error_ud = (void *)"c_host";
    pool = lua_pool_new(&config);
    if (pool == NULL)
      return EXIT_FAILURE;  /* on_error has told why */
  }
  if (pool == NULL || strcmp(mode, "--attach") == 0) {
    L = luaL_newstate();
    if (L != NULL && pool != NULL
        && lua_pool_attach(L, pool) != LUA_POOL_OK)
      return EXIT_FAILURE;
  }
  else if (strcmp(mode, "--checked") == 0)
    L = new_state(lua_pool_alloc_checked, pool);
  else
    L = new_state(lua_pool_alloc, pool);
  if (L == NULL) {
    fprintf(stderr, "c_host: cannot create a Lua state\n");
    return EXIT_FAILURE;
  }
  status = run(L, argv + 1);
  if (pool != NULL)
    report(pool);
  lua_close(L);
  if (pool != NULL && lua_pool_close(pool) != LUA_POOL_OK)
    return EXIT_FAILURE;
  return status;
}
