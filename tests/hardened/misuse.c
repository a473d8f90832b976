/*
** A C module in which each function is one misuse of memory. 'size' is that
** of the block that is misused.
*/

#include <stdlib.h>
#include <string.h>

#include "lua.h"
#include "lauxlib.h"

/* the state's allocator */
typedef struct Memory {
  lua_Alloc alloc;
  void *ud;
  size_t size;  /* the argument */
} Memory;

static Memory memory_of (lua_State *L) {
  Memory memory;
  memory.alloc = lua_getallocf(L, &memory.ud);
  memory.size = (size_t)luaL_checkinteger(L, 1);
  return memory;
}

static char *fresh (Memory *memory) {
  char *block = (char *)memory->alloc(memory->ud, NULL, 0, memory->size);
  if (block == NULL) abort();
  memset(block, 1, memory->size);
  return block;
}

static void release (Memory *memory, void *block) {
  memory->alloc(memory->ud, block, memory->size, 0);
}

/* hides from the compiler what it would warn of */
static void write_at (volatile char *place, char value) {
  *place = value;
}

static int double_free (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  release(&memory, block);
  release(&memory, block);
  return 0;
}

/* with others freed in between */
static int double_free_later (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  char *others[8];
  int i;
  for (i = 0; i < 8; i++) others[i] = fresh(&memory);
  release(&memory, block);
  for (i = 0; i < 8; i++) release(&memory, others[i]);
  release(&memory, block);
  return 0;
}

static int resize_freed (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  release(&memory, block);
  memory.alloc(memory.ud, block, memory.size, memory.size + 1);
  return 0;
}

/* frees what is malloc's */
static int foreign_free (lua_State *L) {
  Memory memory = memory_of(L);
  release(&memory, malloc(memory.size));
  return 0;
}

/* frees what is on the stack */
static int stack_free (lua_State *L) {
  Memory memory = memory_of(L);
  char block[64];
  release(&memory, block);
  return 0;
}

/* frees what cannot be an address */
static int wild_free (lua_State *L) {
  Memory memory = memory_of(L);
  release(&memory, (void *)(size_t)0x123456789abcdef0);
  return 0;
}

static int free_inside (lua_State *L) {
  Memory memory = memory_of(L);
  release(&memory, fresh(&memory) + 1);
  return 0;
}

/* frees an address inside that is aligned as blocks are */
static int free_inside_aligned (lua_State *L) {
  Memory memory = memory_of(L);
  release(&memory, fresh(&memory) + 16);
  return 0;
}

static int wrong_size (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  memory.alloc(memory.ud, block, memory.size + 1, 0);
  return 0;
}

static int resize_wrong_size (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  memory.alloc(memory.ud, block, memory.size - 1, memory.size * 2);
  return 0;
}

/* the 0 at the end of a string that has no room for it */
static int write_beyond (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  write_at(block + memory.size, 0);
  release(&memory, block);
  return 0;
}

/* notices as soon as the block is resized */
static int write_beyond_resize (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  write_at(block + memory.size, 0);
  memory.alloc(memory.ud, block, memory.size, memory.size * 2);
  return 0;
}

/* a userdata, which the collector frees */
static int write_beyond_userdata (lua_State *L) {
  size_t size = (size_t)luaL_checkinteger(L, 1);
  write_at((char *)lua_newuserdatauv(L, size, 0) + size, 0);
  lua_pop(L, 1);
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

/* a userdata that lives until the state is closed */
static int write_beyond_until_close (lua_State *L) {
  size_t size = (size_t)luaL_checkinteger(L, 1);
  write_at((char *)lua_newuserdatauv(L, size, 0) + size, 0);
  lua_setfield(L, LUA_REGISTRYINDEX, "kept");
  return 0;
}

static int write_before (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  write_at(block - 1, 0);
  release(&memory, block);
  return 0;
}

/* writes to a freed block that nobody gets afterwards */
static int write_freed (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  release(&memory, block);
  write_at(block + memory.size / 2, 0);
  return 0;
}

/* the same, and the block is handed out again */
static int write_freed_reused (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  int i;
  release(&memory, block);
  write_at(block, 0);
  for (i = 0; i < 3000; i++) fresh(&memory);
  abort();
  return 0;
}

/* the words before a freed block, where the pool keeps its link */
static int write_link (lua_State *L) {
  Memory memory = memory_of(L);
  char *first = fresh(&memory);
  char *second = fresh(&memory);
  int i;
  release(&memory, first);
  release(&memory, second);
  memset(second - 16, 0x41, 8);
  for (i = 0; i < 3000; i++) fresh(&memory);
  abort();
  return 0;
}

/* across the header of the chunk, wherever in its first page that is */
static int write_header (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = NULL;
  size_t chunk, color;
  int i;
  for (i = 0; i < 2000; i++) block = fresh(&memory);
  chunk = (size_t)block & ~(size_t)0xFFFF;
  color = (chunk >> 10) & 0xFC0;
  memset((char *)chunk + color, 0x41, 64);
  release(&memory, block);
  for (i = 0; i < 3000; i++) fresh(&memory);
  abort();
  return 0;
}

/* the byte behind a large block's last 16 */
static int touch_behind (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  write_at(block + ((memory.size + 15) & ~(size_t)15), 0);
  return 0;
}

/* the page before a large block */
static int touch_before (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  size_t page = (size_t)block & ~(size_t)4095;
  write_at((char *)page - 1, 0);
  return 0;
}

static int touch_freed (lua_State *L) {
  Memory memory = memory_of(L);
  char *block = fresh(&memory);
  release(&memory, block);
  write_at(block, 0);
  return 0;
}

/* no misuse: resizes with true sizes and with 0, uses all bytes, no more */
static int behave (lua_State *L) {
  Memory memory = memory_of(L);
  size_t size = memory.size;
  char *block = fresh(&memory);
  block = (char *)memory.alloc(memory.ud, block, size, 3 * size);
  memset(block, 2, 3 * size);
  block = (char *)memory.alloc(memory.ud, block, 0, size / 2 + 1);
  memset(block, 3, size / 2 + 1);
  memory.alloc(memory.ud, block, 0, 0);
  memset(lua_newuserdatauv(L, size, 0), 4, size);
  lua_pop(L, 1);
  return 0;
}

int luaopen_misuse (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"double_free", double_free},
    {"double_free_later", double_free_later},
    {"resize_freed", resize_freed},
    {"foreign_free", foreign_free},
    {"stack_free", stack_free},
    {"wild_free", wild_free},
    {"free_inside", free_inside},
    {"free_inside_aligned", free_inside_aligned},
    {"wrong_size", wrong_size},
    {"resize_wrong_size", resize_wrong_size},
    {"write_beyond", write_beyond},
    {"write_beyond_resize", write_beyond_resize},
    {"write_beyond_userdata", write_beyond_userdata},
    {"write_beyond_until_close", write_beyond_until_close},
    {"write_before", write_before},
    {"write_freed", write_freed},
    {"write_freed_reused", write_freed_reused},
    {"write_link", write_link},
    {"write_header", write_header},
    {"touch_behind", touch_behind},
    {"touch_before", touch_before},
    {"touch_freed", touch_freed},
    {"behave", behave},
    {NULL, NULL}
  };
  luaL_newlib(L, functions);
  return 1;
}
