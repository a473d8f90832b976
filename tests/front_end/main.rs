//! The front end, seen from outside: everything lua.c does, on both programs, word for word.
#![cfg(feature = "programs")]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use assert_cmd::Command;
use support::text;
use tempfile::TempDir;

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/mod.rs"]
mod support;

#[cfg(unix)]
mod reference;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod unix;

const PROGRAMS: [&str; 2] = [env!("CARGO_BIN_EXE_lua54"), env!("CARGO_BIN_EXE_lua54_pool")];
const COPYRIGHT: &str = "Lua 5.4.4  Copyright (C) 1994-2022 Lua.org, PUC-Rio\n";

/// Lua's text on a wrong option; `{prog}` stands for the program.
const USAGE: &str = "\
usage: {prog} [options] [script [args]]
Available options are:
  -e stat   execute string 'stat'
  -i        enter interactive mode after executing 'script'
  -l mod    require library 'mod' into global 'mod'
  -l g=mod  require library 'mod' into global 'g'
  -v        show version information
  -E        ignore environment variables
  -W        turn warnings on
  --        stop handling options
  -         stop handling options and execute stdin
";

/// How Lua separates folders.
const SEPARATOR: char = std::path::MAIN_SEPARATOR;

/// What a run wrote, standard output first, and its exit code.
fn outcome(command: &mut Command) -> (String, String, Option<i32>) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// A folder with the scripts that the tests run, the working directory of every run.
struct Scripts(TempDir);

impl Scripts {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).expect("a script");
        file("args.lua", b"for i = -9, 9 do if arg[i] then io.write(i, '=', arg[i], ';') end end print(...)");
        file("ok.lua", b"print('ok', X)");
        file("fails.lua", b"local function f() error('oops') end\nf()\nprint(1)");
        file("syntax.lua", b"x = = 1");
        file("mod.lua", b"print('loading', ...) return {x = 15}");
        file("comment.lua", b"#!/usr/bin/lua\nprint(debug.getinfo(1).currentline)");
        file("bom.lua", b"\xef\xbb\xbfprint('bom')");
        file("garbage.luac", b"\x1bLua\x54\x00garbage beyond");
        file("version.luac", b"\x1bLua\x53\x00\x19\x93\r\n\x1a\n");
        file("short.luac", b"\x1bLua\x54");
        fs::create_dir(folder.path().join("folder")).expect("a folder");
        Scripts(folder)
    }

    /// A run of `program` that depends on nothing in the environment of the tests.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path()).write_stdin("");
        for name in ["LUA_INIT", "LUA_INIT_5_4", "LUA_PATH", "LUA_PATH_5_4", "LUA_CPATH", "LUA_CPATH_5_4"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs both programs; what they write and their exit code must be exactly this. `{prog}` stands for the program.
    fn expect<A: AsRef<OsStr>>(&self, arguments: &[A], stdin: &str, stdout: &str, stderr: &str, code: i32) {
        for program in PROGRAMS {
            let shown: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
            assert_eq!(
                outcome(self.command(program).args(arguments).write_stdin(stdin)),
                (stdout.replace("{prog}", program), stderr.replace("{prog}", program), Some(code)),
                "{program} {shown:?}"
            );
        }
    }

    #[cfg(unix)]
    fn path(&self) -> &Path {
        self.0.path()
    }
}

#[test]
fn code_libraries_and_scripts_run_in_the_order_given() {
    let scripts = Scripts::new();
    scripts.expect(&["-eprint(1)", "-ea=3", "-e", "print(a)"], "", "1\n3\n", "", 0);
    scripts.expect(&["-e", "X=1", "ok.lua"], "", "ok\t1\n", "", 0);
    let loading = format!("loading\tmod\t.{SEPARATOR}mod.lua\n");
    scripts.expect(&["-l", "mod", "-e", "print(mod.x)"], "", &format!("{loading}15\n"), "", 0);
    scripts.expect(&["-lg=mod", "-e", "print(g.x, mod)"], "", &format!("{loading}15\tnil\n"), "", 0);
    scripts.expect(&["-l", "m=math", "-e", "print(m == math)"], "", "true\n", "", 0);
    scripts.expect(&["-v"], "", COPYRIGHT, "", 0);
    scripts.expect(&["-v", "-e", "print'x'"], "", &format!("{COPYRIGHT}x\n"), "", 0);
    scripts.expect(&["comment.lua"], "", "2\n", "", 0);
    scripts.expect(&["bom.lua"], "", "bom\n", "", 0);
}

