// A C++ host on a pool: the pool and the state are members of one object, which closes them in the right order.
//
//     c++ -std=c++17 cpp_host.cpp $(pkg-config --cflags --libs lua_pool_allocator lua5.4)

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

extern "C" {
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"
}
#include "lua_pool.h"

namespace {

struct PoolCloser {
  void operator()(lua_pool *pool) const noexcept { lua_pool_close(pool); }
};

struct StateCloser {
  void operator()(lua_State *state) const noexcept { lua_close(state); }
};

class Interpreter {
 public:
  explicit Interpreter(std::size_t limit_bytes) {
    lua_pool_config config;
    lua_pool_config_init(&config);
    config.limit_bytes = limit_bytes;
    pool_.reset(lua_pool_new(&config));
    if (!pool_) throw std::runtime_error("cannot create a pool");
#if LUA_VERSION_NUM >= 505
    state_.reset(lua_newstate(lua_pool_alloc, pool_.get(), luaL_makeseed(nullptr)));
#else
    state_.reset(lua_newstate(lua_pool_alloc, pool_.get()));
#endif
    if (!state_) throw std::runtime_error("cannot create a Lua state");
    luaL_openlibs(state_.get());
  }

  // Runs a chunk of Lua; returns an error message, or an empty string.
  std::string run(const char *chunk) {
    lua_State *L = state_.get();
    if (luaL_loadstring(L, chunk) == 0 && lua_pcall(L, 0, 0, 0) == 0) return {};
    const char *text = lua_tostring(L, -1);
    std::string message = text ? text : "?";
    lua_pop(L, 1);
    return message;
  }

  lua_pool_statistics stats() const {
    lua_pool_statistics stats{};
    lua_pool_stats(pool_.get(), &stats, sizeof stats);
    return stats;
  }

 private:
  // Members are destroyed in reverse order: the state first, then the pool it lives in.
  std::unique_ptr<lua_pool, PoolCloser> pool_;
  std::unique_ptr<lua_State, StateCloser> state_;
};

}  // namespace

int main() {
  Interpreter lua(std::size_t{4} << 20);
  std::string error = lua.run("local list = {} for i = 1, 10000 do list[i] = {i} end print(#list)");
  if (!error.empty()) {
    std::fprintf(stderr, "cpp_host: %s\n", error.c_str());
    return EXIT_FAILURE;
  }
  // The limit is Lua's ordinary "not enough memory", and the state lives on.
  error = lua.run("local list = {} for i = 1, 1e7 do list[i] = {i} end");
  std::printf("%s\n", error.c_str());
  error = lua.run("collectgarbage() print('still here')");
  const lua_pool_statistics stats = lua.stats();
  std::fprintf(stderr, "pool: %lu blocks handed out, %lu bytes at the peak, %lu refusals\n",
               static_cast<unsigned long>(stats.allocations), static_cast<unsigned long>(stats.peak_bytes),
               static_cast<unsigned long>(stats.limit_refusals));
  return error.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}
