//! The Lua module `alloc` in both programs.
#![cfg(feature = "programs")]

use assert_cmd::Command;

fn run(program: &str, script: &str) -> String {
    let output = Command::new(program).args(["-e", script]).output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
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
    // A table is 56 bytes; the loop makes and drops exactly 10,000 of them, 100 at a time.
    let script = "
        collectgarbage('stop')
        local function tables(stat)
            for _, class in ipairs(stat) do if class.blockSize == 56 then return class end end
        end
        local function made() local class = tables(alloc.getStat()); return class.iCreate, class.iFree end
        local inReport = 1 + #alloc.getStat()
        collectgarbage('collect')
        local create0, free0 = made()
        for i = 1, 10000 do local t = {} end
        local create1, free1 = made()
        collectgarbage('collect')
        local create2, free2 = made()
        print(create1 - create0 - inReport, free1 - free0)
        print(create2 - create1 - inReport, free2 - free1 - 2 * inReport)";
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