#[test]
fn arg_holds_the_script_at_zero_and_what_is_before_it_below() {
    let scripts = Scripts::new();
    scripts.expect(
        &["-e", " ", "--", "args.lua", "a", "-b", "--help"],
        "",
        "-4={prog};-3=-e;-2= ;-1=--;0=args.lua;1=a;2=-b;3=--help;a\t-b\t--help\n",
        "",
        0,
    );
    let code = "for i = -9, 9 do if arg[i] then io.write(i, '=', arg[i], ';') end end";
    scripts.expect(&["-e", code], "", &format!("0={{prog}};1=-e;2={code};"), "", 0);
    scripts.expect(&["-", "x"], "print(arg[0], arg[1], ...)", "-\tx\tx\n", "", 0);
    scripts.expect(
        &["-e", "arg[1] = 100", "args.lua"],
        "",
        "-3={prog};-2=-e;-1=arg[1] = 100;0=args.lua;1=100;100\n",
        "",
        0,
    );
    scripts.expect(&["-e", "arg = 1", "ok.lua"], "", "", "{prog}: 'arg' is not a table\n", 1);
    scripts.expect(
        &["-e", "arg = setmetatable({}, {__len = function() return 1e7 // 1 | 0 end})", "ok.lua"],
        "",
        "",
        "{prog}: stack overflow (too many arguments to script)\n",
        1,
    );
}

#[test]
fn standard_input_is_a_script_when_it_is_no_terminal() {
    let scripts = Scripts::new();
    let no_code: [&str; 0] = [];
    scripts.expect(&no_code, "print(10)\nprint(...)\n", "10\n\n", "", 0);
    scripts.expect(&["-"], "#a comment\nprint(1)", "1\n", "", 0);
    scripts.expect(&["-W", "-l", "math"], "print(2)", "2\n", "", 0);
    scripts.expect(&["-", "-h"], "print(arg[1])", "-h\n", "", 0);
    // Behind -- a dash is a file's name.
    scripts.expect(&["--", "-"], "print(1)", "", "{prog}: cannot open -: No such file or directory\n", 1);
    // An error in it is reported, but is not the program's, unless it was named.
    let trace =
        "{prog}: stdin:1: e\nstack traceback:\n\t[C]: in function 'error'\n\tstdin:1: in main chunk\n\t[C]: in ?\n";
    scripts.expect(&no_code, "error'e'", "", trace, 0);
    scripts.expect(&["-"], "error'e'", "", trace, 1);
}

#[test]
fn a_wrong_option_gives_luas_message_and_usage() {
    let scripts = Scripts::new();
    for bad in ["-h", "-vv", "-iv", "-Ex", "-Wx", "-i1", "---", "--nothing", "--pool", "--pool-nothing", "--helpme"] {
        scripts.expect(&["-v", bad], "", "", &format!("{{prog}}: unrecognized option '{bad}'\n{USAGE}"), 1);
    }
    for bad in ["-e", "-l"] {
        let message = format!("{{prog}}: '{bad}' needs argument\n{USAGE}");
        scripts.expect(&[bad], "", "", &message, 1);
        scripts.expect(&[bad, "-x"], "", "", &message, 1);
        scripts.expect(&[bad, "--help"], "", "", &message, 1);
    }
}

