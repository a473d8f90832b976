/*
** The pool's fast path for inlining into Lua's own memory functions.
** Constants and offsets come from lua_pool_layout.h, which is generated
** from the Rust definitions; the slow path is in Rust.
**
** For hosts that compile Lua 5.4.4 themselves, for a 64-bit target, this
** takes three lines. Lua is compiled as one file, for then the compiler
** can inline:
**
**     cat PREFIX/share/lua_pool_allocator/common-*.patch \
**        PREFIX/share/lua_pool_allocator/pool-*.patch | patch -p1 -d src
**     cc -O2 -c -I src -I PREFIX/include \
**        PREFIX/share/lua_pool_allocator/lua_pool_onelua.c
**     cc -o host host.c -I src -I PREFIX/include lua_pool_onelua.o \
**        PREFIX/lib/liblua_pool_allocator.a -lm -ldl -lpthread
**
** The host's code stays as lua_pool.h describes it. States on another
** allocator work as ever: the fast path looks whether it is the pool's.
**
** A block is taken from its class's list: one load, one load, one store.
** A block is freed to its own chunk's list: one mask, one push, one
** decrement; when the countdown ends, the slow path has a look.
*/

#ifndef lua_pool_inline_h
#define lua_pool_inline_h

#include <stddef.h>
#include <stdint.h>

#include "lua.h"
#include "lua_pool_layout.h"

#ifdef __cplusplus  /* a Lua that is compiled as C++ */
extern "C" {
#endif

/* the lua_Alloc function of every pool; 'ud' is the pool */
extern void *lua_pool_alloc (void *ud, void *ptr, size_t osize, size_t nsize);

/* the same for hardened pools; nothing of theirs is inlined */
extern void *lua_pool_alloc_hardened (void *ud, void *ptr, size_t osize,
                                      size_t nsize);

/* fills the list of a class and takes a block from it for the thread
   'L'; NULL: no memory */
extern void *lua_pool_refill (void *pool, size_t sizeclass, void *L);

/* tells the profile, if there is one, that 'L' got so many bytes from
   'lua_pool_alloc' itself */
extern void lua_pool_sample (void *pool, size_t bytes, void *L);

/* called when the countdown of a chunk has ended */
extern void lua_pool_free_slow (void *header);

/* whether the soft limit was passed, and a full collection is due */
extern int lua_pool_collection_wanted (void *pool);

/* tells the pool that a full collection has ended */
extern void lua_pool_full_collection_ended (void *pool);

/* whether the pool is dropped right after its only state is closed */
extern int lua_pool_ends_with_state (void *pool);

/* how many objects of a type a state has, and their bytes */
typedef struct lua_pool_Type {
  size_t count;
  size_t bytes;
} lua_pool_Type;

/* types of a census: Lua's own numbers up to that of prototypes; 0: what
   is no object */
#define LUA_POOL_TYPES  11

/* is told one function on a stack; returns 0 to hear of no more */
typedef int (*lua_pool_Frame) (void *ud, const char *name, const char *what,
                               const char *source, int line);

/* what a Lua core with the fast path can tell about a state */
typedef struct lua_pool_Core {
  void (*census) (void *L, lua_pool_Type types[LUA_POOL_TYPES]);
  void (*stack) (void *L, lua_pool_Frame frame, void *ud);
} lua_pool_Core;

/* called when a state gets the pool for its allocator */
extern void lua_pool_core_attached (void *pool, const lua_pool_Core *core);

#ifdef __cplusplus
}
#endif

#if defined(__GNUC__)
#define lua_pool_inline   inline __attribute__((always_inline))
#define lua_pool_cold     __attribute__((cold, noinline))
#define lua_pool_likely(x)  __builtin_expect((x) != 0, 1)
#define lua_pool_prefetch(p)  __builtin_prefetch((p), 1)
/* a free block's link lies where Lua keeps values of any type */
typedef void *__attribute__((may_alias)) lua_pool_Link;
#else
#define lua_pool_inline   __forceinline
#define lua_pool_cold     __declspec(noinline)
#define lua_pool_likely(x)  (x)
#define lua_pool_prefetch(p)  ((void)(p))
typedef void *lua_pool_Link;
#endif

/* largest size that may be inlined for a state with allocator 'f' */
#if defined(LUA_POOL_NO_INLINE)
#define lua_pool_inline_max(f)  ((void)(f), (size_t)0)
#else
#define lua_pool_inline_max(f) \
  ((f) == &lua_pool_alloc ? (size_t)LUA_POOL_SMALL_MAX : 0)
#endif

/* whether 'ud' is a pool, hardened or not, for a state with allocator 'f' */
#define lua_pool_serves(f) \
  ((f) == &lua_pool_alloc || (f) == &lua_pool_alloc_hardened)

#define lua_pool_field(base, offset, type) \
  (*(type *)((char *)(base) + (offset)))


/* number of the highest bit of a size */
static lua_pool_inline size_t lua_pool_log2 (size_t size) {
#if defined(__GNUC__)
  return (sizeof(long long) * 8 - 1) - (size_t)__builtin_clzll(size);
#else
  size_t log2 = 0;
  while (size >>= 1) log2++;
  return log2;
#endif
}


/*
** The class of a size from 1 to LUA_POOL_SMALL_MAX: classes are 8 bytes
** apart up to LUA_POOL_FINE_MAX, then there are 8 to each doubling.
*/
static lua_pool_inline size_t lua_pool_class (size_t size) {
  if (lua_pool_likely(size <= LUA_POOL_FINE_MAX))
    return (size + 7) >> 3;
  else {
    size_t log2 = lua_pool_log2(size - 1);
    return LUA_POOL_FINE_MAX / 8 + 1
           + (log2 - LUA_POOL_FINE_LOG2) * 8 + (((size - 1) >> (log2 - 3)) & 7);
  }
}


/* the same for blocks that must be aligned to 16 bytes */
static lua_pool_inline size_t lua_pool_class16 (size_t size) {
  return lua_pool_class((size + 15) & ~(size_t)15);
}


/* takes a block of a class; NULL if its list is empty */
static lua_pool_inline void *lua_pool_pop (void *pool, size_t sizeclass) {
  lua_pool_Link *list =
      &lua_pool_field(pool, LUA_POOL_OFFSET_LISTS, lua_pool_Link) + sizeclass;
  void *block = *list;
  if (lua_pool_likely(block != NULL)) {
    void *next = lua_pool_field(block, LUA_POOL_OFFSET_NEXT, lua_pool_Link);
    *list = next;
    lua_pool_prefetch(next);  /* the block after this one: soon wanted */
  }
  return block;
}


/* the header of the chunk that a block lies in */
static lua_pool_inline char *lua_pool_header (void *block) {
  uintptr_t address = (uintptr_t)block;
  return (char *)((address & ~(uintptr_t)(LUA_POOL_CHUNK_SIZE - 1)) +
      ((address >> LUA_POOL_COLOR_SHIFT) & LUA_POOL_COLOR_MASK));
}


/* frees a block of any class */
static lua_pool_inline void lua_pool_push (void *block) {
  char *header = lua_pool_header(block);
  lua_pool_field(block, LUA_POOL_OFFSET_NEXT, lua_pool_Link) =
      lua_pool_field(header, LUA_POOL_OFFSET_FREE, lua_pool_Link);
  lua_pool_field(header, LUA_POOL_OFFSET_FREE, lua_pool_Link) = block;
  if (!lua_pool_likely(--lua_pool_field(header, LUA_POOL_OFFSET_COUNTDOWN, uint32_t)))
    lua_pool_free_slow(header);
}

#endif
