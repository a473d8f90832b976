/*
** lua_pool.h - a memory pool for Lua states, from any C or C++ host.
** Works with Lua 5.1, 5.2, 5.3, 5.4, 5.5 and LuaJIT (GC64), which need no
** change. C99 or C++11; link with -llua_pool_allocator.
**
**     lua_pool *pool = lua_pool_new(NULL);
**     lua_State *L = lua_newstate(lua_pool_alloc, pool);
**     ...
**     lua_close(L);
**     lua_pool_close(pool);
**
** (Lua 5.5: lua_newstate(lua_pool_alloc, pool, luaL_makeseed(NULL)).)
**
** OWNERSHIP. A pool belongs to whoever made it, and must outlive every
** state on it. Closing it gives its memory back to the system. (The first
** 64 KiB wait for the next pool, but of no more than 64 closed pools, and
** never with LUA_POOL_PURGE_NOW.)
** One pool serves one state, or several of the same thread.
**
** THREADS. A pool has no locks: one thread at a time may use it or the
** states on it, as with a lua_State. Different pools are independent.
** Use from a second thread is undefined; debug builds of the library and
** lua_pool_alloc_checked report it instead. Functions on a pool are for the
** thread that uses it; those on a group (lua_pool_group_*), lua_pool_new,
** lua_pool_version and lua_pool_error_text for any thread at any time.
**
** ERRORS. Functions that can fail return a code: 0 (LUA_POOL_OK) or one of
** LUA_POOL_ERR*. The same code goes with a message to the pool's error
** callback; without one, the message goes to standard error as one line.
** Where such a function takes a pool or a group, NULL is LUA_POOL_ERRARG
** and one that was closed LUA_POOL_ERRCLOSED; what else it can return is
** said with it. Nothing has changed then.
** "Out of memory" inside Lua is not such an error: lua_pool_alloc returns
** NULL then, and Lua collects garbage or raises its own error.
**
** FASTER STILL. A host that compiles Lua 5.4 itself can have the pool's
** fast path inlined into Lua: see lua_pool_inline.h.
*/

#ifndef lua_pool_h
#define lua_pool_h

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;  /* of any version; see its own lua.h */

/* a pool; only ever used through a pointer */
typedef struct lua_pool lua_pool;

/* pools that share a limit and free memory; only through a pointer, too */
typedef struct lua_pool_group lua_pool_group;

/* error codes */
#define LUA_POOL_OK          0
#define LUA_POOL_ERRMEM      1  /* not enough memory */
#define LUA_POOL_ERRARG      2  /* a NULL pointer, or a value that cannot be */
#define LUA_POOL_ERRCLOSED   3  /* not a pool, or one that was closed */
#define LUA_POOL_ERRTHREAD   4  /* another thread uses this pool */
#define LUA_POOL_ERRFOREIGN  5  /* not a live block of this pool */
#define LUA_POOL_ERRCORRUPT  6  /* somebody wrote into the pool's own data */
#define LUA_POOL_ERRSTATE    7  /* this cannot be done with this Lua state */
#define LUA_POOL_ERRPROFILE  8  /* there is no profile, or no file for it */

/*
** Told of every error. 'message' lives until the function returns. It is
** called on the thread that made the error, must return (no longjmp, no
** C++ exception), and must not use the pool.
*/
typedef void (*lua_pool_error_function) (void *ud, int code,
                                         const char *message);

/*
** Memory of the host's own, in place of the system's. 'map' returns 'size'
** bytes aligned to 'alignment' (both multiples of 65536), or NULL: to Lua
** that is "not enough memory". They need not be zero. Other alignments are
** refused: an error, and the memory goes to 'unmap' at once. 'unmap' gets
** back whole what one call of 'map' returned; when the pool is closed, or
** a group and its last pool are gone, all of it went back. Both are called
** by the thread that uses the pool; those of a group, and those that pools
** of several threads share, by several at a time. They must not use the
** pool, nor longjmp or throw.
*/
typedef void *(*lua_pool_map_function) (void *ud, size_t size,
                                        size_t alignment);
typedef void (*lua_pool_unmap_function) (void *ud, void *start, size_t size);

/* when free memory goes back to the system */
#define LUA_POOL_PURGE_AUTO   0u  /* when it was not needed for a while */
#define LUA_POOL_PURGE_NEVER  1u  /* when trimmed, or at the limit */
#define LUA_POOL_PURGE_NOW    2u  /* at once */