#[test]
fn a_script_that_cannot_be_run_gives_one_line_and_exit_code_1() {
    let scripts = Scripts::new();
    for (script, message) in [
        ("nosuch.lua", "cannot open nosuch.lua: No such file or directory"),
        ("syntax.lua", "syntax.lua:1: unexpected symbol near '='"),
        ("garbage.luac", "garbage.luac: bad binary format (corrupted chunk)"),
        ("version.luac", "version.luac: bad binary format (version mismatch)"),
        ("short.luac", "short.luac: bad binary format (truncated chunk)"),
    ] {
        scripts.expect(&[script, "x"], "", "", &format!("{{prog}}: {message}\n"), 1);
    }
    if cfg!(unix) {
        scripts.expect(&["folder"], "", "", "{prog}: cannot read folder: Is a directory\n", 1);
    }
}

#[cfg(unix)]
#[test]
fn a_script_that_may_not_be_read_gives_one_line_and_exit_code_1() {
    use std::os::unix::fs::PermissionsExt;
    let scripts = Scripts::new();
    let path = scripts.path().join("ok.lua");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("permissions");
    if fs::read(&path).is_ok() {
        return; // root may read everything
    }
    scripts.expect(&["ok.lua"], "", "", "{prog}: cannot open ok.lua: Permission denied\n", 1);
}

#[test]
fn errors_come_with_a_traceback_and_exit_code_1() {
    let scripts = Scripts::new();
    scripts.expect(
        &["fails.lua"],
        "",
        "",
        "{prog}: fails.lua:1: oops\nstack traceback:\n\t[C]: in function 'error'\n\tfails.lua:1: in local 'f'\n\t\
         fails.lua:2: in main chunk\n\t[C]: in ?\n",
        1,
    );
    scripts.expect(&["-e", "error{}"], "", "", "{prog}: (error object is a table value)\nstack traceback:\n\t[C]: in function 'error'\n\t(command line):1: in main chunk\n\t[C]: in ?\n", 1);
    let speaks = "error(setmetatable({}, {__tostring = function() return 'mine' end}))";
    scripts.expect(&["-e", speaks, "-e", "print'not reached'"], "", "", "{prog}: mine\n", 1);
    scripts.expect(&["-e", "a"], "", "", "{prog}: (command line):1: syntax error near <eof>\n", 1);
    scripts.expect(
        &["-e", "error('a\\0b', 0)"],
        "",
        "",
        "{prog}: a\nstack traceback:\n\t[C]: in function 'error'\n\t(command line):1: in main chunk\n\t[C]: in ?\n",
        1,
    );
    // No handler where the global is set: the object is no string, and C prints that like this.
    let raises = "setmetatable(_G, {__newindex = function() error{} end})";
    scripts.expect(&["-e", raises, "-l", "g=math"], "", "", "{prog}: (null)\n", 1);
}

#[test]
fn a_missing_library_is_reported_with_the_places_searched() {
    let scripts = Scripts::new();
    for program in PROGRAMS {
        let mut command = scripts.command(program);
        command.env("LUA_PATH", "./?.x").env("LUA_CPATH", "./?.y").args(["-l", "no.such"]);
        let message = format!(
            "{program}: module 'no.such' not found:\n\tno field package.preload['no.such']\n\t\
             no file './no{SEPARATOR}such.x'\n\tno file './no{SEPARATOR}such.y'\n\tno file './no.y'\n\
             stack traceback:\n\t[C]: in function 'require'\n\t[C]: in ?\n"
        );
        assert_eq!(outcome(&mut command), (String::new(), message, Some(1)));
    }
}

