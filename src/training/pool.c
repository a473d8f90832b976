/*
** A stand-in for the pool, so that the build can train lua54_pool's Lua
** before there is a pool: what is inlined into Lua runs as it does on the
** real one. Memory is never given back, for the process ends soon.
** Nothing of it gets into lua54_pool.
*/

#include <stdlib.h>
#include <string.h>

#include "lua.h"
#include "lua_pool_inline.h"

/* chunks are cut from so much memory at once */
#define SEGMENT  ((size_t)64 * LUA_POOL_CHUNK_SIZE)

/* where the inlined code keeps the list of what was freed in a chunk */
#define freelist(header) \
  lua_pool_field(header, LUA_POOL_OFFSET_FREE, lua_pool_Link)
#define countdown(header) \
  lua_pool_field(header, LUA_POOL_OFFSET_COUNTDOWN, uint32_t)
#define nextof(block) \
  lua_pool_field(block, LUA_POOL_OFFSET_NEXT, lua_pool_Link)

/* a chunk's header is a cache line; what is left of it links the chunks */
#define nextchunk(header) \
  lua_pool_field(header, LUA_POOL_HEADER_SIZE - sizeof(void *), char *)

static union {
  char bytes[LUA_POOL_OFFSET_LISTS + LUA_POOL_CLASS_COUNT * sizeof(void *)];
  void *aligned;
} pool;
static char *chunks[LUA_POOL_CLASS_COUNT];  /* a ring, from where to look first */
static size_t sizes[LUA_POOL_CLASS_COUNT];  /* of the blocks of each class */
static char *fresh, *end;  /* what is left of the last segment */


static char *newchunk (size_t class) {
  char *chunk, *header, *block;
  if (fresh == end) {
    void *segment;
    if (posix_memalign(&segment, LUA_POOL_CHUNK_SIZE, SEGMENT) != 0) exit(3);
    fresh = (char *)segment;
    end = fresh + SEGMENT;
  }
  chunk = fresh;
  fresh += LUA_POOL_CHUNK_SIZE;
  header = lua_pool_header(chunk);
  freelist(header) = NULL;
  for (block = chunk + LUA_POOL_CHUNK_SIZE - sizes[class]; block >= chunk;
       block -= sizes[class]) {
    if (block >= header + LUA_POOL_HEADER_SIZE || block + sizes[class] <= header) {
      nextof(block) = freelist(header);
      freelist(header) = block;
    }
  }
  if (chunks[class] == NULL)
    nextchunk(header) = header;
  else {
    nextchunk(header) = nextchunk(chunks[class]);
    nextchunk(chunks[class]) = header;
  }
  return header;
}


void *lua_pool_refill (void *ud, size_t class, void *L) {
  char *header = chunks[class];
  (void)ud; (void)L;
  if (header != NULL) {
    do
      header = nextchunk(header);
    while (freelist(header) == NULL && header != chunks[class]);
  }
  if (header == NULL || freelist(header) == NULL)
    header = newchunk(class);
  chunks[class] = header;
  countdown(header) = UINT32_MAX;
  lua_pool_field(&pool, LUA_POOL_OFFSET_LISTS + class * sizeof(void *),
                 lua_pool_Link) = freelist(header);
  freelist(header) = NULL;
  return lua_pool_pop(&pool, class);
}


void lua_pool_free_slow (void *header) {
  countdown(header) = UINT32_MAX;
}


void *lua_pool_alloc (void *ud, void *ptr, size_t osize, size_t nsize) {
  void *block = NULL;
  if (nsize > LUA_POOL_SMALL_MAX) {
    block = malloc(nsize);
    if (block == NULL) return NULL;
  }
  else if (nsize > 0) {
    size_t class = lua_pool_class16(nsize);
    block = lua_pool_pop(&pool, class);
    if (block == NULL)
      block = lua_pool_refill(ud, class, NULL);
  }
  if (ptr != NULL) {
    if (block != NULL)
      memcpy(block, ptr, osize < nsize ? osize : nsize);
    if (osize > LUA_POOL_SMALL_MAX)
      free(ptr);
    else
      lua_pool_push(ptr);
  }
  return block;
}


void *lua_pool_alloc_hardened (void *ud, void *ptr, size_t osize,
                               size_t nsize) {
  return lua_pool_alloc(ud, ptr, osize, nsize);
}


void lua_pool_sample (void *ud, size_t bytes, void *L) {
  (void)ud; (void)bytes; (void)L;
}


int lua_pool_collection_wanted (void *ud) {
  (void)ud;
  return 0;
}


void lua_pool_full_collection_ended (void *ud) {
  (void)ud;
}


int lua_pool_ends_with_state (void *ud) {
  (void)ud;
  return 0;
}


void lua_pool_core_attached (void *ud, const lua_pool_Core *core) {
  (void)ud; (void)core;
}


lua_State *training_state (void) {
  size_t size;
  for (size = LUA_POOL_SMALL_MAX; size > 0; size--) {
    size_t class = lua_pool_class(size);
    if (sizes[class] == 0) sizes[class] = size;
  }
  return lua_newstate(lua_pool_alloc, &pool);
}