/*
** Flag: a pool that watches for misuse. A double free, a free of what is
** not a block of the pool, a wrong size, and writes outside of live blocks
** end the process with a line on standard error that names the misuse.
** Such a pool needs lua_pool_alloc_hardened: see lua_pool_function.
*/
#define LUA_POOL_HARDENED  1u

/*
** What a pool is made with. Call lua_pool_config_init first, then set what
** should not be the default. Zero is the default of everything. Later
** versions may add fields at the end; 'size' keeps old hosts working.
*/
typedef struct lua_pool_config {
  size_t size;              /* set by lua_pool_config_init */
  size_t limit_bytes;       /* no more memory than this; at least 65536; 0:
                               no limit. Rounded down to 64 KiB */
  size_t soft_limit_bytes;  /* above this much, ask for a full collection
                               (see lua_pool_collection_wanted); 0: never */
  unsigned purge_mode;      /* when free memory goes back to the system: one
                               of LUA_POOL_PURGE_* */
  unsigned ends_with_state;  /* 1: the pool serves one state and is closed
                               right after it; a Lua built with our patches
                               then need not free objects one by one */
  unsigned check_interval;  /* run the checker after so many events of the
                               slow path per 64 KiB in use, and abort if the
                               pool is corrupt; 0: never. Slow */
  unsigned flags;           /* 0, or LUA_POOL_HARDENED */
  lua_pool_error_function on_error;  /* NULL: print on standard error */
  void *error_ud;           /* passed to 'on_error' */
  lua_pool_group *group;    /* share limit and free memory with the pools of
                               this group; NULL: with none */
  lua_pool_map_function map;      /* memory of the host's own; NULL: the */
  lua_pool_unmap_function unmap;  /* system's. A pool in a group has its */
  void *map_ud;                   /* group's. 'map_ud' goes to both */
  void *buffer;             /* or all the memory there is, as one buffer,
                               which is the host's again once the pool is
                               closed. Best aligned to 65536 bytes: up to
                               65536 are lost */
  size_t buffer_bytes;      /* length of 'buffer' */
} lua_pool_config;

/* all defaults */
static inline void lua_pool_config_init (lua_pool_config *config) {
  memset(config, 0, sizeof(*config));
  config->size = sizeof(*config);
}

/* figures of a pool; all are exact */
typedef struct lua_pool_statistics {
  uint64_t live_bytes;      /* in live blocks, rounded up to block sizes */
  uint64_t allocations;     /* blocks handed out so far */
  uint64_t frees;           /* blocks freed so far */
  uint64_t used_bytes;      /* of chunks and large blocks in use */
  uint64_t cached_bytes;    /* free, and maybe still in physical memory */
  uint64_t peak_bytes;      /* largest used + cached so far */
  uint64_t mapped_bytes;    /* of address space */
  uint64_t purged_bytes;    /* given back to the system so far */
  uint64_t limit_bytes;     /* the limit; 0: none */
  uint64_t soft_limit_bytes;  /* the soft limit; 0: none */
  uint64_t limit_refusals;  /* requests that the limit refused so far */
  uint64_t hole_bytes;      /* of pages inside chunks in use that went back
                               to the system */
  uint64_t memory_calls;    /* calls for memory so far: map, unmap, remap,
                               purge, of the system or the host's own */
  uint64_t mixed_bytes;     /* the part of used_bytes in chunks whose blocks
                               are of any size: sparse ones become mixed */
} lua_pool_statistics;


/*
** What a group is made with, in the same way.
*/
typedef struct lua_pool_group_config {
  size_t size;              /* set by lua_pool_group_config_init */
  size_t limit_bytes;       /* no more memory than this in all pools and in
                               the cache together; at least 65536; 0: no
                               limit. Rounded down to 64 KiB */
  size_t cache_bytes;       /* free memory that is kept for the pools, at
                               most; 0: 32 MiB; below 65536: none */
  lua_pool_error_function on_error;  /* NULL: print on standard error. May
                               be called by several threads at a time */
  void *error_ud;           /* passed to 'on_error' */
  lua_pool_map_function map;      /* memory for all pools, as above */
  lua_pool_unmap_function unmap;
  void *map_ud;
  void *buffer;
  size_t buffer_bytes;
} lua_pool_group_config;

/* all defaults */
static inline void lua_pool_group_config_init (lua_pool_group_config *config) {
  memset(config, 0, sizeof(*config));
  config->size = sizeof(*config);
}

