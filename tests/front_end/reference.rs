//! The same command lines for both programs and for the real thing.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{PROGRAMS, Scripts};

/// Debian's build of 5.4.4.
const REFERENCE: &str = "/usr/bin/lua5.4";

/// What a run is given, and what came of it.
#[derive(Debug, PartialEq)]
struct Run {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

fn run(scripts: &Scripts, program: &str, arguments: &[&str], stdin: &str, environment: &[(&str, &str)]) -> Run {
    let mut command = Command::new(program);
    // The name is in messages and in `arg`.
    command.arg0("lua").args(arguments).current_dir(scripts.path());
    command.env_clear().env("LUA_PATH", "./?.lua").env("LUA_CPATH", "").env("TERM", "xterm");
    command.envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a run");
    // A program that ends without reading all of it leaves a broken pipe.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("an end");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Run { stdout: text(&output.stdout), stderr: text(&output.stderr), code: output.status.code() }
}

#[test]
#[ignore = "needs Debian's lua5.4; .ci/run installs it"]
fn everything_is_as_debians_lua_does_it() {
    assert!(Path::new(REFERENCE).exists(), "{REFERENCE} is missing; apt-get install lua5.4");
    let scripts = Scripts::new();
    let compare = |arguments: &[&str], stdin: &str, environment: &[(&str, &str)]| {
        let expected = run(&scripts, REFERENCE, arguments, stdin, environment);
        for program in PROGRAMS {
            let found = run(&scripts, program, arguments, stdin, environment);
            assert_eq!(found, expected, "{program} {arguments:?} {environment:?} < {stdin:?}");
        }
    };

    let command_lines: &[&[&str]] = &[
        &[],
        &["-"],
        &["--"],
        &["--", "-"],
        &["-", "-x", "y"],
        &["ok.lua"],
        &["args.lua"],
        &["args.lua", "a", "", "-b", "--help"],
        &["-e", " ", "args.lua", "x"],
        &["-W", "-e", "X=1", "--", "args.lua", "x"],
        &["-i", "-v", "args.lua", "x"],
        &["-v"],
        &["-v", "-v", "-e", "print(1)"],
        &["-v", "ok.lua"],
        &["-E", "ok.lua"],
        &["-E", "-e", "print(package.path == nil)"],
        &["-h"],
        &["-"],
        &["---"],
        &["--nothing"],
        &["--pool"],
        &["-vv"],
        &["-iv"],
        &["-Wx"],
        &["-Ex"],
        &["-x", "-e"],
        &["-e"],
        &["-l"],
        &["-e", "-v"],
        &["-l", "-"],
        &["-e", ""],
        &["-e", "a"],
        &["-e", "a ="],
        &["-eprint(1)", "-ea=3", "-e", "print(a)"],
        &["-e", "error()"],
        &["-e", "error(nil)"],
        &["-e", "error{}"],
        &["-e", "error(12)"],
        &["-e", "error('x', 0)"],
        &["-e", "error(setmetatable({}, {__tostring = function() return 'T' end}))"],
        &["-e", "error(setmetatable({}, {__tostring = function() return 1 end}))"],
        &["-e", "error(setmetatable({}, {__tostring = function() error'deep' end}))"],
        &["-e", "error(setmetatable({}, {__name = 'Mine'}))"],
        &["-e", "local function f() return f() + 1 end f()"],
        &["-e", "local function g(n) if n == 0 then error'deep' end g(n - 1) end g(40)"],
        &["-e", "coroutine.wrap(function() error'inside' end)()"],
        &["-e", "os.exit(3)"],
        &["-e", "os.exit(true, true)"],
        &["-e", "os.exit(false)"],
        &["-e", "arg = nil", "ok.lua"],
        &["-e", "arg = {1, 2, 3}", "args.lua"],
        &["-e", "arg = setmetatable({}, {__len = function() return 2 end})", "args.lua"],
        &["-e", "arg = setmetatable({}, {__len = function() return 'x' end})", "args.lua"],
        &["-e", "arg = setmetatable({}, {__len = function() return -1 end})", "args.lua"],
        &["-e", "require = nil", "-l", "math"],
        &["-e", "setmetatable(_G, {__newindex = function() error'frozen' end})", "-l", "g=math"],
        &["-l", "mod"],
        &["-lmod", "-e", "print(mod.x)"],
        &["-l", "g=mod", "-e", "print(g.x, mod)"],
        &["-l", "=mod", "-e", "print(_G[''].x)"],
        &["-l", "g="],
        &["-l", "g=m=n"],
        &["-l", "nosuch"],
        &["-l", "syntax"],
        &["-l", "fails"],
        &["-e", "warn'x'", "-W", "-e", "warn'y'"],
        &["-W", "-e", "warn('@on', 'x') warn('a', '@off') warn'@off' warn'no' warn'@on' warn'yes'"],
        &["-W", "-e", "setmetatable({}, {__gc = function() error'late' end})"],
        &["nosuch.lua"],
        &["folder"],
        &["fails.lua", "x"],
        &["syntax.lua"],
        &["comment.lua"],
        &["bom.lua"],
        &["garbage.luac"],
        &["version.luac"],
        &["short.luac"],
        &["-e", "print(collectgarbage'incremental', os.setlocale())"],
        &["-e", "print(#arg, arg[0], arg[-1])"],
        &["-e", "io.stdout:setvbuf'full' io.write'a' io.stderr:write'b' os.exit(0, true)"],
        &["-e", "debug.debug()"],
        &["-i", "nosuch.lua"],
        &["-i", "-e", "error'x'"],
    ];
    for arguments in command_lines {
        compare(arguments, "print('from stdin', ...)", &[]);
    }
    for script in ["", "print(1", "error'x'", "#comment", "#comment\nprint(debug.getinfo(1).currentline)", "\x1bLua"] {
        compare(&[], script, &[]);
        compare(&["-"], script, &[]);
    }

    let environments: &[&[(&str, &str)]] = &[
        &[("LUA_INIT", "X = 1")],
        &[("LUA_INIT", "X = arg[0]")],
        &[("LUA_INIT", "X = 1"), ("LUA_INIT_5_4", "X = 2")],
        &[("LUA_INIT", "error'init'")],
        &[("LUA_INIT_5_4", "error'init'")],
        &[("LUA_INIT", "x = = 1")],
        &[("LUA_INIT", "@mod.lua")],
        &[("LUA_INIT", "@nosuch.lua")],
        &[("LUA_INIT", "@")],
        &[("LUA_INIT", "os.exit(4)")],
        &[("LUA_INIT_5_4", ""), ("LUA_INIT", "X = 3")],
    ];
    for environment in environments {
        compare(&["ok.lua"], "", environment);
        compare(&["-E", "ok.lua"], "", environment);
        compare(&["-v", "-e", "print(X)"], "", environment);
    }

    for session in [
        "",
        "\n\n",
        "1",
        "1, nil, 'x'\n=2\nreturn 3\n",
        "a = 1\na\n=a\n",
        "  --\n\n7\n",
        "for i = 1, 2 do\nprint(i)\nend\n",
        "s = [[\n\n]]\n#s\n",
        "=1,\n2\n",
        "x = (\n",
        "x = (\n1",
        "if\n1 then end\n",
        "_PROMPT = 'p'\n_PROMPT2 = 'q'\nif\n1 then end\n",
        "_PROMPT = 12\n_PROMPT2 = false\n(\n1)\n",
        "_PROMPT = setmetatable({}, {__tostring = error})\n1\n",
        "goto = 1\n1 +\n+ +\n",
        "error{}\nerror'x'\nerror(setmetatable({}, {__tostring = function() return 'T' end}))\n",
        "table.unpack({}, 1, 1e6)\ntable.unpack({}, 1, 999980)\n",
        "local x = 1\nx\n",
        "io.write'x'; print(io.read())\nhello\n",
        "io.read'a'\nrest\nof it\n",
        "print = nil\n1\nprint = error\n2\n",
        "print = function() error{} end\n3\n",
        "os.exit(3)\n1\n",
        "'a\\0b'\n",
        "coroutine.wrap(function() error'z' end)()\n",
        "arg[0]\n",
    ] {
        compare(&["-i"], session, &[]);
        compare(&["-i", "-W", "ok.lua"], session, &[("LUA_INIT", "X = 'init'")]);
    }
}
