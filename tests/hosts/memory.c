/* The host's own memory and groups, by the name given: what is wrong with
   them is refused, and everything goes back. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua.h"
#include "lauxlib.h"
#include "lualib.h"

#include "lua_pool.h"

#define THREADS  4
#define STATES  25

/* memory from the heap, with a count of what is out */
typedef struct Heap {
  size_t out;
  size_t calls;
  size_t fail_from;  /* calls from this one on return NULL; 0: none */
  size_t offset;  /* added to addresses, to make them wrong */
} Heap;

static void *heap_map (void *ud, size_t size, size_t alignment) {
  Heap *heap = (Heap *)ud;
  char *block, *aligned;
  if (++heap->calls >= heap->fail_from && heap->fail_from != 0)
    return NULL;
  block = (char *)malloc(size + 2 * alignment);
  if (block == NULL)
    return NULL;
  aligned = block + (alignment - (uintptr_t)block % alignment);
  ((char **)(void *)aligned)[-1] = block;
  memset(aligned, 0x5A, size);
  heap->out += size;
  return aligned + heap->offset;
}

static void heap_unmap (void *ud, void *start, size_t size) {
  Heap *heap = (Heap *)ud;
  char *aligned = (char *)start - heap->offset;
  heap->out -= size;
  free(((char **)(void *)aligned)[-1]);
}

static void on_error (void *ud, int code, const char *message) {
  (void)ud;
  /* addresses differ from run to run */
  const char *address = strstr(message, "0x");
  if (address != NULL)
    printf("callback: %d %.*s... %s\n", code, (int)(address - message), message, strchr(address, ','));
  else
    printf("callback: %d %s\n", code, message);
}

static lua_pool_config configuration (void) {
  lua_pool_config config;
  lua_pool_config_init(&config);
  config.on_error = on_error;
  return config;
}

static lua_pool *pool_on (Heap *heap) {
  lua_pool_config config = configuration();
  config.map = heap_map;
  config.unmap = heap_unmap;
  config.map_ud = heap;
  return lua_pool_new(&config);
}