/* figures of a group; exact while no thread is changing one of its pools */
typedef struct lua_pool_group_statistics {
  uint64_t pools;            /* that live now */
  uint64_t committed_bytes;  /* used + cached of all pools */
  uint64_t cached_bytes;     /* free memory that is no pool's */
  uint64_t peak_bytes;       /* largest committed + cached so far */
  uint64_t limit_bytes;      /* the limit; 0: none */
  uint64_t limit_refusals;   /* requests that the limit refused so far */
  uint64_t reused_segments;  /* how often a pool took from the cache */
} lua_pool_group_statistics;


/*
** Makes a pool. 'config' may be NULL (all defaults) and is not kept.
** Returns NULL, after an error, if the configuration is wrong or there is
** no memory. lua_newstate on a NULL pool returns NULL.
*/
lua_pool *lua_pool_new (const lua_pool_config *config);

/*
** Frees a pool. Every state on it must have been closed (lua_close).
** Closing a pool twice is LUA_POOL_ERRCLOSED; using a state on a closed
** pool is undefined: its memory is gone, or another's.
*/
int lua_pool_close (lua_pool *pool);

/*
** The lua_Alloc function for every pool; 'ud' is the pool. It returns NULL
** when there is no memory; a NULL pool never has any. Unlike realloc, it
** never fails to make a block smaller. Blocks are aligned to 16 bytes
** where C code may put its own data (userdata, buffers), else to 8.
*/
void *lua_pool_alloc (void *ud, void *ptr, size_t osize, size_t nsize);

/*
** The lua_Alloc function for hardened pools. 'lua_pool_function' returns
** the one that a pool needs: lua_newstate(lua_pool_function(pool), pool).
** Unchecked: 'pool' is NULL or a live pool.
*/
typedef void *(*lua_pool_alloc_function) (void *ud, void *ptr, size_t osize,
                                          size_t nsize);
void *lua_pool_alloc_hardened (void *ud, void *ptr, size_t osize,
                               size_t nsize);
lua_pool_alloc_function lua_pool_function (const lua_pool *pool);

/*
** As lua_pool_alloc, except that it checks everything it is told: NULL and closed
** pools, a second thread, and blocks that are foreign, freed already or
** not the start of a block are errors, and nothing happens to the pool.
** Slow; for finding mistakes.
*/
void *lua_pool_alloc_checked (void *ud, void *ptr, size_t osize,
                              size_t nsize);

/*
** Fills in the figures. 'size' is sizeof(lua_pool_statistics); it lets old
** hosts run with newer libraries and the other way round. Takes time
** proportional to the number of 64 KiB chunks. LUA_POOL_ERRARG if 'stats'
** is NULL.
*/
int lua_pool_stats (const lua_pool *pool, lua_pool_statistics *stats,
                    size_t size);

/*
** Sets the limit in bytes; 0: none. A limit below what is in use is
** taken: nothing is lost, and requests for more fail until there is less.
** LUA_POOL_ERRARG for 1 to 65535.
*/
int lua_pool_set_limit (lua_pool *pool, size_t limit_bytes);

/*
** Sets the soft limit in bytes; 0: none. Nothing is refused above it, but
** lua_pool_collection_wanted says 1 until a full collection was reported
** by lua_pool_full_collection_ended. A Lua built with our patches does all
** of this itself; other hosts do it at a safe point of their own:
**
**     if (lua_pool_collection_wanted(pool)) {
**       lua_gc(L, LUA_GCCOLLECT, 0);
**       lua_pool_full_collection_ended(pool);
**     }
**
** LUA_POOL_ERRARG for a limit of 1 to 65535. The other two are unchecked:
** 'pool' is a live pool.
*/
int lua_pool_set_soft_limit (lua_pool *pool, size_t limit_bytes);
int lua_pool_collection_wanted (void *pool);

/*
** Sets when free memory goes back to the system: a LUA_POOL_PURGE_*;
** LUA_POOL_ERRARG for anything else.
*/
int lua_pool_set_purge_mode (lua_pool *pool, unsigned mode);

/*
** Gives free memory back to the system now, until at most 'keep_bytes' of
** it are left. 'freed_bytes' may be NULL; it gets how much went. Collect
** first (lua_gc) to have most to give.
*/
int lua_pool_trim (lua_pool *pool, size_t keep_bytes, size_t *freed_bytes);

