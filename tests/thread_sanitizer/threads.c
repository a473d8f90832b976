/*
** Pools and threads, for the thread sanitizer: "apart", each thread has its
** pools; "handed", one pool with its state goes from thread to thread;
** "grouped", each thread makes pools in one group with a tight limit, and
** they meet in its limit and its cache; "together", two threads use one
** pool at a time, which they must not.
*/

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua.h"
#include "lauxlib.h"
#include "lualib.h"
#include "lua_pool.h"

#define THREADS  4

static const char script[] =
  "local t = {} "
  "for i = 1, 3000 do t[i % 500] = {('x'):rep(i % 900), function () return i end} end "
  "t = nil collectgarbage() "
  "local big = {} for i = 1, 20000 do big[i] = i end "
  "return #('y'):rep(3000000)";

/* the same with less: several of them have room in a group at a time */
static const char short_script[] =
  "local t = {} "
  "for i = 1, 2000 do t[i % 300] = {('x'):rep(i % 900), function () return i end} end "
  "t = nil collectgarbage() "
  "return #('y'):rep(300000)";

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void check (int holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "failed: %s\n", what);
    exit(EXIT_FAILURE);
  }
}

/* pools in a group may find no room; that is not to be told */
static void no_room (void *ud, int code, const char *message) {
  (void)ud;
  check(code == LUA_POOL_ERRMEM, message);
}

static lua_pool *new_pool (unsigned flags) {
  lua_pool_config config;
  lua_pool *pool;
  lua_pool_config_init(&config);
  config.flags = flags;
  config.limit_bytes = (size_t)64 << 20;
  pool = lua_pool_new(&config);
  check(pool != NULL, "a pool");
  return pool;
}

static lua_State *new_state (lua_pool *pool) {
  lua_State *L = lua_newstate(lua_pool_function(pool), pool);
  check(L != NULL, "a state");
  luaL_openlibs(L);
  return L;
}

static void run (lua_State *L) {
  check(luaL_dostring(L, script) == LUA_OK, "the script");
  lua_settop(L, 0);
}

static void *apart (void *unused) {
  int round;
  for (round = 0; round < 4; round++) {
    lua_pool *pool = new_pool(round % 2 ? LUA_POOL_HARDENED : 0);
    lua_State *L = new_state(pool);
    run(L);
    check(lua_pool_of(L) == pool, "the state's pool");
    lua_close(L);
    check(lua_pool_verify(pool) == LUA_POOL_OK, "a sound pool");
    check(lua_pool_close(pool) == LUA_POOL_OK, "closing it");
    L = luaL_newstate();
    check(lua_pool_attach(L, NULL) == LUA_POOL_OK, "attaching");
    luaL_openlibs(L);
    run(L);
    lua_close(L);
  }
  return unused;
}

static void *handed (void *state) {
  int round;
  for (round = 0; round < 4; round++) {
    pthread_mutex_lock(&turn);
    lua_pool_hand_over(lua_pool_of((lua_State *)state));
    run((lua_State *)state);
    pthread_mutex_unlock(&turn);
  }
  return NULL;
}

/*
** What a state may end with in a group: others may have used up the limit.
*/
static void run_at_limit (lua_State *L) {
  int status = luaL_dostring(L, short_script);
  check(status != LUA_ERRSYNTAX, "the script in a group");
  lua_settop(L, 0);
}

static int open_libraries (lua_State *L) {
  luaL_openlibs(L);
  return 0;
}

/* a pool in a group, or NULL if there is no room for one */
static lua_pool *new_in_group (lua_pool_group *group, int round) {
  static const unsigned modes[] = {LUA_POOL_PURGE_AUTO, LUA_POOL_PURGE_NOW, LUA_POOL_PURGE_NEVER};
  lua_pool_config config;
  lua_pool_config_init(&config);
  config.group = group;
  config.flags = round % 4 == 3 ? LUA_POOL_HARDENED : 0;
  config.purge_mode = modes[round % 3];
  config.on_error = no_room;
  return lua_pool_new(&config);
}

static void *grouped (void *group) {
  lua_pool_group *const shared = (lua_pool_group *)group;
  int round;
  for (round = 0; round < 20; round++) {
    lua_pool_group_statistics figures;
    size_t freed;
    lua_pool *pool = new_in_group(shared, round);
    lua_State *L = pool ? lua_newstate(lua_pool_function(pool), pool) : NULL;
    if (L != NULL) {
      lua_pushcfunction(L, open_libraries);
      if (lua_pcall(L, 0, 0, 0) == LUA_OK) {
        run_at_limit(L);
        check(lua_pool_trim(pool, (size_t)round << 16, &freed) == LUA_POOL_OK, "trimming");
        run_at_limit(L);
      }
      lua_close(L);
      check(lua_pool_verify(pool) == LUA_POOL_OK, "a sound pool");
    }
    if (pool != NULL)
      check(lua_pool_close(pool) == LUA_POOL_OK, "closing it");
    check(lua_pool_group_stats(shared, &figures, sizeof(figures)) == LUA_POOL_OK, "the group's figures");
    check(lua_pool_group_set_limit(shared, ((size_t)2 + round % 3) << 20) == LUA_POOL_OK, "another limit");
    if (round % 5 == 4)
      check(lua_pool_group_trim(shared, (size_t)1 << 18, &freed) == LUA_POOL_OK, "trimming the cache");
  }
  return NULL;
}

static void *together (void *pool) {
  int i;
  for (i = 0; i < 1000; i++) {
    void *block = lua_pool_alloc(pool, NULL, 0, 100);
    lua_pool_alloc(pool, block, 100, 0);
  }
  return NULL;
}

static void in_threads (int count, void *(*function) (void *), void *argument) {
  pthread_t threads[THREADS];
  int i;
  for (i = 0; i < count; i++)
    check(pthread_create(&threads[i], NULL, function, argument) == 0, "a thread");
  for (i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
}

int main (int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "apart") == 0)
    in_threads(THREADS, apart, NULL);
  else if (strcmp(what, "handed") == 0) {
    lua_pool *pool = new_pool(0);
    lua_State *L = new_state(pool);
    in_threads(THREADS, handed, L);
    lua_close(L);
    lua_pool_close(pool);
  }
  else if (strcmp(what, "grouped") == 0) {
    lua_pool_group_config config;
    lua_pool_group_statistics figures;
    lua_pool_group *group;
    lua_pool_group_config_init(&config);
    config.limit_bytes = (size_t)3 << 20;
    config.cache_bytes = (size_t)1 << 20;
    group = lua_pool_group_new(&config);
    check(group != NULL, "a group");
    in_threads(THREADS, grouped, group);
    check(lua_pool_group_stats(group, &figures, sizeof(figures)) == LUA_POOL_OK, "the figures at the end");
    check(figures.pools == 0 && figures.committed_bytes == 0, "nothing left");
    check(figures.reused_segments > 0, "segments out of the cache");
    check(figures.limit_refusals > 0, "the limit in the way");
    check(lua_pool_group_free(group) == LUA_POOL_OK, "letting go of the group");
  }
  else if (strcmp(what, "together") == 0) {
    lua_pool *pool = new_pool(0);
    in_threads(2, together, pool);
  }
  else
    return EXIT_FAILURE;
  printf("done\n");
  return EXIT_SUCCESS;
}