/* a script that allocates in a state on 'pool': its outcome */
static int work (lua_pool *pool, const char *script) {
  lua_State *L = lua_newstate(lua_pool_alloc, pool);
  int status;
  if (L == NULL) return LUA_ERRMEM;
  status = luaL_loadstring(L, script) || lua_pcall(L, 0, 0, 0);
  if (status != 0 && lua_isstring(L, -1))
    printf("%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status;
}

static const char *const tables =
  "local t = {} for i = 1, 3e4 do t[i] = { i } end t = nil";

static void show (const char *what, int works) {
  printf("%s: %s\n", what, works ? "yes" : "no");
}

static void own_memory (void) {
  Heap heap = { 0, 0, 0, 0 };
  lua_pool *pool = pool_on(&heap);
  void *block;
  size_t before, with_block;
  show("works", work(pool, tables) == 0);
  show("on the heap", heap.out > 2000000);
  before = heap.out;
  block = lua_pool_alloc(pool, NULL, 0, 3500000);
  with_block = heap.out;
  lua_pool_alloc(pool, block, 3500000, 0);
  show("block kept", with_block > 3500000 && heap.out >= with_block);
  lua_pool_trim(pool, 0, NULL);
  show("trimmed", heap.out <= before);
  lua_pool_close(pool);
  show("all back", heap.out == 0);
}

static void failing_memory (void) {
  size_t fail_from;
  int refused = 0, failed = 0, left = 0;
  for (fail_from = 1; fail_from < 12; fail_from++) {
    Heap heap = { 0, 0, 0, 0 };
    lua_pool *pool;
    heap.fail_from = fail_from;
    pool = pool_on(&heap);
    if (pool == NULL)
      refused++;
    else {
      lua_State *L = lua_newstate(lua_pool_alloc, pool);
      failed += luaL_loadstring(L, tables) || lua_pcall(L, 0, 0, 0);
      lua_close(L);
      lua_pool_close(pool);
    }
    left += heap.out != 0;
  }
  show("some failed", failed > 2);
  show("one refused", refused == 1);
  show("all back", left == 0);
}

static void wrong_memory (void) {
  Heap heap = { 0, 0, 0, 16 };
  lua_pool_config config = configuration();
  static char buffer[400000];
  show("misaligned", pool_on(&heap) != NULL);
  show("all back", heap.out == 0);
  config.map = heap_map;
  show("map alone", lua_pool_new(&config) != NULL);
  config.unmap = heap_unmap;
  config.buffer = buffer;
  config.buffer_bytes = sizeof(buffer);
  show("map and buffer", lua_pool_new(&config) != NULL);
  config = configuration();
  config.buffer_bytes = sizeof(buffer);
  show("no buffer", lua_pool_new(&config) != NULL);
  config.buffer = buffer;
  config.buffer_bytes = 5000;
  show("small buffer", lua_pool_new(&config) != NULL);
}

static void wrong_groups (void) {
  lua_pool_group_config group_config;
  lua_pool_group *group;
  lua_pool_group_statistics stats;
  lua_pool_config config = configuration();
  lua_pool *pool;
  Heap heap = { 0, 0, 0, 0 };
  memset(&group_config, 0, sizeof(group_config));
  show("size 0", lua_pool_group_new(&group_config) != NULL);
  lua_pool_group_config_init(&group_config);
  group_config.on_error = on_error;
  group_config.limit_bytes = 1000;
  show("limit 1000", lua_pool_group_new(&group_config) != NULL);
  group_config.limit_bytes = 0;
  group = lua_pool_group_new(&group_config);
  printf("%d\n", lua_pool_group_set_limit(group, 1));
  printf("%d\n", lua_pool_group_stats(group, NULL, sizeof(stats)));
  config.group = group;
  config.map = heap_map;
  config.unmap = heap_unmap;
  config.map_ud = &heap;
  show("memory of its own", lua_pool_new(&config) != NULL);
  config.map = NULL;
  config.unmap = NULL;
  pool = lua_pool_new(&config);
  printf("%d\n", lua_pool_group_free(group));
  printf("%d %d\n", lua_pool_group_free(group), lua_pool_group_free(NULL));
  printf("%d %d %d\n", lua_pool_group_trim(group, 0, NULL), lua_pool_group_set_limit(group, 0),
         lua_pool_group_stats(group, &stats, sizeof(stats)));
  show("freed group", lua_pool_new(&config) != NULL);
  show("its pool works on", work(pool, tables) == 0);
  printf("close: %d\n", lua_pool_close(pool));
}

static void *serve (void *group) {
  lua_pool_config config = configuration();
  intptr_t served = 0;
  int i;
  config.group = (lua_pool_group *)group;
  for (i = 0; i < STATES; i++) {
    lua_pool *pool = lua_pool_new(&config);
    served += pool != NULL && work(pool, tables) == 0;
    lua_pool_close(pool);
  }
  return (void *)served;
}

static void threads (void) {
  lua_pool_group_config config;
  lua_pool_group *group;
  lua_pool_group_statistics stats;
  pthread_t workers[THREADS];
  intptr_t served = 0;
  size_t freed;
  int i;
  lua_pool_group_config_init(&config);
  config.limit_bytes = 64u << 20;
  group = lua_pool_group_new(&config);
  for (i = 0; i < THREADS; i++)
    pthread_create(&workers[i], NULL, serve, group);
  for (i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(workers[i], &result);
    served += (intptr_t)result;
  }
  lua_pool_group_stats(group, &stats, sizeof(stats));
  printf("served: %d, pools: %d, committed: %d\n", (int)served, (int)stats.pools, (int)stats.committed_bytes);
  show("reused", stats.reused_segments > THREADS * (STATES - 2));
  show("below the limit", stats.peak_bytes <= stats.limit_bytes && stats.limit_bytes == config.limit_bytes);
  lua_pool_group_trim(group, 0, &freed);
  show("trimmed", freed == stats.cached_bytes && freed > 0);
  printf("free: %d\n", lua_pool_group_free(group));
}

static void shared_limit (void) {
  lua_pool_group_config group_config;
  lua_pool_config config = configuration();
  lua_pool *first, *second;
  lua_State *L;
  lua_pool_group_config_init(&group_config);
  group_config.limit_bytes = 2u << 20;
  config.group = lua_pool_group_new(&group_config);
  first = lua_pool_new(&config);
  second = lua_pool_new(&config);
  L = lua_newstate(lua_pool_alloc, first);
  luaL_requiref(L, "_G", luaopen_base, 1);
  luaL_requiref(L, "alloc", luaopen_alloc, 1);
  show("figures", luaL_dostring(L, "local g = alloc.stats().group print(g.pools, g.limit, g.committed)") == 0);
  show("the first fits", luaL_dostring(L, "t = {} for i = 1, 8e3 do t[i] = { i } end") == 0);
  show("the second fits", work(second, "local t = {} for i = 1, 2e4 do t[i] = { i } end") == 0);
  lua_close(L);
  lua_pool_close(first);
  show("the second fits alone", work(second, "local t = {} for i = 1, 8e3 do t[i] = { i } end") == 0);
  printf("%d %d\n", lua_pool_group_free(config.group), lua_pool_close(second));
}

int main (int argc, char **argv) {
  static const struct { const char *name; void (*run) (void); } all[] = {
    { "own", own_memory }, { "failing", failing_memory }, { "wrong", wrong_memory },
    { "wrong-groups", wrong_groups }, { "threads", threads }, { "limit", shared_limit },
  };
  size_t i;
  setvbuf(stdout, NULL, _IONBF, 0);
  for (i = 0; argc > 1 && i < sizeof(all) / sizeof(all[0]); i++)
    if (strcmp(argv[1], all[i].name) == 0) {
      all[i].run();
      return EXIT_SUCCESS;
    }
  return EXIT_FAILURE;
}
