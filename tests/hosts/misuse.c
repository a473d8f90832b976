/* Does one thing wrong, by the name given, and shows what the library says. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua.h"
#include "lauxlib.h"
#include "lualib.h"

#include "lua_pool.h"

static void on_error (void *ud, int code, const char *message) {
  (void)ud;
  printf("callback: %d %s\n", code, message);
}

static lua_pool *new_pool (void) {
  lua_pool_config config;
  lua_pool_config_init(&config);
  config.on_error = on_error;
  return lua_pool_new(&config);
}

static void *use (void *pool) {
  return lua_pool_alloc_checked(pool, NULL, 0, 100);
}

static void *use_unchecked (void *pool) {
  return lua_pool_alloc(pool, NULL, 0, 100);
}

static void *make_state (void *pool) {
  return lua_newstate(lua_pool_alloc, pool);
}

static void show (const char *what, int works) {
  printf("%s: %s\n", what, works ? "yes" : "no");
}

int main (int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  lua_pool *pool = new_pool();
  lua_pool_statistics stats;
  pthread_t thread;
  void *result;
  setvbuf(stdout, NULL, _IONBF, 0);
  if (pool == NULL) return EXIT_FAILURE;
  if (strcmp(what, "null") == 0) {
    show("state", lua_newstate(lua_pool_alloc, NULL) != NULL);
    printf("%d %d %d %d\n", lua_pool_close(NULL), lua_pool_verify(NULL), lua_pool_trim(NULL, 0, NULL),
           lua_pool_stats(pool, NULL, sizeof(stats)));
  }
  else if (strcmp(what, "closed") == 0) {
    lua_pool_close(pool);
    printf("%d %d\n", lua_pool_close(pool), lua_pool_stats(pool, &stats, sizeof(stats)));
    show("block", lua_pool_alloc_checked(pool, NULL, 0, 8) != NULL);
    return EXIT_SUCCESS;
  }
  else if (strcmp(what, "config") == 0) {
    lua_pool_config config;
    memset(&config, 0, sizeof(config));
    show("size 0", lua_pool_new(&config) != NULL);
    lua_pool_config_init(&config);
    config.on_error = on_error;
    config.limit_bytes = 64;
    show("limit 64", lua_pool_new(&config) != NULL);
    config.limit_bytes = 0;
    config.purge_mode = 77;
    show("purge mode 77", lua_pool_new(&config) != NULL);
    config.purge_mode = 0;
    config.flags = 2;
    show("flags 2", lua_pool_new(&config) != NULL);
    printf("%d %d %d\n", lua_pool_set_limit(pool, 1), lua_pool_set_soft_limit(pool, 1),
           lua_pool_set_purge_mode(pool, 3));
  }
  else if (strcmp(what, "foreign") == 0) {
    lua_pool *other = new_pool();
    char *ours = (char *)lua_pool_alloc_checked(pool, NULL, 0, 100);
    void *theirs = lua_pool_alloc_checked(other, NULL, 0, 100);
    void *from_malloc = malloc(100);
    long before, after;
    lua_pool_stats(pool, &stats, sizeof(stats));
    before = (long)stats.frees;
    lua_pool_alloc_checked(pool, theirs, 100, 0);
    lua_pool_alloc_checked(pool, from_malloc, 100, 0);
    lua_pool_alloc_checked(pool, ours + 8, 92, 0);
    lua_pool_alloc_checked(pool, ours, 100, 0);
    lua_pool_alloc_checked(pool, ours, 100, 0);
    lua_pool_stats(pool, &stats, sizeof(stats));
    after = (long)stats.frees;
    printf("frees: %ld, verify: %d %d\n", after - before, lua_pool_verify(pool), lua_pool_verify(other));
    free(from_malloc);
    lua_pool_close(other);
  }
  else if (strcmp(what, "thread") == 0 || strcmp(what, "thread-debug") == 0) {
    void *(*user) (void *) = strcmp(what, "thread") == 0 ? use : use_unchecked;
    user(pool);
    pthread_create(&thread, NULL, user, pool);
    pthread_join(thread, &result);
    show("other thread", result != NULL);
    lua_pool_hand_over(pool);
    pthread_create(&thread, NULL, user, pool);
    pthread_join(thread, &result);
    show("after hand-over", result != NULL);
  }
  else if (strcmp(what, "states-debug") == 0) {
    lua_State *first = (lua_State *)make_state(pool);
    pthread_create(&thread, NULL, make_state, pool);
    pthread_join(thread, &result);
    show("state of another thread", result != NULL);
    show("state of this thread", luaL_dostring(first, "return {}") == 0);
    lua_close(first);
  }
  else if (strcmp(what, "corrupt") == 0) {
    char *first = (char *)lua_pool_alloc(pool, NULL, 4, 24);
    char *second = (char *)lua_pool_alloc(pool, NULL, 4, 24);
    lua_pool_alloc(pool, second, 24, 0);
    lua_pool_alloc(pool, first, 24, 0);
    memset(first, 0x55, 24);  /* written after it was freed */
    show("found", lua_pool_verify(pool) == LUA_POOL_ERRCORRUPT);
    return EXIT_SUCCESS;
  }
  else if (strcmp(what, "hardened") == 0) {
    lua_pool_config config;
    lua_pool *hardened;
    lua_State *L;
    void *block;
    show("the usual function", lua_pool_function(pool) == lua_pool_alloc);
    lua_pool_config_init(&config);
    config.flags = LUA_POOL_HARDENED;
    hardened = lua_pool_new(&config);
    show("one of its own", lua_pool_function(hardened) == lua_pool_alloc_hardened);
    show("state by the wrong function", lua_newstate(lua_pool_alloc, hardened) != NULL);
    L = lua_newstate(lua_pool_function(hardened), hardened);
    luaL_openlibs(L);
    show("script", luaL_dostring(L, "local t = {} for i = 1, 1e5 do t[i] = {i} end") == LUA_OK);
    show("on the pool", lua_pool_of(L) == hardened);
    lua_close(L);
    L = luaL_newstate();
    show("attached", lua_pool_attach(L, hardened) == LUA_POOL_OK);
    luaL_openlibs(L);
    show("script", luaL_dostring(L, "local s = ('x'):rep(1e6); s = s .. #s") == LUA_OK);
    lua_close(L);
    show("sound", lua_pool_verify(hardened) == LUA_POOL_OK);
    lua_pool_stats(hardened, &stats, sizeof(stats));
    show("nothing left", stats.live_bytes == 0);
    block = lua_pool_alloc_checked(hardened, NULL, 0, 100);
    lua_pool_alloc_checked(hardened, block, 100, 0);
    lua_pool_alloc_checked(hardened, block, 100, 0);
  }
  else if (strcmp(what, "attach") == 0) {
    lua_State *L = luaL_newstate();
    lua_State *coroutine = lua_newthread(L);
    printf("%d %d\n", lua_pool_attach(NULL, pool), lua_pool_attach(coroutine, pool));
    show("on no pool", lua_pool_of(L) == NULL);
    printf("%d %d\n", lua_pool_attach(L, pool), lua_pool_attach(L, pool));
    show("on the pool", lua_pool_of(coroutine) == pool);
    lua_close(L);
    L = luaL_newstate();
    printf("%d\n", lua_pool_attach(L, NULL));
    luaL_openlibs(L);
    show("on its own pool", lua_pool_of(L) != NULL && lua_pool_of(L) != pool);
    {
      lua_pool *own = lua_pool_of(L);
      lua_close(L);
      show("its pool is gone", lua_pool_verify(own) == LUA_POOL_ERRCLOSED);
    }
  }
  else {
    printf("no such mistake\n");
    return EXIT_FAILURE;
  }
  printf("close: %d\n", lua_pool_close(pool));
  return EXIT_SUCCESS;
}
