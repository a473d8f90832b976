//! Builds Lua 5.4.4 twice from the sources of the crate `lua-src`: once as it is (`liblua54.a`) and once
//! wired to the pool (`liblua54_pool.a`). Both get the same fixes, the same flags and one translation unit.
//!
//! find the sources -> verify SHA-256 -> copy -> apply vendor/*.patch -> generate onelua.c -> train -> compile
//!
//! Training (profile-guided optimization, with GCC and in release builds): Lua is compiled to count which ways it goes,
//! runs src/training/workload.lua, and is compiled again with what was counted.

// The layout file is shared with the crate: the C header with the pool's fast path is generated from it.
#[path = "src/pool/layout.rs"]
#[allow(dead_code)]
mod layout;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/pool/layout.rs");
    #[cfg(feature = "programs")]
    if let Err(message) = lua::main() {
        eprintln!("error: {message}");
        std::process::exit(1);
    }
}

#[cfg(feature = "programs")]
mod lua {
    use std::collections::BTreeMap;
    use std::env;
    use std::ffi::OsString;
    use std::fmt::Write as _;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};
    use sha2::{Digest, Sha256};

    type Result<T> = std::result::Result<T, String>;

    /// Where the spy compiler writes the folder it was asked to compile from.
    const SPY_REPORT: &str = "LUA_POOL_SPY_REPORT";
    /// Set for the copy of this program that only asks lua-src to compile.
    const SPY_ASK: &str = "LUA_POOL_SPY_ASK";

    /// What Lua is trained with.
    const TRAINING: &str = "src/training";
    /// Set to 0 for a build without training.
    const TRAINING_SWITCH: &str = "LUA_POOL_PGO";

    /// In which order the linker lays the code of both programs.
    const TEXT_ORDER: &str = "src/bin/text_order.ld";

    pub fn main() -> Result<()> {
        // This program plays three parts; see `find_lua_sources`.
        if let Some(report) = env::var_os(SPY_REPORT) {
            let arguments: Vec<OsString> = env::args_os().skip(1).collect();
            if !arguments.is_empty() {
                return spy_on_compilation(&arguments, Path::new(&report));
            }
            if let Some(scratch) = env::var_os(SPY_ASK) {
                lua_src::Build::new().out_dir(scratch).build(lua_src::Lua54);
                return Ok(());
            }
        }

        let target_bits = env::var("CARGO_CFG_TARGET_POINTER_WIDTH").unwrap_or_default();
        if target_bits.parse() != Ok(usize::BITS) {
            // The layout that the C side gets is computed on this machine.
            return Err(format!("cannot build for {target_bits} bits on a machine of {} bits", usize::BITS));
        }
        let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; run this through cargo")?);
        watch_compiler_variables();
        let sources = verified_sources(&find_lua_sources(&out_dir)?)?;
        let patches = read_patches(Path::new("vendor"))?;

        for flavor in FLAVORS.into_iter().chain([Flavor::Reference]) {
            write_sources(flavor, &out_dir.join(flavor.library()), &sources, &patches)?;
        }
        println!("cargo::rerun-if-changed={TRAINING}");
        println!("cargo::rerun-if-env-changed={TRAINING_SWITCH}");
        let mut builds = FLAVORS.map(|flavor| compilation(flavor, &out_dir));
        // Both are trained, or none.
        let trained = wants_training(&builds[0]) && {
            let results = at_once(|flavor| train(flavor, &builds[flavor as usize], &out_dir));
            results.into_iter().collect::<Result<()>>().map_err(warn_of_no_training).is_ok()
        };
        if trained {
            for build in &mut builds {
                // What has changed since the training, and what was not seen in it, is nothing to be warned of.
                build.flag("-fprofile-use").flag("-Wno-coverage-mismatch").flag("-Wno-missing-profile");
                // GCC inlines the most used first, until all has grown by 40 %. That is too early where all of Lua was
                // trained (-2 % on 36 scripts, -4 to -12 % where libraries are called), and it is not at the same
                // place in both programs, whose loops would differ.
                build.flag("--param=inline-unit-growth=1000").flag("--param=max-inline-insns-auto=40");
            }
        }
        tell_flags(&builds[0]);
        at_once(|flavor| builds[flavor as usize].compile(flavor.library()));
        println!("cargo::rustc-link-search=native={}", out_dir.display());

        let include = out_dir.join(Flavor::System.library());
        println!("cargo::rustc-env=LUA54_INCLUDE={}", include.display());
        if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "unix") {
            // C modules loaded by `require` look for lua_* in the program itself. Exporting nothing else lets the linker
            // drop what a program does not use: lua54_compare's libraries here, the interpreter there.
            let export = match env::var("CARGO_CFG_TARGET_OS").as_deref() {
                Ok("linux" | "android") => "-Wl,--export-dynamic-symbol=lua*",
                _ => "-rdynamic",
            };
            let order = text_order(&out_dir)?;
            for program in ["lua54", "lua54_pool"] {
                println!("cargo::rustc-link-arg-bin={program}={export}");
                for argument in order.iter().flatten() {
                    println!("cargo::rustc-link-arg-bin={program}={argument}");
                }
            }
        } else {
            // Linkers for Windows want every name that the library mentions, in programs, too, that run no Lua.
            let msvc = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "msvc");
            let archive = out_dir.join(if msvc { "lua54.lib" } else { "liblua54.a" });
            let archive = archive.display().to_string();
            // It comes last, and GNU's linker looks no further back for what it wants itself.
            let libraries = [archive.as_str(), "-lmingwex", "-lmsvcrt", "-lkernel32"];
            for library in &libraries[..if msvc { 1 } else { libraries.len() }] {
                for programs in ["bin=lua54_compare", "tests", "examples"] {
                    println!("cargo::rustc-link-arg-{programs}={library}");
                }
            }
        }
        Ok(())
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Flavor {
        System,
        Pool,
        /// Lua with the fixes alone, whose sources are written for tests: what the others must do, too.
        Reference,
    }

    /// Those that are compiled here.
    const FLAVORS: [Flavor; 2] = [Flavor::System, Flavor::Pool];

    impl Flavor {
        /// Name of the static library, which is also the name of the folder its sources are in.
        fn library(self) -> &'static str {
            match self {
                Flavor::System => "lua54",
                Flavor::Pool => "lua54_pool",
                Flavor::Reference => "lua54_reference",
            }
        }

        /// Whether a patch, by the first word of its name, belongs to this flavor.
        fn wants(self, patch_name: &str) -> Result<bool> {
            match patch_name.split('-').next() {
                Some("fix") => Ok(cfg!(feature = "lua-fixes")),
                Some("common" | "speed") => Ok(self != Flavor::Reference),
                Some("pool") => Ok(self == Flavor::Pool),
                _ => Err(format!(
                    "vendor/{patch_name}: a patch is named common-* (both programs, what the others build on), fix-* \
                     (a bug of 5.4.4, both programs), pool-* (lua54_pool alone) or speed-* (both programs)"
                )),
            }
        }
    }

    /// Has Cargo compile again when a variable changes that chooses the C compiler or its flags. cc does that only along
    /// with metadata that links the library everywhere.
    fn watch_compiler_variables() {
        let target = env::var("TARGET").unwrap_or_default();
        for name in ["CC", "CFLAGS", "AR", "ARFLAGS"] {
            println!("cargo::rerun-if-env-changed={name}");
            println!("cargo::rerun-if-env-changed=TARGET_{name}");
            println!("cargo::rerun-if-env-changed={name}_{target}");
            println!("cargo::rerun-if-env-changed={name}_{}", target.replace('-', "_"));
        }
    }

    /// lua-src exports no path to its C files. So this program runs itself again as somebody who asks lua-src to
    /// compile them, with itself as the compiler; the compiler part writes down where `lapi.c` was.
    fn find_lua_sources(out_dir: &Path) -> Result<PathBuf> {
        let me = env::current_exe().map_err(|e| format!("cannot find the build program itself: {e}"))?;
        let target = env::var("TARGET").map_err(|e| format!("TARGET: {e}"))?;
        let report = out_dir.join("spy-report");
        let scratch = out_dir.join("spy-scratch");
        let _ = fs::remove_file(&report);

        let mut ask = Command::new(&me);
        for (name, _) in env::vars_os() {
            let plain = name.to_string_lossy();
            // Whatever would put another compiler, or a wrapper around it, in our place.
            if ["CC", "HOST_CC", "TARGET_CC", "RUSTC_WRAPPER", "CC_WRAPPER"].contains(&&*plain)
                || plain.starts_with("CC_")
            {
                ask.env_remove(&name);
            }
        }
        // The spy fails on purpose once it knows enough, so neither its exit status nor its complaints matter.
        let output = ask
            .env(format!("CC_{target}"), &me)
            .env(SPY_REPORT, &report)
            .env(SPY_ASK, &scratch)
            .output()
            .map_err(|e| format!("cannot run {}: {e}", me.display()))?;
        let _ = fs::remove_dir_all(&scratch);
        let folder = fs::read_to_string(&report).map_err(|e| {
            format!(
                "the sources of lua-src were not found ({e}); it said:\n{}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        Ok(PathBuf::from(folder))
    }

    fn spy_on_compilation(arguments: &[OsString], report: &Path) -> Result<()> {
        let lapi = arguments.iter().map(Path::new).find(|argument| argument.ends_with("lapi.c"));
        let Some(folder) = lapi.and_then(Path::parent) else {
            return Ok(()); // a question about the compiler's family or flags
        };
        let folder = folder.to_str().ok_or("the path of lua-src is not valid Unicode")?;
        fs::write(report, folder).map_err(|e| format!("{}: {e}", report.display()))?;
        Err("enough seen".into())
    }

    /// Reads Lua's sources, all of which must be as vendor/lua-5.4.4.sha256 says.
    fn verified_sources(folder: &Path) -> Result<BTreeMap<String, String>> {
        let list = "vendor/lua-5.4.4.sha256";
        println!("cargo::rerun-if-changed={list}");
        println!("cargo::rerun-if-changed={}", folder.display());
        let sums = fs::read_to_string(list).map_err(|e| format!("{list}: {e}"))?;
        let mut sources = BTreeMap::new();
        for line in sums.lines() {
            let (expected, name) =
                line.split_once("  ").ok_or_else(|| format!("{list}: this is not a checksum line: {line}"))?;
            let path = folder.join(name);
            let bytes = fs::read(&path).map_err(|e| format!("Lua source file {}: {e}", path.display()))?;
            let mut actual = String::new();
            for byte in Sha256::digest(&bytes) {
                write!(actual, "{byte:02x}").expect("writing to a string");
            }
            if actual != expected {
                return Err(format!(
                    "{} is not Lua 5.4.4's {name}: its SHA-256 is {actual}, {list} says {expected}; \
                     fetch lua-src 544.0.1 anew",
                    path.display()
                ));
            }
            let text = String::from_utf8(bytes).map_err(|e| format!("{}: {e}", path.display()))?;
            sources.insert(name.to_owned(), text);
        }
        Ok(sources)
    }

    /// All patches of ours, in the order of their names.
    fn read_patches(vendor: &Path) -> Result<BTreeMap<String, String>> {
        println!("cargo::rerun-if-changed={}", vendor.display());
        let mut patches = BTreeMap::new();
        let entries = fs::read_dir(vendor).map_err(|e| format!("{}: {e}", vendor.display()))?;
        for entry in entries {
            let path = entry.map_err(|e| format!("{}: {e}", vendor.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "patch") {
                println!("cargo::rerun-if-changed={}", path.display());
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
                patches.insert(name, text);
            }
        }
        Ok(patches)
    }

    /// Writes the patched sources, the generated header and the one translation unit into `folder`.
    fn write_sources(
        flavor: Flavor,
        folder: &Path,
        sources: &BTreeMap<String, String>,
        patches: &BTreeMap<String, String>,
    ) -> Result<()> {
        let mut files = sources.clone();
        for (name, text) in patches {
            if flavor.wants(name)? {
                apply_patch(name, text, &mut files)?;
            }
        }
        files.insert("onelua.c".into(), one_translation_unit());
        if flavor == Flavor::Pool {
            files.insert("lua_pool_layout.h".into(), super::layout::c_header());
            files.insert("lua_pool_inline.h".into(), read("include/lua_pool_inline.h")?);
        }
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        for (name, text) in &files {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(())
    }

    /// Reads a file of this package; a change of it builds Lua anew.
    fn read(path: &str) -> Result<String> {
        println!("cargo::rerun-if-changed={path}");
        fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))
    }

    fn apply_patch(patch_name: &str, text: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
        let mut applied = 0;
        for part in PatchSet::parse(text, ParseOptions::unidiff()) {
            let part = part.map_err(|e| format!("vendor/{patch_name} is not a unified diff: {e}"))?;
            let FileOperation::Modify { original, .. } = part.operation() else {
                return Err(format!("vendor/{patch_name} may only change files that Lua has"));
            };
            let name = original.trim_start_matches("a/").to_owned();
            let file =
                files.get_mut(&name).ok_or_else(|| format!("vendor/{patch_name} changes {name}, which Lua lacks"))?;
            let patch = part.patch().as_text().ok_or_else(|| format!("vendor/{patch_name} is not a text patch"))?;
            *file = diffy::apply(file, patch)
                .map_err(|e| format!("vendor/{patch_name} does not apply to {name} any more: {e}"))?;
            applied += 1;
        }
        if applied == 0 {
            return Err(format!("vendor/{patch_name} changes nothing; delete it or repair it"));
        }
        Ok(())
    }

    /// Lua as one C file: the compiler sees across all of its modules, with any C compiler and no LTO.
    fn one_translation_unit() -> String {
        let headers = [
            "assert", "ctype", "errno", "float", "limits", "locale", "math", "setjmp", "signal", "stdarg", "stddef",
            "stdio", "stdlib", "string", "time",
        ];
        let modules = [
            "lzio", "lctype", "lopcodes", "lmem", "lundump", "ldump", "lstate", "lgc", "llex", "lcode", "lparser",
            "ldebug", "lfunc", "lobject", "ltm", "lstring", "ltable", "ldo", "lvm", "lapi", "lauxlib", "lbaselib",
            "lcorolib", "ldblib", "liolib", "lmathlib", "loadlib", "loslib", "lstrlib", "ltablib", "lutf8lib", "linit",
        ];
        let mut unit = String::from("/* generated by build.rs */\n#include \"lprefix.h\"\n");
        for header in headers {
            writeln!(unit, "#include <{header}.h>").expect("writing to a string");
        }
        // Lua's modules become one: what they share among themselves is static, the Lua API stays visible.
        unit.push_str(
            "#define LUA_CORE\n#define LUA_LIB\n#define ltable_c\n#define lvm_c\n#include \"luaconf.h\"\n\
             #undef LUAI_FUNC\n#undef LUAI_DDEC\n#undef LUAI_DDEF\n\
             #define LUAI_FUNC static\n#define LUAI_DDEC(def)\n#define LUAI_DDEF static\n",
        );
        // Compiled as C++, for errors that are exceptions, it has the names that C modules and the library look for.
        unit.push_str("#ifdef __cplusplus\n#undef LUA_API\n#define LUA_API extern \"C\"\n#endif\n");
        for module in modules {
            writeln!(unit, "#include \"{module}.c\"").expect("writing to a string");
        }
        unit
    }

    /// How Lua is compiled, from the sources in the flavor's folder.
    fn compilation(flavor: Flavor, out_dir: &Path) -> cc::Build {
        let folder = out_dir.join(flavor.library());
        let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
        let mut build = cc::Build::new();
        build
            .file(folder.join("onelua.c"))
            .include(&folder)
            .std("gnu99")
            .opt_level(3)
            // cc keeps frame pointers wherever the profile keeps line tables; the interpreter has use for the register.
            .force_frame_pointer(false)
            // Code for a program, not for a library: calls among Lua's own functions need no table that a library
            // loaded earlier could have changed, and can be inlined (-6 % on the suite, in both programs).
            .pic(false)
            .flag_if_supported("-fPIE")
            .warnings(false)
            .cargo_warnings(true)
            .flag_if_supported("-fno-stack-protector")
            // Landing pads for indirect jumps, which some compilers make unasked: nothing checks them in a program that
            // has code without them, as Rust's standard library is, but the interpreter would pass one at each step.
            .flag_if_supported("-fcf-protection=none")
            .flag_if_supported("-fno-math-errno")
            // The interpreter jumps from a table, and GCC's manual advises -fno-gcse for such code. Without the
            // second flag GCC merges the jumps at the end of all instructions into one, which no processor can
            // predict well (-8 % on nine workloads, in both programs).
            .flag_if_supported("-fno-gcse")
            .flag_if_supported("-fno-crossjumping")
            // The same merging by another pass: 10 % more for binary trees when it happens, which small changes decide.
            .flag_if_supported("-fno-tree-tail-merge")
            // Where a function begins within a cache line should not differ between the programs.
            .flag_if_supported("-falign-functions=64")
            .define("LUA_COMPAT_5_3", None)
            // The archive is linked by the program that names it; see src/bin.
            .cargo_metadata(false);
        match os.as_str() {
            "macos" | "ios" => build.define("LUA_USE_MACOSX", None),
            "windows" => build.define("LUA_USE_WINDOWS", None),
            _ => build.define("LUA_USE_LINUX", None),
        };
        if cfg!(feature = "memory-tools") {
            build.define("LUA_POOL_NO_INLINE", None);
        }
        if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
            build.define("LUA_USE_APICHECK", None);
        }
        build
    }

    /// Has lua54_compare tell with its results how the programs were compiled; folders are nobody's business.
    fn tell_flags(build: &cc::Build) {
        let is_telling =
            |flag: &&str| flag.starts_with(['-', '/']) && *flag != "-I" && !flag[1..].contains(['/', '\\']);
        let compiler = build.get_compiler();
        let flags: Vec<&str> = compiler.args().iter().filter_map(|flag| flag.to_str()).filter(is_telling).collect();
        println!("cargo::rustc-env=LUA54_C_FLAGS={}", flags.join(" "));
    }

    /// Whether this build is for speed, and training possible: with GCC, for this machine. Clang's counts want a tool of
    /// the very version to be installed, and memory tools have the usual ways change.
    fn wants_training(build: &cc::Build) -> bool {
        let variable = |name| env::var(name).unwrap_or_default();
        variable("PROFILE") == "release"
            && variable(TRAINING_SWITCH) != "0"
            && variable("HOST") == variable("TARGET")
            && variable("CARGO_CFG_TARGET_FAMILY") == "unix"
            && build.get_compiler().is_like_gnu()
            && !cfg!(feature = "memory-tools")
    }

    fn warn_of_no_training(reason: String) {
        println!(
            "cargo::warning=the training of Lua failed, and both programs are built without it: they work as well, but \
             take some 15 % more time; {TRAINING_SWITCH}=0 leaves it out without this warning ({reason})"
        );
    }

    /// Compiles Lua with counters, runs the workload on it, and leaves the counts where GCC looks for them: beside the
    /// object file, which has the same name in every compilation.
    fn train(flavor: Flavor, build: &cc::Build, out_dir: &Path) -> Result<()> {
        let mut counting = build.clone();
        counting
            .flag("-fprofile-generate")
            .flag("-fprofile-update=single")
            // The same strings in the same places of the string table, so that every build counts the same.
            .define("luai_makeseed(L)", "1");
        let objects = counting.try_compile_intermediates().map_err(|e| e.to_string())?;
        let [object] = &objects[..] else { return Err(format!("{} object files", objects.len())) };
        let counts = object.with_extension("gcda");
        let _ = fs::remove_file(&counts);

        let program = out_dir.join(flavor.library()).join("training");
        let mut link = build.get_compiler().to_command();
        link.arg("-fprofile-generate").arg("-o").arg(&program).arg(object).arg(format!("{TRAINING}/main.c"));
        if flavor == Flavor::Pool {
            link.arg("-DLUA_POOL_TRAINING").arg(format!("{TRAINING}/pool.c"));
        }
        run(link.args(["-lm", "-ldl"]))?;
        run(Command::new(&program).arg(format!("{TRAINING}/workload.lua")))?;
        if counts.exists() { Ok(()) } else { Err(format!("no counts in {}", counts.display())) }
    }

    /// What tells the linker to lay the code that every start runs side by side; nothing where it cannot, which is tried
    /// with an empty program: not every linker for Linux knows such scripts.
    fn text_order(out_dir: &Path) -> Result<Option<[String; 2]>> {
        println!("cargo::rerun-if-changed={TEXT_ORDER}");
        let variable = |name| env::var(name).unwrap_or_default();
        if variable("CARGO_CFG_TARGET_OS") != "linux" || variable("PROFILE") != "release" {
            return Ok(None);
        }
        let script = env::current_dir().map_err(|e| e.to_string())?.join(TEXT_ORDER);
        let arguments = ["-Xlinker".to_string(), format!("--script={}", script.display())];
        let (source, program) = (out_dir.join("empty.rs"), out_dir.join("empty"));
        fs::write(&source, "fn main() {}").map_err(|e| format!("{}: {e}", source.display()))?;
        let mut link = Command::new(variable("RUSTC"));
        link.arg("--target").arg(variable("TARGET")).arg("-o").arg(&program).arg(&source);
        link.args(variable("CARGO_ENCODED_RUSTFLAGS").split('\x1f').filter(|flag| !flag.is_empty()));
        link.args(env::var("RUSTC_LINKER").map(|linker| format!("-Clinker={linker}")));
        link.args(arguments.iter().map(|argument| format!("-Clink-arg={argument}")));
        let foreign = variable("HOST") != variable("TARGET");
        let works = run(&mut link).is_ok() && (foreign || run(&mut Command::new(&program)).is_ok());
        Ok(works.then_some(arguments))
    }

    /// Does something for both flavors at the same time.
    fn at_once<T: Send>(what: impl Fn(Flavor) -> T + Sync) -> [T; 2] {
        std::thread::scope(|scope| {
            FLAVORS
                .map(|flavor| {
                    scope.spawn({
                        let what = &what;
                        move || what(flavor)
                    })
                })
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// Runs a program to its successful end.
    fn run(command: &mut Command) -> Result<()> {
        let output = command.output().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "{} ended with {}: {}",
            command.get_program().display(),
            output.status,
            said.trim().replace('\n', " | ")
        ))
    }
}
