//! The Lua module `alloc` in both programs.
#![cfg(feature = "programs")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use assert_cmd::Command;
use support::text;

fn run(program: &str, script: &str) -> String {
    run_with(program, &[], script)
}

/// What a script prints that is run with options.
fn run_with(program: &str, options: &[&str], script: &str) -> String {
    let output = Command::new(program).args(options).args(["-e", script]).output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    text(&output.stdout)
}

const BOTH: [&str; 2] = [env!("CARGO_BIN_EXE_lua54"), env!("CARGO_BIN_EXE_lua54_pool")];
const POOL: &str = env!("CARGO_BIN_EXE_lua54_pool");

#[test]
fn the_module_is_a_global_and_required_under_one_name() {
    for program in BOTH {
        let script = "print(alloc == require 'alloc', alloc == package.loaded.alloc)";
        assert_eq!(run(program, script), "true\ttrue\n");
    }
}

#[test]
fn name_tells_which_program_runs() {
    assert_eq!(run(BOTH[0], "print(alloc.name())"), "system\n");
    assert_eq!(run(POOL, "print(alloc.name())"), "pool\n");
}

#[test]
fn get_stat_has_the_same_shape_in_both_programs() {
    let script = "
        local stat = alloc.getStat()
        local names = {}
        for name in pairs(stat[1]) do names[#names + 1] = name end
        table.sort(names)
        print(#stat, math.type(stat.cacheMem), table.concat(names, ' '))
        for _, class in ipairs(stat) do
            for _, name in ipairs(names) do assert(math.type(class[name]) == 'integer') end
        end";
    let expected =
        "104\tinteger\tblockCount blockSize chunkMem iChunkCount iCreate iFree iHitCreate iHitFree\n".to_owned();
    assert_eq!(run(BOTH[0], script), expected);
    assert_eq!(run(POOL, script), expected);
}

#[test]
fn the_plain_program_counts_nothing() {
    let script = "
        for _, class in ipairs(alloc.getStat()) do
            for name, value in pairs(class) do assert(value == 0, name) end
        end
        print(alloc.getStat().cacheMem)";
    assert_eq!(run(BOTH[0], script), "0\n");
}

#[test]
fn counts_are_exact() {
    // An empty table is 48 bytes; the loop makes exactly 10,000 of them. A report takes some itself.
    let script = "
        collectgarbage('stop')
        local function tables(stat)
            for _, class in ipairs(stat) do if class.blockSize == 48 then return class end end
        end
        local function made() local class = tables(alloc.getStat()); return class.iCreate, class.iFree end
        collectgarbage('collect')
        local first = made()
        local create0, free0 = made()
        local inReport = create0 - first
        for i = 1, 10000 do local t = {} end
        local create1, free1 = made()
        collectgarbage('collect')
        local create2, free2 = made()
        print(create1 - create0 - inReport, free1 - free0)
        print(create2 - create1 - inReport, free2 - free1 - 3 * inReport)";
    assert_eq!(run(POOL, script), "10000\t0\n0\t10000\n");
}

#[test]
fn figures_of_a_class_agree_with_each_other() {
    let script = "
        local keep = {}
        for i = 1, 50000 do keep[i] = {i, tostring(i)}; if i % 3 == 0 then keep[i] = nil end end
        local chunkMem = 0
        for _, class in ipairs(alloc.getStat()) do
            assert(class.iFree <= class.iCreate)
            assert(class.iHitCreate <= class.iCreate and class.iHitFree <= class.iFree)
            assert(class.iChunkCount <= class.iCreate - class.iHitCreate)
            assert(class.chunkMem == class.iChunkCount * 65536)
            chunkMem = chunkMem + class.chunkMem
        end
        print(alloc.getStat().cacheMem >= chunkMem, chunkMem > 0)";
    assert_eq!(run(POOL, script), "true\ttrue\n");
}

#[test]
fn the_hard_limit_is_a_lua_error_that_a_script_survives() {
    let script = "
        print(alloc.limit(8 << 20))
        local ok, message = pcall(function() local t = {} for i = 1, 1e7 do t[i] = {} end end)
        print(ok, message, alloc.limit())
        local t = {}
        for i = 1, 1000 do t[i] = {} end
        print(#t, alloc.stats().committed <= 8 << 20, alloc.stats().refused > 0, alloc.limit(false), alloc.limit())";
    assert_eq!(run(POOL, script), "nil\nfalse\tnot enough memory\t8388608\n1000\ttrue\ttrue\t8388608\tnil\n");
}

#[test]
fn a_limit_below_what_is_in_use_is_taken_and_nothing_is_lost() {
    let script = "
        local t = {}
        for i = 1, 1e5 do t[i] = {i} end
        alloc.limit(1 << 20)
        print(pcall(string.rep, 'x', 1 << 20))
        local sum = 0
        for i = 1, #t do sum = sum + t[i][1] end
        print(sum)";
    assert_eq!(run(POOL, script), "false\tnot enough memory\n5000050000\n");
}

#[test]
fn string_buffers_do_not_fail_while_garbage_can_be_collected() {
    let script = "
        alloc.limit(8 << 20)
        collectgarbage('stop')
        for i = 1, 200 do local text = ('x'):rep(500000):gsub('x', 'y') end
        print(alloc.stats().refused > 0)";
    assert_eq!(run(POOL, script), "true\n");
}

#[test]
fn the_soft_limit_collects_before_memory_grows() {
    let script = "
        local keep = {}
        for i = 1, 1e5 do keep[i] = {} end
        collectgarbage()
        collectgarbage('incremental', 1000, 100)
        alloc.softlimit(20 << 20)
        for i = 1, 1e6 do local t = {i} end
        print(alloc.stats().peak < 24 << 20, alloc.softlimit())";
    assert_eq!(run(POOL, script), "true\t20971520\n");
}

#[test]
fn trim_gives_back_what_is_free() {
    let script = "
        local t = {}
        for i = 1, 2e5 do t[i] = {i} end
        t = nil
        collectgarbage()
        local before = alloc.stats().cached
        local freed = alloc.trim()
        local after = alloc.stats()
        print(before > 8 << 20, freed > 8 << 20, after.cached, after.committed < 2 << 20)";
    assert_eq!(run_with(POOL, &["--pool-purge=never"], script), "true\ttrue\t0\ttrue\n");
}

#[test]
fn reset_starts_counting_over_and_keeps_what_is_live() {
    let script = "
        local t = {}
        for i = 1, 1000 do t[i] = {} end
        local function tables() for _, c in ipairs(alloc.stats().classes) do if c.size == 48 then return c end end end
        local live = tables().live
        alloc.reset()
        local class = tables()
        print(class.allocations < 200, class.live >= live, class.frees <= class.allocations)";
    assert_eq!(run(POOL, script), "true\ttrue\ttrue\n");
}

#[test]
fn the_identities_of_the_figures_hold() {
    let script = "
        local keep = {}
        for i = 1, 30000 do keep[i] = ('x'):rep(i % 3000) end
        local s = alloc.stats()
        local live = s.largeLive
        for _, class in ipairs(s.classes) do
            assert(class.live == class.allocations - class.frees)
            live = live + class.live * class.size
        end
        print(live == s.live, s.live <= s.used, s.used + s.cached == s.committed, s.committed <= s.peak,
              s.resident <= s.committed - s.holes + s.mapped // 64, s.largeBlocks == s.largeAllocations - s.largeFrees, s.requested + s.slack == s.live)";
    assert_eq!(run(POOL, script), "true\ttrue\ttrue\ttrue\ttrue\ttrue\ttrue\n");
}

#[test]
fn wrong_arguments_get_lua_style_errors() {
    for program in BOTH {
        let script = "print(select(2, pcall(alloc.limit, 'x')), select(2, pcall(alloc.trim, -1)))";
        let expected = "bad argument #1 to 'alloc.limit' (number expected, got string)\t\
                        bad argument #1 to 'alloc.trim' (size must not be negative)\n";
        assert_eq!(run(program, script), expected);
    }
}

#[test]
fn rubbish_in_options_and_variables_is_one_line_and_exit_code_1() {
    for option in [
        "--pool-limit=64X",
        "--pool-limit=",
        "--pool-limit=-1",
        "--pool-limit=99999999999999999999G",
        "--pool-soft-limit=x",
        "--pool-purge=sometimes",
        "--pool-stats=xml",
    ] {
        let output = Command::new(POOL).args([option, "-e", ""]).output().expect("the program starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{option}: {errors}");
        assert!(errors.contains(option.split('=').next().unwrap_or(option)), "{errors}");
    }
    for variable in ["LUA_POOL_LIMIT", "LUA_POOL_SOFT_LIMIT", "LUA_POOL_PURGE", "LUA_POOL_STATS"] {
        let output = Command::new(POOL).args(["-e", ""]).env(variable, "rubbish").output().expect("the program starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(&format!("{variable}=rubbish: expected ")), "{errors}");
    }
}

#[test]
fn statistics_are_printed_at_exit_even_by_os_exit() {
    for script in ["", "os.exit(0)", "os.exit(0, true)"] {
        let output = Command::new(POOL).args(["--pool-stats=json", "-e", script]).output().expect("the program starts");
        let object: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one JSON object");
        assert!(object["live_bytes"].as_u64() > Some(0), "{object}");
    }
}

#[test]
fn objects_are_counted_by_type_and_their_bytes_add_up_to_lua_s_own_count() {
    let script = "
        collectgarbage('stop')
        local function sum(types)
            local bytes = 0
            for _, figures in pairs(types) do bytes = bytes + figures.bytes end
            return bytes
        end
        local keep = {}
        for i = 1, 1000 do
            keep[i] = {
                {}, {1, 2, 3, x = 1}, 'a string ' .. i, ('long '):rep(i), function() return keep, i end,
                coroutine.wrap(function(...) coroutine.yield(...) end), io.tmpfile and setmetatable({}, {}),
                load('local x = ' .. i .. ' return function() return x end'),
            }
            keep[i][6](i)
        end
        local deep = coroutine.create(function() local function f(n) if n > 0 then return 1 + f(n - 1) end coroutine.yield() end f(1e4) end)
        coroutine.resume(deep)
        for round = 1, 3 do
            local count = collectgarbage('count') * 1024
            local types = alloc.types()
            assert(sum(types) == count, sum(types) - count)
            local s = alloc.stats()
            assert(s.slack == s.live - s.requested and s.slack > 0 and s.slack < s.live / 8, s.slack)
            collectgarbage()
        end
        local before = alloc.types()
        local made = {}
        for i = 1, 100 do made[i] = {} end
        for i = 1, 50 do made[#made + 1] = 'another ' .. i end
        local after = alloc.types()
        -- Nine tables are what alloc.types() gave the first time; numbers are joined without strings of their own.
        print(after.table.count - before.table.count - 10, after.string.count - before.string.count)
        print(after.upvalue.count >= 1000, after.prototype.count >= 2000, after.thread.count >= 1002,
              after.userdata.count >= 3, after['function'].count >= 3000, after.other.count, after.other.bytes > 0)";
    assert_eq!(run(POOL, script), "100\t50\ntrue\ttrue\ttrue\ttrue\ttrue\tnil\ttrue\n");
    assert_eq!(run(BOTH[0], "print(next(alloc.types()), alloc.stats().slack, alloc.stats().requested)"), "nil\t0\t0\n");
}

#[test]
fn statistics_at_exit_tell_the_types_however_the_program_ends() {
    for end in ["", "os.exit(0)", "os.exit(0, true)", "coroutine.wrap(function() os.exit(0, true) end)()"] {
        let script = format!("kept = {{}} for i = 1, 1000 do kept[i] = {{}} end {end}");
        let output =
            Command::new(POOL).args(["--pool-stats=json", "-e", &script]).output().expect("the program starts");
        let object: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one JSON object");
        assert!(object["types"]["table"]["count"].as_u64() >= Some(1000), "{end}: {object}");
        let number = |name: &str| object[name].as_u64().expect("a number");
        assert_eq!(number("requested_bytes") + number("slack_bytes"), number("live_bytes"), "{end}: {object}");
        let text = Command::new(POOL).args(["--pool-stats", "-e", &script]).output().expect("the program starts");
        let text = String::from_utf8(text.stderr).expect("text");
        assert!(text.contains("\n  prototype ") && text.contains("\n  slack inside blocks "), "{text}");
    }
}
