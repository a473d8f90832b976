// A host that compiles Lua as C++: its errors are exceptions, and what C++ functions hold is destroyed.

#include <cstddef>
#include <cstdio>

extern "C" {
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"
}
#include "lua_pool.h"

namespace {

int ended = 0;

struct Resource {
  ~Resource() { ++ended; }
};

int fails(lua_State *L) {
  Resource resource;
  return luaL_error(L, "failed");
}

const char script[] =
    "for i = 1, 1000 do assert(not pcall(fails)) end\n"
    "assert(not pcall(alloc.trim, 'all'))\n"
    "local kept = {}\n"
    "local _, message = pcall(function() while true do kept[#kept + 1] = {#kept} end end)\n"
    "return message";

}  // namespace

int main() {
  lua_pool *pool = lua_pool_new(nullptr);
  if (pool == nullptr || lua_pool_set_limit(pool, std::size_t{8} << 20) != LUA_POOL_OK) return 1;
  lua_State *L = lua_newstate(lua_pool_alloc, pool);
  if (L == nullptr) return 1;
  luaL_openlibs(L);
  luaL_requiref(L, "alloc", luaopen_alloc, 1);
  lua_pop(L, 1);
  lua_register(L, "fails", fails);
  const bool failed = luaL_dostring(L, script) != LUA_OK;
  std::printf("%s%s, %d ended\n", failed ? "failed: " : "", lua_tostring(L, 1), ended);
  lua_pool_statistics stats;
  lua_pool_stats(pool, &stats, sizeof stats);
  std::fprintf(stderr, "pool: %lu blocks handed out\n", static_cast<unsigned long>(stats.allocations));
  lua_close(L);
  return lua_pool_close(pool);
}
