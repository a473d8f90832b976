//! C modules loaded by `require` find the Lua API in both programs and work there.
#![cfg(all(feature = "programs", unix))]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{PROGRAMS, c_compiler, lua, scratch};

#[test]
fn a_module_compiled_against_our_headers_works() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c_modules/probe.c");
    c_compiler::build_module(&source, &folder.path().join("probe.so"));
    runs_in_both(
        folder.path(),
        r#"
        local probe = require "probe"
        local counter = probe.counter(40)
        assert(counter:next() == 41 and counter:next() == 42)
        counter = nil; collectgarbage(); assert(collected == 1)
        for _, times in ipairs{0, 1, 500, 100000} do
            assert(probe.repeated("pool", times) == ("pool"):rep(times))
        end
        -- every kind of block, from the smallest to one that is a mapping of its own
        for _, size in ipairs{1, 8, 100, 512, 513, 5000, 70000, 3000000} do
            assert(probe.borrow(size) == size)
        end
        local thread = coroutine.create(probe.pause)
        assert(coroutine.resume(thread))
        local ok, value = coroutine.resume(thread)
        assert(ok and value == 42 and coroutine.status(thread) == "dead")
        assert(not pcall(probe.counter, "x"))
        print "works"
        "#,
    );
}

#[test]
#[ignore = "needs Debian packages lua-lpeg lua-filesystem lua-cjson; .ci/run installs them"]
fn debian_lpeg_works() {
    runs_in_both(
        &debian_folder("lpeg"),
        r#"
        local lpeg = require "lpeg"
        local number = lpeg.R"09"^1 / tonumber
        local list = lpeg.Cf(number * ("," * number)^0, function (a, b) return a + b end)
        assert(list:match("10,20,12") == 42)
        local words = lpeg.Ct((lpeg.C(lpeg.R"az"^1) * lpeg.S" "^0)^0)
        assert(#words:match(("word "):rep(20000)) == 20000)
        print "works"
        "#,
    );
}

#[test]
#[ignore = "needs Debian packages lua-lpeg lua-filesystem lua-cjson; .ci/run installs them"]
fn debian_filesystem_works() {
    runs_in_both(
        &debian_folder("lfs"),
        r#"
        local lfs = require "lfs"
        local name = os.tmpname()
        os.remove(name)
        assert(lfs.mkdir(name))
        io.open(name .. "/file", "w"):write("12345"):close()
        assert(lfs.attributes(name .. "/file", "size") == 5)
        local found = {}
        for entry in lfs.dir(name) do found[entry] = true end
        assert(found.file and found["."] and found[".."])
        assert(os.remove(name .. "/file") and lfs.rmdir(name))
        print "works"
        "#,
    );
}

#[test]
#[ignore = "needs Debian packages lua-lpeg lua-filesystem lua-cjson; .ci/run installs them"]
fn debian_cjson_works() {
    runs_in_both(
        &debian_folder("cjson"),
        r#"
        local cjson = require "cjson"
        local rows = {}
        for i = 1, 20000 do rows[i] = {id = i, name = "row " .. i, tags = {"a", "b"}} end
        local copy = cjson.decode(cjson.encode(rows))
        assert(#copy == 20000 and copy[20000].name == "row 20000" and copy[7].tags[2] == "b")
        assert(not pcall(cjson.decode, "{"))
        print "works"
        "#,
    );
}

/// Runs a script that ends with `print "works"` in both programs, with C modules from `folder`.
fn runs_in_both(folder: &Path, script: &str) {
    for (name, program) in PROGRAMS {
        let mut command = lua(program);
        let output = command.env("LUA_CPATH", folder.join("?.so")).args(["-e", script]).output().expect("it runs");
        assert!(
            output.status.success() && output.stdout == b"works\n",
            "{name}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Debian's folder for C modules of Lua 5.4, which is /usr/lib/MACHINE/lua/5.4.
fn debian_folder(module: &str) -> PathBuf {
    let machines = fs::read_dir("/usr/lib").expect("/usr/lib");
    machines
        .map(|machine| machine.expect("an entry of /usr/lib").path().join("lua/5.4"))
        .find(|folder| folder.join(format!("{module}.so")).exists())
        .unwrap_or_else(|| panic!("no {module}.so under /usr/lib: apt-get install lua-lpeg lua-filesystem lua-cjson"))
}