/*
** Tells the pool that the state on it has just ended a full collection,
** after which it gives back what will not be needed soon. A Lua built with
** our patches does so itself. Unchecked: 'pool' is a live pool.
*/
void lua_pool_full_collection_ended (void *pool);

/*
** Makes a group. Pools join it when they are made (config.group), in any
** thread. They share its limit: what one pool has, another cannot get; at
** the limit Lua collects garbage or raises "not enough memory", as always,
** and free memory of other pools comes back at their next look. And they
** share free memory: a pool that is closed leaves it to the next one, which
** needs no system call then. 'config' may be NULL (all defaults) and is not
** kept. Returns NULL, after an error, if the configuration is wrong or
** there is no memory.
*/
lua_pool_group *lua_pool_group_new (const lua_pool_group_config *config);

/*
** The host lets go of a group, and must not use it any more. Pools in it go
** on as before; the group's memory goes back when the last of them is
** closed, or now if there is none. Twice is LUA_POOL_ERRCLOSED.
*/
int lua_pool_group_free (lua_pool_group *group);

/*
** Fills in the figures. 'size' is sizeof(lua_pool_group_statistics).
** LUA_POOL_ERRARG if 'stats' is NULL.
*/
int lua_pool_group_stats (const lua_pool_group *group,
                          lua_pool_group_statistics *stats, size_t size);

/*
** Sets the limit of all pools together, as lua_pool_set_limit does for
** one; LUA_POOL_ERRARG for 1 to 65535.
*/
int lua_pool_group_set_limit (lua_pool_group *group, size_t limit_bytes);

/*
** Gives memory in the group's cache back to the system, until at most
** 'keep_bytes' of it are left. 'freed_bytes' may be NULL; it gets how much
** went. (What pools keep for themselves is for lua_pool_trim.)
*/
int lua_pool_group_trim (lua_pool_group *group, size_t keep_bytes,
                         size_t *freed_bytes);

/*
** Starts a profile of where the states on the pool take memory. It is
** written to the file 'path' by lua_pool_profile_stop, or when the pool is
** closed: as a flame graph if the name ends in ".svg", else as the folded
** stacks that flame-graph tools read. One byte in 'bytes_per_sample' is
** looked at, on average; 0: in 524288. A profile that is on ends before.
** LUA_POOL_ERRARG if 'path' is NULL. LUA_POOL_ERRPROFILE if the file
** cannot be made, the pool is hardened, or no state on it is of a Lua with
** the inlined fast path (lua_pool_inline.h): others cannot tell what runs.
*/
int lua_pool_profile_start (lua_pool *pool, const char *path,
                            size_t bytes_per_sample);

/*
** Ends the profile, if one is on, and writes it. 'was_on' may be NULL; it
** gets 1 if one was, else 0. LUA_POOL_ERRPROFILE if it cannot be written.
*/
int lua_pool_profile_stop (lua_pool *pool, int *was_on);

/* Checks the whole pool: LUA_POOL_OK or LUA_POOL_ERRCORRUPT. Slow. */
int lua_pool_verify (lua_pool *pool);

/*
** The pool moves to another thread, with the states on it: whichever
** thread uses it next is its thread. Only the checks need to be told.
*/
int lua_pool_hand_over (lua_pool *pool);

/*
** Puts a pool under a live state: new blocks come from the pool, old ones
** go back to the allocator they came from when Lua frees them. 'L' is the
** main thread of a state that is on no pool yet. The pool must outlive the
** state; with NULL, a pool with the default configuration is made, which
** lua_close(L) frees too. (LuaJIT's own allocator keeps some memory then.)
** The static library works with any Lua the host links; the shared one
** must find it at run time: a liblua*.so, or a program that exports lua_*.
** LUA_POOL_ERRSTATE if it does not, if 'L' is a coroutine, or if the state
** is on a pool already.
*/
int lua_pool_attach (struct lua_State *L, lua_pool *pool);

/* The pool that a state is on, or NULL. Any thread of the state will do. */
lua_pool *lua_pool_of (struct lua_State *L);

/*
** Opens the Lua module 'alloc', the pool's figures for Lua code:
** luaL_requiref(L, "alloc", luaopen_alloc, 0), or package.preload.
*/
int luaopen_alloc (struct lua_State *L);

/* A short text for an error code; never NULL. */
const char *lua_pool_error_text (int code);

/* The version of the library, "MAJOR.MINOR.PATCH". */
const char *lua_pool_version (void);

#ifdef __cplusplus
}
#endif

#endif
