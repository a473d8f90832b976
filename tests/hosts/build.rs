//! Builds what the tests link: the C libraries, our Lua in several shapes, and the hosts.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::support::{c_compiler, scratch};

/// The crate's own folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with liblua_pool_allocator.a and .so, built now if need be.
pub fn libraries(profile: &str) -> PathBuf {
    static RELEASE: OnceLock<PathBuf> = OnceLock::new();
    static DEBUG: OnceLock<PathBuf> = OnceLock::new();
    let (built, folder) = if profile == "release" { (&RELEASE, "release") } else { (&DEBUG, "debug") };
    built
        .get_or_init(|| {
            let target = scratch().join("hosts");
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "-p", "lua_pool_allocator_static", "-p", "lua_pool_allocator_shared"]);
            cargo.args(["--profile", profile, "--target-dir"]).arg(&target).current_dir(root());
            c_compiler::run(&mut cargo);
            target.join(folder)
        })
        .clone()
}

/// How a host gets the pool.
#[derive(Clone, Copy, PartialEq)]
pub enum Link {
    Static,
    Shared,
}

/// Where a host's Lua comes from.
pub enum Lua {
    /// Lua 5.4.4 as build.rs wrote it, compiled into the host: "lua54", or "lua54_pool" with the fast path inlined.
    Compiled(&'static str),
    /// The same with the fast path, compiled as C++.
    CompiledAsCpp,
    /// Lua 5.4.4 as a shared library of our own.
    Shared,
    /// A library that pkg-config knows.
    Installed(&'static str),
}

fn cpp_compiler() -> OsString {
    env::var_os("CXX").unwrap_or_else(|| "c++".into())
}

/// A compiler of warnings for one language, by the name of the source.
fn strict_compiler(source: &Path) -> Command {
    let mut command;
    if source.extension().is_some_and(|extension| extension == "cpp") {
        command = Command::new(cpp_compiler());
        command.arg("-std=c++17");
    } else {
        command = c_compiler::compiler();
        command.arg("-std=c99");
    }
    command.args(["-O2", "-Wall", "-Wextra", "-pedantic", "-Werror"]);
    command
}

/// Compiles a header alone, as a given language. False if there is no such compiler.
pub fn check_header(name: &str, compiler: &str, language: &[&str], includes: &[&Path]) -> bool {
    if Command::new(compiler).arg("--version").output().is_err() {
        return false;
    }
    let mut command = Command::new(compiler);
    command.args(language).args(["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wshadow", "-Werror"]);
    for include in includes.iter().copied().chain([root().join("include").as_path()]) {
        command.arg("-I").arg(include);
    }
    // Included, as a host does: a compiler says other things of what it is given as the main file.
    let header = root().join("include").join(name);
    c_compiler::run(command.args(["-fsyntax-only", "-include"]).arg(header).arg("/dev/null"));
    true
}

/// Compiles and links a host; the program is put into `folder`.
pub fn host(folder: &Path, source: &str, lua: &Lua, link: Link, libraries: &Path) -> PathBuf {
    let library = match link {
        Link::Static => "liblua_pool_allocator.a",
        Link::Shared => "liblua_pool_allocator.so",
    };
    let rpath = format!("-Wl,-rpath,{}", libraries.display());
    build_host(folder, source, lua, &[libraries.join(library).into(), rpath.into()])
}

/// The same for a host that knows nothing of the pool.
pub fn host_without_pool(folder: &Path, source: &str, lua: &Lua) -> PathBuf {
    build_host(folder, source, lua, &[])
}

fn build_host(folder: &Path, source: &str, lua: &Lua, pool: &[OsString]) -> PathBuf {
    let source = root().join(source);
    let program = folder.join("host");
    let object = folder.join("host.o");
    let mut compile = strict_compiler(&source);
    compile.arg("-c").arg("-o").arg(&object).arg(&source).arg("-I").arg(root().join("include"));
    let mut rest: Vec<OsString> = Vec::new();
    match lua {
        Lua::Compiled(flavor) => {
            compile.arg("-I").arg(lua_sources(flavor));
            rest.push(lua_object(flavor).into());
        }
        Lua::CompiledAsCpp => {
            compile.arg("-I").arg(lua_sources("lua54_pool"));
            rest.push(lua_object_of_cpp(folder).into());
        }
        Lua::Shared => {
            compile.arg("-I").arg(lua_sources("lua54"));
            rest.push(shared_lua().into());
        }
        Lua::Installed(package) => {
            compile.args(pkg_config("--cflags", package));
            rest.extend(pkg_config("--libs", package).into_iter().map(Into::into));
        }
    }
    c_compiler::run(&mut compile);

    let of_cpp = source.extension().is_some_and(|extension| extension == "cpp");
    let mut link = Command::new(if of_cpp { cpp_compiler() } else { "cc".into() });
    // A dynamic symbol table lets the shared library find the Lua inside the program.
    link.arg("-o").arg(&program).arg(&object).args(pool).args(rest).args(["-rdynamic", "-lm", "-ldl", "-lpthread"]);
    c_compiler::run(link.arg(format!("-Wl,-rpath,{}", scratch().display())));
    program
}

/// The folder of Lua's sources that build.rs has patched for one of the two archives.
fn lua_sources(flavor: &str) -> PathBuf {
    c_compiler::lua_include().with_file_name(flavor)
}

/// That Lua as one object file.
fn lua_object(flavor: &str) -> PathBuf {
    static BUILT: OnceLock<Vec<(&str, PathBuf)>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let compile = |flavor| {
            let object = scratch().join(format!("host-{flavor}-{}.o", std::process::id()));
            let mut command = c_compiler::compiler();
            command.args(["-std=gnu99", "-O2", "-fPIC", "-DLUA_USE_LINUX", "-c", "-o"]).arg(&object);
            c_compiler::run(command.arg("-I").arg(lua_sources(flavor)).arg(lua_sources(flavor).join("onelua.c")));
            (flavor, object)
        };
        vec![compile("lua54"), compile("lua54_pool")]
    });
    built.iter().find(|(name, _)| *name == flavor).expect("one of the two").1.clone()
}

/// The Lua with the fast path as one object file of C++.
fn lua_object_of_cpp(folder: &Path) -> PathBuf {
    let (object, sources) = (folder.join("lua.o"), lua_sources("lua54_pool"));
    let mut command = Command::new(cpp_compiler());
    command.args(["-x", "c++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-DLUA_USE_LINUX", "-c", "-o"]);
    command.arg(&object).arg("-I").arg(root().join("include")).arg("-I").arg(&sources).arg(sources.join("onelua.c"));
    c_compiler::run(&mut command);
    object
}

/// That Lua, without the pool, as a shared library.
pub fn shared_lua() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let library = scratch().join("liblua54-for-hosts.so");
            let fresh = scratch().join(format!("liblua54-{}.so", std::process::id()));
            let mut command = c_compiler::compiler();
            command.args(["-shared", "-Wl,-soname,liblua54-for-hosts.so", "-o"]).arg(&fresh);
            c_compiler::run(command.arg(lua_object("lua54")).args(["-lm", "-ldl"]));
            std::fs::rename(&fresh, &library).expect("a file in the scratch folder can be renamed");
            library
        })
        .clone()
}

/// What pkg-config says about an installed library.
fn pkg_config(question: &str, package: &str) -> Vec<String> {
    let output = Command::new("pkg-config").args([question, package]).output().expect("pkg-config is installed");
    assert!(output.status.success(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

/// Standard output and standard error of a program that has to succeed.
pub fn succeeds(command: &mut Command) -> (String, String) {
    let output: Output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    (out, err)
}