#[test]
fn lua_init_runs_first_and_its_errors_end_the_program() {
    let scripts = Scripts::new();
    for program in PROGRAMS {
        let run = |environment: &[(&str, &str)], arguments: &[&str]| {
            outcome(scripts.command(program).envs(environment.iter().copied()).args(arguments))
        };
        let ok = |text: &str| (text.to_owned(), String::new(), Some(0));
        assert_eq!(run(&[("LUA_INIT", "X=tonumber(arg[1])")], &["ok.lua", "3.2"]), ok("ok\t3.2\n"));
        assert_eq!(run(&[("LUA_INIT", "X=1"), ("LUA_INIT_5_4", "X=2")], &["ok.lua"]), ok("ok\t2\n"));
        assert_eq!(run(&[("LUA_INIT", "@mod.lua")], &["ok.lua"]), ok("loading\nok\tnil\n"));
        assert_eq!(run(&[("LUA_INIT", "")], &["ok.lua"]), ok("ok\tnil\n"));
        assert_eq!(run(&[("LUA_INIT", "error'no'")], &["-E", "ok.lua"]), ok("ok\tnil\n"));
        assert_eq!(run(&[("LUA_PATH", "x"), ("LUA_INIT", "")], &["-e", "print(package.path)"]), ok("x\n"));
        let (out, _, _) = run(&[("LUA_PATH", "xxx")], &["-E", "-e", "print(package.path:find'xxx')"]);
        assert_eq!(out, "nil\n");
        let trace = "stack traceback:\n\t[C]: in function 'error'\n";
        assert_eq!(
            run(&[("LUA_INIT", "error'no'")], &["ok.lua"]),
            (
                String::new(),
                format!("{program}: LUA_INIT:1: no\n{trace}\tLUA_INIT:1: in main chunk\n\t[C]: in ?\n"),
                Some(1)
            )
        );
        assert_eq!(
            run(&[("LUA_INIT_5_4", "@nosuch")], &["ok.lua"]),
            (String::new(), format!("{program}: cannot open nosuch: No such file or directory\n"), Some(1))
        );
    }
}

#[test]
fn warnings_are_off_until_asked_for() {
    let scripts = Scripts::new();
    scripts.expect(
        &["-e", "warn'x' warn'@on' warn('a', 'b') warn'@unknown' warn'@off' warn'y'"],
        "",
        "",
        "Lua warning: ab\n",
        0,
    );
    scripts.expect(
        &["-W", "-e", "warn('@on', 'x') warn('', '@off') warn'z'"],
        "",
        "",
        "Lua warning: @onx\nLua warning: @off\nLua warning: z\n",
        0,
    );
    scripts.expect(&["-e", "warn'before'", "-W", "-e", "warn'after'"], "", "", "Lua warning: after\n", 0);
    let finalizer = "setmetatable({}, {__gc = function() error('late', 0) end})";
    scripts.expect(&["-W", "-e", finalizer], "", "", "Lua warning: error in __gc (late)\n", 0);
}

#[test]
fn exit_codes_are_the_scripts_and_a_closed_state_is_closed() {
    let scripts = Scripts::new();
    let object = "local x <close> = setmetatable({}, {__close = function() print'closed' end}) ";
    for (call, code, closes) in [
        ("os.exit()", 0, false),
        ("os.exit(true, true)", 0, true),
        ("os.exit(false, true)", 1, true),
        ("os.exit(7)", 7, false),
        ("os.exit(0, true)", 0, true),
    ] {
        scripts.expect(&["-e", &format!("{object}{call}")], "", if closes { "closed\n" } else { "" }, "", code);
    }
    scripts.expect(&["-e", "setmetatable({}, {__gc = function() print'collected' end})"], "", "collected\n", "", 0);
}

#[test]
fn the_collector_is_generational_and_the_locale_is_c() {
    let scripts = Scripts::new();
    scripts.expect(&["-e", "print(collectgarbage'incremental', os.setlocale())"], "", "generational\tC\n", "", 0);
}

#[test]
fn interactive_mode_prints_expressions_and_waits_for_whole_statements() {
    let scripts = Scripts::new();
    let session = |input: &str, output: &str, errors: &str| {
        scripts.expect(&["-i"], input, &format!("{COPYRIGHT}{output}> \n"), errors, 0);
    };
    session("1+1\n=2, nil\n", "> 1+1\n2\n> =2, nil\n2\tnil\n", "");
    session("for i = 1, 2 do\nprint(i)\nend\n", "> for i = 1, 2 do\n>> print(i)\n>> end\n1\n2\n", "");
    session("s = [[a\n\nb]]\n#s", "> s = [[a\n>> \n>> b]]\n> #s\n4\n", "");
    session("local x = 1\nx\n", "> local x = 1\n> x\nnil\n", "");
    session("_PROMPT2 = '+ '\nif x then\nend\n", "> _PROMPT2 = '+ '\n> if x then\n+ end\n", "");
    session("x = = 1\n", "> x = = 1\n", "stdin:1: unexpected symbol near '='\n");
    session(
        "error'e'\n",
        "> error'e'\n",
        "stdin:1: e\nstack traceback:\n\t[C]: in function 'error'\n\tstdin:1: in main chunk\n\t[C]: in ?\n",
    );
    session("print = nil\n1\n", "> print = nil\n> 1\n", "error calling 'print' (attempt to call a nil value)\n");
    session("\n\n", "> \n> \n", "");
    // What a script reads is the line after the one that runs.
    session("io.read()\nhello\n'next'\n", "> io.read()\nhello\n> 'next'\nnext\n", "");
    let long = "a".repeat(5000);
    session(&format!("#'{long}'\n"), &format!("> #'{long}'\n5000\n"), "");
}

#[test]
fn interactive_mode_follows_code_and_script_and_its_prompt_may_be_any_value() {
    let scripts = Scripts::new();
    let counts = "local n = 0; _PROMPT = setmetatable({}, {__tostring = function() n = n + 1 return n .. ':' end})";
    scripts.expect(&["-i", "-e", counts, "ok.lua"], "X = 1\n", &format!("{COPYRIGHT}ok\tnil\n1:X = 1\n2:\n"), "", 0);
    // A prompt that cannot be made ends the loop, and the name is still left out then.
    let fails = "_PROMPT = setmetatable({}, {__tostring = function() error('no prompt', 0) end})";
    scripts.expect(&["-i", "-e", fails], "1\n", COPYRIGHT, "no prompt\n", 1);
    scripts.expect(&["-i", "fails.lua"], "1\n", COPYRIGHT, "{prog}: fails.lua:1: oops\nstack traceback:\n\t[C]: in function 'error'\n\tfails.lua:1: in local 'f'\n\tfails.lua:2: in main chunk\n\t[C]: in ?\n", 1);
}

#[test]
fn help_and_version_are_shown_wherever_an_option_may_stand() {
    let scripts = Scripts::new();
    for program in PROGRAMS {
        let name = Path::new(program).file_stem().and_then(OsStr::to_str).expect("a name");
        let (text, errors, code) = outcome(scripts.command(program).args(["-W", "--help", "-nonsense"]));
        assert_eq!((errors.as_str(), code), ("", Some(0)));
        for part in ["Usage: ", "  -e <stat>", "  -E ", "Examples:\n", "--version", "LUA_INIT", name] {
            assert!(text.contains(part), "{program} --help lacks {part}:\n{text}");
        }
        assert_eq!(text.contains("--pool-check"), name == "lua54_pool", "{text}");
        let version = format!("{name} {}\n{COPYRIGHT}", env!("CARGO_PKG_VERSION"));
        assert_eq!(outcome(scripts.command(program).args(["-i", "--version"])), (version, String::new(), Some(0)));
    }
}

#[test]
fn pool_options_belong_to_lua54_pool_alone() {
    let scripts = Scripts::new();
    let [plain, pool] = PROGRAMS;
    let usage = USAGE.replace("{prog}", plain);
    let message = format!("{plain}: unrecognized option '--pool-check'\n{usage}");
    let run = |program, arguments: [&str; 2]| outcome(scripts.command(program).args(arguments));
    assert_eq!(run(plain, ["--pool-check", "ok.lua"]), (String::new(), message, Some(1)));
    let printed = format!("-2={pool};-1=--pool-check;0=args.lua;\n");
    assert_eq!(run(pool, ["--pool-check", "args.lua"]), (printed, String::new(), Some(0)));
    let message = format!("{pool}: unexpected value 'x' for '--pool-check' found; no more were expected\n");
    assert_eq!(run(pool, ["--pool-check=x", "ok.lua"]), (String::new(), message, Some(1)));
}
